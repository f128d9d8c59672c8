import { html } from 'lit';
import { str, type Widget } from '../context';

export const button: Widget = {
    label: 'none',
    render: (view) => html`<button
        class="${str(view.props.variant, 'secondary')} ${str(view.props.size, 'lg')}"
        ?disabled=${view.props.interactive === false}
        @click=${() => view.trigger('click')}
    >
        ${str(view.value) || view.label}
    </button>`,
};
