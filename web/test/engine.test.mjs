import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { load } from './load.mjs';

const { Engine } = await load('app/engine.ts');
const { Store } = await load('app/store.ts');

const dep = (id, targets, inputs, outputs, more) => ({ id, targets, inputs, outputs, trigger_mode: 'once', ...more });
const box = (id, type = 'textbox', props = {}) => ({ id, type, props: { value: '', ...props } });

let store, engine, sent, toasts, said, now;

function setUp(dependencies) {
    const config = {
        components: [box(1), box(2), box(3), box(4, 'state'), box(5, 'button')],
        layout: { id: 0, children: [1, 2, 3, 4, 5].map((id) => ({ id })) },
        dependencies,
    };
    [sent, toasts, said, now] = [[], [], [], 1000];
    store = new Store(config);
    engine = new Engine(config, store, {
        join: (join) => sent.push(join),
        cancel: (event) => sent.push({ cancel: event }),
        forget: (ref) => sent.some((m) => m.ref === ref),
        toast: (toast) => toasts.push(toast),
        announce: (sentence) => said.push(sentence),
        now: () => now,
    });
}

const joined = (join, event = `e-${join.ref}`) => (engine.receive({ msg: 'joined', ref: join.ref, event_id: event }), event);
const done = (event, data) => engine.receive({ msg: 'process_completed', event_id: event, output: { data }, success: true, outcome: 'done' });
const failed = (event, output) => engine.receive({ msg: 'process_completed', event_id: event, output, success: false, outcome: 'failed' });

beforeEach(() => setUp([dep(0, [[5, 'click']], [1, 4], [2])]));

test('a trigger joins with the values of its inputs, states as null', () => {
    store.merge(1, { value: 'hi' });
    engine.trigger(5, 'click');
    assert.equal(sent.length, 1);
    assert.deepEqual([sent[0].fn, sent[0].data, sent[0].trigger_id], [0, ['hi', null], 5]);
});

test('outputs of a finished run reach their components', () => {
    engine.trigger(5, 'click');
    done(joined(sent[0]), ['answer']);
    assert.equal(store.value(2), 'answer');
    assert.equal(engine.statusOf(2), undefined);
});

test('once ignores a trigger while its run is pending', () => {
    engine.trigger(5, 'click');
    engine.trigger(5, 'click');
    assert.equal(sent.length, 1);
    done(joined(sent[0]), ['']);
    engine.trigger(5, 'click');
    assert.equal(sent.length, 2);
});

test('multiple starts a run per trigger', () => {
    setUp([dep(0, [[5, 'click']], [], [2], { trigger_mode: 'multiple' })]);
    engine.trigger(5, 'click');
    engine.trigger(5, 'click');
    assert.equal(sent.length, 2);
});

test('always_last runs once more at the end, with the newest values', () => {
    setUp([dep(0, [[1, 'input']], [1], [2], { trigger_mode: 'always_last' })]);
    for (const value of ['a', 'ab', 'abc']) engine.input(1, value);
    assert.equal(sent.length, 1);
    done(joined(sent[0]), ['']);
    assert.equal(sent.length, 2);
    assert.deepEqual(sent[1].data, ['abc']);
});

test('a chain goes on by success or failure as it asks', () => {
    setUp([
        dep(0, [[5, 'click']], [], [2]),
        dep(1, [], [], [3], { trigger_after: 0 }),
        dep(2, [], [], [3], { trigger_after: 0, trigger_only_on_success: true }),
        dep(3, [], [], [3], { trigger_after: 0, trigger_only_on_failure: true }),
    ]);
    engine.trigger(5, 'click');
    done(joined(sent[0]), ['x']);
    assert.deepEqual(sent.slice(1).map((m) => m.fn), [1, 2]);
    setUp([dep(0, [[5, 'click']], [], [2]), dep(3, [], [], [3], { trigger_after: 0, trigger_only_on_failure: true })]);
    engine.trigger(5, 'click');
    failed(joined(sent[0]), { error: 'no' });
    assert.deepEqual(sent.slice(1).map((m) => m.fn), [3]);
});

test('an output that changed fires its change targets, one that did not does not', () => {
    setUp([dep(0, [[5, 'click']], [], [2]), dep(1, [[2, 'change']], [2], [3])]);
    engine.trigger(5, 'click');
    done(joined(sent[0]), ['new']);
    assert.deepEqual(sent[1].data, ['new']);
    done(joined(sent[1]), ['']);
    engine.trigger(5, 'click');
    done(joined(sent[2]), ['new']);
    assert.equal(sent.length, 3);
});

test('an update merges properties and leaves the value alone', () => {
    store.merge(2, { value: 'kept' });
    engine.trigger(5, 'click');
    done(joined(sent[0]), [{ __type__: 'update', label: 'Renamed', visible: false }]);
    assert.deepEqual([store.value(2), store.get(2).props.label, store.get(2).props.visible], ['kept', 'Renamed', false]);
});

test('streamed edits build on the first whole value', () => {
    engine.trigger(5, 'click');
    const event = joined(sent[0]);
    const partial = (data) => engine.receive({ msg: 'process_generating', event_id: event, output: { data }, success: true });
    partial(['one']);
    partial([[['append', [], ' two']]]);
    partial([[]]);
    assert.equal(store.value(2), 'one two');
    done(event, ['one two three']);
    assert.equal(store.value(2), 'one two three');
});

