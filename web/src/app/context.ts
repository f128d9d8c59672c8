// What every component of one app shares.

import type { TemplateResult } from 'lit';
import type { Engine } from './engine';
import type { Node, Store } from './store';

export interface Context {
    store: Store;
    engine: Engine;
    /** Path of the app, without a slash at the end: "/app/owner/name". */
    src: string;
    isEmbedded: boolean;
    child(id: number): TemplateResult;
    /** Asks whoever holds the app for a duplicate of the Space. */
    duplicate(): void;
    announce(sentence: string, isUrgent?: boolean): void;
}

/** What a widget's render function gets. */
export interface View {
    ctx: Context;
    node: Node;
    props: Record<string, unknown>;
    value: unknown;
    isInteractive: boolean;
    /** Id of the main control, for `label for`. */
    controlId: string;
    label: string;
    /** Scratch space of this component: what is not the app's business. */
    local: Record<string, unknown>;
    input(value: unknown, ...events: string[]): void;
    trigger(event: string, data?: unknown): void;
    update(): void;
}

export interface Widget {
    /** `for`: a label for the one control; `legend`: the widget draws it; `text`: a caption. */
    label: 'for' | 'legend' | 'text' | 'none';
    render(view: View): unknown;
    /** After each paint, for what a template cannot say (sizes, indeterminate). */
    painted?(view: View, host: HTMLElement): void;
}

export const str = (value: unknown, fallback = ''): string =>
    value === null || value === undefined ? fallback : String(value);

export const num = (value: unknown, fallback: number): number =>
    typeof value === 'number' && Number.isFinite(value) ? value : fallback;
