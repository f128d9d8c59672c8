// The unmodified npm @gradio/client against an app of ours: predict, submit, cancel, files, state.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';
import { join } from 'node:path';
import { ROOT, skip, startDaemon } from './support/daemon.mjs';

const require = createRequire(join(ROOT, 'web/package.json'));
const { Client } = await import(pathToFileURL(require.resolve('@gradio/client')).href);

let daemon;
let app;

before(async () => {
  if (skip) return;
  daemon = await startDaemon();
  await daemon.deploy('kitchen', 'me/kitchen');
  app = await Client.connect(`${daemon.url}/app/me/kitchen`, { events: ['data', 'status'] });
});

after(async () => {
  if (skip) return;
  app?.close();
  assert.equal(await daemon.stop(), 0);
});

async function collect(job) {
  const seen = [];
  for await (const message of job) seen.push(message);
  return seen;
}

test('predict answers with the data', { skip }, async () => {
  assert.deepEqual((await app.predict('/echo', ['hello'])).data, ['hello']);
});

test('predict takes named arguments', { skip }, async () => {
  assert.deepEqual((await app.predict('/echo', { x: 'named' })).data, ['named']);
});

test('submit shows pending, generating and complete, and the text grows', { skip }, async () => {
  const job = app.submit('/gen', [3]);
  const texts = [];
  const stages = [];
  for await (const message of job) {
    if (message.type === 'data') texts.push(message.data[0]);
    if (message.type === 'status') stages.push(message.stage);
    if (stages.at(-1) === 'complete') break;
  }
  assert.equal(texts.at(-1), 'abc0 abc1 abc2 ');
  assert.ok(texts.includes('abc0 '));
  assert.equal(stages.at(-1), 'complete');
});

test('an error of the app reaches the caller', { skip }, async () => {
  await assert.rejects(app.predict('/boom', ['x']), (error) => /boom: x/.test(JSON.stringify(error) + error.message));
});

test('state stays with the session', { skip }, async () => {
  assert.equal((await app.predict('/count', ['a'])).data[0], 'a #1');
  assert.equal((await app.predict('/count', ['a'])).data[0], 'a #2');
});

test('a file goes up and comes back', { skip }, async () => {
  const { data } = await app.predict('/fil', [new Blob(['hello file'], { type: 'text/plain' })]);
  assert.equal(await (await fetch(data[0].url)).text(), 'hello file');
});

test('an endpoint without a queue answers at once', { skip }, async () => {
  assert.deepEqual((await app.predict('/direct', ['d'])).data, ['d']);
});

test('cancel ends a running generator', { skip }, async () => {
  const job = app.submit('/gen', [200]);
  for await (const message of job) {
    if (message.type === 'data') {
      await job.cancel();
      break;
    }
  }
  assert.deepEqual((await app.predict('/gen', [1])).data, ['abc0 ']);
});

test('two submits at once both finish', { skip }, async () => {
  const both = await Promise.all([app.predict('/slow', [0.2]), app.predict('/slow', [0.1])]);
  assert.deepEqual(both.map((answer) => answer.data[0]), ['slept 0.2', 'slept 0.1']);
});
