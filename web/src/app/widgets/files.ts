// What holds files: pictures, sound, video, documents; and the way to bring one up.

import { html, nothing } from 'lit';
import { text } from '../strings';
import { str, type View, type Widget } from '../context';
import { fileName, fileUrl, formatBytes, isFile, upload } from '../files';
import type { FileData } from '../types';

const asList = (value: unknown): FileData[] =>
    (Array.isArray(value) ? value : [value]).filter(isFile);

// --- bringing one up ------------------------------------------------------------------------------------

async function take(view: View, files: File[], isMany: boolean): Promise<void> {
    if (!files.length) return;
    const { local } = view;
    local.problem = '';
    try {
        const sent = await upload(view.ctx.src, isMany ? files : files.slice(0, 1), (share) => {
            local.share = share;
            view.update();
        });
        view.input(isMany ? sent : sent[0], 'upload', 'input');
    } catch (error) {
        local.problem = text.uploadFailed((error as Error).message);
        view.ctx.announce(str(local.problem), true);
    }
    local.share = undefined;
    view.update();
}

const matches = (file: File, accept: string) =>
    !accept.includes('/') || file.type.startsWith(accept.split('/')[0]!);

function dropzone(view: View, accept: string, isMany: boolean, words: string) {
    const { local } = view;
    const from = (list: FileList | undefined | null) =>
        void take(view, [...(list ?? [])].filter((file) => matches(file, accept)), isMany);
    const picked = (e: Event) => {
        const field = e.target as HTMLInputElement;
        from(field.files);
        field.value = '';
    };
    const dropped = (e: DragEvent) => {
        e.preventDefault();
        from(e.dataTransfer?.files);
    };
    const busy = typeof local.share === 'number';
    return html`<label
            class="drop"
            @dragover=${(e: Event) => e.preventDefault()}
            @drop=${dropped}
            @paste=${(e: ClipboardEvent) => from(e.clipboardData?.files)}
        >
            <input
                id=${view.controlId}
                class="sr"
                type="file"
                accept=${accept || nothing}
                aria-label="${view.label}: ${words}"
                ?multiple=${isMany}
                ?disabled=${busy}
                @change=${picked}
            />
            <strong>${busy ? text.uploading(Math.round(Number(local.share) * 100)) : words}</strong>
            <span class="muted">${text.orDrop}</span>
        </label>
        ${local.problem ? html`<p class="problem" role="alert">${local.problem}</p>` : nothing}`;
}

function clear(view: View) {
    return html`<button
        class="icon corner"
        aria-label="${text.remove} ${view.label}"
        @click=${() => {
            view.input(null, 'clear', 'delete');
        }}
    >
        ×
    </button>`;
}

const download = (url: string, name: string) => html`<a
    class="button small corner"
    href=${url}
    download=${name}
    aria-label="${text.download} ${name}"
    >${text.download}</a
>`;

// --- pictures ---------------------------------------------------------------------------------------------

const blank = () => html`<div class="blank muted">${text.empty}</div>`;

function renderImage(view: View) {
    const file = asList(view.value)[0];
    if (!file)
        return view.isInteractive ? dropzone(view, 'image/*', false, text.uploadImage) : blank();
    const url = fileUrl(view.ctx.src, file);
    return html`<div class="picture">
        <img src=${url} alt=${view.label || fileName(file)} />
        ${view.isInteractive ? clear(view) : download(url, fileName(file))}
    </div>`;
}

function paintImage(view: View, host: HTMLElement) {
    const height = view.props.height;
    const img = host.querySelector('img');
    if (img && typeof height === 'number') img.style.maxHeight = `${height}px`;
}

function renderGallery(view: View) {
    const items = Array.isArray(view.value) ? (view.value as Record<string, unknown>[]) : [];
    if (!items.length) return blank();
    return html`<ul class="gallery">
        ${items.map(({ image, video, caption }) => {
            const url = fileUrl(view.ctx.src, (image ?? video) as FileData);
            return html`<li>
                ${image
                    ? html`<img src=${url} alt=${str(caption, view.label)} loading="lazy" />`
                    : html`<video src=${url} controls></video>`}
                ${caption ? html`<p>${caption}</p>` : nothing}
            </li>`;
        })}
    </ul>`;
}

// --- sound and video ----------------------------------------------------------------------------------------

function media(kind: 'audio' | 'video'): Widget {
    const player = (url: string, label: string) =>
        kind === 'audio'
            ? html`<audio controls src=${url} aria-label=${label}></audio>`
            : html`<video controls src=${url} aria-label=${label}></video>`;
    return {
        label: 'text',
        render: (view) => {
            const value = view.value as { video?: unknown } | null;
            const file = asList(value?.video ?? value)[0];
            if (!file)
                return view.isInteractive
                    ? dropzone(view, `${kind}/*`, false, text.upload)
                    : blank();
            const url = fileUrl(view.ctx.src, file);
            return html`<div class="picture">
                ${player(url, view.label)}
                ${view.isInteractive ? clear(view) : download(url, fileName(file))}
            </div>`;
        },
    };
}

// --- documents ------------------------------------------------------------------------------------------------

function renderFile(view: View) {
    const list = asList(view.value);
    const isMany = view.props.file_count === 'multiple' || view.props.file_count === 'directory';
    const types = Array.isArray(view.props.file_types) ? view.props.file_types.map(String) : [];
    const accept = types.map((t) => (t.startsWith('.') ? t : `${t}/*`)).join(',');
    if (!list.length)
        return view.isInteractive
            ? dropzone(view, accept, isMany, isMany ? text.uploadMany : text.upload)
            : blank();
    return html`<ul class="files">
            ${list.map(
                (file) => html`<li>
                    <a href=${fileUrl(view.ctx.src, file)} download=${fileName(file)}
                        >${fileName(file)}</a
                    >
                    <span class="muted">${file.size ? formatBytes(file.size) : ''}</span>
                </li>`,
            )}
        </ul>
        ${view.isInteractive ? clear(view) : nothing}`;
}

const uploadbutton: Widget = {
    label: 'none',
    render: (view) => html`<label class="button upload ${str(view.props.variant, 'secondary')}">
        <input
            class="sr"
            type="file"
            ?multiple=${view.props.file_count === 'multiple'}
            @change=${(e: Event) =>
                take(
                    view,
                    [...((e.target as HTMLInputElement).files ?? [])],
                    view.props.file_count === 'multiple',
                )}
        />${view.label}
    </label>`,
};

const downloadbutton: Widget = {
    label: 'none',
    render: (view) => {
        const file = asList(view.value)[0];
        return html`<a
            class="button"
            href=${file ? fileUrl(view.ctx.src, file) : nothing}
            download=${file ? fileName(file) : nothing}
            @click=${() => view.trigger('click')}
            >${view.label}</a
        >`;
    },
};

export const files: Record<string, Widget> = {
    image: { label: 'text', render: renderImage, painted: paintImage },
    gallery: { label: 'text', render: renderGallery },
    audio: media('audio'),
    video: media('video'),
    file: { label: 'text', render: renderFile },
    uploadbutton,
    downloadbutton,
};
