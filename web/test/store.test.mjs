import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { Store, same } = await load('app/store.ts');

const config = {
    components: [
        { id: 1, type: 'textbox', props: { label: 'In', value: '' } },
        { id: 2, type: 'textbox', props: { label: 'Out', value: '' } },
        { id: 3, type: 'textbox', props: { value: 'fixed' } },
        { id: 4, type: 'textbox', props: { value: '', interactive: false } },
        { id: 5, type: 'column', props: {} },
    ],
    layout: { id: 0, children: [{ id: 5, children: [{ id: 1 }, { id: 99 }] }, { id: 2 }, { id: 3 }, { id: 4 }] },
    dependencies: [{ id: 0, targets: [[1, 'submit']], inputs: [1], outputs: [2] }],
};

test('the tree follows the layout and leaves out what does not exist', () => {
    const store = new Store(config);
    assert.deepEqual(store.get(0).children, [5, 2, 3, 4]);
    assert.deepEqual(store.get(5).children, [1]);
});

test('inputs are interactive, outputs and filled components are not, the app has the last word', () => {
    const store = new Store(config);
    assert.deepEqual([1, 2, 3, 4].map((id) => store.isInteractive(store.get(id))), [true, false, false, false]);
    store.merge(2, { interactive: true });
    assert.equal(store.isInteractive(store.get(2)), true);
});

test('a merge tells whether the value changed and wakes that component only', () => {
    const store = new Store(config);
    const woken = [];
    for (const id of [1, 2]) store.subscribe(id, () => woken.push(id));
    assert.equal(store.merge(1, { value: 'x' }), true);
    assert.equal(store.merge(1, { value: 'x' }), false);
    assert.equal(store.merge(1, { label: 'New' }), false);
    assert.deepEqual(woken, [1, 1, 1]);
    assert.equal(store.get(1).props.label, 'New');
});

test('an unsubscribed listener is not called', () => {
    const store = new Store(config);
    let calls = 0;
    store.subscribe(1, () => calls++)();
    store.touch(1);
    assert.equal(calls, 0);
});

test('values are compared by content', () => {
    assert.ok(same({ a: [1] }, { a: [1] }));
    assert.ok(!same([1], [2]));
    assert.ok(!same(null, undefined));
});
