// Chromium and a stub for browser tests. Without Chromium the tests are skipped, in CI they fail.

import { chromium } from 'playwright-core';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { after, before } from 'node:test';
import { BUILD, populate, Stub } from './stub.mjs';

const executablePath = process.env.CHROMIUM ?? '/usr/bin/chromium';
const isMissing = !existsSync(executablePath) && !process.env.CI;

/** Options of each test: skipped by name when there is no browser. */
export const options = { skip: isMissing && `no browser at ${executablePath}`, timeout: 60_000 };

export const SHOTS = path.join(BUILD, 'shots');
const axeSource = readFileSync(
    path.join(path.dirname(fileURLToPath(import.meta.url)), '../../node_modules/axe-core/axe.min.js'),
    'utf8',
);

/** Messages of the console that are expected: they come from the browser, not from our code. */
const ALLOWED = [
    // Asking who is signed in, when nobody is.
    /status of 401 .*/,
    // The page asks for what does not exist, on purpose.
    /status of (404|409|500|503) .*/,
    // A lost connection, on purpose.
    /WebSocket connection to .* failed.*/,
    /ERR_CONNECTION_REFUSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING/,
];

let browser, home;

before(async () => {
    if (isMissing) return;
    home = mkdtempSync(path.join(tmpdir(), 'sp-browser-'));
    mkdirSync(SHOTS, { recursive: true });
    browser = await chromium.launch({
        executablePath,
        headless: true,
        env: { ...process.env, HOME: home },
        args: [
            '--no-sandbox',
            '--disable-gpu',
            '--disable-quic',
            '--no-first-run',
            '--disable-background-networking',
            '--disable-component-update',
            '--disable-sync',
            '--disable-dev-shm-usage',
            '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1',
        ],
    });
});

after(async () => {
    await browser?.close();
    if (home) rmSync(home, { recursive: true, force: true });
});

/**
 * Runs `story(page, stub)` on a page of its own against a stub of its own, then checks that the
 * console is clean and that nothing but the stub was asked.
 */
export async function visit(story, { user = null, width = 1280, scheme = 'light', context = {} } = {}) {
    const stub = populate(new Stub());
    stub.user = user;
    const base = await stub.start();
    const ctx = await browser.newContext({
        baseURL: base,
        viewport: { width, height: 800 },
        colorScheme: scheme,
        ...context,
    });
    ctx.setDefaultTimeout(8000);
    const page = await ctx.newPage();
    const trouble = watch(page, base);
    try {
        await story(page, stub, ctx);
        assert.deepEqual(trouble, []);
    } catch (error) {
        await page.screenshot({ path: path.join(SHOTS, 'failed.png') }).catch(() => {});
        error.message += trouble.map((line) => `\n  console: ${line}`).join('');
        throw error;
    } finally {
        await ctx.close();
        await stub.stop();
    }
}

function watch(page, base) {
    const trouble = [];
    page.on('pageerror', (error) => trouble.push(`${error}`));
    page.on('console', (message) => {
        if (message.type() !== 'error' && message.type() !== 'warning') return;
        if (!ALLOWED.some((pattern) => pattern.test(message.text()))) trouble.push(message.text());
    });
    page.on('request', (request) => {
        const url = request.url();
        if (!/^(data|blob):/.test(url) && !url.startsWith(base)) trouble.push(`asked for ${url}`);
    });
    return trouble;
}

export async function checkAccessible(page) {
    await page.evaluate(axeSource);
    const violations = await page.evaluate(async () => {
        const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
        const result = await globalThis.axe.run(document, { runOnly: { type: 'tag', values: tags } });
        return result.violations.map((v) => `${v.id}: ${v.nodes.map((n) => `${n.target.flat().join(' ')} (${n.failureSummary})`).join('; ')}`);
    });
    assert.deepEqual(violations, []);
}

export async function checkReflow(page) {
    const [inner, scroll] = await page.evaluate(() => [innerWidth, document.documentElement.scrollWidth]);
    assert.ok(scroll <= inner, `the page is ${scroll} px wide in a window of ${inner} px`);
}

export const shot = (page, name, more = {}) =>
    page.screenshot({ path: path.join(SHOTS, `${name}.png`), ...more });
