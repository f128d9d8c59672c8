import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { load } from './load.mjs';

const { Transport } = await load('app/transport.ts');

class Socket {
    sent = [];
    send(text) { this.sent.push(JSON.parse(text)); }
    close() { this.closed = true; }
    say(message) { this.onmessage?.({ data: JSON.stringify(message) }); }
    hello(fields = {}) {
        this.onopen();
        this.say({ msg: 'hello', v: 1, session: 's', secret: 'x', epoch: 1, resumed: false, heartbeat_s: 15, ...fields });
    }
}

let sockets, timers, messages, links, hellos, transport;

beforeEach(() => {
    [sockets, timers, messages, links, hellos] = [[], [], [], [], []];
    transport = new Transport('ws://app/live', {
        onMessage: (m) => messages.push(m),
        onHello: (hello, isFirst) => hellos.push([hello.resumed, isFirst]),
        onLink: (state) => links.push(state),
    }, {
        open: () => (sockets.push(new Socket()), sockets.at(-1)),
        setTimeout: (fn, ms) => (timers.push({ fn, ms }), timers.at(-1)),
        clearTimeout: (timer) => (timers = timers.filter((t) => t !== timer)),
        random: () => 0.5,
    });
    transport.start(null);
});

const join = (ref) => ({ type: 'join', ref, fn: 0, data: [], event_data: null, trigger_id: null });
const fire = (ms) => {
    const timer = timers.find((t) => t.ms === ms);
    assert.ok(timer, `a timer of ${ms} ms among ${timers.map((t) => t.ms)}`);
    timers = timers.filter((t) => t !== timer);
    timer.fn();
};

test('a join before the handshake is sent after it, once', () => {
    transport.join(join('a'));
    sockets[0].hello();
    transport.join(join('b'));
    assert.deepEqual(sockets[0].sent.map((m) => m.ref ?? m.type), ['hello', 'a', 'b']);
});

test('after a loss the session is resumed from the last number and unanswered joins are repeated', () => {
    sockets[0].hello();
    transport.join(join('a'));
    transport.join(join('b'));
    sockets[0].say({ msg: 'joined', seq: 1, ref: 'a', event_id: 'e' });
    sockets[0].onclose({ code: 1006 });
    fire(500);
    sockets[1].hello({ resumed: true });
    assert.deepEqual(sockets[1].sent[0].resume, { session: 's', secret: 'x', epoch: 1, last_seq: 1 });
    assert.deepEqual(sockets[1].sent.slice(1).map((m) => m.ref), ['b']);
    assert.deepEqual(hellos, [[false, true], [true, false]]);
});

test('a message that was seen before the loss is not delivered twice', () => {
    sockets[0].hello();
    sockets[0].say({ msg: 'log', seq: 1 });
    sockets[0].say({ msg: 'log', seq: 1 });
    sockets[0].say({ msg: 'log', seq: 2 });
    assert.deepEqual(messages.map((m) => m.seq), [1, 2]);
});

test('a new epoch starts counting from one again', () => {
    sockets[0].hello();
    sockets[0].say({ msg: 'log', seq: 7 });
    sockets[0].onclose({ code: 1001 });
    fire(500);
    sockets[1].hello({ epoch: 2, resumed: true });
    sockets[1].say({ msg: 'snapshot', seq: 1, events: [] });
    assert.equal(messages.length, 2);
});

test('retries back off from half a second to ten', () => {
    for (const ms of [500, 1000, 2000, 4000, 8000, 10000, 10000]) {
        sockets.at(-1).onclose({ code: 1006 });
        fire(ms);
    }
    assert.equal(links.at(-1), 'connecting');
});

test('retryNow does not wait for the back-off', () => {
    sockets[0].hello();
    sockets[0].onclose({ code: 1006 });
    transport.retryNow();
    assert.equal(sockets.length, 2);
    assert.equal(timers.filter((t) => t.ms === 500).length, 0);
});

test('two missed heartbeats count as a loss', () => {
    sockets[0].hello();
    fire(15000);
    fire(15000);
    assert.equal(links.at(-1), 'open');
    fire(15000);
    assert.ok(sockets[0].closed);
    assert.equal(links.at(-1), 'lost');
});

test('a wrong secret makes a new session', () => {
    sockets[0].hello();
    sockets[0].onclose({ code: 1008 });
    fire(500);
    sockets[1].onopen();
    assert.equal(sockets[1].sent[0].resume, null);
});

test('acks go at most once a second and carry the newest number', () => {
    sockets[0].hello();
    for (const seq of [1, 2, 3]) sockets[0].say({ msg: 'log', seq });
    assert.equal(sockets[0].sent.length, 1);
    fire(1000);
    assert.deepEqual(sockets[0].sent.at(-1), { type: 'ack', seq: 3 });
});

test('stop hands out what a later start needs', () => {
    sockets[0].hello();
    sockets[0].say({ msg: 'log', seq: 4 });
    assert.deepEqual(transport.stop(), { session: 's', secret: 'x', epoch: 1, last_seq: 4 });
    assert.ok(sockets[0].closed);
});

test('a tab that comes back asks whether its connection still lives', () => {
    sockets[0].hello();
    transport.retryNow();
    assert.equal(sockets[0].sent.at(-1).type, 'ping');
    sockets[0].say({ msg: 'pong' });
    fire(4000);
    assert.equal(links.at(-1), 'open');
    transport.retryNow();
    fire(4000);
    assert.equal(links.at(-1), 'lost');
});
