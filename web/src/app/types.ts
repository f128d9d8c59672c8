// The shapes that travel: Gradio's /config and the messages of docs/ui-protocol.md.

export type Props = Record<string, unknown>;

export interface Component {
    id: number;
    type: string;
    props: Props;
}

export interface LayoutNode {
    id: number;
    children?: LayoutNode[];
}

export interface Dep {
    id: number;
    targets: [number | null, string][];
    inputs: number[];
    outputs: number[];
    backend_fn?: boolean;
    js?: unknown;
    queue?: boolean | null;
    api_name?: string | false | null;
    show_progress?: 'full' | 'minimal' | 'hidden' | boolean;
    show_progress_on?: number[] | null;
    trigger_mode?: 'once' | 'multiple' | 'always_last' | null;
    cancels?: number[];
    trigger_after?: number | null;
    trigger_only_on_success?: boolean;
    trigger_only_on_failure?: boolean;
    scroll_to_output?: boolean;
    collects_event_data?: boolean | null;
}

export interface Config {
    title?: string;
    css?: string | null;
    js?: unknown;
    head?: unknown;
    version_id?: string;
    api_prefix?: string;
    components: Component[];
    layout: LayoutNode;
    dependencies: Dep[];
}

export interface FileData {
    path: string;
    url?: string | null;
    orig_name?: string | null;
    size?: number | null;
    mime_type?: string | null;
    meta: { _type: 'gradio.FileData' };
}

export interface ProgressLevel {
    index: number | null;
    length: number | null;
    unit: string | null;
    progress: number | null;
    desc: string | null;
}

export type Edit = ['replace' | 'append' | 'add' | 'delete', (string | number)[], unknown];

export interface Output {
    data?: unknown[];
    error?: string | null;
    title?: string | null;
    duration?: number | null;
    visible?: boolean;
}

export interface SnapshotEvent {
    event_id: string;
    ref: string;
    fn: number;
    state: 'waiting' | 'running' | 'done' | 'failed' | 'canceled' | 'lost' | 'gone';
    output?: Output;
    age_s: number;
}

/** What the server sends; `hello`, `pong` and `bye` are the transport's own business. */
export type ServerMessage = { seq?: number } & (
    | { msg: 'snapshot'; events: SnapshotEvent[] }
    | { msg: 'joined'; ref: string; event_id: string }
    | { msg: 'refused'; ref: string; code: string; message: string }
    | {
          msg: 'estimation';
          event_id: string;
          rank: number;
          queue_size: number;
          rank_eta: number | null;
      }
    | { msg: 'process_starts'; event_id: string; eta: number | null }
    | { msg: 'progress'; event_id: string; progress_data: ProgressLevel[] }
    | {
          msg: 'log';
          event_id: string;
          log: string;
          level: string;
          title?: string;
          duration?: number | null;
          visible?: boolean;
      }
    | { msg: 'process_generating'; event_id: string; output: Output; success: boolean }
    | {
          msg: 'process_completed';
          event_id: string;
          output: Output;
          success: boolean;
          outcome?: 'done' | 'failed' | 'canceled' | 'lost';
      }
    | { msg: 'stage'; stage: string; reason: string; version: string | null }
);

export interface Hello {
    msg: 'hello';
    v: number;
    session: string;
    secret: string;
    epoch: string | number;
    resumed: boolean;
    version?: string;
    heartbeat_s?: number;
}

export interface Join {
    type: 'join';
    ref: string;
    fn: number;
    data: unknown[];
    event_data: unknown;
    trigger_id: number | null;
}

/** Layout, buttons and state: no frame, no label, and no status over them. */
export const isPlain = (type: string): boolean =>
    /^(row|column|group|form|tabs|tabitem|accordion|sidebar|state)$|button$/.test(type);
