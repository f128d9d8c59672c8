// A stand-in for spacesd: the built pages, a small API, and the live protocol. Answers only what
// the pages ask. `node test/browser/stub.mjs PORT` serves it for looking around.

import { readFileSync, existsSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { config, info } from './stub-app.mjs';
import { Live } from './stub-live.mjs';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
export const BUILD = path.resolve(root, process.env.BUILD ?? 'build');
const FILES = path.join(BUILD, 'web/files');

// The policy of runtime/api/assets.h.
const CSP = readFileSync(path.join(root, 'runtime/api/assets.h'), 'utf8')
    .match(/#define SP_PAGE_CSP([^]*?)\n\n/)[1]
    .replace(/\\\n|\s*"\s*/g, ' ')
    .replace(/ +/g, ' ')
    .trim();

const TYPES = { '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml', '.html': 'text/html' };

function makeSpace(id, more = {}) {
    const [author, name] = id.split('/');
    return {
        id,
        author,
        private: false,
        createdAt: '2026-11-20T10:00:00.000Z',
        lastModified: '2026-11-22T10:00:00.000Z',
        sdk: 'gradio',
        title: name.replace(/-/g, ' ').replace(/^./, (c) => c.toUpperCase()),
        emoji: '🦊',
        colorFrom: 'yellow',
        colorTo: 'red',
        short_description: 'One line about what this app does.',
        license: 'apache-2.0',
        engine: 'builtin',
        version: { id: '3f2a91c0aa11', number: 1 },
        originSpace: null,
        runtime: {
            stage: 'RUNNING',
            reason: null,
            since: '2026-11-22T10:00:00.000Z',
            hardware: { current: 'cpu-basic' },
            limits: { cpu_millis: 2000, memory_bytes: 2 ** 31, pids: 256 },
            usage: null,
            replicas: { current: 1 },
        },
        queue: { waiting: 0, running: 0 },
        can: { write: false, duplicate: true },
        weak_sandbox: false,
        ...more,
    };
}

export class Stub {
    constructor() {
        this.live = new Live();
        this.spaces = [];
        this.user = null;
        this.listeners = new Map();
        this.logs = [];
        this.requests = [];
        this.server = createServer((q, a) => this.onRequest(q, a));
        this.server.on('upgrade', (q, socket, head) =>
            q.url.endsWith('/live') ? this.live.upgrade(q, socket, head) : socket.destroy(),
        );
    }

    add(id, more) {
        const space = makeSpace(id, more);
        this.spaces.unshift(space);
        return space;
    }

    start(port = 0) {
        return new Promise((resolve) =>
            this.server.listen(port, '127.0.0.1', () => {
                this.url = `http://127.0.0.1:${this.server.address().port}`;
                resolve(this.url);
            }),
        );
    }

    stop() {
        this.live.drop();
        this.server.closeAllConnections();
        return new Promise((resolve) => this.server.close(resolve));
    }

    onRequest(request, answer) {
        const url = new URL(request.url, 'http://stub');
        this.requests.push(`${request.method} ${url.pathname}`);
        const chunks = [];
        request.on('data', (c) => chunks.push(c));
        request.on('end', () => {
            request.body = Buffer.concat(chunks);
            try {
                this.route(request, answer, url);
            } catch (error) {
                this.json(answer, 500, { error: error.stack });
            }
        });
    }

    json(answer, status, body, headers = {}) {
        answer.writeHead(status, { 'content-type': 'application/json', 'x-request-id': 'req-1', ...headers });
        answer.end(status === 204 ? undefined : JSON.stringify(body));
    }

    page(answer, file, status = 200) {
        answer.writeHead(status, {
            'content-type': TYPES[path.extname(file)] ?? 'text/plain',
            'content-security-policy': CSP,
            'x-content-type-options': 'nosniff',
        });
        answer.end(readFileSync(path.join(FILES, file)));
    }

    route(request, answer, url) {
        const { pathname } = url;
        if (pathname.startsWith('/assets/')) return this.asset(answer, pathname);
        if (pathname.startsWith('/api/')) return this.api(request, answer, url);
        if (pathname.startsWith('/app/')) return this.app(request, answer, pathname);
        if (existsSync(path.join(FILES, pathname)) && pathname !== '/') return this.page(answer, pathname);
        return this.page(answer, 'hub.html');
    }

    asset(answer, pathname) {
        const file = path.basename(pathname);
        if (!existsSync(path.join(FILES, file))) return this.json(answer, 404, { error: 'no file' });
        this.page(answer, file);
    }

    // --- an app -------------------------------------------------------------------------------------

    app(request, answer, pathname) {
        const [, , owner, name, ...rest] = pathname.split('/');
        const space = this.find(`${owner}/${name}`);
        const tail = rest.join('/');
        if (!space) return this.json(answer, 404, { error: 'not found', kind: 'not_found' });
        if (tail === '') return this.page(answer, 'app-page.html');
        if (tail === 'config') return this.json(answer, 200, space.config ?? config);
        if (tail === 'gradio_api/info') return this.json(answer, 200, info);
        if (tail === 'gradio_api/upload') return this.upload(request, answer);
        if (tail.startsWith('gradio_api/file=')) return this.file(answer);
        this.json(answer, 404, { error: 'not found' });
    }

    upload(request, answer) {
        const type = /Content-Type: (\S+)/i.exec(request.body.toString('latin1'))?.[1];
        const start = request.body.indexOf('\r\n\r\n') + 4;
        this.uploaded = { type, bytes: request.body.subarray(start, request.body.lastIndexOf('\r\n--')) };
        this.json(answer, 200, ['/run/files/u/0123/picture one.png']);
    }

    file(answer) {
        answer.writeHead(200, { 'content-type': this.uploaded?.type ?? 'text/plain' });
        answer.end(this.uploaded?.bytes ?? '');
    }

    // --- the API --------------------------------------------------------------------------------------

    find(id) {
        return this.spaces.find((s) => s.id === id && (!s.private || s.author === this.user));
    }

    api(request, answer, url) {
        const { pathname } = url;
        const key = `${request.method} ${pathname}`;
        if (request.method !== 'GET' && request.headers['x-spaces-csrf'] !== '1')
            return this.json(answer, 403, { error: 'no CSRF header', kind: 'denied' });
        if (key === 'GET /api/session') return this.session(answer);
        if (key === 'POST /api/login') return this.login(request, answer);
        if (key === 'POST /api/logout') return (this.user = null), this.json(answer, 204);
        if (key === 'GET /api/spaces') return this.list(answer, url);
        const [, , , owner, name, ...rest] = pathname.split('/');
        const space = this.find(`${owner}/${name}`);
        if (!space) return this.json(answer, 404, { error: 'no such Space', kind: 'not_found' });
        this.spaceApi(request, answer, space, rest.join('/'));
    }

    session(answer) {
        this.json(answer, 200, {
            user: this.user ? { name: this.user, isAdmin: false } : null,
            weak_sandbox: this.isWeak === true,
        });
    }

    login(request, answer) {
        const { token } = JSON.parse(request.body);
        if (token !== 'good-token') return this.json(answer, 401, { error: 'this token is not valid' });
        this.user = 'mia';
        this.json(answer, 200, { name: 'mia' });
    }

    list(answer, url) {
        if (this.isBroken) return this.json(answer, 500, { error: 'the store is not available', kind: 'internal' });
        const search = (url.searchParams.get('search') ?? '').toLowerCase();
        const author = url.searchParams.get('author');
        const list = this.spaces
            .filter((s) => this.find(s.id) && (!author || s.author === author))
            .filter((s) => `${s.id} ${s.title}`.toLowerCase().includes(search));
        this.json(answer, 200, list.map((s) => this.view(s)));
    }

    view(space) {
        const isOwner = space.author === this.user;
        return { ...space, can: { write: isOwner, duplicate: true } };
    }

    spaceApi(request, answer, space, tail) {
        const key = `${request.method} ${tail}`;
        if (key === 'GET ') return this.json(answer, 200, this.view(space));
        if (key === 'GET events') return this.events(answer, space);
        if (key === 'GET logs/run') return this.runLog(answer);
        if (key === 'POST duplicate') return this.duplicate(request, answer, space);
        if (key === 'POST restart') return this.setStage(space, 'APP_STARTING'), this.json(answer, 202, space.runtime);
        if (key === 'POST pause') return this.setStage(space, 'PAUSED'), this.json(answer, 202, space.runtime);
        if (key === 'PUT settings') {
            Object.assign(space, JSON.parse(request.body));
            return this.json(answer, 200, { private: space.private });
        }
        if (key === 'DELETE ') {
            this.spaces = this.spaces.filter((s) => s !== space);
            return this.json(answer, 204);
        }
        this.json(answer, 404, { error: 'not found' });
    }

    sse(answer) {
        answer.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
        answer.flushHeaders();
    }

    events(answer, space) {
        this.sse(answer);
        const set = this.listeners.get(space.id) ?? new Set();
        this.listeners.set(space.id, set.add(answer));
        answer.on('close', () => set.delete(answer));
    }

    setStage(space, stage, reason = null, more = {}) {
        const since = new Date().toISOString();
        space.runtime = { ...space.runtime, stage, reason, since, ...more };
        this.publish(space, { stage, reason, since });
    }

    publish(space, event) {
        for (const answer of this.listeners.get(space.id) ?? [])
            answer.write(`data: ${JSON.stringify(event)}\n\n`);
    }

    runLog(answer) {
        this.sse(answer);
        for (const line of this.logs)
            answer.write(`data: ${JSON.stringify({ data: `${line}\n`, timestamp: '2026-11-22T10:00:00Z' })}\n\n`);
    }

    duplicate(request, answer, space) {
        if (!this.user) return this.json(answer, 401, { error: 'Sign in first' });
        const { repository, private: isPrivate } = JSON.parse(request.body);
        if (this.spaces.some((s) => s.id === repository))
            return this.json(answer, 409, { error: `${repository} exists already`, kind: 'conflict', url: `/spaces/${repository}` });
        const copy = this.add(repository, { private: isPrivate, originSpace: { name: space.id } });
        copy.runtime = { ...copy.runtime, stage: 'APP_STARTING' };
        setTimeout(() => this.setStage(copy, 'RUNNING'), 400);
        this.json(answer, 202, { id: repository, url: `/spaces/${repository}` });
    }
}

export function populate(stub) {
    stub.add('lin/tiny-diffusion', { emoji: '🎨', colorFrom: 'pink', colorTo: 'purple', queue: { waiting: 3, running: 1 }, short_description: 'Draws small pictures from long sentences.' });
    stub.add('ada/word-count', { emoji: '🔢', colorFrom: 'green', colorTo: 'blue', short_description: null });
    const broken = stub.add('ada/broken-thing', { emoji: '🧨', colorFrom: 'gray', colorTo: 'gray' });
    stub.setStage(broken, 'RUNTIME_ERROR', 'exit code 1', {
        failed: { version: 'v1', stage: 'RUNTIME_ERROR', reason: 'exit code 1', log: ['Traceback (most recent call last):', '  File "app.py", line 3, in <module>', "ModuleNotFoundError: No module named 'torch'"] },
    });
    const asleep = stub.add('lin/night-owl', { emoji: '🦉', colorFrom: 'indigo', colorTo: 'gray' });
    stub.setStage(asleep, 'SLEEPING', 'no visit for an hour');
    stub.add('ada/fox-classifier', { queue: { waiting: 0, running: 1 }, short_description: 'Tells foxes from dogs, with some confidence.' });
    stub.add('mia/private-notes', { emoji: '🗒️', private: true, colorFrom: 'blue', colorTo: 'green' });
    stub.logs = ['\u001b[32mINFO\u001b[0m engine builtin', 'Loading fox weights', 'Ready'];
    return stub;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
    const stub = populate(new Stub());
    console.log(await stub.start(Number(process.argv[2] ?? 18300)));
}
