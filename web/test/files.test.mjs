import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { fileUrl, formatBytes, fileName } = await load('app/files.ts');
const file = (fields) => ({ meta: { _type: 'gradio.FileData' }, ...fields });

test('a file of the app is read from the app, with its path encoded', () => {
    assert.equal(fileUrl('/app/a/b', file({ path: '/run/files/o/1/my file#1.png', url: 'http://else/x' })), '/app/a/b/gradio_api/file=/run/files/o/1/my%20file%231.png');
});

test('web addresses and data images pass, scripts do not', () => {
    assert.equal(fileUrl('/app/a/b', 'data:image/png;base64,AA'), 'data:image/png;base64,AA');
    assert.equal(fileUrl('/app/a/b', file({ path: 'https://h/x.png' })), 'https://h/x.png');
    for (const bad of ['javascript:alert(1)', 'data:text/html,x', 'relative']) assert.equal(fileUrl('/app/a/b', bad), '', bad);
    assert.equal(fileUrl('/app/a/b', file({ path: '', url: 'javascript:1' })), '');
});

test('sizes and names are for people', () => {
    assert.equal(formatBytes(999), '999 B');
    assert.equal(formatBytes(1_500_000), '1.5 MB');
    assert.equal(fileName(file({ path: '/a/b/c.txt' })), 'c.txt');
});
