// Markdown and HTML of an app, made harmless. Loaded only when an app has some: it is the biggest
// part of the renderer.

import DOMPurify from 'dompurify';
import { Marked } from 'marked';

const marked = new Marked({ gfm: true, breaks: false, async: false });

/** No styles, classes or ids: they could dress an app's text up as a part of our page. */
const RULES = {
    USE_PROFILES: { html: true },
    FORBID_TAGS: ['style', 'form', 'input', 'textarea', 'select', 'button', 'dialog', 'video', 'audio'],
    FORBID_ATTR: ['style', 'class', 'id', 'name', 'srcset', 'background', 'tabindex'],
    ALLOW_DATA_ATTR: false,
    ALLOW_ARIA_ATTR: false,
    // Also asked about other attributes ("center"), hence what has no scheme at all.
    ALLOWED_URI_REGEXP:
        /^(?:(?:https?|mailto):|data:image\/(?:png|jpe?g|gif|webp);|[^a-z]|[a-z+.-]+(?:[^a-z+.\-:]|$))/i,
    RETURN_DOM_FRAGMENT: true as const,
};

export function markdown(source: string): DocumentFragment {
    return clean(marked.parse(source) as string);
}

export function clean(source: string): DocumentFragment {
    const fragment = DOMPurify.sanitize(calm(source), RULES);
    for (const link of fragment.querySelectorAll('a[href]')) {
        link.setAttribute('target', '_blank');
        link.setAttribute('rel', 'noopener noreferrer');
    }
    // A picture whose author said nothing about it: better silent than read out as an address.
    for (const img of fragment.querySelectorAll('img:not([alt])')) img.setAttribute('alt', '');
    for (const box of fragment.querySelectorAll('pre, table')) box.setAttribute('tabindex', '0');
    return fragment;
}

/**
 * What the purifier would remove anyway, without the policy's report in the console while it
 * parses. Centred text, which Gradio's own titles are, goes over into an attribute.
 */
function calm(source: string): string {
    return source.replace(/<[a-z][^<>]*>/gi, (tag) =>
        tag.replace(/\s(style|on\w+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)/gi, (_, name, value) =>
            name.toLowerCase() === 'style' && /text-align:\s*center/i.test(value)
                ? ' align="center"'
                : '',
        ),
    );
}
