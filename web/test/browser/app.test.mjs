import assert from 'node:assert/strict';
import { test } from 'node:test';
import { options, shot, visit } from './browser.mjs';
import { config } from './stub-app.mjs';

const QUEUE = /^queue: \d+\/\d+ \| \d+\.\d(\/\d+\.\d)?s$/;
const PROCESSING = /^processing \| \d+\.\d(\/\d+\.\d)?s$/;
const STEPS = /^[1-8]\/8 steps \| \d+\.\d(\/\d+\.\d)?s$/;

const APP = '/app/ada/fox-classifier';
const SPACE = '/spaces/ada/fox-classifier';
const button = (page, name) => page.getByRole('button', { name, exact: true });
const answer = (page) => page.getByLabel('Answer', { exact: true });
const valueOf = (page, text) =>
    page.waitForFunction(
        (wanted) => {
            const app = document.querySelector('space-app').shadowRoot;
            return [...app.querySelectorAll('textarea')].some((area) => area.value === wanted);
        },
        text,
    );

async function open(page, path = APP) {
    await page.goto(path);
    await button(page, 'Run').waitFor();
}

async function run(page, prompt, seconds = 0.3) {
    await page.getByLabel('Prompt').fill(prompt);
    await page.getByRole('slider', { name: 'Seconds' }).fill(String(seconds));
    await button(page, 'Run').click();
}

test('a visitor types, presses Run and sees the answer and its chain', options, () =>
    visit(async (page) => {
        await open(page);
        await run(page, 'hello');
        await valueOf(page, 'You said: hello');
        await valueOf(page, '(You said: hello)');
    }));

test('Enter submits a line of text', options, () =>
    visit(async (page) => {
        await open(page);
        await page.getByLabel('Prompt').fill('by key');
        await page.getByLabel('Prompt').press('Enter');
        await valueOf(page, 'You said: by key');
    }));

test('while it waits the output shows the queue, while it runs it shows processing', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isHeld = true;
        await run(page, 'patience', 1);
        const status = page.getByText(QUEUE);
        await status.waitFor();
        assert.match(await status.textContent(), /^queue: 1\/1 \| \d+\.\d\/2\.0s$/);
        await shot(page, 'app-queue');
        stub.live.release();
        await page.getByText(PROCESSING).waitFor();
        await valueOf(page, 'You said: patience');
    }));

test('the second visitor sees the place in the queue count down', options, () =>
    visit(async (page, stub, context) => {
        const second = await context.newPage();
        await open(page);
        await open(second);
        stub.live.isHeld = true;
        await run(page, 'first', 1);
        await page.getByText(/^queue: 1\/1/).waitFor();
        await run(second, 'second', 0.1);
        await second.getByText(/^queue: 2\/2 \| \d+\.\d\/4\.\ds$/).waitFor();
        stub.live.release();
        await second.getByText(/^queue: 1\/1 \|/).waitFor();
        await valueOf(page, 'You said: first');
        await valueOf(second, 'You said: second');
    }));

test('partial results appear one after the other', options, () =>
    visit(async (page) => {
        await open(page);
        await page.getByLabel('Prompt').fill('alpha beta gamma delta');
        await button(page, 'Stream').click();
        await valueOf(page, 'alpha beta');
        await shot(page, 'app-stream');
        await valueOf(page, 'alpha beta gamma delta');
    }));

test('progress shows its steps and a bar', options, () =>
    visit(async (page) => {
        await open(page);
        await button(page, 'Steps').click();
        await page.getByText(STEPS).waitFor();
        await page.getByText(/^Drawing - \d+\.\d%$/).waitFor();
        const share = Number(await page.getByRole('progressbar').getAttribute('value'));
        assert.ok(share > 0 && share < 1, `${share}`);
        await shot(page, 'app-progress');
        await valueOf(page, 'Drawn');
    }));

