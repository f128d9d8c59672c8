// Bundles the pages and writes what the daemon embeds: node build.mjs --out DIR
//
// DIR/files holds each file raw and as .gz, DIR/assets.S includes their bytes, DIR/assets.c is the
// table (struct sp_asset of runtime/api/assets.h). A bundle over its budget fails the build.

import { build, transform } from 'esbuild';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const web = path.dirname(fileURLToPath(import.meta.url));

/** gzip -9 bytes of an entry with everything that it loads at once. */
const BUDGETS = [
    { name: 'space-app', entries: ['src/app-page.ts'], limit: 20 * 1024 },
    { name: 'hub', entries: ['src/hub/main.ts'], limit: 25 * 1024 },
    {
        name: 'first page',
        entries: ['src/hub/main.ts', 'src/app-page.ts', 'src/hub/hub.css', 'src/theme.ts'],
        limit: 60 * 1024,
    },
    { name: 'everything', entries: null, limit: 500 * 1024 },
];

const TYPES = {
    '.js': 'text/javascript; charset=utf-8',
    '.css': 'text/css; charset=utf-8',
    '.svg': 'image/svg+xml',
    '.html': 'text/html; charset=utf-8',
    '.txt': 'text/plain; charset=utf-8',
};

const ENTRIES = [
    { in: 'src/hub/main.ts', out: 'hub' },
    { in: 'src/app-page.ts', out: 'app-page' },
    { in: 'src/app/space-app.ts', out: 'space-app' },
    { in: 'src/hub/hub.css', out: 'hub' },
    { in: 'src/app-page.css', out: 'app-page' },
];

/** A stylesheet imported by a script becomes its minified text, for adoptedStyleSheets. */
const cssText = {
    name: 'css-text',
    setup({ onLoad, onResolve }) {
        onResolve({ filter: /\.css$/ }, (args) =>
            args.kind === 'import-statement'
                ? { path: path.resolve(args.resolveDir, args.path), namespace: 'css-text' }
                : undefined,
        );
        onLoad({ filter: /.*/, namespace: 'css-text' }, async (args) => ({
            contents: (
                await transform(readFileSync(args.path, 'utf8'), { loader: 'css', minify: true })
            ).code.trimEnd(),
            loader: 'text',
            watchFiles: [args.path],
        }));
    },
};

/** Indentation between two tags of a template is not content. */
const tightTemplates = {
    name: 'tight-templates',
    setup({ onLoad }) {
        onLoad({ filter: /web\/src\/.*\.ts$/ }, (args) => ({
            contents: readFileSync(args.path, 'utf8')
                .replace(/>\s*\n\s*</g, '><')
                .replace(/>\n\s+\$\{/g, '>${')
                .replace(/\}\n\s+</g, '}<'),
            loader: 'ts',
        }));
    },
};

const common = {
    absWorkingDir: web,
    bundle: true,
    minify: true,
    target: 'es2022',
    entryNames: '[name]-[hash]',
    chunkNames: '[name]-[hash]',
    metafile: true,
    write: false,
    logLevel: 'warning',
    legalComments: 'none',
    plugins: [cssText, tightTemplates],
};

async function bundle() {
    const entryPoints = ENTRIES.filter((e) => existsSync(path.join(web, e.in)));
    const modules = await build({
        ...common,
        entryPoints,
        outdir: '/assets',
        format: 'esm',
        splitting: true,
    });
    const theme = await build({
        ...common,
        entryPoints: [{ in: 'src/theme.ts', out: 'theme' }],
        outdir: '/assets',
        format: 'iife',
    });
    return [modules, theme];
}

const hash = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** Url path -> bytes, and source entry -> its url path and those that it imports at once. */
function collect(results) {
    const files = new Map();
    const entries = new Map();
    const outputs = {};
    for (const result of results) {
        for (const file of result.outputFiles)
            files.set('/assets/' + path.basename(file.path), Buffer.from(file.contents));
        for (const [name, output] of Object.entries(result.metafile.outputs))
            outputs['/assets/' + path.basename(name)] = output;
    }
    for (const [url, output] of Object.entries(outputs))
        if (output.entryPoint) entries.set(output.entryPoint, [url, ...staticImports(outputs, url)]);
    return { files, entries };
}

function staticImports(outputs, url, seen = new Set()) {
    for (const { path: to, kind } of outputs[url].imports) {
        const target = '/assets/' + path.basename(to);
        if (kind !== 'import-statement' || seen.has(target) || !outputs[target]) continue;
        seen.add(target);
        staticImports(outputs, target, seen);
    }
    return [...seen];
}

