// The live protocol of docs/ui-protocol.md, as far as the page needs it: one worker, one queue.

import { randomBytes } from 'node:crypto';
import { WebSocketServer } from 'ws';
import { functions } from './stub-app.mjs';

const id = () => randomBytes(16).toString('hex');
const AVERAGE_S = 2;

export class Live {
    constructor() {
        this.sockets = new WebSocketServer({ noServer: true });
        this.sessions = new Map();
        this.queue = [];
        this.running = null;
        this.epoch = 1;
        this.isFull = false;
        this.isDown = false;
        this.eta = AVERAGE_S;
        this.version = 'v1';
    }

    upgrade(request, socket, head) {
        if (this.isDown) return socket.destroy();
        this.sockets.handleUpgrade(request, socket, head, (ws) => {
            ws.on('message', (bytes) => this.onMessage(ws, JSON.parse(bytes)));
            ws.on('error', () => {});
        });
    }

    onMessage(ws, m) {
        if (m.type === 'hello') this.onHello(ws, m);
        else if (m.type === 'join') this.onJoin(ws.session, m);
        else if (m.type === 'cancel') this.onCancel(ws.session, m.event_id);
        else if (m.type === 'ping') ws.send(JSON.stringify({ msg: 'pong' }));
    }

    onHello(ws, { resume }) {
        const old = this.sessions.get(resume?.session);
        const resumed = Boolean(old && old.secret === resume.secret);
        const session = resumed ? old : { id: id(), secret: id(), log: [], seq: 0, events: new Map() };
        this.sessions.set(session.id, session);
        session.ws = ws;
        ws.session = session;
        const hello = { v: 1, session: session.id, secret: session.secret, epoch: this.epoch };
        ws.send(JSON.stringify({ msg: 'hello', ...hello, resumed, version: this.version, heartbeat_s: 15 }));
        if (resumed)
            for (const message of session.log) if (message.seq > resume.last_seq) ws.send(JSON.stringify(message));
    }

    send(session, message) {
        const numbered = { seq: ++session.seq, ...message };
        session.log.push(numbered);
        if (session.ws?.readyState === 1) session.ws.send(JSON.stringify(numbered));
    }

    onJoin(session, { ref, fn, data }) {
        const known = [...session.events.values()].find((e) => e.ref === ref);
        if (known) return this.send(session, { msg: 'joined', ref, event_id: known.event_id });
        if (this.isFull)
            return this.send(session, { msg: 'refused', ref, code: 'queue_full', message: 'Queue is full. Max size is 1 and size is 1.' });
        const event = { event_id: id(), ref, fn, data, session };
        session.events.set(event.event_id, event);
        this.send(session, { msg: 'joined', ref, event_id: event.event_id });
        this.queue.push(event);
        this.publish();
        void this.next();
    }

    publish() {
        this.queue.forEach((event, rank) =>
            this.send(event.session, {
                msg: 'estimation',
                event_id: event.event_id,
                rank,
                queue_size: this.queue.length,
                rank_eta: (rank + 1) * this.eta,
            }),
        );
    }

    onCancel(session, eventId) {
        const event = session.events.get(eventId);
        if (!event) return;
        event.isCanceled = true;
        this.queue = this.queue.filter((e) => e !== event);
        this.send(session, { msg: 'process_completed', event_id: eventId, output: { data: [] }, success: true, outcome: 'canceled' });
        this.publish();
    }

    async next() {
        if (this.running || this.isHeld || !this.queue.length) return;
        const event = (this.running = this.queue.shift());
        this.send(event.session, { msg: 'process_starts', event_id: event.event_id, eta: AVERAGE_S });
        this.publish();
        await this.run(event);
        this.running = null;
        void this.next();
    }

    async run(event) {
        const end = (output, success, outcome) =>
            event.isCanceled ||
            this.send(event.session, { msg: 'process_completed', event_id: event.event_id, output, success, outcome });
        try {
            const steps = functions[event.fn](event.data);
            let step = await steps.next();
            while (!step.done && !event.isCanceled) {
                this.send(event.session, { event_id: event.event_id, ...step.value });
                step = await steps.next();
            }
            end({ data: step.value ?? [], duration: 1 }, true, 'done');
        } catch (error) {
            end({ error: error.message, title: 'Error', duration: 10, visible: true }, false, 'failed');
        }
    }

    /** Cuts the connections; what waits and runs goes on. */
    drop() {
        for (const ws of this.sockets.clients) ws.terminate();
    }

    /** As after a crash of the daemon that remembers nothing. */
    restart() {
        this.epoch++;
        for (const session of this.sessions.values()) session.ws = null;
        this.sessions.clear();
        this.queue = [];
        this.drop();
    }

    release() {
        this.isHeld = false;
        void this.next();
    }
}
