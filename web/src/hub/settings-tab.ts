// What an owner may change.

import { html } from 'lit';
import { text } from './strings';
import { api, type Space } from './api';
import { Page } from './page';

class HubSettings extends Page {
    static override properties = { space: { attribute: false }, note: { state: true } };
    declare space: Space;
    declare note: string;

    private async onSubmit(e: Event): Promise<void> {
        e.preventDefault();
        const form = new FormData(e.target as HTMLFormElement);
        try {
            await api.setPrivate(this.space.id, form.get('visibility') === 'private');
            this.note = text.saved;
            this.dispatchEvent(new CustomEvent('changed'));
        } catch (error) {
            this.note = (error as Error).message;
        }
    }

    override render() {
        const option = (value: string, name: string, help: string, isChosen: boolean) =>
            html`<label class="option">
                <input type="radio" name="visibility" value=${value} .checked=${isChosen} />
                <span><strong>${name}</strong><span class="muted small">${help}</span></span>
            </label>`;
        const isPrivate = this.space.private;
        return html`<form class="panel" @submit=${this.onSubmit}>
                <fieldset>
                    <legend>${text.settingsVisibility}</legend>
                    <div class="options">
                        ${option('private', text.private, text.privateHelp, isPrivate)}
                        ${option('public', text.public, text.publicHelp, !isPrivate)}
                    </div>
                </fieldset>
                <div class="actions">
                    <span role="status">${this.note ?? ''}</span>
                    <button class="primary">${text.save}</button>
                </div>
            </form>
            <section class="panel dangerous">
                <h2>${text.danger}</h2>
                <p>${text.delText}</p>
                <button
                    class="danger"
                    @click=${() => this.dispatchEvent(new CustomEvent('delete'))}
                >
                    ${text.delete}
                </button>
            </section>`;
    }
}

customElements.define('hub-settings', HubSettings);
