// "API": the endpoints of the app, with code to call them.

import { html, nothing, type PropertyValues } from 'lit';
import { text } from './strings';
import type { Space } from './api';
import { Page } from './page';
import { appPath } from './router';
import { snippets, type Endpoint } from './snippets';

interface Info {
    named_endpoints: Record<string, Endpoint & { api_visibility?: string }>;
}

class HubApi extends Page {
    static override properties = { space: { attribute: false }, info: { state: true } };
    declare space: Space;
    declare info: Info | null | 'failed';
    private asked = '';

    override willUpdate(changed: PropertyValues) {
        const key = `${this.space.id} ${this.space.runtime.stage}`;
        if (changed.has('space') && key !== this.asked) void this.load(key);
    }

    private async load(key: string): Promise<void> {
        this.asked = key;
        try {
            const answer = await fetch(`${appPath(this.space.id)}/gradio_api/info`, {
                headers: { 'X-Spaces-CSRF': '1' },
            });
            this.info = answer.ok ? ((await answer.json()) as Info) : 'failed';
        } catch {
            this.info = 'failed';
        }
    }

    private get base(): string {
        return location.origin + appPath(this.space.id);
    }

    override render() {
        if (!this.info) return html`<div class="skeleton" role="status">
            <span class="sr">${text.loading}</span>
        </div>`;
        if (this.info === 'failed') return html`<p class="panel center">${text.apiFailed}</p>`;
        const all = Object.entries(this.info.named_endpoints).filter(
            ([, e]) => (e.api_visibility ?? 'public') === 'public',
        );
        return html`<div class="api">
            <p>${text.apiLead} <code>${this.base}</code></p>
            ${this.space.private ? html`<p class="note">${text.apiPrivate}</p>` : nothing}
            <h2>${all.length ? text.endpoints(all.length) : text.noEndpoints}</h2>
            ${all.map(([name, endpoint]) => this.renderEndpoint(name, endpoint))}
        </div>`;
    }

    private renderEndpoint(name: string, endpoint: Endpoint) {
        const code = snippets(this.base, name, endpoint, this.space.private);
        return html`<article class="panel endpoint">
            <h3><code>${name}</code></h3>
            ${endpoint.description ? html`<p>${endpoint.description}</p>` : nothing}
            ${endpoint.parameters.length ? renderParameters(endpoint) : nothing}
            <p class="muted">
                ${text.returns}:
                ${endpoint.returns.map((r) => `${r.label} (${r.python_type?.type})`).join(', ') || '–'}
            </p>
            ${Object.entries(code).map(([language, body]) => renderCode(language, body))}
        </article>`;
    }
}

function renderParameters(endpoint: Endpoint) {
    return html`<div class="scroll" tabindex="0" role="region" aria-label=${text.parameter}>
        <table>
            <thead>
                <tr>
                    <th>${text.parameter}</th>
                    <th>${text.type}</th>
                    <th>${text.defaultValue}</th>
                </tr>
            </thead>
            <tbody>
                ${endpoint.parameters.map(
                    (p) => html`<tr>
                        <td><code>${p.parameter_name}</code></td>
                        <td>${p.python_type?.type ?? p.component}</td>
                        <td>
                            ${p.parameter_has_default
                                ? html`<code>${JSON.stringify(p.parameter_default ?? null)}</code>`
                                : text.required}
                        </td>
                    </tr>`,
                )}
            </tbody>
        </table>
    </div>`;
}

function renderCode(language: string, code: string) {
    const copy = async (e: Event) => {
        const button = e.currentTarget as HTMLButtonElement;
        await navigator.clipboard?.writeText(code);
        button.textContent = text.copied;
    };
    return html`<div class="snippet">
        <div class="snippet-head">
            <span>${language}</span>
            <button class="small" aria-label=${text.copyCode(language)} @click=${copy}>Copy</button>
        </div>
        <pre class="code" tabindex="0" aria-label=${language}>${code}</pre>
    </div>`;
}

customElements.define('hub-api', HubApi);
