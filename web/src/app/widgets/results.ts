// What shows results: labels, JSON, tables, marked text, examples; and whatever is not known.

import { html, nothing } from 'lit';
import { str, type View, type Widget } from '../context';
import { fileUrl, isFile } from '../files';
import { text } from '../strings';

// --- label --------------------------------------------------------------------------------------------

interface Confidence {
    label: string;
    confidence: number;
}

function renderLabel(view: View) {
    const value = view.value as { label?: unknown; confidences?: Confidence[] | null } | null;
    if (!value || value.label === undefined) return blank();
    const most = Number(view.props.num_top_classes ?? Infinity);
    const rows = (value.confidences ?? []).slice(0, most);
    return html`${view.props.show_heading === false
            ? nothing
            : html`<p class="winner">${str(value.label)}</p>`}
        <ul class="bars">
            ${rows.map(
                (row) => html`<li>
                    <span>${row.label}</span><span>${Math.round(row.confidence * 100)} %</span>
                    <meter min="0" max="1" value=${row.confidence} aria-label=${row.label}></meter>
                </li>`,
            )}
        </ul>`;
}

// --- json ---------------------------------------------------------------------------------------------

const OPEN_DEPTH = 2;
const MOST_CHILDREN = 200;

function renderTree(value: unknown, name: string, depth: number): unknown {
    const key = name ? html`<span class="key">${name}</span>: ` : nothing;
    if (typeof value !== 'object' || value === null)
        return html`<div class="leaf">
            ${key}<span class="v-${value === null ? 'null' : typeof value}"
                >${JSON.stringify(value) ?? 'null'}</span
            >
        </div>`;
    const entries = Object.entries(value);
    const [open, close] = Array.isArray(value) ? '[]' : '{}';
    const summary = `${open} ${entries.length} ${close}`;
    if (!entries.length) return html`<div class="leaf">${key}${open}${close}</div>`;
    return html`<details ?open=${depth < OPEN_DEPTH}>
        <summary>${key}<span class="muted">${summary}</span></summary>
        <div class="branch">
            ${entries
                .slice(0, MOST_CHILDREN)
                .map(([k, v]) => renderTree(v, Array.isArray(value) ? `${k}` : k, depth + 1))}
            ${entries.length > MOST_CHILDREN ? html`<div class="leaf muted">…</div>` : nothing}
        </div>
    </details>`;
}

const blank = () => html`<div class="blank muted">${text.empty}</div>`;

function renderJson(view: View) {
    if (view.value === null || view.value === undefined) return blank();
    const copy = async (e: Event) => {
        await navigator.clipboard?.writeText(JSON.stringify(view.value, null, 2));
        (e.target as HTMLElement).textContent = text.copied;
    };
    return html`<div class="json">${renderTree(view.value ?? null, '', 0)}</div>
        <button class="small corner" aria-label="${text.copy} ${view.label}" @click=${copy}>
            ${text.copy}
        </button>`;
}

// --- tables ---------------------------------------------------------------------------------------------

function table(headers: string[], rows: unknown[][], label: string, head = 'th') {
    const cell = (v: unknown) =>
        html`<td>${typeof v === 'object' && v !== null ? JSON.stringify(v) : str(v)}</td>`;
    return html`<div class="scroll" role="region" tabindex="0" aria-label=${label}>
        <table>
            ${head && headers.length
                ? html`<thead>
                      <tr>
                          ${headers.map((h) => html`<th scope="col">${h}</th>`)}
                      </tr>
                  </thead>`
                : nothing}
            <tbody>
                ${rows.map(
                    (row) => html`<tr>
                        ${row.map(cell)}
                    </tr>`,
                )}
            </tbody>
        </table>
    </div>`;
}

const MOST_ROWS = 1000;

function renderDataframe(view: View) {
    const value = view.value as { headers?: string[]; data?: unknown[][] } | null;
    const rows = (value?.data ?? []).slice(0, MOST_ROWS);
    return table(value?.headers ?? [], rows, view.label || text.table);
}

function renderDataset(view: View) {
    const { props } = view;
    const samples = Array.isArray(props.samples) ? (props.samples as unknown[][]) : [];
    const use = (index: number) => {
        view.input(index, 'click');
        view.trigger('select', { index, value: samples[index] });
    };
    const words = (sample: unknown[]) =>
        sample.map((v) => (isFile(v) ? str(v.orig_name, v.path) : str(v))).join(' · ');
    return html`<div class="examples">
        ${samples.map(
            (sample, i) =>
                html`<button class="small" @click=${() => use(i)}>
                    ${thumbnail(view, sample[0])}${words(sample)}
                </button>`,
        )}
    </div>`;
}

function thumbnail(view: View, value: unknown) {
    if (!isFile(value) || !/\.(png|jpe?g|gif|webp)$/i.test(value.path)) return nothing;
    return html`<img src=${fileUrl(view.ctx.src, value)} alt="" />`;
}

// --- marked text, code ------------------------------------------------------------------------------------

interface Token {
    token: string;
    class_or_confidence: string | number | null;
}

function renderHighlighted(view: View) {
    const tokens = Array.isArray(view.value) ? (view.value as Token[]) : [];
    return html`<p class="tokens">
        ${tokens.map(({ token, class_or_confidence: mark }) =>
            mark === null || mark === undefined
                ? token
                : html`<mark>${token}<small>${mark}</small></mark>`,
        )}
    </p>`;
}

function renderCode(view: View) {
    if (!view.isInteractive)
        return html`<pre class="source" tabindex="0" aria-label=${view.label}>
${str(view.value)}</pre
        >`;
    return html`<textarea
        id=${view.controlId}
        class="source"
        rows=${Number(view.props.lines ?? 5)}
        spellcheck="false"
        aria-label=${view.label}
        .value=${str(view.value)}
        @input=${(e: Event) => view.input((e.target as HTMLTextAreaElement).value)}
    ></textarea>`;
}

const colorpicker: Widget = {
    label: 'for',
    render: (view) => html`<input
        id=${view.controlId}
        type="color"
        ?disabled=${!view.isInteractive}
        .value=${str(view.value, '#000000')}
        @input=${(e: Event) => view.input((e.target as HTMLInputElement).value)}
    />`,
};

function renderPlot(view: View) {
    const value = view.value as { type?: string; plot?: string } | null;
    if (!value?.plot) return blank();
    if (value.type === 'matplotlib')
        return html`<div class="picture">
            <img src=${fileUrl(view.ctx.src, value.plot)} alt=${view.label} />
        </div>`;
    return renderUnknown(view);
}

function renderUnknown(view: View) {
    return html`<p class="muted">${text.unknown(view.node.type)}</p>
        <div class="json">${renderTree(view.value ?? null, '', 0)}</div>`;
}

export const results: Record<string, Widget> = {
    label: { label: 'text', render: renderLabel },
    json: { label: 'text', render: renderJson },
    dataframe: { label: 'text', render: renderDataframe },
    dataset: { label: 'text', render: renderDataset },
    highlightedtext: { label: 'text', render: renderHighlighted },
    code: { label: 'text', render: renderCode },
    colorpicker,
    plot: { label: 'text', render: renderPlot },
    unknown: { label: 'text', render: renderUnknown },
};
