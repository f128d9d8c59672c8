import assert from 'node:assert/strict';
import { test } from 'node:test';
import { options, shot, visit } from './browser.mjs';

const SPACE = '/spaces/ada/fox-classifier';
const button = (page, name) => page.getByRole('button', { name, exact: true });
const heading = (page, name) => page.getByRole('heading', { name });

test('the list shows what the visitor may see, and opens a Space without loading again', options, () =>
    visit(async (page) => {
        await page.goto('/');
        await page.getByRole('link', { name: /Tiny diffusion/ }).waitFor();
        assert.equal(await page.getByText('Private notes').count(), 0);
        await page.getByText('Queue 3').waitFor();
        await page.evaluate(() => (globalThis.sameDocument = true));
        await page.getByRole('link', { name: /Fox classifier/ }).click();
        await heading(page, 'ada / fox-classifier').waitFor();
        assert.equal(await page.evaluate(() => globalThis.sameDocument), true);
        assert.equal(await page.title(), 'ada/fox-classifier · Spaces');
        await page.goBack();
        await page.getByRole('link', { name: /Tiny diffusion/ }).waitFor();
    }));

test('search answers as one types and keeps the words in the address', options, () =>
    visit(async (page) => {
        await page.goto('/');
        const field = page.getByRole('searchbox');
        await field.fill('owl');
        await page.getByRole('link', { name: /Tiny diffusion/ }).waitFor({ state: 'detached' });
        await page.getByRole('link', { name: /Night owl/ }).waitFor();
        assert.match(page.url(), /\/spaces\?q=owl$/);
        assert.equal(await field.inputValue(), 'owl');
        await field.fill('zebra');
        await page.getByText('No Space matches “zebra”.').waitFor();
        await shot(page, 'list-no-match');
        await button(page, 'Clear the search').click();
        await page.getByRole('link', { name: /Tiny diffusion/ }).waitFor();
    }));

test('an empty server says what to do first', options, () =>
    visit(async (page, stub) => {
        stub.spaces = [];
        await page.goto('/');
        await heading(page, 'Nothing here yet').waitFor();
        await page.getByText('spaces deploy ./my-app').waitFor();
        await shot(page, 'list-empty');
    }));

test('a failing list names the reason and the request, and retries', options, () =>
    visit(async (page, stub) => {
        stub.isBroken = true;
        await page.goto('/');
        await page.getByText('the store is not available').waitFor();
        await page.getByText('Request req-1').waitFor();
        stub.isBroken = false;
        await button(page, 'Retry').click();
        await page.getByRole('link', { name: /Tiny diffusion/ }).waitFor();
    }));

test('signing in with a token, and out again', options, () =>
    visit(async (page) => {
        await page.goto('/');
        await page.getByRole('link', { name: 'Sign in' }).click();
        await page.getByLabel('Access token').fill('wrong');
        await button(page, 'Sign in').click();
        await page.getByText('This token or link is not valid').waitFor();
        await shot(page, 'login-wrong');
        await page.getByLabel('Access token').fill('good-token');
        await button(page, 'Sign in').click();
        await page.getByRole('link', { name: /Private notes/ }).waitFor();
        await page.getByLabel('Menu of mia').click();
        await button(page, 'Sign out').click();
        await page.getByRole('link', { name: 'Sign in' }).waitFor();
    }));

test('a login link signs in at once and leaves no secret in the address', options, () =>
    visit(async (page) => {
        await page.goto('/login?next=%2Fspaces%2Fada%2Ffox-classifier#good-token');
        await heading(page, 'ada / fox-classifier').waitFor();
        assert.ok(!page.url().includes('good-token'));
        await page.getByLabel('Menu of mia').waitFor();
    }));

test('who is not signed in is taken to login and back to the dialog', options, () =>
    visit(async (page) => {
        await page.goto(SPACE);
        await button(page, 'Duplicate').click();
        await page.getByText('Sign in to duplicate this Space.').waitFor();
        await page.getByLabel('Access token').fill('good-token');
        await button(page, 'Sign in').click();
        await page.getByRole('dialog', { name: 'Duplicate ada/fox-classifier' }).waitFor();
        assert.match(page.url(), /duplicate=1$/);
    }));

