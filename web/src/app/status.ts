// What a run shows while it waits and works: the texts and bars of the overlay. Pure; `now` is ms.

import type { ProgressLevel } from './types';

export type Phase = 'joining' | 'waiting' | 'running' | 'generating';

export interface RunStatus {
    phase: Phase;
    startedAt: number;
    /** From 0; null until the server has said it. */
    rank: number | null;
    size: number | null;
    /** The last estimate as it came, in seconds. */
    eta: number | null;
    /** Seconds from the start to the expected result; fixed when the estimate changes. */
    total: number | null;
    progress: ProgressLevel[] | null;
}

export function newStatus(startedAt: number): RunStatus {
    return {
        phase: 'joining',
        startedAt,
        rank: null,
        size: null,
        eta: null,
        total: null,
        progress: null,
    };
}

export const elapsed = (s: RunStatus, now: number) => Math.max(0, (now - s.startedAt) / 1000);

/** An unchanged estimate keeps the total, so that it does not run away from the visitor. */
export function setEta(s: RunStatus, eta: number | null | undefined, now: number): void {
    if (eta === null || eta === undefined || eta === s.eta) return;
    s.eta = eta;
    s.total = elapsed(s, now) + eta;
}

export function statusText(s: RunStatus, now: number): string {
    const head = headText(s);
    return (head ? `${head} | ` : '') + timerText(s, now);
}

function headText(s: RunStatus): string {
    const last = s.progress?.at(-1);
    if (last && last.index !== null && last.index !== undefined) {
        const of = last.length === null || last.length === undefined ? '' : `/${si(last.length)}`;
        return `${si(last.index)}${of} ${last.unit ?? 'steps'}`;
    }
    if (s.phase === 'running') return 'processing';
    if (s.phase === 'waiting' && s.rank !== null) return `queue: ${s.rank + 1}/${s.size}`;
    return '';
}

function timerText(s: RunStatus, now: number): string {
    const total = s.total === null ? '' : `/${s.total.toFixed(1)}`;
    return `${elapsed(s, now).toFixed(1)}${total}s`;
}

/** 950 -> "950", 1200 -> "1.2k": counters above a thousand in steps of a thousand. */
export function si(n: number): string {
    const units = ['', 'k', 'M', 'G', 'T'];
    let i = 0;
    while (Math.abs(n) > 1000 && i < units.length - 1) {
        n /= 1000;
        i++;
    }
    return (Number.isInteger(n) ? String(n) : n.toFixed(1)) + units[i];
}

/** The share of the expected time that has passed, or null without an estimate. */
export function etaShare(s: RunStatus, now: number): number | null {
    if (s.total === null || s.total <= 0) return null;
    return Math.min(1, elapsed(s, now) / s.total);
}

export interface Bar {
    text: string;
    /** 0..1, or null when the length is not known. */
    share: number | null;
}

export function progressBar(s: RunStatus): Bar | null {
    if (!s.progress?.length) return null;
    const share = levelShare(s.progress.at(-1)!);
    const names = s.progress.map((p) => p.desc).filter(Boolean);
    const percent = share === null ? [] : [`${(share * 100).toFixed(1)}%`];
    return { text: [names.join(' / '), ...percent].filter(Boolean).join(' - '), share };
}

function levelShare(p: ProgressLevel): number | null {
    if (typeof p.progress === 'number') return clamp(p.progress);
    if (typeof p.index === 'number' && p.length) return clamp(p.index / p.length);
    return null;
}

const clamp = (x: number) => Math.min(1, Math.max(0, x));

/** The sentence for screen readers; the compact text with its clock is hidden from them. */
export function spoken(s: RunStatus): string {
    if (s.phase === 'running') return 'Running.';
    if (s.rank === null) return 'Joined the queue.';
    const eta = s.eta === null ? '' : `, about ${Math.max(1, Math.round(s.eta))} seconds`;
    return `Position ${s.rank + 1} of ${s.size}${eta}.`;
}
