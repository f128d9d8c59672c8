// Every page in light and dark, wide and narrow: accessible, no sideways scroll, a picture of each.

import { test } from 'node:test';
import { checkAccessible, checkReflow, options, shot, visit } from './browser.mjs';

const SPACE = '/spaces/ada/fox-classifier';
const RUN = (page) => page.getByRole('button', { name: 'Run', exact: true }).waitFor();

const PAGES = {
    list: ['/', null, (page) => page.getByText('Tiny diffusion').waitFor()],
    space: [SPACE, 'ada', RUN],
    fields: [SPACE, null, async (page) => {
        await page.getByRole('tab', { name: 'Fields' }).click();
        await page.getByRole('group', { name: 'Mood' }).waitFor();
    }],
    running: [SPACE, 'mia', async (page, stub) => {
        await RUN(page);
        stub.live.isHeld = true;
        stub.live.eta = 16;
        await page.getByRole('button', { name: 'Run', exact: true }).click();
        await page.getByRole('button', { name: 'Cancel' }).waitFor();
    }],
    failed: [SPACE, null, async (page) => {
        await RUN(page);
        await page.getByRole('button', { name: 'Fail' }).click();
        await page.getByText('cannot do nothing').first().waitFor();
    }],
    app: ['/app/ada/fox-classifier', null, RUN],
    error: ['/spaces/ada/broken-thing', 'ada', (page) => page.getByText("'torch'").waitFor()],
    asleep: ['/spaces/lin/night-owl', null, (page) => page.getByText('due to inactivity').first().waitFor()],
    logs: [`${SPACE}/logs`, 'ada', (page) => page.getByText('engine builtin').waitFor()],
    api: [`${SPACE}/api`, null, (page) => page.getByText('client = Client(').waitFor()],
    settings: [`${SPACE}/settings`, 'ada', (page) => page.getByText('Who can see').waitFor()],
    login: ['/login', null, (page) => page.getByLabel('Access token').waitFor()],
    duplicate: [`${SPACE}?duplicate=1`, 'mia', (page) => page.getByRole('dialog').waitFor()],
    missing: ['/nowhere', null, (page) => page.getByText('Page not found').waitFor()],
};

for (const [name, [path, user, ready]] of Object.entries(PAGES))
    for (const scheme of ['light', 'dark'])
        for (const width of [1280, 320])
            test(`${name} is accessible and fits, ${scheme}, ${width} px`, options, () =>
                visit(
                    async (page, stub) => {
                        await page.goto(path);
                        await ready(page, stub);
                        // Animations would be measured half-way.
                        await page.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' });
                        await shot(page, `${name}-${scheme}-${width}`, { fullPage: true });
                        await checkReflow(page);
                        await checkAccessible(page);
                    },
                    { user, width, scheme },
                ));
