import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { newStatus, setEta, statusText, etaShare, progressBar, si, spoken } =
    await load('app/status.ts');

const at = (seconds) => 1_000_000 + seconds * 1000;
const started = (fields) => Object.assign(newStatus(at(0)), fields);
const level = (fields) => ({ index: null, length: null, unit: 'steps', progress: null, desc: null, ...fields });

test('a waiting run with an estimate shows rank, size, elapsed and total', () => {
    const s = started({ phase: 'waiting', rank: 0, size: 1 });
    setEta(s, 14, at(0));
    assert.equal(statusText(s, at(13.5)), 'queue: 1/1 | 13.5/14.0s');
});

test('a waiting run without an estimate shows only the elapsed time', () => {
    const s = started({ phase: 'waiting', rank: 1, size: 7 });
    assert.equal(statusText(s, at(3.1)), 'queue: 2/7 | 3.1s');
});

test('a running function shows processing, with and without an estimate', () => {
    const s = started({ phase: 'running' });
    assert.equal(statusText(s, at(3.1)), 'processing | 3.1s');
    setEta(s, 10.9, at(3.1));
    assert.equal(statusText(s, at(13.5)), 'processing | 13.5/14.0s');
});

test('nothing known yet shows the clock alone', () => {
    assert.equal(statusText(started({}), at(0.4)), '0.4s');
});

test('counted progress comes before the queue and the word processing', () => {
    const s = started({ phase: 'running', progress: [level({ index: 5, length: 20 })] });
    setEta(s, 14, at(0));
    assert.equal(statusText(s, at(6.2)), '5/20 steps | 6.2/14.0s');
});

test('past the total the elapsed time goes on and the bar stays full', () => {
    const s = started({ phase: 'running' });
    setEta(s, 14, at(0));
    assert.equal(statusText(s, at(15.2)), 'processing | 15.2/14.0s');
    assert.equal(etaShare(s, at(15.2)), 1);
});

test('the total is set anew only when the estimate changes', () => {
    const s = started({ phase: 'waiting', rank: 0, size: 1 });
    setEta(s, 14, at(0));
    setEta(s, 14, at(5));
    assert.equal(s.total, 14);
    setEta(s, 8, at(5));
    assert.equal(s.total, 13);
    setEta(s, null, at(6));
    assert.equal(s.total, 13);
});

test('numbers above a thousand are shortened', () => {
    assert.deepEqual([950, 1000, 1200, 2000, 1_500_000].map(si), ['950', '1000', '1.2k', '2k', '1.5M']);
});

test('the bar is of the last level and its text joins the levels', () => {
    const s = started({ progress: [level({ desc: 'Epoch', index: 1, length: 2 }), level({ desc: 'Batch', progress: 0.25 })] });
    assert.deepEqual(progressBar(s), { text: 'Epoch / Batch - 25.0%', share: 0.25 });
});

test('an unknown length makes an indeterminate bar', () => {
    const s = started({ progress: [level({ index: 3, desc: 'Reading' })] });
    assert.deepEqual(progressBar(s), { text: 'Reading', share: null });
    assert.equal(statusText(Object.assign(s, { phase: 'running' }), at(1)), '3 steps | 1.0s');
});

test('screen readers get a sentence', () => {
    const s = started({ phase: 'waiting', rank: 1, size: 7, eta: 13.7 });
    assert.equal(spoken(s), 'Position 2 of 7, about 14 seconds.');
});
