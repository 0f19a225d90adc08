/** Locks of holders in another container of this machine, of which a process number says nothing. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { NodeFiles, PosixFiles } from '../src/index.js';
import { ProgramFolder } from './addon-processes.js';
import { endAll, kill, startBy, tell } from './holder.js';
import { codeOf, rejectionOf } from './rejection.js';
import { byAddon, withoutAddon } from './subjects.js';

const WRAPPER = ['unshare', '-rpf', '--kill-child'];

let programs: ProgramFolder;
let program: string;
let directory: string;
let name: string;

beforeAll(async () => {
  programs = new ProgramFolder();
  program = await programs.bundled('holder-program.ts');
});
afterAll(() => programs.remove());
beforeEach(({ skip }) => {
  skip(withoutAddon !== undefined, withoutAddon);
  skip(process.platform !== 'linux' || spawnSync('unshare', [...WRAPPER.slice(1), 'true']).status !== 0, NEEDS);
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  name = path.join(directory, 'store.pw');
});
afterEach(async () => {
  await endAll();
  if (directory !== undefined) fs.rmSync(directory, { recursive: true, force: true });
});

const NEEDS = 'needs namespaces of process numbers';
const holderElsewhere = (args: readonly string[]) => startBy('exec "$@"', program, name, { wrapper: WRAPPER, args });

test('a holder elsewhere holds while it lives, and is taken over when it has ended', async () => {
  const holder = await holderElsewhere(['addon']);
  expect(await tell(holder, 'lock')).toMatchObject({ outcome: 'held' });
  const [native, plain] = await Promise.all([byAddon.make().open(name, {}), new NodeFiles().open(name, {})]);
  for (const file of [native, plain]) expect(await codeOf(file.lock())).toBe('PW_LOCKED');
  await kill(holder);
  // Its namespace ends a moment after the process that made it.
  const lock = await vi.waitFor(() => native.lock(), { timeout: 30_000 });
  expect(await codeOf(plain.lock())).toBe('PW_LOCKED');
  await lock.release();
  await (await plain.lock()).release();
  await Promise.all([native.close(), plain.close()]);
});

test('of a holder elsewhere that has ended nothing is known to who has no such locks', async () => {
  const holder = await holderElsewhere(['addon']);
  await tell(holder, 'lock');
  await kill(holder);
  const [native, plain] = await Promise.all([byAddon.make().open(name, {}), new NodeFiles().open(name, {})]);
  const { code, message } = await rejectionOf(plain.lock());
  expect({ code, message }).toEqual({ code: 'PW_LOCKED', message: expect.stringContaining('store.pw.lock') });
  const lock = await vi.waitFor(() => native.lock(), { timeout: 30_000 });
  await lock.release();
  await Promise.all([native.close(), plain.close()]);
});

test('a holder elsewhere without such a lock is not taken over, ended or not', async () => {
  const holder = await holderElsewhere([]);
  expect(await tell(holder, 'lock')).toMatchObject({ outcome: 'held' });
  const native = await byAddon.make().open(name, {});
  expect(await codeOf(native.lock())).toBe('PW_LOCKED');
  await kill(holder);
  expect(await codeOf(native.lock())).toBe('PW_LOCKED');
  await native.close();
});

test('who joins a lock of the kernel takes one as well', async () => {
  const files = new PosixFiles({ native: true });
  const [holding, joining] = await Promise.all([
    files.open(name, { create: true }),
    files.open(name, { create: true }),
  ]);
  const lock = await holding.lock();
  expect(locksOn(`${name}.lock`)).toBe(1);
  const joined = await joining.joinLock!(lock.name!);
  expect(locksOn(`${name}.lock`)).toBe(2);
  await joined.release();
  await lock.release();
  await Promise.all([holding.close(), joining.close()]);
});

test('a thread without such locks joins as well, and then nobody relies on the kernel any more', async () => {
  const holder = await holderElsewhere([]);
  expect(await tell(holder, 'lock-in-thread')).toMatchObject({ outcome: 'held' });
  expect(locksOn(`${name}.lock`)).toBe(1);
  expect(await tell(holder, 'join-thread')).toMatchObject({ outcome: 'joined' });
  expect(await tell(holder, 'end-thread')).toMatchObject({ outcome: 'ended' });
  expect(locksOn(`${name}.lock`)).toBe(0);
  const other = await byAddon.make().open(name, {});
  const { code, message } = await rejectionOf(other.lock());
  expect({ code, message }).toEqual({ code: 'PW_LOCKED', message: expect.stringContaining('store.pw.lock') });
  await other.close();
});

/** Locks of the kernel on a file, whoever has them. */
function locksOn(file: string): number {
  const { ino } = fs.statSync(file);
  return fs.readFileSync('/proc/locks', 'utf8').split(`:${ino} `).length - 1;
}
