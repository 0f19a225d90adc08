import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { bundle } from './bundle.js';
import { endAll, startBy, tell } from './holder.js';

let directory: string;
let name: string;
let programs: string;
let program: string;

beforeAll(async () => {
  programs = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  program = await bundle('holder-program.ts', programs);
});
afterAll(() => {
  fs.rmSync(programs, { recursive: true, force: true });
});
beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  name = path.join(directory, 'store.pw');
});
afterEach(async () => {
  await endAll();
  fs.rmSync(directory, { recursive: true, force: true });
});

test('a file size limit is PW_FULL, and what fitted is in the file', async ({ skip }) => {
  skip(process.platform === 'win32', 'needs ulimit');
  const filled = await startBy('ulimit -f 64 && exec "$@"', program, name);
  expect(await tell(filled, 'fill')).toMatchObject({ outcome: 'PW_FULL', details: { errno: 'EFBIG', path: name } });
  expect([64 * 512, 64 * 1024]).toContain(fs.statSync(name).size); // shells count in blocks of either size
});

test('a full file system is PW_FULL', async ({ skip }) => {
  skip(!canMount(), 'needs user namespaces, to mount a file system');
  const filled = await startBy(`mount -t tmpfs -o size=1m none '${directory}' && exec "$@"`, program, name, [
    'unshare',
    '-rm',
  ]);
  expect(await tell(filled, 'fill')).toMatchObject({ outcome: 'PW_FULL', details: { errno: 'ENOSPC', path: name } });
});

/** Whether this user may mount a file system that only a process of its own sees. */
function canMount(): boolean {
  if (process.platform !== 'linux') return false;
  return spawnSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'none', os.tmpdir()]).status === 0;
}
