// Starts a real spacesd for a story in node:test, and stops it. The Python harness checks what is
// left behind; here a story only has to end.
import { spawn, execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, existsSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createInterface } from 'node:readline';
import { promisify } from 'node:util';

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), '../../..');
const BUILD = resolve(ROOT, process.env.BUILD ?? 'build-test');
const run = promisify(execFile);

export const skip = process.getuid() === 0 ? false : 'needs root: sandboxes are made with privilege';

export async function startDaemon(args = []) {
  const state = mkdtempSync(join(tmpdir(), 'spacesd-test-'));
  const log = openSync(`${state}.log`, 'a');
  const child = spawn(`${BUILD}/spacesd`, ['--state', state, '--listen', '127.0.0.1:0', ...args],
    { stdio: ['ignore', 'pipe', log] });
  const exited = new Promise((done) => child.once('exit', done));
  const [line] = await Promise.race([
    new Promise((done) => createInterface(child.stdout).once('line', (text) => done([text]))),
    exited.then((code) => { throw new Error(`spacesd exited with ${code}: ${readFileSync(`${state}.log`, 'utf8')}`); }),
  ]);
  const url = line.replace('ready url=', '').trim();
  const token = readFileSync(join(state, 'admin.token'), 'utf8').trim();
  const cli = (...words) => run(`${BUILD}/spaces`, words,
    { env: { ...process.env, SPACES_URL: url, SPACES_TOKEN: token, NO_COLOR: '1' } });
  const api = async (method, path, body, as = token) => {
    const answer = await fetch(url + path, {
      method, body: body && JSON.stringify(body),
      headers: { 'content-type': 'application/json', ...(as ? { authorization: `Bearer ${as}` } : {}) },
    });
    return answer.status === 204 ? null : answer.json();
  };
  return {
    url, token, state, cli, api,
    log: () => readFileSync(`${state}.log`, 'utf8'),
    deploy: (app, name) => cli('deploy', existsSync(app) ? app : join(ROOT, 'tests/e2e/apps', app), name, '--wait'),
    async stop() {
      child.kill('SIGTERM');
      const code = await exited;
      rmSync(state, { recursive: true, force: true });
      rmSync(`${state}.log`, { force: true });
      return code;
    },
  };
}