test('Duplicate makes a private copy and goes to its page', options, () =>
    visit(
        async (page, stub) => {
            await page.goto(SPACE);
            await button(page, 'Duplicate').click();
            const dialog = page.getByRole('dialog');
            assert.equal(await dialog.getByLabel('Owner').inputValue(), 'mia');
            assert.equal(await dialog.getByLabel('Name').inputValue(), 'fox-classifier');
            assert.equal(await dialog.getByRole('radio', { name: /private/ }).isChecked(), true);
            await dialog.getByLabel('Name').fill('my fox');
            await dialog.getByText('Use 1 to 96 letters').waitFor();
            await dialog.getByLabel('Name').fill('my-fox');
            await shot(page, 'duplicate');
            await dialog.getByRole('button', { name: 'Duplicate' }).click();
            await heading(page, 'mia / my-fox').waitFor();
            await page.getByText('Waiting for the app to answer.').first().waitFor();
            await shot(page, 'duplicate-starting');
            await button(page, 'Run').waitFor();
            await page.getByText('Duplicated from ada/fox-classifier').waitFor();
            assert.equal(stub.find('mia/my-fox').private, true);
        },
        { user: 'mia' },
    ));

test('a name that is taken is an error in the dialog, with a way to the other', options, () =>
    visit(
        async (page) => {
            await page.goto(SPACE);
            await button(page, 'Duplicate').click();
            const dialog = page.getByRole('dialog');
            await dialog.getByLabel('Name').fill('private-notes');
            await dialog.getByRole('button', { name: 'Duplicate' }).click();
            await dialog.getByText('mia/private-notes exists already').waitFor();
            await shot(page, 'duplicate-taken');
            await dialog.getByRole('link', { name: 'Open the existing one' }).click();
            await heading(page, 'mia / private-notes').waitFor();
            assert.equal(await page.getByRole('dialog').count(), 0);
        },
        { user: 'mia' },
    ));

test('Escape closes the dialog and the focus goes back to its button', options, () =>
    visit(
        async (page) => {
            await page.goto(SPACE);
            await button(page, 'Duplicate').click();
            await page.getByRole('dialog').waitFor();
            await page.keyboard.press('Escape');
            await page.getByRole('dialog').waitFor({ state: 'detached' });
            assert.equal(await button(page, 'Duplicate').evaluate((el) => el === document.activeElement), true);
        },
        { user: 'mia' },
    ));

test('a change of stage swaps the panel in place', options, () =>
    visit(async (page, stub) => {
        await page.goto(SPACE);
        await button(page, 'Run').waitFor();
        stub.setStage(stub.find('ada/fox-classifier'), 'PAUSED');
        await page.getByText('Paused by its owner.').first().waitFor();
        await button(page, 'Duplicate this Space').waitFor();
        stub.setStage(stub.find('ada/fox-classifier'), 'RUNNING');
        await button(page, 'Run').waitFor();
    }));

test('an owner sees why the app failed and can restart it', options, () =>
    visit(
        async (page) => {
            await page.goto('/spaces/ada/broken-thing');
            await page.getByText("No module named 'torch'").waitFor();
            await page.getByText('exit code 1').waitFor();
            await shot(page, 'space-error');
            await button(page, 'Restart').last().click();
            await page.getByText('Waiting for the app to answer.').first().waitFor();
        },
        { user: 'ada' },
    ));

test('others see the reason, not the log', options, () =>
    visit(async (page) => {
        await page.goto('/spaces/ada/broken-thing');
        await page.getByText('exit code 1').waitFor();
        assert.equal(await page.getByText('torch').count(), 0);
        assert.equal(await page.getByRole('link', { name: 'Logs' }).count(), 0);
    }));

test('the log follows the app without its colours', options, () =>
    visit(
        async (page) => {
            await page.goto(`${SPACE}/logs`);
            await page.getByText('INFO engine builtin').waitFor();
            await shot(page, 'logs');
            assert.equal(await page.getByRole('log').textContent(), 'INFO engine builtin\nLoading fox weights\nReady\n');
        },
        { user: 'ada' },
    ));

