import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { applyEdits } = await load('app/diff.ts');

test('append grows a string, at the top and deep inside', () => {
    assert.equal(applyEdits('abc0 ', [['append', [], 'abc1 ']]), 'abc0 abc1 ');
    assert.deepEqual(applyEdits([{ content: 'a' }], [['append', [0, 'content'], 'b']]), [{ content: 'ab' }]);
});

test('replace changes the whole value or one place', () => {
    assert.equal(applyEdits('x', [['replace', [], 5]]), 5);
    assert.deepEqual(applyEdits({ a: { b: 1 } }, [['replace', ['a', 'b'], 2]]), { a: { b: 2 } });
});

test('add inserts into lists and sets keys', () => {
    assert.deepEqual(applyEdits([1, 3], [['add', [1], 2]]), [1, 2, 3]);
    assert.deepEqual(applyEdits({}, [['add', ['k'], 'v']]), { k: 'v' });
});

test('delete removes from lists and objects', () => {
    assert.deepEqual(applyEdits([1, 2, 3], [['delete', [1], null]]), [1, 3]);
    assert.deepEqual(applyEdits({ a: 1, b: 2 }, [['delete', ['a'], null]]), { b: 2 });
});

test('no edits leave the value as it is', () => {
    assert.equal(applyEdits('same', []), 'same');
});

test('the old value is not touched', () => {
    const old = { list: [1], other: { deep: true } };
    const next = applyEdits(old, [['add', ['list', 1], 2]]);
    assert.deepEqual(old.list, [1]);
    assert.equal(next.other, old.other);
});

test('a path through __proto__ reaches nothing', () => {
    applyEdits({}, [['replace', ['__proto__', 'polluted'], 1]]);
    assert.equal({}.polluted, undefined);
});
