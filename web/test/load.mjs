// Loads a TypeScript module of src/ into a test.

import { build } from 'esbuild';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const src = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../src');

export async function load(file) {
    const { outputFiles } = await build({
        entryPoints: [path.join(src, file)],
        bundle: true,
        write: false,
        format: 'esm',
        target: 'es2022',
        logLevel: 'warning',
    });
    const code = Buffer.from(outputFiles[0].contents).toString('base64');
    return import(`data:text/javascript;base64,${code}`);
}
