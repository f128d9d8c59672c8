// Runs of an app's functions: triggers, chains, results. No DOM and no socket, so tests drive it.

import { text } from './strings';
import { applyEdits } from './diff';
import { newStatus, setEta, spoken, type RunStatus } from './status';
import type { Store } from './store';
import { isPlain } from './types';
import type {
    Config,
    Dep,
    Edit,
    Hello,
    Join,
    Output,
    Props,
    ServerMessage,
    SnapshotEvent,
} from './types';

export interface Run {
    ref: string;
    dep: Dep;
    eventId: string | null;
    status: RunStatus;
    /** Outputs as last streamed; empty before the first whole ones. */
    values: unknown[];
    isCanceled: boolean;
    announcedAt: number;
    announcedQuarter: number;
    join: Join;
}

/** What a component shows over itself. `isFirst`: the one that carries the buttons. */
export type Shown =
    | { kind: 'run'; run: Run; isFirst: boolean; mode: 'full' | 'minimal' | 'none' }
    | { kind: 'error'; message: string; isFirst: boolean }
    | { kind: 'retry'; message: string; isFirst: boolean; dep: Dep; triggerId: number | null };

export interface ToastRequest {
    level: 'error' | 'warning' | 'info' | 'success';
    title: string;
    text: string;
    /** Seconds; null stays until dismissed. */
    duration: number | null;
}

export interface EngineHost {
    join(join: Join): void;
    cancel(eventId: string): void;
    forget(ref: string): boolean;
    toast(toast: ToastRequest): void;
    announce(sentence: string, isUrgent: boolean): void;
    now(): number;
}

/** A run as it is kept over a reload of the page. */
export interface SavedRun {
    ref: string;
    fn: number;
    eventId: string | null;
    startedAt: number;
    join: Join;
}

const ANNOUNCE_EVERY_MS = 10000;

export class Engine {
    private deps = new Map<number, Dep>();
    private runs = new Map<string, Run>();
    private byEvent = new Map<string, Run>();
    private again = new Map<number, [number | null, unknown]>();
    private shown = new Map<number, Shown>();
    private counter = 0;
    private prefix: string;

    constructor(
        private config: Config,
        private store: Store,
        private host: EngineHost,
    ) {
        for (const dep of config.dependencies) this.deps.set(dep.id, dep);
        this.prefix = host.now().toString(36) + Math.random().toString(36).slice(2, 8);
    }

    // --- triggers ---------------------------------------------------------------------------------

    /** Page load: Gradio puts it on the root block. */
    load(): void {
        for (const dep of this.deps.values())
            if (dep.targets.some(([, event]) => event === 'load')) this.fire(dep, null, null);
    }

    trigger(id: number, event: string, eventData: unknown = null): void {
        for (const dep of this.deps.values())
            if (dep.targets.some(([target, name]) => target === id && name === event))
                this.fire(dep, id, eventData);
    }

    hasTrigger(id: number, event: string): boolean {
        return this.config.dependencies.some((d) =>
            d.targets.some(([target, name]) => target === id && name === event),
        );
    }

    /** The visitor changed a value. */
    input(id: number, value: unknown, events: string[] = ['input']): void {
        const changed = this.store.merge(id, { value });
        for (const event of events) this.trigger(id, event);
        if (changed) this.trigger(id, 'change');
    }

    private fire(dep: Dep, triggerId: number | null, eventData: unknown): void {
        for (const fn of dep.cancels ?? []) this.cancelFunction(fn);
        if (dep.backend_fn === false) return this.follow(dep, true);
        if (this.isPending(dep) && dep.trigger_mode !== 'multiple') {
            if (dep.trigger_mode === 'always_last') this.again.set(dep.id, [triggerId, eventData]);
            return;
        }
        this.start(dep, triggerId, eventData);
    }

    private isPending(dep: Dep): boolean {
        return [...this.runs.values()].some((run) => run.dep === dep);
    }

    private start(dep: Dep, triggerId: number | null, eventData: unknown): void {
        const join: Join = {
            type: 'join',
            ref: `${this.prefix}-${++this.counter}`,
            fn: dep.id,
            data: dep.inputs.map((id) => this.inputValue(id)),
            event_data: dep.collects_event_data ? eventData : null,
            trigger_id: triggerId,
        };
        this.add(dep, join, this.host.now());
        this.host.join(join);
    }

    private add(dep: Dep, join: Join, startedAt: number): Run {
        const run: Run = {
            ref: join.ref,
            dep,
            eventId: null,
            status: newStatus(startedAt),
            values: [],
            isCanceled: false,
            announcedAt: 0,
            announcedQuarter: 0,
            join,
        };
        this.runs.set(run.ref, run);
        this.showRun(run);
        return run;
    }

    private inputValue(id: number): unknown {
        return this.store.get(id)?.type === 'state' ? null : (this.store.value(id) ?? null);
    }

    // --- cancel and retry ---------------------------------------------------------------------------

    cancelRun(run: Run): void {
        run.isCanceled = true;
        if (run.eventId) this.host.cancel(run.eventId);
        else if (!this.host.forget(run.ref)) return;
        this.end(run);
        this.host.announce(text.canceled, false);
    }

