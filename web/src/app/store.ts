// The tree of an app: one node per component, one list of listeners per node.

import type { Component, Config, LayoutNode, Props } from './types';

export interface Node {
    id: number;
    type: string;
    props: Props;
    children: number[];
    /** Decided once from the dependencies; an explicit `interactive` wins at any time. */
    guess: boolean;
}

type Listener = () => void;

export class Store {
    readonly root: number;
    private nodes = new Map<number, Node>();
    private listeners = new Map<number, Set<Listener>>();

    constructor(config: Config) {
        this.root = config.layout.id;
        for (const c of config.components) this.nodes.set(c.id, toNode(c, config));
        if (!this.nodes.has(this.root))
            this.nodes.set(this.root, toNode({ id: this.root, type: 'column', props: {} }, config));
        this.adopt(config.layout);
    }

    private adopt(layout: LayoutNode): void {
        const node = this.nodes.get(layout.id);
        const children = (layout.children ?? []).filter((c) => this.nodes.has(c.id));
        if (node) node.children = children.map((c) => c.id);
        for (const child of children) this.adopt(child);
    }

    get(id: number): Node | undefined {
        return this.nodes.get(id);
    }

    value(id: number): unknown {
        return this.nodes.get(id)?.props.value;
    }

    isInteractive(node: Node): boolean {
        return typeof node.props.interactive === 'boolean' ? node.props.interactive : node.guess;
    }

    /** Merges; says whether `value` is another one than before. */
    merge(id: number, props: Props): boolean {
        const node = this.nodes.get(id);
        if (!node) return false;
        const changed = 'value' in props && !same(node.props.value, props.value);
        node.props = { ...node.props, ...props };
        this.touch(id);
        return changed;
    }

    subscribe(id: number, listener: Listener): () => void {
        const set = this.listeners.get(id) ?? new Set();
        this.listeners.set(id, set.add(listener));
        return () => set.delete(listener);
    }

    /** Repaints one component. */
    touch(id: number): void {
        this.listeners.get(id)?.forEach((listener) => listener());
    }
}

function toNode(c: Component, config: Config): Node {
    const isInput = config.dependencies.some((d) => d.inputs.includes(c.id));
    const isOutput = config.dependencies.some((d) => d.outputs.includes(c.id));
    return {
        id: c.id,
        type: c.type,
        props: c.props ?? {},
        children: [],
        guess: isInput || (!isOutput && isEmpty(c.props?.value)),
    };
}

function isEmpty(value: unknown): boolean {
    return value === null || value === undefined || value === '' || value === false || value === 0;
}

export function same(a: unknown, b: unknown): boolean {
    if (a === b) return true;
    if (typeof a !== 'object' || typeof b !== 'object') return false;
    return JSON.stringify(a) === JSON.stringify(b);
}
