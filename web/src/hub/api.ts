// The HTTP API, docs/api.md, as far as the pages use it.

export interface Runtime {
    stage: string;
    reason: string | null;
    since: string;
    hardware?: { current: string; promise?: string };
    limits?: { cpu_millis: number; memory_bytes: number; pids: number; data_bytes?: number };
    storage?: string | null;
    network?: { mode: string; allow: string[] };
    startMs?: number | null;
    failed?: { version?: string; stage: string; reason: string; log?: string[] } | null;
}

export interface Space {
    id: string;
    author: string;
    private: boolean;
    createdAt: string;
    lastModified: string;
    title: string | null;
    emoji: string | null;
    colorFrom: string | null;
    colorTo: string | null;
    short_description: string | null;
    license: string | null;
    engine: string;
    version?: { id: string; number: number } | null;
    originSpace: { name: string } | null;
    runtime: Runtime;
    queue: { waiting: number; running: number };
    app_url?: string;
    can: { write: boolean; duplicate: boolean };
    weak_sandbox: boolean;
}

export interface User {
    name: string;
    isAdmin?: boolean;
}

export class ApiError extends Error {
    constructor(
        readonly status: number,
        message: string,
        readonly body: Record<string, unknown> = {},
        readonly requestId = '',
    ) {
        super(message);
    }
}

export interface Page<T> {
    items: T[];
    next: string | null;
}

async function call(method: string, path: string, body?: unknown): Promise<Response> {
    const headers: Record<string, string> = {};
    if (method !== 'GET') headers['X-Spaces-CSRF'] = '1';
    if (body !== undefined) headers['Content-Type'] = 'application/json';
    let answer: Response;
    try {
        const payload = body === undefined ? null : JSON.stringify(body);
        answer = await fetch(path, { method, headers, body: payload, credentials: 'same-origin' });
    } catch {
        throw new ApiError(0, 'The server cannot be reached.');
    }
    if (answer.ok) return answer;
    const problem = (await answer.json().catch(() => ({}))) as Record<string, unknown>;
    const message = typeof problem.error === 'string' ? problem.error : `status ${answer.status}`;
    throw new ApiError(answer.status, message, problem, answer.headers.get('x-request-id') ?? '');
}

async function json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await call(method, path, body);
    return (answer.status === 204 ? null : await answer.json()) as T;
}

const space = (id: string) => `/api/spaces/${id.split('/').map(encodeURIComponent).join('/')}`;

export const api = {
    session: () => json<{ user: User | null; weak_sandbox: boolean }>('GET', '/api/session'),
    login: (token: string) => json<User>('POST', '/api/login', { token }),
    logout: () => json<null>('POST', '/api/logout'),

    async spaces(query: Record<string, string>): Promise<Page<Space>> {
        return page(await call('GET', `/api/spaces?${new URLSearchParams(query)}`));
    },
    async morePages(url: string): Promise<Page<Space>> {
        const { pathname, search } = new URL(url, location.href);
        return page(await call('GET', pathname + search));
    },
    space: (id: string) => json<Space>('GET', space(id)),
    restart: (id: string) => json<Runtime>('POST', `${space(id)}/restart`),
    pause: (id: string) => json<Runtime>('POST', `${space(id)}/pause`),
    remove: (id: string) => json<null>('DELETE', space(id)),
    setPrivate: (id: string, isPrivate: boolean) =>
        json<{ private: boolean }>('PUT', `${space(id)}/settings`, { private: isPrivate }),
    duplicate: (id: string, repository: string, isPrivate: boolean) =>
        json<{ id: string }>('POST', `${space(id)}/duplicate`, { repository, private: isPrivate }),
    events: (id: string) => `${space(id)}/events`,
    log: (id: string) => `${space(id)}/logs/run?follow=1&lines=1000`,
};

async function page(answer: Response): Promise<Page<Space>> {
    const link = /<([^>]+)>;\s*rel="next"/.exec(answer.headers.get('link') ?? '');
    return { items: (await answer.json()) as Space[], next: link?.[1] ?? null };
}
