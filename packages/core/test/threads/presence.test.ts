/** How threads know of each other that they are there, where the system does not show them: by what each has open. */
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../../io-posix/test/bundle.js';
import { type Held, Threads } from '../../src/index.js';
import { isThere, ofDescriptor, type Presence } from '../../src/threads/presence.js';
import type { PresenceTask } from './presence-program.js';

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-presence-'));
  program = await bundle('../../core/test/threads/presence-program.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

async function started(memory: SharedArrayBuffer, holds: Held | null): Promise<{ worker: Worker; tag: number }> {
  const task: PresenceTask = { memory, holds };
  const worker = new Worker(program, { workerData: task, execArgv: [] });
  const [tag] = await once(worker, 'message');
  return { worker, tag };
}

function shown(): Presence {
  const presence = ofDescriptor();
  if (presence === null) throw new Error('There is no directory for temporary files');
  return presence;
}

const isShown = ({ who, since }: Presence): boolean => isThere(who, since);

describe('a thread that is known by what it has open', () => {
  it('is there until it is ended, from outside and in the midst of a wait; then its slot can be used again', async () => {
    const memory = new SharedArrayBuffer(Threads.bytes());
    const threads = new Threads(memory);
    const { worker, tag } = await started(memory, null);
    threads.sweep();
    expect([threads.count, threads.isPresent(tag)]).toEqual([2, true]);
    await worker.terminate();
    threads.sweep();
    expect([threads.count, threads.isPresent(tag)]).toEqual([1, false]);
    threads.assertWhole();
  });

  it('that ends while it holds something is lost, and nobody goes on', async () => {
    const memory = new SharedArrayBuffer(Threads.bytes());
    const threads = new Threads(memory);
    const { worker } = await started(memory, 'poolLatch');
    threads.sweep();
    threads.assertWhole();
    await worker.terminate();
    threads.sweep();
    expect(() => threads.assertWhole()).toThrow(expect.objectContaining({ code: 'PW_THREAD_LOST' }));
  });

  it('is not taken for another one that has the same descriptor later', () => {
    const first = shown();
    expect(isShown(first)).toBe(true);
    first.end();
    const second = shown();
    expect(second.who).toBe(first.who);
    expect([isShown(first), isShown(second)]).toEqual([false, true]);
    first.end();
    expect(isShown(second)).toBe(true);
    second.end();
    expect(isShown(second)).toBe(false);
  });

  it('is not there when its descriptor is that of something else: a file, a directory, or nothing', () => {
    const presence = shown();
    presence.end();
    const file = join(directory, 'of the same length');
    fs.writeFileSync(file, new Uint8Array(16));
    for (const other of [file, directory, '/dev/null']) {
      if (!fs.existsSync(other)) continue;
      const fd = fs.openSync(other, 'r');
      expect(fd).toBe(~presence.who);
      expect(isShown(presence), other).toBe(false);
      fs.closeSync(fd);
    }
    expect(isShown(presence)).toBe(false);
  });

  it('leaves no file behind', () => {
    const before = fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('pagewright-thread-'));
    const presence = shown();
    expect(fs.readdirSync(os.tmpdir()).filter((name) => name.startsWith('pagewright-thread-'))).toEqual(before);
    presence.end();
  });

  it('cannot be told to be there or not where nothing is known of it: then it is', () => {
    expect(isThere(0, 0)).toBe(true);
  });
});
