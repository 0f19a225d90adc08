import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Worker } from 'node:worker_threads';
import type { IoFile } from '@pagewright/core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { NodeFiles } from '../src/index.js';
import { describeSelf, textOf } from '../src/process-identity.js';
import { bundle } from './bundle.js';
import { endAll, kill, spawnShell, start, startBy, tell } from './holder.js';
import { codeOf, rejectionOf } from './rejection.js';

const linux = process.platform === 'linux';
const files = new NodeFiles();
let programs: string;
let program: string;
let directory: string;
let name: string;
let lockFile: string;
const opened: IoFile[] = [];

beforeAll(async () => {
  programs = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-'));
  program = await bundle('holder-program.ts', programs);
});
afterAll(() => {
  fs.rmSync(programs, { recursive: true, force: true });
});
beforeEach(() => {
  directory = fs.realpathSync(fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-io-')));
  name = path.join(directory, 'store.pw');
  lockFile = `${name}.lock`;
  fs.writeFileSync(name, new Uint8Array(4));
});
afterEach(async () => {
  await endAll();
  for (const each of opened.splice(0)) await each.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

describe('one process', () => {
  test('a file can be locked once, and again when it was released', async () => {
    const [file, other] = [await open(name), await open(name)];
    const lock = await file.lock();
    expect(await rejectionOf(other.lock())).toMatchObject({ code: 'PW_LOCKED', details: { pid: process.pid } });
    expect(await codeOf(file.lock())).toBe('PW_LOCKED');
    await Promise.all([lock.release(), lock.release()]);
    await lock.release();
    await (await other.lock()).release();
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
  });

  test('of two that ask at the same time one gets it', async () => {
    const [file, other] = [await open(name), await open(name)];
    const outcomes = await Promise.allSettled([file.lock(), other.lock()]);
    expect(outcomes.map((each) => each.status).sort()).toEqual(['fulfilled', 'rejected']);
  });

  test('a file that is open read-only can be locked against writers', async () => {
    const reader = await files.open(name, { readOnly: true });
    opened.push(reader);
    await reader.lock();
    expect(await codeOf((await open(name)).lock())).toBe('PW_LOCKED');
  });

  test('closing a file gives its lock back', async () => {
    const file = await open(name);
    await file.lock();
    await file.close();
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
    await (await open(name)).lock();
  });

  test.each(['symbolic', 'hard'])('another name of the file, by a %s link, is the same file', async (kind) => {
    const alias = path.join(directory, 'alias');
    if (kind === 'hard') fs.linkSync(name, alias);
    else fs.symlinkSync(name, alias);
    await (await open(name)).lock();
    expect(await codeOf((await open(alias)).lock())).toBe('PW_LOCKED');
  });

  test('a file whose name was given to another is not locked by that name', async () => {
    const file = await open(name);
    fs.renameSync(name, `${name}-2`);
    fs.writeFileSync(name, '');
    expect(await codeOf(file.lock())).toBe('PW_IO');
    expect(fs.readdirSync(directory).sort()).toEqual(['store.pw', 'store.pw-2']);
  });

  test('a lock file that somebody put in the place of ours is not removed', async () => {
    const lock = await (await open(name)).lock();
    fs.writeFileSync(lockFile, recordOf({ token: 'theirs' }));
    await lock.release();
    expect(fs.existsSync(lockFile)).toBe(true);
  });

  test('another thread cannot take it, and a thread that ended does not hold it', async () => {
    const file = await open(name);
    const lock = await file.lock();
    const worker = new Worker(program, { workerData: name });
    await once(worker, 'message');
    expect(await tell(worker, 'lock')).toMatchObject({ outcome: 'PW_LOCKED', details: { pid: process.pid } });
    await lock.release();
    expect(await tell(worker, 'lock')).toEqual({ outcome: 'held' });
    expect(await codeOf(file.lock())).toBe('PW_LOCKED');
    await worker.terminate();
    if (linux) await (await file.lock()).release();
    else expect(await codeOf(file.lock())).toBe('PW_LOCKED'); // only Linux says which descriptors are open
  });
});

describe('a lock that another thread of the process has', () => {
  /** A thread that holds it, and the lock's name. */
  async function holdingThread(): Promise<{ worker: Worker; lockName: string }> {
    const worker = new Worker(program, { workerData: name });
    await once(worker, 'message');
    expect(await tell(worker, 'lock')).toEqual({ outcome: 'held' });
    return { worker, lockName: (await tell(worker, 'name')).outcome };
  }

  test('can be joined, and is not given to others before all that joined it have let go, when its holder has ended', async () => {
    const { worker, lockName } = await holdingThread();
    const joined = [await open(name), await open(name)];
    const locks = await Promise.all(joined.map((file) => file.joinLock!(lockName)));
    await worker.terminate();
    const other = await open(name);
    const error = await rejectionOf(other.lock());
    expect(error).toMatchObject({ code: 'PW_LOCKED', details: { pid: process.pid } });
    expect(error.message).toContain('all threads');
    await Promise.all([locks[0]!.release(), locks[0]!.release()]);
    expect(await codeOf(other.lock())).toBe('PW_LOCKED');
    await joined[1]!.close();
    if (linux) await other.lock();
    else expect(await codeOf(other.lock())).toBe('PW_LOCKED');
  });

  test('keeps who joined it out of the way of who has it, and is given back by that one alone', async () => {
    const { worker, lockName } = await holdingThread();
    const joined = await (await open(name)).joinLock!(lockName);
    await joined.release();
    const file = await open(name);
    expect(await codeOf(file.lock())).toBe('PW_LOCKED');
    const again = await (await open(name)).joinLock!(lockName);
    await tell(worker, 'release');
    await file.lock();
    await again.release();
    expect(await codeOf((await open(name)).lock())).toBe('PW_LOCKED');
    await worker.terminate();
  });

  test('cannot be joined once its holder has ended, given it back, or given it up to another one', async ({ skip }) => {
    const { worker, lockName } = await holdingThread();
    expect(await codeOf((await open(name)).joinLock!('another'))).toBe('PW_CLOSED');
    await tell(worker, 'release');
    expect(await codeOf((await open(name)).joinLock!(lockName))).toBe('PW_CLOSED');
    expect(await tell(worker, 'lock')).toEqual({ outcome: 'held' });
    const later = (await tell(worker, 'name')).outcome;
    await worker.terminate();
    skip(!linux, 'only Linux says which descriptors are open');
    expect(await codeOf((await open(name)).joinLock!(later))).toBe('PW_CLOSED');
    await (await open(name)).lock();
    expect(await codeOf((await open(name)).joinLock!(later))).toBe('PW_CLOSED');
  });

  test('is not held by who just reads its file', async ({ skip }) => {
    const { worker } = await holdingThread();
    const reading = fs.openSync(lockFile, 'r');
    await worker.terminate();
    try {
      skip(!linux, 'only Linux says which descriptors are open');
      await (await open(name)).lock();
    } finally {
      fs.closeSync(reading);
    }
  });
});

describe('several processes', () => {
  test('a holder that lives holds, and its pid is in the error', async () => {
    const holder = await start(program, name);
    expect(await tell(holder, 'lock')).toEqual({ outcome: 'held' });
    const file = await open(name);
    const error = await rejectionOf(file.lock());
    expect(error).toMatchObject({
      code: 'PW_LOCKED',
      details: { pid: holder.pid, host: os.hostname(), path: name, lockFile },
    });
    expect(error.message).toContain(String(holder.pid));
    await tell(holder, 'release');
    await file.lock();
  });

  test('a holder gives the lock back when there is no descriptor left', async ({ skip }) => {
    skip(process.platform === 'win32', 'needs ulimit');
    const holder = await startBy('ulimit -n 64 && exec "$@"', program, name);
    await tell(holder, 'lock');
    expect(await tell(holder, 'exhaust')).toEqual({ outcome: 'EMFILE' });
    expect(await tell(holder, 'release')).toEqual({ outcome: 'released' });
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
  });

  test('a holder that was killed is taken over', async () => {
    const holder = await start(program, name);
    await tell(holder, 'lock');
    await kill(holder);
    expect(fs.existsSync(lockFile)).toBe(true);
    const lock = await (await open(name)).lock();
    expect(JSON.parse(fs.readFileSync(lockFile, 'utf8')).pid).toBe(process.pid);
    await lock.release();
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
  });

  test('a holder that exited without giving the lock back is taken over', async () => {
    const holder = await start(program, name);
    await tell(holder, 'lock');
    const exited = once(holder, 'exit');
    holder.send('exit');
    await exited;
    await (await open(name)).lock();
  });

  test('of eight that race for the lock of a dead holder exactly one gets it, and the others are told who', async () => {
    const contenders = await Promise.all(Array.from({ length: 8 }, () => start(program, name)));
    for (let round = 0; round < 10; round++) {
      fs.writeFileSync(lockFile, recordOf({ token: `dead-${round}`, pid: deadPid() }));
      const answers = await Promise.all(contenders.map((each) => tell(each, 'lock')));
      const winners = contenders.filter((_, i) => answers[i]!.outcome === 'held');
      expect(answers.map((answer) => answer.outcome).sort()).toEqual([...Array(7).fill('PW_LOCKED'), 'held']);
      expect(JSON.parse(fs.readFileSync(lockFile, 'utf8')).pid).toBe(winners[0]!.pid);
      await tell(winners[0]!, 'release');
      expect(fs.readdirSync(directory)).toEqual(['store.pw']);
    }
  });

  test('eight that take it in turns never hold it together', async () => {
    const contenders = await Promise.all(Array.from({ length: 8 }, () => start(program, name)));
    fs.writeFileSync(lockFile, recordOf({ token: 'dead', pid: deadPid() }));
    const answers = await Promise.all(contenders.map((each) => tell(each, 'contend')));
    expect(answers.map((answer) => answer.outcome)).toEqual(Array(8).fill('contended'));
    expect(fs.readFileSync(name).readUInt32BE(0)).toBe(40);
    expect(fs.readdirSync(directory)).toEqual(['store.pw']);
  });
});

describe('a lock file that is found', () => {
  test('of a process whose number was given to another since is taken over', async () => {
    fs.writeFileSync(lockFile, recordOf({ pid: process.ppid, processStart: '1' }));
    await expectLock(linux);
  });

  test('from before the machine started again is taken over', async () => {
    fs.writeFileSync(lockFile, recordOf({ pid: process.ppid, bootId: 'an earlier one' }));
    await expectLock(linux);
  });

  test('of a process that was killed and not yet reaped is taken over', async ({ skip }) => {
    skip(!linux, 'needs /proc');
    // A shell that has become `sleep` never asks after its child.
    const parent = spawnShell('sleep 1000 & echo $!; exec sleep 1000');
    const pid = Number(String((await once(parent.stdout!, 'data'))[0]));
    const isShell = (): boolean => fs.readFileSync(`/proc/${parent.pid}/comm`, 'latin1').trim() !== 'sleep';
    while (isShell()) await new Promise((resolve) => setImmediate(resolve));
    process.kill(pid, 'SIGKILL');
    const state = (): string => fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]![0]!;
    while (state() !== 'Z') await new Promise((resolve) => setImmediate(resolve));
    const fields = fs.readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ')[1]!.split(' ');
    fs.writeFileSync(lockFile, recordOf({ pid, processStart: fields[19]! }));
    await (await open(name)).lock();
  });

  test.for<[place: string, fields: Readonly<Record<string, unknown>>]>([
    ['another machine', { host: 'elsewhere', bootId: 'theirs' }],
    ['another container', { pidNamespace: 'pid:[1]', pid: 1 }],
    ['another host of which nothing else is known', { host: 'elsewhere', bootId: null, pidNamespace: null }],
  ])('of %s is respected, and the error says what to remove', async ([place, fields], { skip }) => {
    skip(place === 'another container' && !linux, 'needs /proc');
    fs.writeFileSync(lockFile, recordOf(fields));
    const error = await rejectionOf((await open(name)).lock());
    expect(error).toMatchObject({ code: 'PW_LOCKED', details: { path: name, lockFile } });
    expect(error.message).toContain(`remove ${lockFile}`);
    fs.rmSync(lockFile);
    await (await open(name)).lock();
  });

  test.each([
    '',
    '{',
    'null',
    '[]',
    '{"pid":1}',
    recordOf({ pid: 0 }),
    recordOf({ pid: -1 }),
  ])('that is not one that this release wrote is respected: %s', async (text) => {
    fs.writeFileSync(lockFile, text);
    expect(await rejectionOf((await open(name)).lock())).toMatchObject({ code: 'PW_LOCKED', details: { lockFile } });
    expect(fs.readFileSync(lockFile, 'utf8')).toBe(text);
  });

  test('with what takers left that died while they took it over, however many, is taken over, and cleaned up', async () => {
    fs.writeFileSync(lockFile, recordOf({ token: 'a', pid: deadPid() }));
    fs.writeFileSync(`${lockFile}.after-a`, recordOf({ token: 'b', pid: deadPid() }));
    fs.writeFileSync(`${lockFile}.after-b`, recordOf({ token: 'c', pid: deadPid() }));
    fs.writeFileSync(`${lockFile}.claim-b`, recordOf({ token: 'b', pid: deadPid() }));
    fs.writeFileSync(`${lockFile}.after-z`, recordOf({ token: 'y', pid: deadPid() }));
    const lock = await (await open(name)).lock();
    expect(fs.readdirSync(directory).sort()).toEqual(['store.pw', 'store.pw.lock']);
    await lock.release();
  });

  test('and that another process is just taking over is left to it', async () => {
    const taker = await start(program, name);
    fs.writeFileSync(lockFile, recordOf({ token: 'a', pid: deadPid() }));
    const seat = `${lockFile}.after-a`;
    fs.writeFileSync(seat, recordOf({ token: 'b', pid: taker.pid!, processStart: null }));
    expect(await rejectionOf((await open(name)).lock())).toMatchObject({
      code: 'PW_LOCKED',
      details: { pid: taker.pid },
    });
    await kill(taker);
    await (await open(name)).lock();
  });
});

async function open(file: string): Promise<IoFile> {
  const result = await files.open(file, {});
  opened.push(result);
  return result;
}

async function expectLock(obtained: boolean): Promise<void> {
  const file = await open(name);
  if (obtained) await file.lock();
  else expect(await codeOf(file.lock())).toBe('PW_LOCKED'); // this system does not tell processes apart by their start
}

/** The text of a lock file of this process, but for some fields. */
function recordOf(fields: Readonly<Record<string, unknown>>): string {
  return JSON.stringify({ ...describeSelf('token', 0), processStart: null, ...fields });
}

/** The number of a process that has ended. */
function deadPid(): number {
  return spawnSync(process.execPath, ['--version']).pid;
}

test.runIf(linux)(
  'who reads a lock file by the descriptor number of a holder that has ended does not pass for it',
  async () => {
    fs.writeFileSync(lockFile, '');
    const reading = fs.openSync(lockFile, 'r');
    try {
      fs.writeFileSync(lockFile, textOf(describeSelf('ended', reading)));
      const file = await files.open(name, {});
      opened.push(file);
      expect(await codeOf(file.joinLock!('ended'))).toBe('PW_CLOSED');
      const lock = await file.lock();
      await lock.release();
    } finally {
      fs.closeSync(reading);
    }
  },
);
