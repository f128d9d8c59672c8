// The second file of widgets: what draws results, and whatever is not known.

import { html } from 'lit';
import { text } from '../strings';
import type { Widget } from '../context';
import { checkbox, checkboxgroup, dropdown, radio } from './choice';

const unknown: Widget = {
    label: 'text',
    render: (view) => html`<p class="muted">${text.unknown(view.node.type)}</p>
        <pre class="json" tabindex="0" aria-label=${view.label}>
${JSON.stringify(view.value ?? null, null, 2)}</pre
        >`,
};

export const more: Record<string, Widget> = {
    unknown,
    checkbox,
    checkboxgroup,
    dropdown,
    radio,
};