test('a failure shows on the outputs, as a toast and to screen readers', () => {
    engine.trigger(5, 'click');
    failed(joined(sent[0]), { error: 'division by zero', title: 'Error' });
    assert.equal(engine.statusOf(2).message, 'division by zero');
    assert.equal(toasts[0].text, 'division by zero');
    assert.match(said.at(-1), /division by zero/);
    engine.clearError(engine.statusOf(2));
    assert.equal(engine.statusOf(2), undefined);
});

test('a hidden error still says that something went wrong', () => {
    engine.trigger(5, 'click');
    failed(joined(sent[0]), { error: null });
    assert.equal(engine.statusOf(2).message, 'Something went wrong in the app.');
});

test('a full queue offers a retry that keeps the inputs', () => {
    store.merge(1, { value: 'mine' });
    engine.trigger(5, 'click');
    engine.receive({ msg: 'refused', ref: sent[0].ref, code: 'queue_full', message: 'Queue is full.' });
    const shown = engine.statusOf(2);
    assert.deepEqual([shown.kind, shown.message], ['retry', 'This app is busy. Try again.']);
    engine.retry(shown);
    assert.deepEqual(sent[1].data, ['mine', null]);
});

test('cancel before the server has answered is sent as soon as it does', () => {
    setUp([dep(0, [[5, 'click']], [], [2])]);
    engine.trigger(5, 'click');
    const { run } = engine.statusOf(2);
    const ref = sent[0].ref;
    engine.cancelRun(run);
    engine.receive({ msg: 'joined', ref, event_id: 'late' });
    assert.deepEqual(sent.at(-1), { cancel: 'late' });
});

test('a dependency with cancels ends the runs of those functions', () => {
    setUp([dep(0, [[5, 'click']], [], [2]), dep(1, [[3, 'input']], [], [], { cancels: [0], backend_fn: false })]);
    engine.trigger(5, 'click');
    joined(sent[0], 'ev');
    engine.trigger(3, 'input');
    assert.deepEqual(sent[1], { cancel: 'ev' });
    assert.equal(engine.statusOf(2), undefined);
});

test('after a restart that remembers nothing, accepted runs are lost and say so', () => {
    engine.trigger(5, 'click');
    joined(sent[0]);
    engine.greet({ resumed: false });
    assert.equal(engine.statusOf(2).message, 'The app was restarted. Your inputs are kept; run again.');
});

test('a snapshot brings results, places and losses up to date', () => {
    setUp([
        dep(0, [[5, 'click']], [], [1]),
        dep(1, [[5, 'click']], [], [2]),
        dep(2, [[5, 'click']], [], [3]),
    ]);
    engine.trigger(5, 'click');
    const [a, b, c] = sent.map((join) => ({ ref: join.ref, event_id: joined(join), fn: join.fn, age_s: 3 }));
    engine.receive({
        msg: 'snapshot',
        events: [
            { ...a, state: 'done', output: { data: ['finished'] } },
            { ...b, state: 'running', output: { data: ['half'] } },
            { ...c, state: 'lost' },
        ],
    });
    assert.equal(store.value(1), 'finished');
    assert.equal(store.value(2), 'half');
    assert.equal(engine.statusOf(2).run.status.phase, 'generating');
    engine.receive({ msg: 'process_generating', event_id: b.event_id, output: { data: [[['append', [], ' more']]] }, success: true });
    assert.equal(store.value(2), 'half more');
    assert.equal(engine.statusOf(3).kind, 'retry');
});

test('runs that were saved come back with their inputs and take their results', () => {
    store.merge(1, { value: 'typed' });
    engine.trigger(5, 'click');
    const event = joined(sent[0]);
    const saved = JSON.parse(JSON.stringify(engine.save()));
    setUp([dep(0, [[5, 'click']], [1, 4], [2])]);
    engine.restore(saved);
    assert.equal(store.value(1), 'typed');
    assert.equal(sent.length, 0);
    engine.receive({ msg: 'process_generating', event_id: event, output: { data: ['who'] }, success: true });
    assert.equal(store.value(2), 'who');
    done(event, ['whole']);
    assert.equal(store.value(2), 'whole');
});

test('load triggers fire once at the start', () => {
    setUp([dep(0, [[0, 'load']], [], [2])]);
    engine.load();
    assert.deepEqual(sent.map((m) => m.fn), [0]);
});

test('progress is announced in quarters only', () => {
    engine.trigger(5, 'click');
    const event = joined(sent[0]);
    for (let i = 1; i <= 20; i++)
        engine.receive({ msg: 'progress', event_id: event, progress_data: [{ index: i, length: 20, unit: 'steps', progress: null, desc: null }] });
    assert.deepEqual(said, ['25 % done.', '50 % done.', '75 % done.']);
});

test('a run that had not streamed before the snapshot takes whole values after it', () => {
    engine.trigger(5, 'click');
    const event = joined(sent[0]);
    engine.receive({ msg: 'snapshot', events: [{ event_id: event, ref: sent[0].ref, fn: 0, state: 'running', age_s: 1 }] });
    engine.receive({ msg: 'process_generating', event_id: event, output: { data: ['first'] }, success: true });
    assert.equal(store.value(2), 'first');
});
