// The story in a real Chromium: two visitors and one queue, streaming, progress, cancel, an error,
// a lost connection, Duplicate by a user who signs in on the way.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { ROOT, skip as noRoot, startDaemon } from './support/daemon.mjs';

const require = createRequire(join(ROOT, 'web/package.json'));
const chromiumPath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const skip = noRoot || (existsSync(chromiumPath) ? false : 'needs chromium: apt-get install chromium');
const QUEUE = /queue: \d+\/\d+ \| \d+\.\d(\/\d+\.\d)?s/;
const SHOTS = process.env.SHOTS;

let daemon;
let browser;
let home;

before(async () => {
  if (skip) return;
  const { chromium } = await import(pathToFileURL(require.resolve('playwright-core')).href).then((m) => m.default ?? m);
  daemon = await startDaemon();
  await daemon.deploy('kitchen', 'me/kitchen');
  await daemon.deploy(join(ROOT, 'tests/e2e/apps/story'), 'me/story');
  home = mkdtempSync(join(tmpdir(), 'spacesd-home-'));
  browser = await chromium.launch({
    executablePath: chromiumPath, headless: true, env: { ...process.env, HOME: home },
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--disable-dev-shm-usage',
      '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  });
  if (SHOTS) mkdirSync(SHOTS, { recursive: true });
});

after(async () => {
  if (skip) return;
  await browser?.close();
  rmSync(home, { recursive: true, force: true });
  assert.equal(await daemon.stop(), 0);
});

async function visitor(path, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.trouble = [];
  page.on('console', (message) => {
    if (message.type() === 'error' && !/ERR_INTERNET_DISCONNECTED|WebSocket connection|404 \(Not Found\)|ERR_CONNECTION|Failed to load resource/.test(message.text()))
      page.trouble.push(message.text());
  });
  page.on('pageerror', (error) => page.trouble.push(String(error)));
  page.on('request', (request) => {
    if (!request.url().startsWith(daemon.url) && !request.url().startsWith('data:') && !request.url().startsWith('blob:'))
      page.trouble.push(`request to ${request.url()}`);
  });
  await page.goto(daemon.url + path);
  return page;
}

const shot = (page, name) => SHOTS ? page.screenshot({ path: join(SHOTS, `${name}.png`) }) : null;

const value = (page, text) => page.waitForFunction((wanted) =>
  [...(document.querySelector('space-app')?.shadowRoot?.querySelectorAll('textarea,input') ?? [])].some((i) => i.value.includes(wanted)), text);

async function leave(page) {
  const trouble = page.trouble;
  await page.context().close();
  assert.deepEqual(trouble, []);
}

test('the list shows the Spaces and leads to one', { skip }, async () => {
  const page = await visitor('/');
  await page.getByRole('link', { name: /Story/ }).first().click();
  await page.getByRole('button', { name: 'Run slowly' }).waitFor();
  await shot(page, 'space');
  await leave(page);
});

test('two visitors share one queue and each gets their own result', { skip }, async () => {
  const first = await visitor('/spaces/me/story');
  const second = await visitor('/spaces/me/story');
  await first.getByLabel('Name', { exact: true }).fill('ada');
  await second.getByLabel('Name', { exact: true }).fill('bob');
  await first.getByRole('button', { name: 'Run slowly' }).click();
  await first.getByText(/processing \| \d+\.\d/).waitFor();
  await second.getByRole('button', { name: 'Run slowly' }).click();
  await second.getByText(QUEUE).waitFor();
  assert.match(await second.getByText(QUEUE).textContent(), /queue: 1\/1 \| /);
  await shot(second, 'queue');
  await value(first, 'hello ada');
  await value(second, 'hello bob');
  await leave(first);
  await leave(second);
});

test('a generator streams its partial results', { skip }, async () => {
  const page = await visitor('/spaces/me/story');
  await page.getByRole('button', { name: 'Stream' }).click();
  await value(page, 'one two');
  await value(page, 'one two three four five');
  await leave(page);
});

test('a progress bar moves', { skip }, async () => {
  const page = await visitor('/spaces/me/story');
  await page.getByRole('button', { name: 'Progress' }).click();
  await page.getByText(/\d+\/20 steps \| \d+\.\d/).waitFor();
  await shot(page, 'progress');
  await value(page, 'counted to 20');
  await leave(page);
});

test('Cancel stops a running call', { skip }, async () => {
  const page = await visitor('/spaces/me/story');
  await page.getByRole('button', { name: 'Forever' }).click();
  await page.getByRole('button', { name: /Cancel/ }).click();
  await page.getByText(/processing \|/).waitFor({ state: 'detached' });
  await page.getByRole('button', { name: 'Stream' }).click();
  await value(page, 'one two');
  await leave(page);
});

test('an exception in the app shows as an error', { skip }, async () => {
  const page = await visitor('/spaces/me/story');
  await page.getByRole('button', { name: 'Fail' }).click();
  await page.getByText('this is on purpose').first().waitFor();
  await shot(page, 'error');
  await leave(page);
});

test('a tab that loses its connection comes back to its place and its result', { skip }, async () => {
  const first = await visitor('/spaces/me/story');
  const page = await visitor('/spaces/me/story');
  await first.getByRole('button', { name: 'Run slowly' }).click();
  await first.getByText(/processing \|/).waitFor();
  await page.getByLabel('Name', { exact: true }).fill('eve');
  await page.getByRole('button', { name: 'Run slowly' }).click();
  await page.getByText(QUEUE).waitFor();
  await page.context().setOffline(true);
  await page.evaluate(() => window.dispatchEvent(new Event('offline')));
  await page.context().setOffline(false);
  await page.reload();
  await value(page, 'hello eve');
  await leave(page);
  await leave(first);
});

test('someone who is not signed in is taken to login and back, and has a private copy', { skip }, async () => {
  const { token } = await daemon.api('POST', '/api/users', { name: 'carol' });
  const page = await visitor('/spaces/me/kitchen');
  await page.getByRole('button', { name: /Duplicate/ }).or(page.getByRole('link', { name: /Duplicate/ })).first().click();
  await page.waitForURL(/\/login/);
  await page.getByLabel(/token/i).fill(token);
  await page.getByRole('button', { name: /Sign in/i }).click();
  await page.waitForURL(/\/spaces\/me\/kitchen/);
  const dialog = page.getByRole('dialog'); // it opens by itself: that is what they came for
  await dialog.waitFor();
  await shot(page, 'duplicate');
  await dialog.getByRole('button', { name: 'Duplicate' }).click();
  await page.waitForURL(/\/spaces\/carol\//);
  await page.getByRole('button', { name: 'go' }).waitFor();
  const copies = await daemon.api('GET', '/api/spaces?author=carol', undefined, token);
  assert.equal(copies.length, 1);
  assert.equal(copies[0].private, true);
  assert.equal(copies[0].originSpace.name, 'me/kitchen');
  await leave(page);
});

for (const theme of ['light', 'dark'])
  for (const width of [1280, 320])
    test(`axe finds nothing on the pages, ${theme}, ${width} px`, { skip }, async () => {
      const axe = require('axe-core');
      const page = await visitor('/', { colorScheme: theme, viewport: { width, height: 800 } });
      for (const path of ['/', '/spaces/me/story', '/login']) {
        await page.goto(daemon.url + path);
        await page.getByRole('heading', { level: 1 }).waitFor();
        if (path.includes('story')) await page.getByRole('button', { name: 'Stream' }).waitFor();
        await page.evaluate(axe.source).catch(() => page.addScriptTag({ content: axe.source }));
        const result = await page.evaluate(() => window.axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'] }));
        assert.deepEqual(result.violations.map((v) => `${v.id}: ${v.nodes[0].html}`), [], path);
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
        assert.ok(overflow <= 0, `${path} overflows by ${overflow} px`);
        await shot(page, `page-${path.replaceAll('/', '_')}-${theme}-${width}`);
      }
      await leave(page);
    });
