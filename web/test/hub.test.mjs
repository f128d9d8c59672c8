import assert from 'node:assert/strict';
import { test } from 'node:test';
import { load } from './load.mjs';

const { parseRoute, safeNext, spacePath, loginPath } = await load('hub/router.ts');
const { age, chip, isGoodName, memory, stripAnsi } = await load('hub/format.ts');
const { snippets, pythonValue } = await load('hub/snippets.ts');

test('addresses lead to their pages', () => {
    assert.deepEqual(parseRoute('/'), { page: 'list', search: '' });
    assert.deepEqual(parseRoute('/spaces', '?q=fox'), { page: 'list', search: 'fox' });
    assert.deepEqual(parseRoute('/spaces/ada/fox'), { page: 'space', id: 'ada/fox', tab: 'app', isDuplicating: false });
    assert.deepEqual(parseRoute('/spaces/ada/fox/logs', ''), { page: 'space', id: 'ada/fox', tab: 'logs', isDuplicating: false });
    assert.equal(parseRoute('/spaces/ada/fox', '?duplicate=1').isDuplicating, true);
    assert.equal(parseRoute('/me').page, 'me');
});

test('what is no page is missing', () => {
    for (const path of ['/nowhere', '/spaces/ada', '/spaces/ada/fox/nowhere', '/spaces/a/b/logs/c', '/app/a/b', '/%'])
        assert.equal(parseRoute(path).page, 'missing', path);
});

test('signing in never leads to another site', () => {
    assert.equal(safeNext('/spaces/a/b?duplicate=1'), '/spaces/a/b?duplicate=1');
    for (const bad of [null, '', '//evil', '/\\evil', 'https://evil', 'javascript:x', '/\tx', '/a\\b'])
        assert.equal(safeNext(bad), '/', String(bad));
});

test('paths of Spaces are built the way they are read', () => {
    assert.equal(spacePath('ada/fox', 'api'), '/spaces/ada/fox/api');
    assert.equal(parseRoute('/login', new URL(loginPath('/me'), 'http://x').search).next, '/me');
});

test('stages have an icon, a word and a tone', () => {
    assert.deepEqual(chip('RUNNING', 'cpu-basic'), { icon: '●', text: 'Running on CPU basic', tone: 'ok' });
    assert.equal(chip('RUNTIME_ERROR').tone, 'error');
    assert.equal(chip('SOMETHING_NEW').text, 'SOMETHING_NEW');
});

test('ages and sizes are for people', () => {
    const now = Date.parse('2026-11-22T12:00:00Z');
    assert.equal(age('2026-11-22T11:59:50Z', now), 'just now');
    assert.equal(age('2026-11-22T09:30:00Z', now), '2 hours ago');
    assert.equal(age('nonsense', now), '');
    assert.equal(memory(2 ** 31), '2 GiB');
    assert.equal(memory(512 * 2 ** 20), '512 MiB');
});

test('names follow the rule of the server', () => {
    for (const good of ['a', 'fox-classifier', 'A.b_c', 'x'.repeat(96)]) assert.ok(isGoodName(good), good);
    for (const bad of ['', '-a', 'a-', '.a', 'a.', 'a--b', 'a..b', 'a.git', 'a b', 'ä', 'x'.repeat(97)])
        assert.ok(!isGoodName(bad), bad);
});

test('terminal codes do not reach the log view', () => {
    assert.equal(stripAnsi('\x1b[1;32mok\x1b[0m\x1b]0;title\x07 done\x1b[2K\r\n'), 'ok done\n');
});

test('snippets name the endpoint, its arguments and the token of a private Space', () => {
    const endpoint = {
        parameters: [
            { label: 'x', parameter_name: 'x', component: 'Textbox', example_input: "it's" },
            { label: 'n', parameter_name: 'n', parameter_has_default: true, parameter_default: true, component: 'Checkbox' },
        ],
        returns: [],
    };
    const open = snippets('http://h/app/a/b', '/echo', endpoint, false);
    assert.match(open.Python, /Client\("http:\/\/h\/app\/a\/b"\)[^]*x="it's",\n {4}n=True,[^]*api_name="\/echo"/);
    assert.match(open.cURL, /call\/echo[^]*it'\\''s/);
    const closed = snippets('http://h/app/a/b', '/echo', endpoint, true);
    for (const code of Object.values(closed)) assert.match(code, /YOUR_TOKEN/);
    assert.equal(pythonValue({ a: [null, false] }), '{"a": [None, False]}');
});
