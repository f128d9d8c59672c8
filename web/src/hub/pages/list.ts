// The list of Spaces, and with `mine` those of the visitor.

import { html, nothing, type PropertyValues } from 'lit';
import { text } from '../strings';
import { api, type Page as ApiPage, type Space } from '../api';
import { renderChip } from '../chip';
import { age } from '../format';
import { announce, currentUser, go, Page, renderError, setTitle, whoami } from '../page';
import { loginPath, spacePath } from '../router';

const SEARCH_DELAY_MS = 150;
const PAGE_SIZE = '30';
const COLOURS = new Set('red yellow green blue indigo purple pink gray'.split(' '));

class HubList extends Page {
    static override properties = {
        search: {},
        mine: { type: Boolean },
        spaces: { state: true },
        failure: { state: true },
    };
    declare search: string;
    declare mine: boolean;
    declare spaces: Space[] | null;
    declare failure: unknown;
    private next: string | null = null;
    private timer = 0;
    private asked = 0;

    override willUpdate(changed: PropertyValues) {
        if (changed.has('search') || changed.has('mine')) void this.load();
    }

    private async load(): Promise<void> {
        const turn = ++this.asked;
        setTitle(this.mine ? text.mySpaces : '');
        this.failure = null;
        try {
            const found = await this.fetch();
            if (turn !== this.asked || !found) return;
            this.spaces = found.items;
            this.next = found.next;
            announce(text.count(found.items.length));
        } catch (error) {
            if (turn === this.asked) this.failure = error;
        }
    }

    private async fetch(): Promise<ApiPage<Space> | null> {
        const query: Record<string, string> = { limit: PAGE_SIZE };
        if (this.search) query.search = this.search;
        if (this.mine) {
            const user = await whoami();
            if (!user) return go(loginPath('/me'), true), null;
            query.author = user.name;
        }
        return api.spaces(query);
    }

    private async more(): Promise<void> {
        const page = await api.morePages(this.next!);
        this.next = page.next;
        this.spaces = [...(this.spaces ?? []), ...page.items];
    }

    private onSearch(e: Event): void {
        const value = (e.target as HTMLInputElement).value.trim();
        clearTimeout(this.timer);
        this.timer = window.setTimeout(() => this.setSearch(value), SEARCH_DELAY_MS);
    }

    private setSearch(value: string): void {
        go(value ? `/spaces?q=${encodeURIComponent(value)}` : '/spaces', true);
    }

    override render() {
        return html`<div class="list-head">
                <div>
                    <h1>${this.mine ? text.mySpaces : text.listTitle}</h1>
                    <p class="muted">${this.mine ? nothing : text.listLead}</p>
                </div>
                ${this.mine ? nothing : this.renderSearch()}
            </div>
            ${this.renderBody()}`;
    }

    private renderSearch() {
        return html`<form role="search" @submit=${(e: Event) => e.preventDefault()}>
            <input
                type="search"
                placeholder="${text.search}…"
                aria-label=${text.search}
                .value=${this.search}
                @input=${this.onSearch}
            />
        </form>`;
    }

    private renderBody() {
        if (this.failure)
            return renderError(text.listFailed, this.failure, () => void this.load());
        if (!this.spaces) return renderSkeleton();
        if (!this.spaces.length) return this.renderEmpty();
        return html`<ul class="cards">
                ${this.spaces.map((space) => html`<li>${renderCard(space)}</li>`)}
            </ul>
            ${this.next
                ? html`<p class="center"><button @click=${this.more}>${text.more}</button></p>`
                : nothing}`;
    }

    private renderEmpty() {
        if (this.search)
            return html`<div class="panel center">
                <p>${text.noMatch(this.search)}</p>
                <button @click=${() => this.setSearch('')}>${text.clearSearch}</button>
            </div>`;
        const owner = currentUser()?.name ?? 'me';
        return html`<div class="panel center">
            <h2>${text.emptyTitle}</h2>
            <p>${this.mine ? text.emptyMine : text.emptyText}</p>
            <pre class="code">spaces deploy ./my-app ${owner}/my-app</pre>
        </div>`;
    }
}

function renderSkeleton() {
    const cards = [1, 2, 3, 4, 5, 6].map(() => html`<li class="card skeleton"></li>`);
    return html`<ul class="cards" aria-label=${text.loading} aria-busy="true">
        ${cards}
    </ul>`;
}

const colour = (name: string | null, other: string) => (COLOURS.has(name ?? '') ? name! : other);

function renderCard(space: Space) {
    const { waiting } = space.queue;
    return html`<a class="card" href=${spacePath(space.id)}>
        <span
            class="face from-${colour(space.colorFrom, 'indigo')} to-${colour(space.colorTo, 'blue')}"
            aria-hidden="true"
            ><span>${space.emoji ?? '🚀'}</span></span
        >
        <span class="text">
            <strong>${space.title || space.id.split('/')[1]}</strong>
            <span class="line">${space.short_description ?? ''}</span>
            <span class="marks">
                ${renderChip(space.runtime)}
                ${waiting > 0
                    ? html`<span class="chip busy"
                          ><span aria-hidden="true">◐</span> ${text.queueOf(waiting)}</span
                      >`
                    : nothing}
                ${space.private
                    ? html`<span class="chip"><span aria-hidden="true">🔒</span> ${text.private}</span>`
                    : nothing}
            </span>
            <span class="by">${space.author} · ${age(space.lastModified, Date.now())}</span>
        </span>
    </a>`;
}

customElements.define('hub-list', HubList);
