// One Space: its header, its stage, and the tabs App, Logs, API, Settings.

import { html, nothing, type PropertyValues } from 'lit';
import { text } from '../strings';
import '../api-tab';
import { api, ApiError, type Runtime, type Space } from '../api';
import { renderChip } from '../chip';
import '../delete-dialog';
import '../duplicate-dialog';
import { age, hardwareName, memory, stageSentence } from '../format';
import '../log-view';
import { closeOnEscape, closeOnLeave } from '../menu';
import { announce, currentUser, go, Page, renderError, setTitle, whoami } from '../page';
import { appPath, loginPath, spacePath, type Tab } from '../router';
import '../settings-tab';

const copyIcon = html`<svg class="icon" viewBox="0 0 16 16" aria-hidden="true">
    <path d="M5.5 5.5v-3h8v8h-3M2.5 5.5h8v8h-8z" />
</svg>`;

class HubSpace extends Page {
    static override properties = {
        spaceId: { attribute: false },
        tab: { attribute: false },
        isDuplicating: { attribute: false },
        space: { state: true },
        failure: { state: true },
        dialog: { state: true },
    };
    declare spaceId: string;
    declare tab: Tab;
    declare isDuplicating: boolean;
    declare space: Space | null;
    declare failure: unknown;
    declare dialog: 'duplicate' | 'delete' | null;
    private events: EventSource | null = null;

    override connectedCallback() {
        super.connectedCallback();
        this.addEventListener('duplicate', this.onDuplicate);
        addEventListener('hub-user', this.reload);
        document.addEventListener('visibilitychange', this.onVisibility);
    }

    override disconnectedCallback() {
        super.disconnectedCallback();
        removeEventListener('hub-user', this.reload);
        document.removeEventListener('visibilitychange', this.onVisibility);
        this.stopListening();
    }

    /** Browsers keep six connections to one host; tabs in the background must not hold them. */
    private onVisibility = () => {
        if (document.visibilityState === 'hidden') return this.stopListening();
        if (!this.space || this.events) return;
        this.listen(this.space.id);
        void this.refresh();
    };

    private stopListening(): void {
        this.events?.close();
        this.events = null;
    }

    override willUpdate(changed: PropertyValues) {
        if (changed.has('spaceId')) void this.load();
        if (changed.has('tab') || changed.has('spaceId'))
            setTitle(this.spaceId, this.tab === 'app' ? '' : text.tabs[this.tab]);
    }

    private reload = () => void this.load();

    private async load(): Promise<void> {
        const id = this.spaceId;
        if (this.space?.id !== id) {
            this.space = null;
            this.dialog = null;
        }
        this.failure = null;
        try {
            const [space] = await Promise.all([api.space(id), whoami()]);
            if (id !== this.spaceId) return;
            this.space = space;
            this.listen(id);
            if (this.isDuplicating) this.openDuplicate();
        } catch (error) {
            if (id === this.spaceId) this.failure = error;
        }
    }

    /** The stream tells each change of stage; the browser reconnects it by itself. */
    private listen(id: string): void {
        this.stopListening();
        if (!this.isConnected || document.visibilityState === 'hidden') return;
        const events = new EventSource(api.events(id));
        this.events = events;
        events.onmessage = (e) => {
            if (events === this.events) this.onEvent(JSON.parse(e.data as string));
        };
    }

    private onEvent(event: Partial<Runtime> & { queue?: Space['queue'] }): void {
        if (!this.space) return;
        if (event.queue) this.space = { ...this.space, queue: event.queue };
        if (!event.stage) return;
        const { stage, reason = null, since = '' } = event;
        const isNew = stage !== this.space.runtime.stage;
        this.space = { ...this.space, runtime: { ...this.space.runtime, stage, reason, since } };
        if (isNew) announce(stageSentence(stage) ?? stage);
        void this.refresh();
    }

    /** The rest of what a change of stage brings: reasons, log tails, limits. */
    private async refresh(): Promise<void> {
        const fresh = await api.space(this.spaceId).catch((error: unknown) => {
            if (error instanceof ApiError && error.status === 404) this.failure = error;
            return null;
        });
        if (fresh?.id === this.spaceId) this.space = fresh;
    }

    // --- actions ----------------------------------------------------------------------------------------

    private onDuplicate = (e: Event) => {
        e.preventDefault();
        this.openDuplicate();
    };

