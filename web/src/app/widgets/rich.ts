// Components that need prose.ts: markdown, html, chats.

import { html, nothing } from 'lit';
import { str, type View, type Widget } from '../context';
import { fileName, fileUrl, isFile } from '../files';
import { text } from '../strings';

let prose: typeof import('./prose') | null = null;

/** Fills each `.prose` from its `data-source`; what is drawn already is left alone. */
async function fill(view: View, host: HTMLElement): Promise<void> {
    prose ??= await import('./prose');
    for (const box of host.querySelectorAll<HTMLElement>('.prose')) {
        const { source = '', kind } = box.dataset;
        if (drawn.get(box) === source) continue;
        drawn.set(box, source);
        const content = kind === 'html' ? prose.clean(source) : prose.markdown(source);
        if (view.ctx.isEmbedded) lowerHeadings(content);
        box.replaceChildren(content);
    }
}

/** They look the same; only the outline of the page changes. */
function lowerHeadings(content: DocumentFragment): void {
    for (const old of content.querySelectorAll('h1, h2, h3, h4, h5')) {
        const level = Number(old.tagName[1]);
        const heading = document.createElement(`h${level + 1}`);
        heading.className = `as-h${level}`;
        const align = old.getAttribute('align');
        if (align) heading.setAttribute('align', align);
        heading.append(...old.childNodes);
        old.replaceWith(heading);
    }
}

const drawn = new WeakMap<HTMLElement, string>();

const box = (source: unknown, kind: 'markdown' | 'html') =>
    html`<div class="prose" data-kind=${kind} data-source=${str(source)}></div>`;

const painted = (view: View, host: HTMLElement) => void fill(view, host);

// --- chat -----------------------------------------------------------------------------------------------

interface Part {
    type?: string;
    text?: string;
    file?: unknown;
    alt_text?: string;
}

interface Message {
    role: string;
    content: unknown;
    metadata?: { title?: string; status?: string } | null;
}

/** Parts whatever the age of the app: a list of parts, one part, or a plain string. */
function parts(content: unknown): Part[] {
    const list = Array.isArray(content) ? content : [content];
    return list.map((c): Part => {
        if (typeof c === 'string') return { type: 'text', text: c };
        if (isFile(c)) return { type: 'file', file: c };
        return (c ?? {}) as Part;
    });
}

function messages(value: unknown): Message[] {
    if (!Array.isArray(value)) return [];
    return value.flatMap((item: unknown): Message[] => {
        if (!Array.isArray(item)) return [item as Message];
        const pair = [
            { role: 'user', content: item[0] },
            { role: 'assistant', content: item[1] },
        ];
        return pair.filter((m) => m.content !== null && m.content !== undefined);
    });
}

function renderPart(view: View, part: Part) {
    if (part.type === 'file' && isFile(part.file)) {
        const url = fileUrl(view.ctx.src, part.file);
        const name = part.alt_text || fileName(part.file);
        return /\.(png|jpe?g|gif|webp)$/i.test(part.file.path)
            ? html`<img src=${url} alt=${name} />`
            : html`<a href=${url} download=${name}>${name}</a>`;
    }
    return box(part.text ?? '', 'markdown');
}

function renderMessage(view: View, message: Message) {
    const body = parts(message.content).map((part) => renderPart(view, part));
    const title = message.metadata?.title;
    return html`<div class="message ${message.role === 'user' ? 'user' : 'bot'}">
        ${title
            ? html`<details ?open=${message.metadata?.status === 'pending'}>
                  <summary>${title}</summary>
                  ${body}
              </details>`
            : body}
    </div>`;
}

const chatbot: Widget = {
    label: 'text',
    render: (view) => {
        const list = messages(view.value);
        return html`<div class="chat" role="log" tabindex="0" aria-label=${view.label}>
            ${list.length
                ? list.map((m) => renderMessage(view, m))
                : html`<div class="blank muted">${view.props.placeholder ?? text.empty}</div>`}
        </div>`;
    },
    painted: (view, host) => {
        const log = host.querySelector('.chat')!;
        const isAtEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 80;
        const { height } = view.props;
        if (typeof height === 'number') (log as HTMLElement).style.maxHeight = `${height}px`;
        void fill(view, host).then(() => isAtEnd && (log.scrollTop = log.scrollHeight));
    },
};

export const rich: Record<string, Widget> = {
    markdown: { label: 'none', render: (view) => box(view.value, 'markdown'), painted },
    html: {
        label: 'text',
        render: (view) => (view.value ? box(view.value, 'html') : nothing),
        painted,
    },
    chatbot,
};
