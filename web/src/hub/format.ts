// How the hub says stages, times and sizes.

export interface Chip {
    icon: string;
    text: string;
    tone: 'ok' | 'busy' | 'idle' | 'error';
}

const HARDWARE: Record<string, string> = { 'cpu-basic': 'CPU basic', 'cpu-upgrade': 'CPU upgrade' };

export const hardwareName = (flavour: string | undefined) =>
    HARDWARE[flavour ?? ''] ?? flavour ?? 'CPU';

const CHIPS: Record<string, Chip> = {
    NO_APP_FILE: { icon: '○', text: 'No app file', tone: 'idle' },
    CONFIG_ERROR: { icon: '▲', text: 'Config error', tone: 'error' },
    BUILDING: { icon: '◐', text: 'Building', tone: 'busy' },
    APP_STARTING: { icon: '◐', text: 'Starting', tone: 'busy' },
    RUNNING_BUILDING: { icon: '●', text: 'Running · ◐ building', tone: 'ok' },
    RUNNING_APP_STARTING: { icon: '●', text: 'Running · ◐ building', tone: 'ok' },
    SLEEPING: { icon: '☾', text: 'Sleeping', tone: 'idle' },
    STOPPED: { icon: '☾', text: 'Sleeping', tone: 'idle' },
    PAUSED: { icon: '‖', text: 'Paused', tone: 'idle' },
    BUILD_ERROR: { icon: '▲', text: 'Build error', tone: 'error' },
    RUNTIME_ERROR: { icon: '▲', text: 'Runtime error', tone: 'error' },
    DELETING: { icon: '◌', text: 'Deleting', tone: 'idle' },
    QUEUED: { icon: '◐', text: 'Waiting for room', tone: 'busy' },
};

export function chip(stage: string, hardware?: string): Chip {
    if (stage === 'RUNNING')
        return { icon: '●', text: `Running on ${hardwareName(hardware)}`, tone: 'ok' };
    return CHIPS[stage] ?? { icon: '○', text: stage, tone: 'idle' };
}

/** What to show in place of the app; null where the app itself is shown. */
export function stageSentence(stage: string): string | null {
    return (
        {
            NO_APP_FILE: 'Add an app file to start.',
            CONFIG_ERROR: 'The configuration of this Space is wrong.',
            BUILDING: 'The app is being built.',
            APP_STARTING: 'Waiting for the app to answer.',
            SLEEPING: 'This Space is sleeping due to inactivity.',
            STOPPED: 'This Space is sleeping due to inactivity.',
            PAUSED: 'Paused by its owner.',
            BUILD_ERROR: 'The build of this Space failed.',
            RUNTIME_ERROR: 'The app has ended with an error.',
            DELETING: 'This Space is being deleted.',
            QUEUED: 'Waiting for room on the server.',
        }[stage] ?? null
    );
}

export function age(iso: string | null | undefined, now: number): string {
    const seconds = (now - Date.parse(iso ?? '')) / 1000;
    if (Number.isNaN(seconds)) return '';
    const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' });
    const units: [Intl.RelativeTimeFormatUnit, number][] = [
        ['year', 31557600],
        ['month', 2629800],
        ['day', 86400],
        ['hour', 3600],
        ['minute', 60],
    ];
    for (const [unit, length] of units)
        if (seconds >= length) return format.format(-Math.floor(seconds / length), unit);
    return 'just now';
}

export function memory(bytes: number): string {
    const gib = bytes / 2 ** 30;
    return gib >= 1 ? `${trim(gib)} GiB` : `${trim(bytes / 2 ** 20)} MiB`;
}

const trim = (n: number) => n.toFixed(1).replace(/\.0$/, '');

/** Same rule as the server's: it checks again. */
export function isGoodName(name: string): boolean {
    return (
        /^[A-Za-z0-9_](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?$/.test(name) &&
        !/--|\.\.|\.git$/.test(name)
    );
}

/** Log lines as text: colours, cursor movements and other controls of a terminal removed. */
export function stripAnsi(line: string): string {
    return line
        .replace(/\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)/g, '')
        .replace(/\x1b\[[0-9;?]*[ -/]*[@-~]/g, '')
        .replace(/\x1b[@-_]/g, '')
        .replace(/[\x00-\x08\x0b-\x1f\x7f]/g, '');
}
