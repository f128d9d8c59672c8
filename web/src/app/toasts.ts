// <sp-toasts>: short messages of an app. Errors stay until somebody dismisses them.

import { html, LitElement } from 'lit';
import { text } from './strings';
import type { ToastRequest } from './engine';

interface Toast extends ToastRequest {
    key: string;
    count: number;
    timer: number;
}

const MOST = 4;
const MOST_CHARS = 1000;

export class SpToasts extends LitElement {
    private list: Toast[] = [];

    override createRenderRoot() {
        return this;
    }

    add(toast: ToastRequest): void {
        const key = `${toast.level} ${toast.title} ${toast.text}`;
        const old = this.list.find((t) => t.key === key);
        const next: Toast = { ...toast, key, count: (old?.count ?? 0) + 1, timer: 0 };
        if (old) this.drop(old);
        this.list = [...this.list, next].slice(-MOST);
        this.arm(next);
        this.requestUpdate();
    }

    private arm(toast: Toast): void {
        if (toast.duration === null || toast.level === 'error') return;
        toast.timer = window.setTimeout(() => this.drop(toast), toast.duration * 1000);
    }

    private drop(toast: Toast): void {
        clearTimeout(toast.timer);
        this.list = this.list.filter((t) => t !== toast);
        this.requestUpdate();
    }

    override render() {
        return this.list.map(
            (toast) => html`<div
                class="toast ${toast.level}"
                @mouseenter=${() => clearTimeout(toast.timer)}
                @mouseleave=${() => this.arm(toast)}
                @focusin=${() => clearTimeout(toast.timer)}
                @focusout=${() => this.arm(toast)}
                @keydown=${(e: KeyboardEvent) => e.key === 'Escape' && this.drop(toast)}
            >
                <div>
                    ${toast.title ? html`<strong>${toast.title}</strong>` : ''}
                    <p>${toast.text.slice(0, MOST_CHARS)}</p>
                </div>
                ${toast.count > 1 ? html`<span class="count">${toast.count}×</span>` : ''}
                <button class="icon" aria-label=${text.dismiss} @click=${() => this.drop(toast)}>
                    ×
                </button>
            </div>`,
        );
    }
}

if (!customElements.get('sp-toasts')) customElements.define('sp-toasts', SpToasts);
