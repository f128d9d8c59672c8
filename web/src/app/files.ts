// Files of an app: where they are read from, and sending one up.

import type { FileData } from './types';

export function isFile(value: unknown): value is FileData {
    return typeof value === 'object' && value !== null && 'path' in value;
}

/** Only what a browser may safely follow: this app's files, http(s), data images, own blobs. */
export function fileUrl(src: string, file: FileData | string | null | undefined): string {
    if (!file) return '';
    const path = typeof file === 'string' ? file : file.path || file.url || '';
    if (/^(https?:|data:(image|audio|video)\/|blob:)/i.test(path)) return path;
    if (!path.startsWith('/')) return typeof file === 'string' ? '' : httpOnly(file.url);
    return `${src}/gradio_api/file=${path.split('/').map(encodeURIComponent).join('/')}`;
}

const httpOnly = (url: string | null | undefined) => (/^https?:/i.test(url ?? '') ? url! : '');

export function fileName(file: FileData): string {
    return file.orig_name || (file.path || file.url || '').split('/').pop() || 'file';
}

export function formatBytes(bytes: number): string {
    const units = ['B', 'kB', 'MB', 'GB', 'TB'];
    let i = 0;
    while (bytes >= 1000 && i < units.length - 1) {
        bytes /= 1000;
        i++;
    }
    return `${i === 0 ? bytes : bytes.toFixed(1)} ${units[i]}`;
}

/** XMLHttpRequest, because fetch cannot tell how much has been sent. */
export function upload(
    src: string,
    files: File[],
    onShare: (share: number) => void,
): Promise<FileData[]> {
    const form = new FormData();
    for (const file of files) form.append('files', file, file.name || 'pasted.png');
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        request.open('POST', `${src}/gradio_api/upload`);
        request.setRequestHeader('X-Spaces-CSRF', '1');
        request.upload.onprogress = (e) => onShare(e.total ? e.loaded / e.total : 0);
        request.onerror = () => reject(new Error('no connection'));
        request.onload = () => {
            if (request.status !== 200) return reject(new Error(reason(request)));
            const paths = JSON.parse(request.responseText) as string[];
            resolve(paths.map((path, i) => describe(path, files[i]!)));
        };
        request.send(form);
    });
}

function describe(path: string, file: File): FileData {
    return {
        path,
        orig_name: file.name,
        size: file.size,
        mime_type: file.type || null,
        meta: { _type: 'gradio.FileData' },
    };
}

function reason(request: XMLHttpRequest): string {
    try {
        const body = JSON.parse(request.responseText) as { error?: string; detail?: string };
        return body.error ?? body.detail ?? String(request.status);
    } catch {
        return request.responseText.slice(0, 200) || String(request.status);
    }
}
