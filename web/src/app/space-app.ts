// <space-app src="/app/owner/name">: an app, drawn by us. One shadow root for all of it.

import { html, LitElement, nothing, unsafeCSS, type PropertyValues } from 'lit';
import { text } from './strings';
import tokens from '../ui/tokens.css';
import controls from '../ui/controls.css';
import './block';
import './toasts';
import css from './app.css';
import type { Context } from './context';
import { Engine, type SavedRun } from './engine';
import { prepare } from './registry';
import { Store } from './store';
import type { SpToasts } from './toasts';
import { Transport, type LinkState, type SessionKey } from './transport';
import type { Config, Hello, ServerMessage } from './types';

interface Saved {
    key: SessionKey;
    runs: SavedRun[];
    version: string | undefined;
}

const RETRY_CONFIG_MS = 2000;

export class SpaceApp extends LitElement {
    static override properties = { src: {}, embedded: { type: Boolean }, phase: { state: true }, link: { state: true } };
    static override styles = [tokens, controls, css].map((sheet) => unsafeCSS(sheet));
    declare src: string;
    /** On a page with a heading of its own: the app's headings are one level lower. */
    declare embedded: boolean;
    declare phase: 'loading' | 'waiting' | 'ready' | 'error';
    declare link: LinkState;
    private failure = '';
    private notice = '';
    private config: Config | null = null;
    private ctx: Context | null = null;
    private transport: Transport | null = null;
    private engine: Engine | null = null;
    private generation = 0;
    private retryTimer = 0;

    constructor() {
        super();
        this.phase = 'loading';
        this.link = 'connecting';
    }

    // --- life ---------------------------------------------------------------------------------------

    override connectedCallback() {
        super.connectedCallback();
        addEventListener('pagehide', this.suspend);
        addEventListener('pageshow', this.onPageShow);
        addEventListener('online', this.hurry);
        document.addEventListener('visibilitychange', this.hurry);
        if (this.hasUpdated && this.src) void this.mount();
    }

    override disconnectedCallback() {
        super.disconnectedCallback();
        removeEventListener('pagehide', this.suspend);
        removeEventListener('pageshow', this.onPageShow);
        removeEventListener('online', this.hurry);
        document.removeEventListener('visibilitychange', this.hurry);
        this.unmount();
    }

    override willUpdate(changed: PropertyValues) {
        if (changed.has('src') && this.src) void this.mount();
    }

    private hurry = () => {
        if (document.visibilityState === 'visible') this.transport?.retryNow();
    };

    /** A page that comes back from the browser's cache has a closed socket. */
    private onPageShow = (e: PageTransitionEvent) => {
        if (e.persisted) void this.mount();
    };

    private get path(): string {
        return this.src.replace(/\/+$/, '');
    }

    private get storageKey(): string {
        return `spaces.live:${this.path}`;
    }

    private async mount(): Promise<void> {
        this.unmount();
        const generation = ++this.generation;
        this.phase = 'loading';
        try {
            const config = await this.fetchConfig();
            this.adopt(await prepare(config?.components.map((c) => c.type) ?? []));
            if (generation !== this.generation) return;
            if (config) this.begin(config);
            else this.mountLater();
        } catch (error) {
            if (generation !== this.generation) return;
            this.failure = error instanceof Error ? error.message : String(error);
            this.phase = 'error';
        }
    }

    private adopt(sheet: CSSStyleSheet): void {
        const { adoptedStyleSheets: sheets } = this.renderRoot as ShadowRoot;
        if (!sheets.includes(sheet)) sheets.push(sheet);
    }

    /** null: the app is not running now, ask again. */
    private async fetchConfig(): Promise<Config | null> {
        const answer = await fetch(`${this.path}/config`, { headers: { 'X-Spaces-CSRF': '1' } });
        if (answer.ok) return (await answer.json()) as Config;
        if (answer.status === 503) return null;
        if (answer.status === 404) throw new Error(text.notFound);
        const body = (await answer.json().catch(() => ({}))) as { error?: string };
        throw new Error(text.failed(body.error ?? `${answer.status}`));
    }

    private mountLater(): void {
        this.phase = 'waiting';
        this.retryTimer = window.setTimeout(() => void this.mount(), RETRY_CONFIG_MS);
    }

    private begin(config: Config): void {
        this.config = config;
        const store = new Store(config);
        const engine = new Engine(config, store, this.engineHost());
        this.engine = engine;
        this.ctx = this.makeContext(store, engine);
        this.transport = new Transport(this.liveUrl(), {
            onMessage: (message) => this.receive(message),
            onHello: (hello, isFirst) => this.greet(hello, isFirst),
            onLink: (state) => this.setLink(state),
        });
        this.notice = config.js || config.head || config.css ? text.strict : '';
        this.phase = 'ready';
        this.resume(config);
        this.dispatch('render', {});
    }

    private resume(config: Config): void {
        const saved = takeSaved(this.storageKey);
        const useful = saved?.runs.length && saved.version === config.version_id ? saved : null;
        // From the first message on: this page has seen none of them.
        this.transport!.start(useful ? { ...useful.key, last_seq: 0 } : null);
        if (useful) this.engine!.restore(useful.runs);
    }

