// One WebSocket per app: numbered messages, retries, resume. Knows nothing about components.
//
// The session is written to sessionStorage when the page goes away and taken out when it comes
// back, so that a duplicated tab, which inherits a copy of the storage, does not share the session.

import type { Hello, Join, ServerMessage } from './types';

export type LinkState = 'connecting' | 'open' | 'lost';

export interface SessionKey {
    session: string;
    secret: string;
    epoch: string | number;
    last_seq: number;
}

export interface TransportHost {
    onMessage(message: ServerMessage): void;
    /** After each handshake; `resumed` false means that the server knows nothing of before. */
    onHello(hello: Hello, isFirst: boolean): void;
    onLink(state: LinkState): void;
}

/** What of the browser is used, so that tests can bring their own. */
export interface Env {
    open(url: string): WebSocket;
    setTimeout(fn: () => void, ms: number): unknown;
    clearTimeout(id: unknown): void;
    random(): number;
}

const browserEnv: Env = {
    open: (url) => new WebSocket(url),
    setTimeout: (fn, ms) => setTimeout(fn, ms),
    clearTimeout: (id) => clearTimeout(id as number),
    random: () => Math.random(),
};

const RETRY_MS = [500, 1000, 2000, 4000, 8000, 10000];
const ACK_MS = 1000;
const MISSED_PONGS = 2;
const PROBE_MS = 4000;
const HELLO_TIMEOUT_MS = 10000;
const PROTOCOL_VERSION = 1;

export class Transport {
    private socket: WebSocket | null = null;
    private key: SessionKey | null = null;
    private isReady = false;
    private isStopped = true;
    private wasOpen = false;
    private tries = 0;
    private acked = 0;
    private missedPongs = 0;
    private heartbeatMs = 15000;
    private retryTimer: unknown = null;
    private ackTimer: unknown = null;
    private beatTimer: unknown = null;
    /** Joins that the server has not answered; repeated after a reconnect, which is safe by `ref`. */
    private unanswered = new Map<string, Join>();

    constructor(
        private url: string,
        private host: TransportHost,
        private env: Env = browserEnv,
    ) {}

    start(key: SessionKey | null): void {
        this.isStopped = false;
        this.key = key;
        this.connect();
    }

    /** Closes and returns what is needed to come back. */
    stop(): SessionKey | null {
        this.isStopped = true;
        this.dropSocket();
        this.env.clearTimeout(this.retryTimer);
        return this.key;
    }

    /** The network or the tab is back: connect without the back-off, or ask if the line still lives. */
    retryNow(): void {
        if (this.isStopped) return;
        if (this.isReady) return this.probe();
        if (this.socket) return;
        this.env.clearTimeout(this.retryTimer);
        this.tries = 0;
        this.connect();
    }

    join(join: Join): void {
        this.unanswered.set(join.ref, join);
        this.send(join);
    }

    cancel(eventId: string): void {
        this.send({ type: 'cancel', event_id: eventId });
    }

    private send(message: object): void {
        if (this.isReady) this.socket?.send(JSON.stringify(message));
    }

    private connect(): void {
        if (!this.wasOpen) this.host.onLink('connecting');
        const socket = this.env.open(this.url);
        this.socket = socket;
        socket.onopen = () => {
            socket.send(
                JSON.stringify({ type: 'hello', v: PROTOCOL_VERSION, resume: this.key ?? null }),
            );
            this.armBeat(HELLO_TIMEOUT_MS);
        };
        socket.onmessage = (event) => this.receive(String(event.data));
        socket.onclose = (event) => this.lost(event.code);
        socket.onerror = () => {};
    }

    private receive(text: string): void {
        const message = JSON.parse(text) as ServerMessage | Hello | { msg: 'pong' } | { msg: 'bye' };
        if (message.msg === 'hello') return this.greet(message);
        if (message.msg === 'pong') {
            this.missedPongs = 0;
            return;
        }
        if (message.msg === 'bye') return;
        if (!this.isNew(message)) return;
        if (message.msg === 'joined' || message.msg === 'refused')
            this.unanswered.delete(message.ref);
        this.host.onMessage(message);
    }

    private greet(hello: Hello): void {
        const { session, secret, epoch } = hello;
        const goesOn = hello.resumed && this.key?.epoch === epoch;
        this.key = { session, secret, epoch, last_seq: goesOn ? this.key!.last_seq : 0 };
        this.acked = this.key.last_seq;
        this.isReady = true;
        this.tries = 0;
        this.missedPongs = 0;
        this.heartbeatMs = (hello.heartbeat_s ?? 15) * 1000;
        this.armBeat(this.heartbeatMs);
        const isFirst = !this.wasOpen;
        this.wasOpen = true;
        this.host.onLink('open');
        this.host.onHello(hello, isFirst);
        for (const join of this.unanswered.values()) this.send(join);
    }

    private isNew(message: ServerMessage): boolean {
        if (message.seq === undefined || !this.key) return true;
        if (message.seq <= this.key.last_seq) return false;
        this.key.last_seq = message.seq;
        this.ackTimer ??= this.env.setTimeout(() => this.ack(), ACK_MS);
        return true;
    }

    private ack(): void {
        this.ackTimer = null;
        if (!this.isReady || !this.key || this.key.last_seq === this.acked) return;
        this.acked = this.key.last_seq;
        this.send({ type: 'ack', seq: this.acked });
    }

    private armBeat(ms: number): void {
        this.env.clearTimeout(this.beatTimer);
        this.beatTimer = this.env.setTimeout(() => this.beat(), ms);
    }

    /** A phone that slept has a socket that looks open; do not wait for two heartbeats to learn it. */
    private probe(): void {
        this.missedPongs = MISSED_PONGS;
        this.send({ type: 'ping' });
        this.armBeat(PROBE_MS);
    }

    private beat(): void {
        if (!this.isReady || this.missedPongs >= MISSED_PONGS) {
            this.dropSocket();
            return this.lost(0);
        }
        this.missedPongs++;
        this.send({ type: 'ping' });
        this.armBeat(this.heartbeatMs);
    }

    /** Detached first: a socket that hangs may report its close a minute later. */
    private dropSocket(): void {
        const socket = this.socket;
        this.socket = null;
        this.isReady = false;
        this.env.clearTimeout(this.beatTimer);
        if (!socket) return;
        socket.onopen = socket.onmessage = socket.onclose = null;
        socket.close(1000);
    }

    private lost(code: number): void {
        this.dropSocket();
        if (this.isStopped) return;
        if (code === 1008) this.key = null;
        this.host.onLink('lost');
        const base = RETRY_MS[Math.min(this.tries++, RETRY_MS.length - 1)]!;
        const wait = base * (0.75 + this.env.random() / 2);
        this.retryTimer = this.env.setTimeout(() => this.connect(), wait);
    }

    /** Gives up a join that was not answered yet; true when it was still here. */
    forget(ref: string): boolean {
        return this.unanswered.delete(ref);
    }
}