    private cancelFunction(fn: number): void {
        for (const run of [...this.runs.values()]) if (run.dep.id === fn) this.cancelRun(run);
    }

    retry(shown: Shown): void {
        if (shown.kind !== 'retry') return;
        this.hide(shown.dep);
        this.fire(shown.dep, shown.triggerId, null);
    }

    clearError(shown: Shown): void {
        for (const [id, other] of this.shown)
            if (other.kind === 'error' && shown.kind === 'error' && other.message === shown.message)
                this.show(id, null);
    }

    // --- what the server says -----------------------------------------------------------------------

    /** The server knows nothing of before: what it had accepted is gone. */
    greet(hello: Hello): void {
        if (hello.resumed) return;
        for (const run of [...this.runs.values()]) if (run.eventId) this.lose(run, text.restarted);
    }

    receive(message: ServerMessage): void {
        if (message.msg === 'snapshot') return this.applySnapshot(message.events);
        if (message.msg === 'joined') return this.onJoined(message.ref, message.event_id);
        if (message.msg === 'refused')
            return this.onRefused(message.ref, message.code, message.message);
        if (message.msg === 'stage') return;
        const run = this.byEvent.get(message.event_id);
        if (!run) return;
        this.step(run, message);
    }

    private step(run: Run, message: ServerMessage): void {
        const now = this.host.now();
        const s = run.status;
        switch (message.msg) {
            case 'estimation':
                s.phase = 'waiting';
                s.rank = message.rank;
                s.size = message.queue_size;
                setEta(s, message.rank_eta, now);
                this.announceAtMost(run, now);
                break;
            case 'process_starts':
                s.phase = 'running';
                setEta(s, message.eta, now);
                this.host.announce(spoken(s), false);
                break;
            case 'progress':
                s.phase = s.phase === 'generating' ? s.phase : 'running';
                s.progress = message.progress_data;
                this.announceQuarter(run);
                break;
            case 'process_generating':
                this.onPartial(run, message.output.data ?? []);
                break;
            case 'process_completed':
                return this.onCompleted(run, message.output, message.success, message.outcome);
            case 'log':
                this.onLog(message);
                return;
        }
        this.showRun(run);
    }

    private onJoined(ref: string, eventId: string): void {
        const run = this.runs.get(ref);
        if (!run) return this.host.cancel(eventId);
        run.eventId = eventId;
        this.byEvent.set(eventId, run);
        if (run.isCanceled) this.cancelRun(run);
    }

    private onRefused(ref: string, code: string, message: string): void {
        const run = this.runs.get(ref);
        if (!run) return;
        this.end(run);
        const sentence = code === 'queue_full' ? text.busy : message;
        this.showRetry(run, sentence);
        this.host.announce(sentence, true);
        this.follow(run.dep, false);
    }

    private onPartial(run: Run, data: unknown[]): void {
        const isFirst = run.status.phase !== 'generating';
        run.status.phase = 'generating';
        run.values =
            isFirst || run.values.length === 0
                ? data
                : run.values.map((old, i) => applyEdits(old, (data[i] ?? []) as Edit[]));
        this.apply(run.dep, run.values);
    }

    private onCompleted(run: Run, output: Output, success: boolean, outcome?: string): void {
        if (outcome === 'lost') return this.lose(run, text.restarted);
        this.end(run);
        if (outcome === 'canceled') return this.follow(run.dep, false);
        const failed = !success || 'error' in output;
        if (failed) this.fail(run, output);
        else {
            this.apply(run.dep, output.data ?? []);
            this.host.announce(text.finished, false);
        }
        this.follow(run.dep, !failed);
    }

    private fail(run: Run, output: Output): void {
        const message = output.error || text.hiddenError;
        if (output.visible !== false) {
            const duration = output.duration ?? null;
            const title = output.title ?? text.error;
            this.host.toast({ level: 'error', title, text: message, duration });
        }
        this.targets(run.dep).forEach((id, i) =>
            this.show(id, { kind: 'error', message, isFirst: i === 0 }),
        );
        this.host.announce(`${text.error}. ${message}`, true);
    }

    private onLog(m: ServerMessage & { msg: 'log' }): void {
        if (m.visible === false) return;
        const levels = ['error', 'warning', 'info', 'success'] as const;
        const level = levels.find((l) => l === m.level) ?? 'info';
        const duration = m.duration === undefined ? 10 : m.duration;
        this.host.toast({ level, title: m.title ?? level, text: m.log, duration });
        this.host.announce(m.log, level === 'error');
    }

    private applySnapshot(events: SnapshotEvent[]): void {
        for (const run of [...this.runs.values()]) {
            const event = events.find((e) => e.ref === run.ref || e.event_id === run.eventId);
            if (event) this.applySnapshotEvent(run, event);
            else if (run.eventId) this.lose(run, text.restarted);
        }
    }