    private unmount(): void {
        clearTimeout(this.retryTimer);
        this.suspend();
        this.generation++;
        this.config = this.ctx = this.engine = null;
    }

    private suspend = () => {
        const key = this.transport?.stop();
        this.transport = null;
        const runs = this.engine?.save() ?? [];
        if (!key || !runs.length) return;
        const saved: Saved = { key, runs, version: this.config?.version_id };
        try {
            sessionStorage.setItem(this.storageKey, JSON.stringify(saved));
        } catch {
            /* Storage is full or forbidden: the page then starts afresh. */
        }
    };

    private liveUrl(): string {
        const url = new URL(`${this.path}/live`, location.href);
        url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
        return url.href;
    }

    // --- what the parts ask for -----------------------------------------------------------------------

    private engineHost() {
        return {
            join: (join: Parameters<Transport['join']>[0]) => this.transport?.join(join),
            cancel: (eventId: string) => this.transport?.cancel(eventId),
            forget: (ref: string) => this.transport?.forget(ref) ?? true,
            toast: (toast: Parameters<SpToasts['add']>[0]) =>
                this.renderRoot.querySelector<SpToasts>('sp-toasts')?.add(toast),
            announce: (sentence: string, isUrgent: boolean) => this.announce(sentence, isUrgent),
            now: () => Date.now(),
        };
    }

    private makeContext(store: Store, engine: Engine): Context {
        const ctx: Context = {
            store,
            engine,
            src: this.path,
            isEmbedded: this.embedded,
            child: (id) => html`<sp-block .ctx=${ctx} .nodeId=${id}></sp-block>`,
            duplicate: () => this.duplicate(),
            announce: (sentence, isUrgent = false) => this.announce(sentence, isUrgent),
        };
        return ctx;
    }

    private announce(sentence: string, isUrgent: boolean): void {
        const region = this.renderRoot.querySelector(isUrgent ? '.assertive' : '.polite');
        if (region) region.textContent = sentence;
    }

    /** The Space's page opens its dialog; anywhere else we go to that page. */
    private duplicate(): void {
        const event = new CustomEvent('duplicate', {
            bubbles: true,
            composed: true,
            cancelable: true,
        });
        if (!this.dispatchEvent(event)) return;
        const url = new URL(this.path, location.href);
        url.pathname = url.pathname.replace(/^\/app\//, '/spaces/');
        url.search = '?duplicate=1';
        window.open(url.href, '_top');
    }

    private dispatch(name: string, detail: object): void {
        this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
    }

    private setLink(state: LinkState): void {
        if (state === 'lost' && this.link !== 'lost') this.announce(text.lost, true);
        this.link = state;
        this.dispatch('status', { phase: state });
    }

    private greet(hello: Hello, isFirst: boolean): void {
        this.engine?.greet(hello);
        this.offer(hello.version);
        if (isFirst) this.engine?.load();
    }

    /** Another version than the one that is drawn: say so; what was typed stays until they choose. */
    private offer(running: string | undefined): void {
        const drawn = this.config?.version_id;
        if (running && drawn && running !== drawn) this.notice = text.newVersion;
        this.requestUpdate();
    }

    private receive(message: ServerMessage): void {
        this.engine?.receive(message);
        if (message.msg !== 'stage') return;
        const { stage, reason, version } = message;
        this.dispatch('stage', { stage, reason });
        if (stage === 'RUNNING') this.offer(version ?? undefined);
    }

    // --- drawing ----------------------------------------------------------------------------------------

    override render() {
        return html`<div class="sr polite" aria-live="polite"></div>
            <div class="sr assertive" aria-live="assertive"></div>
            ${this.link === 'lost' ? html`<p class="banner">${text.lost}</p>` : nothing}
            ${this.renderNotice()} ${this.renderPhase()}
            <sp-toasts></sp-toasts>`;
    }

    private renderNotice() {
        if (!this.notice || this.phase !== 'ready') return nothing;
        const isNew = this.notice === text.newVersion;
        return html`<p class="banner ${isNew ? 'info' : ''}">
            ${this.notice}
            ${isNew
                ? html`<button class="small" @click=${() => this.reload()}>${text.reload}</button>`
                : nothing}
        </p>`;
    }

    private reload(): void {
        this.notice = '';
        void this.mount();
    }

    private renderPhase() {
        if (this.phase === 'ready' && this.ctx)
            return html`<div class="app">${this.ctx.child(this.ctx.store.root)}</div>`;
        if (this.phase === 'error')
            return html`<div class="empty">
                <p role="alert">${this.failure}</p>
                <button @click=${() => this.mount()}>${text.retry}</button>
            </div>`;
        if (this.phase === 'waiting') return html`<p class="empty">${text.starting}</p>`;
        return html`<div class="skeleton" role="status"><span class="sr">${text.loading}</span></div>`;
    }
}

function takeSaved(key: string): Saved | null {
    try {
        const text = sessionStorage.getItem(key);
        sessionStorage.removeItem(key);
        return text ? (JSON.parse(text) as Saved) : null;
    } catch {
        return null;
    }
}

if (!customElements.get('space-app')) customElements.define('space-app', SpaceApp);
