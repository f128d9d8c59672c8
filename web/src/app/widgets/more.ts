// The second file of widgets: everything but text, numbers, buttons and layout.

import type { Widget } from '../context';
import { checkbox, checkboxgroup, dropdown, radio } from './choice';
import { files } from './files';
import css from './more.css';
import { results } from './results';
import { rich } from './rich';

export const more: Record<string, Widget> = {
    checkbox,
    checkboxgroup,
    dropdown,
    radio,
    ...files,
    ...results,
    ...rich,
};

export { css };