    private applySnapshotEvent(run: Run, event: SnapshotEvent): void {
        this.host.forget(run.ref);
        run.eventId = event.event_id;
        this.byEvent.set(event.event_id, run);
        if (run.isCanceled) return this.cancelRun(run);
        const output = event.output ?? {};
        if (event.state === 'done') return this.onCompleted(run, output, true, 'done');
        if (event.state === 'failed') return this.onCompleted(run, output, false, 'failed');
        if (event.state === 'canceled') return this.onCompleted(run, output, true, 'canceled');
        if (event.state === 'lost') return this.lose(run, text.restarted);
        if (event.state === 'gone') return this.lose(run, text.gone);
        run.status.phase = event.state;
        // What streams from here on builds on these; without any, the next ones are whole.
        run.values = output.data ?? [];
        if (output.data) {
            run.status.phase = 'generating';
            this.apply(run.dep, output.data);
        }
        this.showRun(run);
    }

    private lose(run: Run, sentence: string): void {
        this.end(run);
        this.showRetry(run, sentence);
        this.host.toast({ level: 'warning', title: '', text: sentence, duration: null });
        this.host.announce(sentence, true);
        this.follow(run.dep, false);
    }

    // --- results ------------------------------------------------------------------------------------

    private apply(dep: Dep, data: unknown[]): void {
        const changed = dep.outputs.filter((id, i) => i < data.length && this.put(id, data[i]));
        for (const id of changed) this.trigger(id, 'change');
    }

    private put(id: number, item: unknown): boolean {
        const type = this.store.get(id)?.type;
        if (type === undefined || type === 'state') return false;
        if (isUpdate(item)) {
            const { __type__: _, ...props } = item;
            return this.store.merge(id, props);
        }
        return this.store.merge(id, { value: item });
    }

    private end(run: Run): void {
        this.runs.delete(run.ref);
        if (run.eventId) this.byEvent.delete(run.eventId);
        this.hide(run.dep);
    }

    private follow(dep: Dep, success: boolean): void {
        for (const next of this.deps.values()) {
            if (next.trigger_after !== dep.id) continue;
            if (success ? next.trigger_only_on_failure : next.trigger_only_on_success) continue;
            this.fire(next, null, null);
        }
        const again = this.again.get(dep.id);
        if (again && this.again.delete(dep.id)) this.fire(dep, ...again);
    }

    // --- what components show -----------------------------------------------------------------------

    statusOf(id: number): Shown | undefined {
        return this.shown.get(id);
    }

    private targets(dep: Dep): number[] {
        return (dep.show_progress_on ?? dep.outputs).filter((id) => {
            const node = this.store.get(id);
            return node && !isPlain(node.type) && node.props.visible !== false;
        });
    }

    private showRun(run: Run): void {
        const asked = run.dep.show_progress ?? 'full';
        const mode = asked === 'minimal' ? 'minimal' : isHidden(asked) ? 'none' : 'full';
        this.targets(run.dep).forEach((id, i) =>
            this.show(id, { kind: 'run', run, isFirst: i === 0, mode }),
        );
    }

    private showRetry(run: Run, message: string): void {
        const { dep } = run;
        const triggerId = run.join.trigger_id;
        this.targets(dep).forEach((id, i) =>
            this.show(id, { kind: 'retry', message, isFirst: i === 0, dep, triggerId }),
        );
    }

    private show(id: number, shown: Shown | null): void {
        if (shown) this.shown.set(id, shown);
        else this.shown.delete(id);
        this.store.touch(id);
    }

    private hide(dep: Dep): void {
        for (const id of this.targets(dep)) this.show(id, null);
    }

    private announceAtMost(run: Run, now: number): void {
        if (now - run.announcedAt < ANNOUNCE_EVERY_MS) return;
        run.announcedAt = now;
        this.host.announce(spoken(run.status), false);
    }

    private announceQuarter(run: Run): void {
        const last = run.status.progress?.at(-1);
        const share = last?.progress ?? (last?.length ? (last.index ?? 0) / last.length : 0);
        const quarter = Math.floor((share ?? 0) * 4);
        if (quarter <= run.announcedQuarter || quarter > 3) return;
        run.announcedQuarter = quarter;
        this.host.announce(text.percentDone(quarter * 25), false);
    }

    // --- over a reload ------------------------------------------------------------------------------

    save(): SavedRun[] {
        return [...this.runs.values()].map(({ ref, dep, eventId, status, join }) => ({
            ref,
            fn: dep.id,
            eventId,
            startedAt: status.startedAt,
            join,
        }));
    }

    restore(saved: SavedRun[]): void {
        for (const old of saved) {
            const dep = this.deps.get(old.fn);
            if (!dep) continue;
            dep.inputs.forEach((id, i) => this.store.merge(id, { value: old.join.data[i] }));
            const run = this.add(dep, old.join, old.startedAt);
            run.eventId = old.eventId;
            if (old.eventId) this.byEvent.set(old.eventId, run);
            else this.host.join(old.join);
        }
    }
}

const isHidden = (mode: unknown) => mode === 'hidden' || mode === false;

function isUpdate(item: unknown): item is Props {
    return (item as Props | null)?.__type__ === 'update';
}
