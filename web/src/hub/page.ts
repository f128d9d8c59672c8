// What the pages have in common: no shadow root, the visitor, going elsewhere.

import { html, LitElement, nothing } from 'lit';
import { text } from './strings';
import { api, ApiError, type User } from './api';

export abstract class Page extends LitElement {
    override createRenderRoot() {
        return this;
    }
}

/** Changes the page in place. `replace` leaves no step behind for the back button. */
export function go(path: string, replace = false): void {
    history[replace ? 'replaceState' : 'pushState'](null, '', path);
    dispatchEvent(new Event('hub-navigate'));
}

// --- the visitor --------------------------------------------------------------------------------------

let user: User | null = null;
let asking: Promise<User | null> | null = null;
let weak = false;

export function whoami(): Promise<User | null> {
    if (asking) return asking;
    const mine = api.session().then(
        (answer) => {
            weak = answer.weak_sandbox;
            return answer.user;
        },
        () => null,
    );
    asking = mine;
    // Signing in meanwhile knows better than an answer that was under way.
    void mine.then((answer) => asking === mine && (user = answer));
    return mine;
}

export const currentUser = () => user;

/** Known when whoami() has its answer. */
export const hasWeakSandbox = () => weak;

export function setUser(next: User | null): void {
    user = next;
    asking = Promise.resolve(next);
    dispatchEvent(new Event('hub-user'));
}

// --- states that every page has -------------------------------------------------------------------------

export function renderError(title: string, error: unknown, retry: () => void) {
    const id = error instanceof ApiError ? error.requestId : '';
    return html`<div class="panel center" role="alert">
        <h2>${title}</h2>
        <p>${error instanceof Error ? error.message : String(error)}</p>
        ${id ? html`<p class="muted small">${text.requestId(id)}</p>` : nothing}
        <button @click=${retry}>${text.retry}</button>
    </div>`;
}

export function announce(sentence: string): void {
    const region = document.querySelector('#polite');
    if (region) region.textContent = sentence;
}

export function setTitle(...parts: string[]): void {
    document.title = [...parts.filter(Boolean), text.name].join(' · ');
}