function addPages({ files, entries }) {
    const icon = readFileSync(path.join(web, 'src/icon.svg'));
    const iconUrl = `/assets/icon-${hash(icon).slice(0, 8).toUpperCase()}.svg`;
    files.set(iconUrl, icon);
    const url = (source) => entries.get(source)?.[0] ?? '';
    const names = {
        'icon.svg': iconUrl,
        'theme.js': url('src/theme.ts'),
        'hub.js': url('src/hub/main.ts'),
        'hub.css': url('src/hub/hub.css'),
        'app-page.js': url('src/app-page.ts'),
        'app-page.css': url('src/app-page.css'),
    };
    for (const page of ['hub.html', 'app-page.html']) {
        const html = readFileSync(path.join(web, 'src', page), 'utf8');
        const filled = html.replace(/\{\{([^}]+)\}\}/g, (_, name) => names[name]);
        files.set('/' + page, Buffer.from(filled));
    }
    files.set('/licenses', Buffer.from(licences()));
    // The stable name for pages elsewhere; relative, so that it leads back to us.
    const app = url('src/app/space-app.ts');
    files.set('/space-app.js', Buffer.from(`import ".${app}";\n`));
}

/** The notices of the packages whose code is in the bundles. */
function licences() {
    const packages = ['lit', 'lit-html', 'lit-element', '@lit/reactive-element', 'marked', 'dompurify'];
    return packages
        .map((name) => {
            const folder = path.join(web, 'node_modules', name);
            const { version, license } = JSON.parse(readFileSync(path.join(folder, 'package.json')));
            const file = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'].find((f) =>
                existsSync(path.join(folder, f)),
            );
            const body = file ? readFileSync(path.join(folder, file), 'utf8').trim() : '';
            return `${name} ${version} (${license})\n\n${body}\n`;
        })
        .join('\n' + '-'.repeat(78) + '\n\n');
}

function checkBudgets({ files, entries }, gz) {
    const sizeOf = (urls) => urls.reduce((sum, url) => sum + gz.get(url).length, 0);
    let failed = false;
    for (const { name, entries: sources, limit } of BUDGETS) {
        const urls = sources ? new Set(sources.flatMap((s) => entries.get(s) ?? [])) : files.keys();
        const size = sizeOf([...urls]);
        const verdict = size <= limit ? 'ok' : 'OVER BUDGET';
        console.log(`  ${name.padEnd(12)} ${String(size).padStart(7)} of ${limit} B gz  ${verdict}`);
        failed ||= size > limit;
    }
    if (failed) process.exit(1);
}

// --- C and assembler --------------------------------------------------------------------------------

function writeAssembler(out, list) {
    const lines = ['/* Made by web/build.mjs. */', '.section .rodata', ''];
    const blob = (symbol, file) =>
        lines.push(
            '.balign 16',
            `.globl ${symbol}`,
            `.globl ${symbol}_end`,
            `${symbol}:`,
            `.incbin ${JSON.stringify(file)}`,
            `${symbol}_end:`,
            // One byte after the end, so that an empty file still has an address of its own.
            '.byte 0',
        );
    list.forEach(({ raw, gz }, i) => {
        blob(`sp_asset_${i}_raw`, raw);
        blob(`sp_asset_${i}_gz`, gz);
    });
    lines.push('.section .note.GNU-stack,"",@progbits', '');
    writeFileSync(path.join(out, 'assets.S'), lines.join('\n'));
}

function writeTable(out, list) {
    const names = list.flatMap((_, i) =>
        ['raw', 'gz'].flatMap((kind) => [`sp_asset_${i}_${kind}[]`, `sp_asset_${i}_${kind}_end[]`]),
    );
    const rows = list.map(
        ({ url, type, etag, immutable }, i) =>
            `    {"${url}", "${type}", "\\"${etag}\\"", sp_asset_${i}_gz, sp_asset_${i}_gz_end,\n` +
            `     sp_asset_${i}_raw, sp_asset_${i}_raw_end, ${immutable}},`,
    );
    const text = `/* Made by web/build.mjs. */
#include "runtime/api/assets.h"

extern const char ${names.join(',\n    ')};

const struct sp_asset sp_asset_table[] = {
${rows.join('\n')}
};
const size_t sp_asset_count = ${list.length};
`;
    writeFileSync(path.join(out, 'assets.c'), text);
}

function writeAll(out, files, gz) {
    const folder = path.join(out, 'files');
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true });
    const list = [...files.keys()].sort().map((url) => {
        const raw = path.resolve(folder, path.basename(url));
        writeFileSync(raw, files.get(url));
        writeFileSync(raw + '.gz', gz.get(url));
        const immutable = url.startsWith('/assets/');
        const type = TYPES[path.extname(url)] ?? TYPES['.txt'];
        const etag = hash(files.get(url)).slice(0, 16);
        return { url, type, etag, immutable, raw, gz: raw + '.gz' };
    });
    writeAssembler(out, list);
    writeTable(out, list);
}

const at = process.argv.indexOf('--out');
const out = path.resolve(at > 0 ? process.argv[at + 1] : 'dist');
const site = collect(await bundle());
addPages(site);
const gz = new Map([...site.files].map(([url, bytes]) => [url, gzipSync(bytes, { level: 9 })]));
checkBudgets(site, gz);
writeAll(out, site.files, gz);