    private openDuplicate(): void {
        if (currentUser()) this.dialog = 'duplicate';
        else go(loginPath(`${spacePath(this.spaceId)}?duplicate=1`));
    }

    private closeDialog(): void {
        this.dialog = null;
        if (this.isDuplicating) go(spacePath(this.spaceId, this.tab), true);
    }

    private async act(action: (id: string) => Promise<Runtime>): Promise<void> {
        this.querySelector('details.menu')?.removeAttribute('open');
        try {
            const runtime = await action(this.spaceId);
            if (this.space && runtime?.stage) this.space = { ...this.space, runtime };
        } catch (error) {
            this.failure = error;
        }
    }

    // --- drawing ----------------------------------------------------------------------------------------

    override render() {
        if (this.failure) return this.renderFailure();
        if (!this.space) return html`<div class="skeleton tall" role="status">
            <span class="sr">${text.loading}</span>
        </div>`;
        return html`${this.renderHead(this.space)} ${this.renderTabs(this.space)}
            <section class="tab-body" aria-label=${text.tabs[this.tab]}>
                ${this.renderTab(this.space)}
            </section>
            ${this.renderDialog(this.space)}`;
    }

    private renderFailure() {
        if (!(this.failure instanceof ApiError) || this.failure.status !== 404)
            return renderError(text.spaceFailed, this.failure, this.reload);
        return html`<div class="panel center">
            <h1>${text.notFoundTitle}</h1>
            <p>${text.notFoundSpace}</p>
            <p class="row">
                <a class="button" href="/">${text.toList}</a>
                ${currentUser()
                    ? nothing
                    : html`<a class="button" href=${loginPath(location.pathname)}>${text.signIn}</a>`}
            </p>
        </div>`;
    }

    private renderHead(space: Space) {
        const [owner, name] = space.id.split('/');
        return html`<div class="space-head">
            <div class="who">
                <span class="emoji" aria-hidden="true">${space.emoji ?? '🚀'}</span>
                <h1><span class="muted">${owner} /</span> ${name}</h1>
                <span class="chip">${space.private ? text.private : text.public}</span>
                ${renderChip(space.runtime)}
                ${space.queue.waiting > 0
                    ? html`<span class="chip busy">${text.queueOf(space.queue.waiting)}</span>`
                    : nothing}
            </div>
            <div class="row">
                <button @click=${() => this.openDuplicate()}>
                    ${copyIcon} ${text.duplicate}
                </button>
                ${this.renderMenu(space)}
            </div>
            ${this.renderSubline(space)}
        </div>`;
    }

    private renderSubline(space: Space) {
        const origin = space.originSpace?.name;
        if (!origin && !space.short_description) return nothing;
        return html`<p class="subline muted">
            ${space.short_description ?? ''}
            ${origin
                ? html`${space.short_description ? ' · ' : ''}${text.duplicatedFrom}<a href=${spacePath(origin)}>${origin}</a>`
                : nothing}
        </p>`;
    }

    private renderMenu(space: Space) {
        const isPausable = space.runtime.stage !== 'PAUSED';
        return html`<details class="menu" @keydown=${closeOnEscape} @focusout=${closeOnLeave}>
            <summary aria-label=${text.manage}><span aria-hidden="true">⋯</span></summary>
            <div class="items">
                <a href=${appPath(space.id)} data-native>${text.openApp}</a>
                ${space.can.write
                    ? html`<button @click=${() => this.act(api.restart)}>${text.restart}</button>
                          ${isPausable
                              ? html`<button @click=${() => this.act(api.pause)}>
                                    ${text.pause}
                                </button>`
                              : nothing}
                          <button class="danger" @click=${() => (this.dialog = 'delete')}>
                              ${text.delete}
                          </button>`
                    : nothing}
            </div>
        </details>`;
    }

    private renderTabs(space: Space) {
        const tabs: Tab[] = space.can.write ? ['app', 'logs', 'api', 'settings'] : ['app', 'api'];
        return html`<nav class="tabs" aria-label=${space.id}>
            ${tabs.map(
                (tab) => html`<a
                    href=${spacePath(space.id, tab)}
                    aria-current=${tab === this.tab ? 'page' : nothing}
                    >${text.tabs[tab]}</a
                >`,
            )}
        </nav>`;
    }

