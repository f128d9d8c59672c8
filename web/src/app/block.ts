// <sp-block>: one component of an app. Repaints itself when its node in the store changes.

import { html, LitElement, nothing } from 'lit';
import './overlay';
import type { Context, View, Widget } from './context';
import { num, str } from './context';
import { findWidget } from './registry';
import type { Shown } from './engine';
import type { Node } from './store';
import { isPlain } from './types';

export class SpBlock extends LitElement {
    static override properties = { ctx: { attribute: false }, nodeId: { attribute: false } };
    declare ctx: Context;
    declare nodeId: number;
    private local: Record<string, unknown> = {};
    private unsubscribe: (() => void) | null = null;
    private view: View | null = null;
    private widget: Widget | null = null;
    private ownClasses: string[] = [];

    override createRenderRoot() {
        return this;
    }

    override connectedCallback() {
        super.connectedCallback();
        this.unsubscribe = this.ctx.store.subscribe(this.nodeId, () => this.requestUpdate());
    }

    override disconnectedCallback() {
        super.disconnectedCallback();
        this.unsubscribe?.();
    }

    override render() {
        const node = this.ctx.store.get(this.nodeId);
        if (!node || node.props.visible === false || node.type === 'state') return nothing;
        const found = findWidget(node.type);
        if (found instanceof Promise) {
            void found.then(() => this.requestUpdate());
            return nothing;
        }
        this.widget = found;
        this.view = this.makeView(node);
        if (isPlain(node.type)) return found.render(this.view);
        const shown = this.ctx.engine.statusOf(node.id);
        return html`${this.renderLabel(found, this.view)}
            <div class="body" ?inert=${covers(shown)}>${found.render(this.view)}</div>
            ${this.renderInfo(this.view)}
            ${shown
                ? html`<sp-status .shown=${shown} .ctx=${this.ctx}></sp-status>`
                : nothing}`;
    }

    private renderLabel(widget: Widget, view: View) {
        if (widget.label === 'legend' || widget.label === 'none' || !view.label) return nothing;
        const hidden = view.props.show_label === false || view.props.container === false;
        const name = `label ${hidden ? 'sr' : ''}`;
        return widget.label === 'for'
            ? html`<label class=${name} for=${view.controlId}>${view.label}</label>`
            : html`<div class=${name} id="${view.controlId}-label">${view.label}</div>`;
    }

    private renderInfo(view: View) {
        const info = view.props.info;
        return info ? html`<p class="info" id="${view.controlId}-info">${info}</p>` : nothing;
    }

    private makeView(node: Node): View {
        const { ctx } = this;
        return {
            ctx,
            node,
            props: node.props,
            value: node.props.value,
            isInteractive: ctx.store.isInteractive(node),
            controlId: `c${node.id}`,
            label: str(node.props.label),
            local: this.local,
            input: (value, ...events) =>
                ctx.engine.input(node.id, value, events.length ? events : ['input']),
            trigger: (event, data) => ctx.engine.trigger(node.id, event, data ?? null),
            update: () => this.requestUpdate(),
        };
    }

    override updated() {
        const node = this.ctx.store.get(this.nodeId);
        if (!node) return;
        this.dress(node);
        if (this.view && this.widget?.painted) this.widget.painted(this.view, this);
    }

    /** Classes and sizes in code: a style attribute would break the content security policy. */
    private dress(node: Node): void {
        const { props } = node;
        const framed = !isPlain(node.type) && this.widget?.label !== 'none';
        const shown = this.ctx.engine.statusOf(node.id);
        this.hidden = props.visible === false || props.visible === 'hidden' || node.type === 'state';
        this.dataset.type = node.type;
        this.classList.toggle('block', framed && props.container !== false);
        this.classList.toggle('busy', covers(shown));
        this.classList.toggle('generating', isGenerating(shown));
        if (props.elem_id) this.id = str(props.elem_id);
        this.dressClasses(props.elem_classes);
        this.style.flexGrow = String(num(props.scale, 1));
        this.style.flexBasis = `min(${num(props.min_width, 160)}px, 100%)`;
    }

    private dressClasses(asked: unknown): void {
        const list = Array.isArray(asked) ? asked.map(String) : str(asked).split(' ');
        this.classList.remove(...this.ownClasses);
        this.ownClasses = list.filter((name) => /^[\w-]+$/.test(name));
        this.classList.add(...this.ownClasses);
    }
}

function covers(shown: Shown | undefined): boolean {
    if (!shown || shown.kind === 'error') return false;
    if (shown.kind === 'retry') return true;
    return shown.mode === 'full' && shown.run.status.phase !== 'generating';
}

function isGenerating(shown: Shown | undefined): boolean {
    return shown?.kind === 'run' && shown.mode !== 'none' && shown.run.status.phase === 'generating';
}

if (!customElements.get('sp-block')) customElements.define('sp-block', SpBlock);
