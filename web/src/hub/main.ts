// The hub: header, footer, and the page that the address asks for.

import { html, nothing } from 'lit';
import { text } from './strings';
import { api } from './api';
import { closeOnEscape, closeOnLeave, closeOthers } from './menu';
import { announce, currentUser, go, hasWeakSandbox, Page, setTitle, setUser, whoami } from './page';
import './pages/list';
import './pages/login';
import './pages/space';
import { isHubPath, loginPath, parseRoute, type Route } from './router';
import { currentTheme, setTheme, type Theme } from './theme';

class HubShell extends Page {
    static override properties = { route: { state: true } };
    declare route: Route;

    constructor() {
        super();
        this.route = parseRoute(location.pathname, location.search);
    }

    override connectedCallback() {
        super.connectedCallback();
        addEventListener('popstate', () => this.navigate(false));
        addEventListener('hub-navigate', () => this.navigate(true));
        addEventListener('hub-user', () => this.requestUpdate());
        document.addEventListener('click', onLink);
        document.addEventListener('click', closeOthers);
        void whoami().then(() => this.requestUpdate());
    }

    private navigate(isForward: boolean): void {
        const before = JSON.stringify(this.route);
        this.route = parseRoute(location.pathname, location.search);
        const isSamePage = this.route.page === JSON.parse(before).page;
        if (!isForward || isSamePage) return;
        scrollTo(0, 0);
        void this.updateComplete.then(() => this.querySelector('main')?.focus());
    }

    override render() {
        return html`<a class="skip" href="#main">${text.skip}</a>
            ${this.renderHeader()}
            ${hasWeakSandbox() ? renderWeak() : nothing}
            <main id="main" tabindex="-1">${this.renderPage()}</main>
            <footer>
                <span>${text.footer}</span>
                <a href="/licenses" data-native>${text.licences}</a>
            </footer>
            <div id="polite" class="sr" aria-live="polite"></div>`;
    }

    private renderHeader() {
        return html`<header>
            <a class="brand" href="/"><span aria-hidden="true">▣</span> ${text.name}</a>
            <span class="grow"></span>
            <label class="sr" for="theme">${text.theme}</label>
            <select id="theme" @change=${onTheme}>
                ${Object.entries(text.themes).map(
                    ([value, name]) =>
                        html`<option value=${value} ?selected=${value === currentTheme()}>
                            ${name}
                        </option>`,
                )}
            </select>
            ${this.renderUser()}
        </header>`;
    }

    private renderUser() {
        const user = currentUser();
        if (!user && this.route.page === 'login') return nothing;
        if (!user)
            return html`<a class="button" href=${loginPath(location.pathname)}>${text.signIn}</a>`;
        return html`<details class="menu" @keydown=${closeOnEscape} @focusout=${closeOnLeave}>
            <summary aria-label=${text.menuOf(user.name)}>${user.name}</summary>
            <div class="items">
                <a href="/me">${text.mySpaces}</a>
                <button @click=${() => this.signOut()}>${text.signOut}</button>
            </div>
        </details>`;
    }

    private async signOut(): Promise<void> {
        await api.logout();
        setUser(null);
        announce(text.signOut);
        go('/');
    }

    private renderPage() {
        const { route } = this;
        if (route.page === 'list') return html`<hub-list .search=${route.search}></hub-list>`;
        if (route.page === 'me') return html`<hub-list mine .search=${''}></hub-list>`;
        if (route.page === 'login') return html`<hub-login .next=${route.next}></hub-login>`;
        if (route.page === 'space')
            return html`<hub-space
                .spaceId=${route.id}
                .tab=${route.tab}
                .isDuplicating=${route.isDuplicating}
            ></hub-space>`;
        setTitle(text.notFoundTitle);
        return html`<div class="panel center">
            <h1>${text.notFoundTitle}</h1>
            <a class="button" href="/">${text.toList}</a>
        </div>`;
    }
}

function renderWeak() {
    return html`<p class="warning" role="note">
        <span aria-hidden="true">▲</span> ${text.weak}
        ${currentUser()?.isAdmin
            ? html`<a href="/api/doctor" data-native>${text.weakDetails}</a>`
            : nothing}
    </p>`;
}

function onTheme(e: Event): void {
    setTheme((e.target as HTMLSelectElement).value as Theme);
}

/** Plain clicks on links to our own pages; everything else is the browser's. */
function onLink(e: MouseEvent): void {
    if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey)
        return;
    const link = e.composedPath().find((el) => el instanceof HTMLAnchorElement);
    if (!link || link.target || link.hasAttribute('download') || 'native' in link.dataset) return;
    if (link.origin !== location.origin || link.hash || !isHubPath(link.pathname)) return;
    e.preventDefault();
    link.closest('details')?.removeAttribute('open');
    go(link.pathname + link.search);
}

customElements.define('hub-shell', HubShell);
document.body.append(document.createElement('hub-shell'));