    private renderTab(space: Space) {
        if (this.tab === 'api') return html`<hub-api .space=${space}></hub-api>`;
        if (this.tab === 'logs' && space.can.write)
            return html`<hub-log .url=${api.log(space.id)} .name=${space.id}></hub-log>`;
        if (this.tab === 'settings' && space.can.write)
            return html`<hub-settings
                .space=${space}
                @changed=${this.reload}
                @delete=${() => (this.dialog = 'delete')}
            ></hub-settings>`;
        return this.renderApp(space);
    }

    private renderApp(space: Space) {
        const { runtime } = space;
        if (stageSentence(runtime.stage)) return this.renderStage(space);
        void import('../../app/space-app');
        return html`${this.renderNotes(runtime)}
            <div class="frame"><space-app embedded src=${appPath(space.id)}></space-app></div>
            ${renderDetails(space)}`;
    }

    private renderNotes(runtime: Runtime) {
        if (runtime.stage !== 'RUNNING') return html`<p class="note">${text.building}</p>`;
        if (!runtime.failed) return nothing;
        const { reason, log } = runtime.failed;
        return html`<div class="note error">
            <p>${text.oldServes(reason)}</p>
            ${this.space?.can.write ? renderTail(log) : nothing}
        </div>`;
    }

    private renderStage(space: Space) {
        const { stage, reason, failed } = space.runtime;
        const isBusy = stage === 'BUILDING' || stage === 'APP_STARTING';
        const isAsleep = stage === 'SLEEPING' || stage === 'STOPPED';
        return html`<div class="panel center stage">
                ${isBusy ? html`<span class="spinner" aria-hidden="true"></span>` : nothing}
                <h2>${stageSentence(stage)}</h2>
                ${reason ? html`<p class="reason">${reason}</p>` : nothing}
                ${space.can.write ? renderTail(failed?.log) : nothing}
                <p class="row">${this.renderStageActions(space, isBusy, isAsleep)}</p>
            </div>
            ${renderDetails(space)}`;
    }

    private renderStageActions(space: Space, isBusy: boolean, isAsleep: boolean) {
        if (space.can.write && !isBusy)
            return html`<button class="primary" @click=${() => this.act(api.restart)}>
                ${isAsleep ? text.wake : text.restart}
            </button>`;
        if (space.runtime.stage !== 'PAUSED') return nothing;
        return html`<button class="primary" @click=${() => this.openDuplicate()}>
            ${text.duplicateThis}
        </button>`;
    }

    private renderDialog(space: Space) {
        if (this.dialog === 'duplicate')
            return html`<hub-duplicate .space=${space} @done=${() => this.closeDialog()}></hub-duplicate>`;
        if (this.dialog === 'delete')
            return html`<hub-delete .space=${space} @done=${() => (this.dialog = null)}></hub-delete>`;
        return nothing;
    }
}

function renderTail(log: string[] | undefined) {
    if (!log?.length) return nothing;
    return html`<div class="tail">
        <h3>${text.lastLines}</h3>
        <pre class="log" tabindex="0" aria-label=${text.lastLines}>${log.slice(-40).join('\n')}</pre>
    </div>`;
}

function networkName({ mode, allow }: { mode: string; allow: string[] }) {
    return [text.networkModes[mode] ?? mode, allow.join(', ')].filter(Boolean).join(' ');
}

function renderDetails(space: Space) {
    const { runtime } = space;
    const rows: [string, string | undefined][] = [
        [text.hardware, hardwareName(runtime.hardware?.current)],
        [text.gpu, runtime.hardware?.promise],
        [text.cpu, runtime.limits && text.cpus(runtime.limits.cpu_millis)],
        [text.memory, runtime.limits && memory(runtime.limits.memory_bytes)],
        [text.storage, runtime.storage ? memory(runtime.limits?.data_bytes ?? 0) : undefined],
        [text.network, runtime.network && networkName(runtime.network)],
        [text.engine, space.engine],
        [text.version, space.version?.id],
        [text.licence, space.license ?? undefined],
        [text.startedIn, runtime.startMs ? `${runtime.startMs} ms` : undefined],
        [text.updated, age(space.lastModified, Date.now())],
    ];
    return html`<dl class="details">
        ${rows.map(([name, value]) =>
            value
                ? html`<div>
                      <dt>${name}</dt>
                      <dd>${value}</dd>
                  </div>`
                : nothing,
        )}
    </dl>`;
}

customElements.define('hub-space', HubSpace);