test('an exception shows as an error that can be cleared', options, () =>
    visit(async (page) => {
        await open(page);
        await page.getByLabel('Prompt').fill('magic');
        await button(page, 'Fail').click();
        await page.getByText('cannot do magic').first().waitFor();
        await shot(page, 'app-error');
        await button(page, 'Clear Error').click();
        await page.getByRole('button', { name: 'Dismiss' }).last().click();
        await page.locator('sp-status, .toast').getByText('cannot do magic').first().waitFor({ state: 'detached' });
        await run(page, 'again', 0);
        await valueOf(page, 'You said: again');
    }));

test('Cancel appears after two seconds and frees the output', options, () =>
    visit(async (page, stub) => {
        await open(page);
        await run(page, 'too long', 5);
        await page.getByText(PROCESSING).waitFor();
        assert.equal(await button(page, 'Cancel').count(), 0);
        await button(page, 'Cancel').click();
        await page.getByText(PROCESSING).waitFor({ state: 'detached' });
        assert.equal(stub.live.running.isCanceled, true);
    }));

test('a button of the app cancels the runs that it names', options, () =>
    visit(async (page, stub) => {
        await open(page);
        await run(page, 'too long', 5);
        await page.getByText(PROCESSING).waitFor();
        await button(page, 'Stop').click();
        await page.getByText(PROCESSING).waitFor({ state: 'detached' });
        assert.equal(stub.live.running.isCanceled, true);
    }));

test('a full queue keeps the inputs and offers Retry', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isFull = true;
        await run(page, 'patient');
        await page.getByText('This app is busy. Try again.').first().waitFor();
        stub.live.isFull = false;
        await button(page, 'Retry').click();
        await valueOf(page, 'You said: patient');
    }));

test('a lost connection is said, and place and result come back', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isHeld = true;
        await run(page, 'still here', 0.1);
        await page.getByText(QUEUE).waitFor();
        stub.live.isDown = true;
        stub.live.drop();
        await page.getByText('Connection lost. Reconnecting…').last().waitFor();
        await shot(page, 'app-lost');
        stub.live.isDown = false;
        stub.live.release();
        await valueOf(page, 'You said: still here');
        await page.locator('.banner').waitFor({ state: 'detached' });
    }));

test('a run that is started while the connection is down is sent later', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isDown = true;
        stub.live.drop();
        await page.getByText('Connection lost. Reconnecting…').last().waitFor();
        await run(page, 'offline');
        stub.live.isDown = false;
        await valueOf(page, 'You said: offline');
    }));

test('a reload comes back to its place and its result', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isHeld = true;
        await run(page, 'reloaded', 0.1);
        await page.getByText(QUEUE).waitFor();
        await page.reload();
        await page.getByText(QUEUE).waitFor();
        assert.equal(await page.getByLabel('Prompt').inputValue(), 'reloaded');
        stub.live.release();
        await valueOf(page, 'You said: reloaded');
        assert.equal(stub.live.sessions.size, 1);
    }));

test('a restart that forgot the run says so and keeps the inputs', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isHeld = true;
        await run(page, 'forgotten');
        await page.getByText(QUEUE).waitFor();
        stub.live.restart();
        await page.getByText('The app was restarted. Your inputs are kept; run again.').last().waitFor();
        assert.equal(await page.getByLabel('Prompt').inputValue(), 'forgotten');
        stub.live.isHeld = false;
        await button(page, 'Retry').click();
        await valueOf(page, 'You said: forgotten');
    }));

test('a new version of the app is offered, not forced', options, () =>
    visit(async (page, stub) => {
        await open(page);
        await page.getByLabel('Prompt').fill('unsent words');
        stub.live.version = 'v2';
        stub.live.drop();
        await page.getByText('A new version is available').waitFor();
        assert.equal(await page.getByLabel('Prompt').inputValue(), 'unsent words');
    }));

test('a new version that starts while the page is connected is offered, and Reload takes it', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.version = 'v2';
        stub.find('ada/fox-classifier').config = { ...config, version_id: 'v2' };
        for (const session of stub.live.sessions.values())
            stub.live.send(session, { msg: 'stage', stage: 'RUNNING', reason: '', version: 'v2' });
        await page.getByText('A new version is available').waitFor();
        await shot(page, 'app-new-version');
        await button(page, 'Reload').click();
        await page.getByText('A new version is available').waitFor({ state: 'detached' });
        await run(page, 'new');
        await valueOf(page, 'You said: new');
    }));

