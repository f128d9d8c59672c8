// <sp-status>: what covers an output while its function waits and works.

import { html, LitElement, nothing } from 'lit';
import { text } from './strings';
import type { Context } from './context';
import type { Shown } from './engine';
import { elapsed, etaShare, progressBar, statusText, type RunStatus } from './status';

const CANCEL_AFTER_S = 2;
const LONG_QUEUE_S = 15;
const LONG_QUEUE_PHONE_S = 10;

export class SpStatus extends LitElement {
    static override properties = { shown: { attribute: false }, ctx: { attribute: false } };
    declare shown: Shown;
    declare ctx: Context;
    private frame = 0;
    private hasCancel = false;

    override createRenderRoot() {
        return this;
    }

    override disconnectedCallback() {
        super.disconnectedCallback();
        cancelAnimationFrame(this.frame);
    }

    override willUpdate() {
        const kind = this.shown.kind === 'run' ? this.shown.run.status.phase : this.shown.kind;
        this.className = `status ${kind} ${this.shown.kind === 'run' ? this.shown.mode : ''}`;
        if (this.shown.kind === 'run') this.hasCancel = this.isCancelDue(this.shown.run.status);
    }

    override render() {
        const shown = this.shown;
        if (shown.kind === 'error') return this.renderError(shown);
        if (shown.kind === 'retry') return this.renderRetry(shown);
        if (shown.mode === 'none') return nothing;
        if (shown.run.status.phase === 'generating') return this.renderCancel(shown);
        const isFull = shown.mode === 'full';
        const bar = isFull ? progressBar(shown.run.status) : null;
        return html`
            ${isFull && !bar ? html`<div class="eta" aria-hidden="true"></div>` : nothing}
            <div class="middle">
                ${bar ? this.renderProgress(bar.text, bar.share) : nothing}
                ${isFull ? this.renderHint(shown) : nothing}
            </div>
            <div class="foot">
                ${this.renderCancel(shown)}
                <span class="clock" aria-hidden="true"></span>
            </div>
        `;
    }

    private renderProgress(label: string, share: number | null) {
        return html`<div class="level">${label}</div>
            <progress
                max="1"
                aria-label=${label || text.loading}
                value=${share ?? nothing}
            ></progress>`;
    }

    private renderHint(shown: Shown & { kind: 'run' }) {
        const { phase, eta } = shown.run.status;
        if (!shown.isFirst || phase !== 'waiting' || eta === null) return nothing;
        if (eta >= LONG_QUEUE_S)
            return html`<p class="hint">
                ${text.longQueueA}<button class="link" @click=${() => this.ctx.duplicate()}>
                    ${text.longQueueButton}</button
                >${text.longQueueB}
            </p>`;
        if (eta < LONG_QUEUE_PHONE_S || !matchMedia('(pointer: coarse)').matches) return nothing;
        return html`<p class="hint">${text.keepOpen}</p>`;
    }

    private renderCancel(shown: Shown & { kind: 'run' }) {
        if (!shown.isFirst || !this.hasCancel) return nothing;
        const cancel = () => this.ctx.engine.cancelRun(shown.run);
        return html`<button class="small cancel" @click=${cancel}>${text.cancel}</button>`;
    }

    private renderError(shown: Shown & { kind: 'error' }) {
        const clear = () => this.ctx.engine.clearError(shown);
        return html`<div class="middle">
            <span class="pill">${text.error}</span>
            <p class="hint">${shown.message}</p>
            <button class="icon" aria-label="${text.clear} ${text.error}" @click=${clear}>×</button>
        </div>`;
    }

    private renderRetry(shown: Shown & { kind: 'retry' }) {
        const retry = () => this.ctx.engine.retry(shown);
        return html`<div class="middle">
            <p class="hint">${shown.message}</p>
            ${shown.isFirst
                ? html`<button class="small" @click=${retry}>${text.retry}</button>`
                : nothing}
        </div>`;
    }

    override updated() {
        cancelAnimationFrame(this.frame);
        if (this.shown.kind === 'run' && this.shown.mode !== 'none') this.tick();
    }

    private isCancelDue(status: RunStatus): boolean {
        return elapsed(status, Date.now()) >= CANCEL_AFTER_S;
    }

    /** Once per frame, and only while there is something to count: no template, no layout. */
    private tick = () => {
        if (this.shown.kind !== 'run' || !this.isConnected) return;
        const status = this.shown.run.status;
        const now = Date.now();
        const clock = this.querySelector<HTMLElement>('.clock');
        const line = statusText(status, now);
        if (clock && clock.textContent !== line) clock.textContent = line;
        const eta = this.querySelector<HTMLElement>('.eta');
        if (eta) eta.style.transform = `scaleX(${etaShare(status, now) ?? 0})`;
        if (!this.hasCancel && this.isCancelDue(status)) this.requestUpdate();
        if (clock || !this.hasCancel) this.frame = requestAnimationFrame(this.tick);
    };
}

if (!customElements.get('sp-status')) customElements.define('sp-status', SpStatus);
