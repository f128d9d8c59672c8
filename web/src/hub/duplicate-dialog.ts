// "Duplicate owner/name": a copy under the visitor's own name, private until they say otherwise.

import { html, nothing } from 'lit';
import { text } from './strings';
import { api, ApiError, type Space } from './api';
import { DialogPage } from './dialog';
import { isGoodName } from './format';
import { announce, currentUser, go } from './page';
import { loginPath, spacePath } from './router';

class HubDuplicate extends DialogPage {
    static override properties = {
        space: { attribute: false },
        problem: { state: true },
        existing: { state: true },
        isBusy: { state: true },
    };
    declare space: Space;
    declare problem: string;
    declare existing: string | null;
    declare isBusy: boolean;

    private get field(): HTMLInputElement {
        return this.querySelector('#dup-name')!;
    }

    private initialName(): string {
        const [owner, name] = this.space.id.split('/');
        return owner === currentUser()?.name ? `${name}-copy` : name!;
    }

    private check(): boolean {
        this.existing = null;
        this.problem = isGoodName(this.field.value.trim()) ? '' : text.badName;
        return !this.problem;
    }

    private async onSubmit(e: Event): Promise<void> {
        e.preventDefault();
        if (this.isBusy) return;
        if (!this.check()) return this.field.focus();
        const target = `${currentUser()?.name}/${this.field.value.trim()}`;
        const form = new FormData(e.target as HTMLFormElement);
        this.isBusy = true;
        try {
            const { id } = await api.duplicate(
                this.space.id,
                target,
                form.get('visibility') !== 'public',
            );
            this.close();
            announce(text.duplicated(id ?? target));
            go(spacePath(id ?? target));
        } catch (error) {
            this.onFailure(error, target);
        }
        this.isBusy = false;
    }

    private onFailure(error: unknown, target: string): void {
        if (error instanceof ApiError && error.status === 401)
            return go(loginPath(`${spacePath(this.space.id)}?duplicate=1`));
        this.problem = (error as Error).message;
        if (error instanceof ApiError && error.status === 409) this.existing = target;
        this.field.focus();
    }

    override render() {
        const { space } = this;
        return html`<dialog aria-labelledby="dup-title">
            <form @submit=${this.onSubmit} novalidate>
                <h2 id="dup-title">${text.dupTitle(space.id)}</h2>
                <p class="muted">${text.dupLead}</p>
                <div class="fields">
                    <div class="field owner">
                        <label for="dup-owner">${text.owner}</label>
                        <input id="dup-owner" readonly .value=${currentUser()?.name ?? ''} />
                    </div>
                    ${this.renderName()}
                </div>
                ${renderVisibility()}
                <p class="muted small">
                    ${space.license ? text.dupLicence(space.license) : text.dupNoLicence}
                </p>
                <div class="actions">
                    <button type="button" @click=${() => this.close()}>${text.cancel}</button>
                    <button class="primary" ?disabled=${this.isBusy}>
                        ${this.isBusy ? text.dupBusy : text.duplicate}
                    </button>
                </div>
            </form>
        </dialog>`;
    }

    private renderName() {
        return html`<div class="field">
            <label for="dup-name">${text.spaceName}</label>
            <input
                id="dup-name"
                autocomplete="off"
                spellcheck="false"
                value=${this.initialName()}
                aria-invalid=${this.problem ? 'true' : 'false'}
                aria-describedby="dup-problem"
                @input=${() => this.check()}
            />
            <p class="failure" id="dup-problem" role="alert">
                ${this.problem ?? ''}
                ${this.existing
                    ? html`<a href=${spacePath(this.existing)} @click=${() => this.close()}
                          >${text.goToExisting}</a
                      >`
                    : nothing}
            </p>
        </div>`;
    }
}

function renderVisibility() {
    const option = (value: string, name: string, help: string, isChosen: boolean) =>
        html`<label class="option">
            <input type="radio" name="visibility" value=${value} ?checked=${isChosen} />
            <span><strong>${name}</strong><span class="muted small">${help}</span></span>
        </label>`;
    return html`<fieldset>
        <legend>${text.visibility}</legend>
        <div class="options">
            ${option('private', text.private, text.privateHelp, true)}
            ${option('public', text.public, text.publicHelp, false)}
        </div>
    </fieldset>`;
}

customElements.define('hub-duplicate', HubDuplicate);