test('an image goes up, comes back and can be removed', options, () =>
    visit(async (page, stub) => {
        const png = Buffer.from('iVBORw0KGgoAAAANSUhEUgAAAAoAAAAKCAIAAAACUFjqAAAAEklEQVR4nGP4z8CAB+GTG8HSALfKY52fTcuYAAAAAElFTkSuQmCC', 'base64');
        await open(page);
        await page.getByRole('tab', { name: 'Fields' }).click();
        await page.getByLabel('Picture').setInputFiles({ name: 'red.png', mimeType: 'image/png', buffer: png });
        const img = page.getByRole('img', { name: 'Picture' });
        await img.waitFor();
        assert.equal(await img.evaluate(async (el) => (await el.decode(), el.naturalWidth)), 10);
        assert.deepEqual(stub.uploaded.bytes, png);
        await button(page, 'Draw').click();
        await page.getByRole('img', { name: 'Drawn' }).waitFor();
        await shot(page, 'app-fields', { fullPage: true });
        await page.getByRole('button', { name: 'Remove Picture' }).click();
        await img.waitFor({ state: 'detached' });
    }));

test('hostile markdown and HTML of an app do nothing', options, () =>
    visit(async (page) => {
        await open(page);
        await page.getByRole('heading', { name: 'Test app' }).waitFor();
        await page.getByRole('tab', { name: 'Fields' }).click();
        await page.getByText('Bold').waitFor();
        assert.ok(!['1', '2'].includes(await page.title()));
        assert.equal(await page.locator('.prose [onerror], .prose script, .prose [style]').count(), 0);
        assert.equal(await page.locator('.prose [href^=javascript]').count(), 0);
        assert.equal(await page.getByRole('link', { name: 'good' }).getAttribute('rel'), 'noopener noreferrer');
        assert.equal(await page.getByText('Middle').getAttribute('align'), 'center');
    }));

test('a component that is not known shows its value', options, () =>
    visit(async (page) => {
        await open(page);
        await page.getByRole('tab', { name: 'Fields' }).click();
        await page.getByText('This page cannot draw “holodeck” yet').waitFor();
    }));

test('tabs are worked with the keyboard', options, () =>
    visit(async (page) => {
        await open(page);
        await page.getByRole('tab', { name: 'Talk' }).focus();
        await page.keyboard.press('ArrowRight');
        await page.getByRole('group', { name: 'Mood' }).waitFor();
        assert.equal(await page.getByRole('tab', { name: 'Fields' }).getAttribute('aria-selected'), 'true');
        await page.keyboard.press('Home');
        await answer(page).waitFor();
    }));

test('a long estimate offers to duplicate, which leads to the dialog', options, () =>
    visit(
        async (page, stub) => {
            await open(page, SPACE);
            stub.live.isHeld = true;
            stub.live.eta = 20;
            await run(page, 'long');
            await page.getByText('Long queue.').waitFor();
            await shot(page, 'app-long-queue');
            await button(page, 'Duplicate this Space').click();
            await page.getByRole('dialog').waitFor();
        },
        { user: 'mia' },
    ));

test('an app that is not there says so', options, () =>
    visit(async (page) => {
        await page.goto('/spaces/nobody/nothing');
        await page.getByRole('heading', { name: 'Page not found' }).waitFor();
    }));

test('what happens is told to screen readers', options, () =>
    visit(async (page, stub) => {
        await open(page);
        stub.live.isHeld = true;
        await run(page, 'said', 0);
        const polite = page.locator('space-app [aria-live=polite]');
        await page.getByText('Position 1 of 1, about 2 seconds.').waitFor({ state: 'attached' });
        stub.live.release();
        await page.getByText('Finished.').waitFor({ state: 'attached' });
        assert.equal(await polite.count(), 1);
    }));
