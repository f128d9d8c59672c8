// Edits of a streamed value: [action, path, value] as in Gradio's sse_v2 and later.

import type { Edit } from './types';

type Box = Record<string | number, unknown>;

/** Applies `edits` to a copy as deep as the edits reach; the old value stays as it was. */
export function applyEdits(value: unknown, edits: Edit[]): unknown {
    return edits.reduce((now, edit) => applyEdit(now, edit), value);
}

function applyEdit(value: unknown, [action, path, arg]: Edit): unknown {
    if (path.length === 0) {
        if (action === 'append') return join(value, arg);
        return action === 'delete' ? null : arg;
    }
    const key = path[0]!;
    if (key === '__proto__') return value;
    if (path.length > 1) {
        const copy = shallow(value);
        copy[key] = applyEdit(copy[key], [action, path.slice(1), arg]);
        return copy;
    }
    return applyHere(shallow(value), action, key, arg);
}

function applyHere(box: Box, action: Edit[0], key: string | number, arg: unknown): unknown {
    if (action === 'append') box[key] = join(box[key], arg);
    else if (action === 'replace') box[key] = arg;
    else if (action === 'add') {
        if (Array.isArray(box)) box.splice(Number(key), 0, arg);
        else box[key] = arg;
    } else if (Array.isArray(box)) box.splice(Number(key), 1);
    else delete box[key];
    return box;
}

function join(old: unknown, more: unknown): unknown {
    if (Array.isArray(old)) return old.concat(more);
    return String(old ?? '') + String(more);
}

function shallow(value: unknown): Box {
    if (Array.isArray(value)) return value.slice() as unknown as Box;
    return { ...(value as Box | null) };
}
