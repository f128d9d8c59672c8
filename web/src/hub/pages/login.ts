// Signing in: with a token in the field, or at once with the one-time secret behind the '#'.

import { html, nothing } from 'lit';
import { text } from '../strings';
import { api, ApiError } from '../api';
import { go, Page, setTitle, setUser } from '../page';

class HubLogin extends Page {
    static override properties = {
        next: {},
        failure: { state: true },
        isBusy: { state: true },
    };
    declare next: string;
    declare failure: string;
    declare isBusy: boolean;

    override connectedCallback() {
        super.connectedCallback();
        setTitle(text.loginTitle);
        const secret = decodeURIComponent(location.hash.slice(1));
        if (!secret) return;
        // Out of the address bar and the history before anything else.
        history.replaceState(null, '', location.pathname + location.search);
        void this.login(secret);
    }

    private async login(token: string): Promise<void> {
        this.isBusy = true;
        this.failure = '';
        try {
            setUser(await api.login(token));
            go(this.next, true);
        } catch (error) {
            const isRefused = error instanceof ApiError && error.status === 401;
            this.failure = isRefused ? text.loginBad : (error as Error).message;
        }
        this.isBusy = false;
        await this.updateComplete;
        this.querySelector('input')?.focus();
    }

    private onSubmit(e: Event): void {
        e.preventDefault();
        void this.login(this.querySelector('input')!.value.trim());
    }

    override render() {
        const hint = this.next.includes('duplicate') ? text.loginDup : '';
        return html`<form class="panel narrow" @submit=${this.onSubmit}>
            <h1>${text.loginTitle}</h1>
            ${hint ? html`<p>${hint}</p>` : nothing}
            <p class="muted" id="login-help">${text.loginText}</p>
            <label for="token">${text.token}</label>
            <input
                id="token"
                type="password"
                autocomplete="current-password"
                required
                aria-describedby="login-help login-failure"
                aria-invalid=${this.failure ? 'true' : 'false'}
            />
            <p class="failure" id="login-failure" role="alert">${this.failure ?? ''}</p>
            <button class="primary" ?disabled=${this.isBusy}>
                ${this.isBusy ? text.loggingIn : text.signIn}
            </button>
        </form>`;
    }
}

customElements.define('hub-login', HubLogin);
