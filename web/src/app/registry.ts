// Which function draws which type of component. The common ones are in the first file that a
// visitor loads, the others come when an app has one.

import type { Widget } from './context';
import { button } from './widgets/button';
import { accordion, column, form, row, tabitem, tabs } from './widgets/layout';
import { number, slider } from './widgets/number';
import { textbox } from './widgets/textbox';

const widgets: Record<string, Widget> = {
    textbox,
    number,
    slider,
    button,
    clearbutton: button,
    row,
    column,
    group: column,
    form,
    tabs,
    tabitem,
    accordion,
};

let more: Promise<void> | null = null;

const sheet = new CSSStyleSheet();

/**
 * Loads what an app needs before it is drawn, so that it does not jump while it appears. The
 * sheet is for the app's root; it fills when the second file comes.
 */
export async function prepare(types: string[]): Promise<CSSStyleSheet> {
    if (types.some((type) => !widgets[type])) await loadMore();
    return sheet;
}

function loadMore(): Promise<void> {
    more ??= import('./widgets/more').then((file) => {
        Object.assign(widgets, file.more);
        sheet.replaceSync(file.css);
    });
    return more;
}

/** The widget, or a promise of the file that has it; ask again then. */
export function findWidget(type: string): Widget | Promise<void> {
    const known = widgets[type];
    if (known) return known;
    if (widgets.unknown) return widgets.unknown;
    return loadMore();
}