test('deleting asks for the name', options, () =>
    visit(
        async (page, stub) => {
            await page.goto(SPACE);
            await page.getByLabel('Manage this Space').click();
            await button(page, 'Delete…').click();
            const remove = page.getByRole('button', { name: 'Delete this Space' });
            await page.getByLabel('Type ada/fox-classifier to confirm').fill('ada/fox');
            assert.equal(await remove.isDisabled(), true);
            await page.getByLabel('Type ada/fox-classifier to confirm').fill('ada/fox-classifier');
            await shot(page, 'delete');
            await remove.click();
            await heading(page, 'Spaces').waitFor();
            assert.equal(stub.find('ada/fox-classifier'), undefined);
        },
        { user: 'ada' },
    ));

test('an owner makes a Space private', options, () =>
    visit(
        async (page, stub) => {
            await page.goto(`${SPACE}/settings`);
            await page.getByRole('radio', { name: /private/ }).check();
            await button(page, 'Save').click();
            await page.getByText('Saved').waitFor();
            assert.equal(stub.find('ada/fox-classifier').private, true);
        },
        { user: 'ada' },
    ));

test('the API tab shows endpoints with code that names them', options, () =>
    visit(async (page) => {
        await page.goto(`${SPACE}/api`);
        await heading(page, '/echo').waitFor();
        await page.getByText('client = Client(').waitFor();
        await shot(page, 'api', { fullPage: true });
    }));

test('a server with a weak sandbox says so on every page', options, () =>
    visit(async (page, stub) => {
        stub.isWeak = true;
        await page.goto('/');
        await page.getByText('incomplete isolation').waitFor();
        await shot(page, 'weak');
    }));

test('the theme that was chosen stays', options, () =>
    visit(async (page) => {
        await page.goto('/');
        await page.getByLabel('Theme').selectOption('dark');
        const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
        assert.equal(await background(), 'rgb(11, 15, 25)');
        await page.reload();
        assert.equal(await background(), 'rgb(11, 15, 25)');
        assert.equal(await page.getByLabel('Theme').inputValue(), 'dark');
    }));

test('an unknown address is a page with a way out', options, () =>
    visit(async (page) => {
        await page.goto('/nowhere/at/all');
        await heading(page, 'Page not found').waitFor();
        await page.getByRole('link', { name: 'All Spaces' }).click();
        await heading(page, 'Spaces').waitFor();
    }));

test('the skip link and the keyboard reach the content', options, () =>
    visit(async (page) => {
        await page.goto('/');
        await page.getByRole('link', { name: /Tiny diffusion/ }).waitFor();
        await page.keyboard.press('Tab');
        assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to content');
    }));

test('a page of one Space has one heading of the first level', options, () =>
    visit(async (page) => {
        await page.goto(SPACE);
        await page.getByRole('heading', { name: 'Test app' }).waitFor();
        assert.equal(await page.getByRole('heading', { level: 1 }).count(), 1);
    }));

test('the licences of what is bundled are served', options, () =>
    visit(async (page) => {
        await page.goto('/');
        await page.getByRole('link', { name: 'Licences' }).click();
        await page.getByText('dompurify 3').waitFor();
    }));

test('the element works from its stable address', options, () =>
    visit(async (page, stub) => {
        await page.goto('/nowhere');
        await page.evaluate(async () => {
            await import('/space-app.js');
            const app = document.createElement('space-app');
            app.setAttribute('src', '/app/ada/fox-classifier');
            document.body.append(app);
        });
        await button(page, 'Run').waitFor();
        assert.ok(stub.live.sessions.size === 1);
    }));

test('a tab in the background holds no event stream, and catches up when it returns', options, () =>
    visit(async (page, stub) => {
        const space = stub.find('ada/fox-classifier');
        const streams = () => stub.listeners.get(space.id)?.size ?? 0;
        const turn = (state) =>
            page.evaluate((value) => {
                Object.defineProperty(document, 'visibilityState', { value, configurable: true });
                document.dispatchEvent(new Event('visibilitychange'));
            }, state);
        const until = async (count) => {
            for (let i = 0; i < 200 && streams() !== count; i++) await new Promise((r) => setTimeout(r, 20));
            assert.equal(streams(), count);
        };
        await page.goto(SPACE);
        await button(page, 'Run').waitFor();
        await until(1);
        await turn('hidden');
        await until(0);
        stub.setStage(space, 'PAUSED');
        await turn('visible');
        await page.getByText('Paused by its owner.').first().waitFor();
        await until(1);
    }));
