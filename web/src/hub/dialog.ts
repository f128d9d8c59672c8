// What the dialogs share: native <dialog>, opened when drawn, Escape closes, focus goes back.

import { Page } from './page';

export abstract class DialogPage extends Page {
    private opener: Element | null = null;

    override connectedCallback() {
        super.connectedCallback();
        this.opener = document.activeElement;
    }

    override firstUpdated() {
        const dialog = this.dialog;
        dialog.addEventListener('close', () => this.finish());
        dialog.showModal();
        dialog.querySelector<HTMLInputElement>('input:not([type=radio], [readonly])')?.select();
    }

    protected get dialog(): HTMLDialogElement {
        return this.querySelector('dialog')!;
    }

    protected close(): void {
        this.dialog.close();
    }

    private finish(): void {
        this.dispatchEvent(new CustomEvent('done'));
        if (this.opener instanceof HTMLElement) this.opener.focus();
    }
}
