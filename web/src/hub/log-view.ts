// The log of an app, followed. Lines are text nodes: a template per line would be slow at 5,000.

import { html, nothing, type PropertyValues } from 'lit';
import { text } from './strings';
import { stripAnsi } from './format';
import { Page } from './page';

const MOST_LINES = 5000;
const NEAR_END_PX = 24;

class HubLog extends Page {
    static override properties = {
        url: { attribute: false },
        name: { attribute: false },
        isLost: { state: true },
        isFollowing: { state: true },
        unseen: { state: true },
        isEmpty: { state: true },
    };
    declare url: string;
    declare name: string;
    declare isLost: boolean;
    declare isFollowing: boolean;
    declare unseen: number;
    declare isEmpty: boolean;
    private source: EventSource | null = null;

    constructor() {
        super();
        this.isFollowing = true;
        this.isEmpty = true;
        this.unseen = 0;
    }

    override connectedCallback() {
        super.connectedCallback();
        document.addEventListener('visibilitychange', this.onVisibility);
    }

    override disconnectedCallback() {
        super.disconnectedCallback();
        document.removeEventListener('visibilitychange', this.onVisibility);
        this.source?.close();
    }

    /** As the Space's page: a tab in the background holds no connection. */
    private onVisibility = () => {
        if (document.visibilityState === 'hidden') this.source?.close();
        else this.open();
    };

    override updated(changed: PropertyValues) {
        if (changed.has('url')) this.open();
    }

    /** After a break the server sends the last lines again, so the view starts afresh. */
    private open(): void {
        this.source?.close();
        const source = new EventSource(this.url);
        this.source = source;
        source.onopen = () => {
            this.isLost = false;
            this.isEmpty = true;
            this.box.replaceChildren();
        };
        source.onmessage = (e) =>
            this.addLine((JSON.parse(e.data as string) as { data: string }).data);
        source.onerror = () => (this.isLost = true);
    }

    private get box(): HTMLElement {
        return this.querySelector('.log')!;
    }

    private addLine(line: string): void {
        const { box } = this;
        this.isEmpty = false;
        box.append(stripAnsi(line).replace(/\n*$/, '\n'));
        while (box.childNodes.length > MOST_LINES) box.firstChild!.remove();
        if (this.isFollowing) box.scrollTop = box.scrollHeight;
        else this.unseen++;
    }

    private onScroll(): void {
        const { box } = this;
        const isAtEnd = box.scrollHeight - box.scrollTop - box.clientHeight < NEAR_END_PX;
        this.isFollowing = isAtEnd;
        if (isAtEnd) this.unseen = 0;
    }

    private jump(): void {
        this.isFollowing = true;
        this.unseen = 0;
        this.box.scrollTop = this.box.scrollHeight;
    }

    private download(): void {
        const link = document.createElement('a');
        link.href = URL.createObjectURL(new Blob([this.box.textContent ?? '']));
        link.download = `${this.name.replace('/', '-')}.log`;
        link.click();
        URL.revokeObjectURL(link.href);
    }

    override render() {
        return html`<div class="log-bar">
                <label class="row"
                    ><input
                        type="checkbox"
                        .checked=${this.isFollowing}
                        @change=${(e: Event) =>
                            (e.target as HTMLInputElement).checked
                                ? this.jump()
                                : (this.isFollowing = false)}
                    />${text.follow}</label
                >
                ${this.isLost ? html`<span role="status">${text.logLost}</span>` : nothing}
                <button class="small" @click=${this.download}>${text.downloadLog}</button>
            </div>
            <div class="log-box">
                <pre
                    class="log tall"
                    tabindex="0"
                    role="log"
                    aria-live="off"
                    aria-label=${text.logLabel}
                    @scroll=${this.onScroll}
                ></pre>
                ${this.isEmpty ? html`<p class="log-empty">${text.logEmpty}</p>` : nothing}
                ${this.unseen
                    ? html`<button class="small jump" @click=${this.jump}>
                          ${text.jump(this.unseen)}
                      </button>`
                    : nothing}
            </div>`;
    }
}

customElements.define('hub-log', HubLog);
