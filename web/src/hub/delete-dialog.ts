// Deleting a Space: its name has to be typed.

import { html } from 'lit';
import { text } from './strings';
import { api, type Space } from './api';
import { DialogPage } from './dialog';
import { go } from './page';

class HubDelete extends DialogPage {
    static override properties = {
        space: { attribute: false },
        isMatch: { state: true },
        problem: { state: true },
    };
    declare space: Space;
    declare isMatch: boolean;
    declare problem: string;

    private async onSubmit(e: Event): Promise<void> {
        e.preventDefault();
        if (!this.isMatch) return;
        try {
            await api.remove(this.space.id);
            this.close();
            go('/', true);
        } catch (error) {
            this.problem = (error as Error).message;
        }
    }

    override render() {
        const { id } = this.space;
        return html`<dialog aria-labelledby="del-title">
            <form @submit=${this.onSubmit}>
                <h2 id="del-title">${text.delTitle(id)}</h2>
                <p>${text.delText}</p>
                <div class="field">
                    <label for="del-name">${text.delType(id)}</label>
                    <input
                        id="del-name"
                        autocomplete="off"
                        spellcheck="false"
                        aria-describedby="del-problem"
                        @input=${(e: Event) =>
                            (this.isMatch = (e.target as HTMLInputElement).value.trim() === id)}
                    />
                    <p class="failure" id="del-problem" role="alert">${this.problem ?? ''}</p>
                </div>
                <div class="actions">
                    <button type="button" @click=${() => this.close()}>${text.cancel}</button>
                    <button class="danger" ?disabled=${!this.isMatch}>${text.delButton}</button>
                </div>
            </form>
        </dialog>`;
    }
}

customElements.define('hub-delete', HubDelete);
