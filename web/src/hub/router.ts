// Addresses of the hub and what they mean. Pure, so that tests can ask it.

export type Tab = 'app' | 'logs' | 'api' | 'settings';

export type Route =
    | { page: 'list'; search: string }
    | { page: 'me' }
    | { page: 'login'; next: string }
    | { page: 'space'; id: string; tab: Tab; isDuplicating: boolean }
    | { page: 'missing' };

const TABS = new Set(['logs', 'api', 'settings']);

export function parseRoute(pathname: string, search = ''): Route {
    const query = new URLSearchParams(search);
    const parts = split(pathname);
    if (!parts) return { page: 'missing' };
    const [first, owner, name, tab, ...rest] = parts;
    if (first === undefined || (first === 'spaces' && owner === undefined))
        return { page: 'list', search: query.get('q') ?? '' };
    if (first === 'login' && !owner) return { page: 'login', next: safeNext(query.get('next')) };
    if (first === 'me' && !owner) return { page: 'me' };
    const isSpace = first === 'spaces' && name !== undefined && !rest.length;
    if (!isSpace || (tab !== undefined && !TABS.has(tab))) return { page: 'missing' };
    return {
        page: 'space',
        id: `${owner}/${name}`,
        tab: (tab as Tab | undefined) ?? 'app',
        isDuplicating: query.has('duplicate'),
    };
}

function split(pathname: string): string[] | null {
    try {
        return pathname.split('/').filter(Boolean).map(decodeURIComponent);
    } catch {
        return null;
    }
}

/** Only back into our own pages: "//host" and "https:..." would lead a signed-in visitor away. */
export function safeNext(next: string | null): string {
    if (!next || !/^\/(?![/\\])/.test(next) || /[\x00-\x1f\\]/.test(next)) return '/';
    return next;
}

export function spacePath(id: string, tab: Tab = 'app'): string {
    const path = `/spaces/${id.split('/').map(encodeURIComponent).join('/')}`;
    return tab === 'app' ? path : `${path}/${tab}`;
}

export const appPath = (id: string) => `/app/${id.split('/').map(encodeURIComponent).join('/')}`;

export function loginPath(next: string): string {
    return `/login?next=${encodeURIComponent(next)}`;
}

/** Links inside the hub change the page without loading it again; apps and the API do not. */
export function isHubPath(pathname: string): boolean {
    return parseRoute(pathname).page !== 'missing';
}
