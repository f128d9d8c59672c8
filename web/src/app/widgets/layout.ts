import { html } from 'lit';
import { str, type View, type Widget } from '../context';

const children = (view: View) => view.node.children.map((id) => view.ctx.child(id));

const box = (name: string): Widget => ({
    label: 'none',
    render: (view) => html`<div class=${name}>${children(view)}</div>`,
});

export const row = box('row');
export const column = box('column');
export const form = box('form');
export const tabitem = box('column');

export const accordion: Widget = {
    label: 'none',
    render: (view) => html`<details
        class="accordion"
        ?open=${view.props.open !== false}
        @toggle=${(e: Event) =>
            view.trigger((e.target as HTMLDetailsElement).open ? 'expand' : 'collapse')}
    >
        <summary>${view.label}</summary>
        <div class="column">${children(view)}</div>
    </details>`,
};

// --- tabs -----------------------------------------------------------------------------------------

function panels(view: View) {
    const { store } = view.ctx;
    return view.node.children
        .map((id) => store.get(id)!)
        .filter((node) => node.type === 'tabitem' && node.props.visible !== false);
}

/** `selected` of the app wins when it changes; in between the visitor chooses. */
function current(view: View): number {
    const list = panels(view);
    const asked = view.props.selected;
    if (asked !== view.local.asked) {
        view.local.asked = asked;
        view.local.open = list.findIndex((node) => (node.props.id ?? node.id) === asked);
    }
    const open = Number(view.local.open ?? 0);
    return open >= 0 && open < list.length ? open : 0;
}

function choose(view: View, index: number) {
    const node = panels(view)[index];
    if (!node) return;
    view.local.open = index;
    view.update();
    const data = { index, value: str(node.props.label), selected: true };
    view.ctx.engine.trigger(node.id, 'select', data);
    view.trigger('select', data);
    view.trigger('change');
}

function onKey(view: View, e: KeyboardEvent) {
    const last = panels(view).length - 1;
    const now = current(view);
    const to = { ArrowRight: now + 1, ArrowLeft: now - 1, Home: 0, End: last }[e.key];
    if (to === undefined) return;
    e.preventDefault();
    const index = to > last ? 0 : to < 0 ? last : to;
    choose(view, index);
    const list = (e.currentTarget as HTMLElement).querySelectorAll<HTMLElement>('[role=tab]');
    list[index]?.focus();
}

export const tabs: Widget = {
    label: 'none',
    render: (view) => {
        const open = current(view);
        return html`<div class="tabs">
            <div role="tablist" @keydown=${(e: KeyboardEvent) => onKey(view, e)}>
                ${panels(view).map(
                    (node, i) => html`<button
                        role="tab"
                        id="tab${node.id}"
                        aria-selected=${i === open}
                        aria-controls="panel${node.id}"
                        tabindex=${i === open ? 0 : -1}
                        ?disabled=${node.props.interactive === false}
                        @click=${() => choose(view, i)}
                    >
                        ${str(node.props.label)}
                    </button>`,
                )}
            </div>
            ${panels(view).map(
                (node, i) => html`<div
                    role="tabpanel"
                    id="panel${node.id}"
                    aria-labelledby="tab${node.id}"
                    ?hidden=${i !== open}
                >
                    ${view.ctx.child(node.id)}
                </div>`,
            )}
        </div>`;
    },
};
