// The mark of a stage: icon, word and colour, never colour alone.

import { html } from 'lit';
import { chip } from './format';
import type { Runtime } from './api';

export function renderChip(runtime: Runtime) {
    const { icon, text, tone } = chip(runtime.stage, runtime.hardware?.current);
    return html`<span class="chip ${tone}"><span aria-hidden="true">${icon}</span> ${text}</span>`;
}
