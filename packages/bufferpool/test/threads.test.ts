/** Latches, the pool latch and the gate, between real threads; and threads that end while they hold one. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { MOST_THREADS, Threads } from '@pagewright/core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../io-posix/test/bundle.js';
import { Counters } from '../src/counters.js';
import { FrameTable } from '../src/frames.js';
import { Gate } from '../src/gate.js';
import { Latches } from '../src/latches.js';
import { PoolLatch } from '../src/pool-latch.js';
import type { Holding, LatchingTask, LatchMemory, Role } from './latching-program.js';

const THREADS = 3;
const TIMES = 4000;

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-threads-'));
  program = await bundle('../../bufferpool/test/latching-program.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

class Rig {
  readonly memory: LatchMemory = {
    threads: new SharedArrayBuffer(Threads.bytes()),
    poolLatch: new SharedArrayBuffer(PoolLatch.bytes()),
    gate: new SharedArrayBuffer(Gate.bytes()),
    frames: new SharedArrayBuffer(FrameTable.bytes(4)),
    counters: new SharedArrayBuffer(16),
  };
  readonly threads = new Threads(this.memory.threads);
  readonly poolLatch = new PoolLatch(this.memory.poolLatch, this.threads);
  readonly gate = new Gate(this.memory.gate, this.threads);
  readonly latches = new Latches(
    new FrameTable(4, this.memory.frames),
    this.threads,
    new Counters(new SharedArrayBuffer(Counters.bytes(1)), 0),
  );
  readonly counters = new Float64Array(this.memory.counters);

  /** A thread in a role, and when it is done with it. */
  start(role: Role, times = TIMES): { readonly worker: Worker; readonly done: Promise<void> } {
    const task: LatchingTask = { memory: this.memory, role, times };
    const worker = new Worker(program, { workerData: task });
    const done = new Promise<void>((resolve, reject) => {
      worker.once('message', () => resolve());
      worker.once('error', reject);
    });
    return { worker, done };
  }

  async startAll(role: Role): Promise<void> {
    await Promise.all(Array.from({ length: THREADS }, () => this.start(role).done));
  }

  /** A thread that ends while it is at it. */
  async lose(role: Holding): Promise<void> {
    const { worker, done } = this.start(role);
    await done;
    await worker.terminate();
  }
}

describe('between threads', () => {
  it('the pool latch has one holder at a time, which may take it again', async () => {
    const rig = new Rig();
    await rig.startAll('count under the pool latch');
    expect([...rig.counters]).toEqual([THREADS * TIMES, THREADS * TIMES]);
    expect(rig.threads.count).toBe(1);
  });

  it('who has the pool latch lets others in, and has it again', async () => {
    const rig = new Rig();
    rig.poolLatch.take();
    const running = rig.startAll('count under the pool latch');
    let over = false;
    void running.then(() => {
      over = true;
    });
    while (!over) {
      rig.poolLatch.letIn();
      expect(rig.poolLatch.isOwn).toBe(true);
      await new Promise((resolve) => setImmediate(resolve));
    }
    await running;
    expect([...rig.counters]).toEqual([THREADS * TIMES, THREADS * TIMES]);
  });

  it('a latch of a page has one holder at a time', async () => {
    const rig = new Rig();
    await rig.startAll('count under latches of pages');
    expect([...rig.counters]).toEqual([(THREADS * TIMES) / 2, (THREADS * TIMES) / 2]);
  });

  it('nobody is in the gate while it is closed, and all come to an end', async () => {
    const rig = new Rig();
    const words = new Int32Array(rig.memory.counters);
    const running = rig.startAll('count in the gate');
    let over = false;
    void running.then(() => {
      over = true;
    });
    let closings = 0;
    while (!over) {
      rig.gate.whileClosed(() => {
        closings++;
        const [begun, ended] = [Atomics.load(words, 0), Atomics.load(words, 1)];
        expect(begun).toBe(ended);
      });
      await new Promise((resolve) => setImmediate(resolve));
    }
    await running;
    expect([...words.subarray(0, 2)]).toEqual([THREADS * TIMES, THREADS * TIMES]);
    expect(closings).toBeGreaterThan(10);
  });
});

const hasTasks = fs.existsSync('/proc/thread-self');

describe.skipIf(!hasTasks)('a thread that ends while it holds', () => {
  const lost = expect.objectContaining({ code: 'PW_THREAD_LOST' });

  it('the latch of a page fails whoever waits for it, and the next checkpoint', async () => {
    const rig = new Rig();
    await rig.lose('hold a latch');
    expect(() => rig.latches.latch(1)).toThrow(lost);
    expect(() => rig.poolLatch.take()).toThrow(lost);
    expect(rig.poolLatch.isOwn).toBe(false);
    expect(() => rig.gate.enter()).toThrow(lost);
    expect(() => rig.gate.whileClosed(() => {})).toThrow(lost);
  });

  it('the latch of a page, because of an error that nobody caught, fails the others as well', async () => {
    const rig = new Rig();
    const { worker, done } = rig.start('hold a latch, and throw');
    const uncaught = new Promise<Error>((resolve) => worker.once('error', resolve));
    const ended = new Promise<number>((resolve) => worker.once('exit', resolve));
    // What it has posted may come after its error.
    await Promise.allSettled([done]);
    expect((await uncaught).message).toBe('Nobody catches this.');
    expect(await ended).toBe(1);
    expect(() => rig.latches.latch(1)).toThrow(lost);
    expect(() => rig.gate.whileClosed(() => {})).toThrow(lost);
  });

  it('the pool latch fails whoever waits for it', async () => {
    const rig = new Rig();
    await rig.lose('hold the pool latch');
    expect(() => rig.poolLatch.take()).toThrow(lost);
    expect(rig.poolLatch.isOwn).toBe(false);
  });

  it('the gate fails the checkpoint that would close it', async () => {
    const rig = new Rig();
    await rig.lose('hold the gate');
    expect(() => rig.gate.whileClosed(() => {})).toThrow(lost);
  });

  it('something fails the others, if whoever started it says that it has ended', async () => {
    const rig = new Rig();
    await rig.lose('hold the pool latch');
    rig.threads.ended(1);
    expect(() => rig.threads.assertWhole()).toThrow(lost);
  });

  it('leaves its slot to another, which is not taken for it', async () => {
    const rig = new Rig();
    await rig.lose('hold nothing');
    rig.threads.sweep();
    expect(new Threads(rig.memory.threads).slot).toBe(1);
    rig.threads.ended(1);
    expect(rig.threads.count).toBe(2);
  });

  it('nothing leaves its slot to others', async () => {
    const rig = new Rig();
    await rig.lose('hold nothing');
    expect(rig.threads.count).toBe(2);
    rig.threads.sweep();
    expect(rig.threads.count).toBe(1);
    expect(() => rig.gate.enter()).not.toThrow();
  });
});

it('more threads than there are slots are refused, and a slot that was left is taken again', () => {
  const memory = new SharedArrayBuffer(Threads.bytes());
  const all = Array.from({ length: MOST_THREADS }, () => new Threads(memory));
  expect(new Set(all.map(({ slot }) => slot)).size).toBe(MOST_THREADS);
  expect(() => new Threads(memory)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
  all[3]!.leave();
  expect(new Threads(memory).slot).toBe(3);
});

it('a pool that was closed refuses other threads, once none of them is at work', async () => {
  const memory = new SharedArrayBuffer(Threads.bytes());
  const owner = new Threads(memory);
  const other = new Threads(memory);
  const gate = new Gate(new SharedArrayBuffer(Gate.bytes()), other);
  gate.enter();
  let isClosed = false;
  const closing = owner.closeForOthers().then(() => {
    isClosed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isClosed).toBe(false);
  gate.leave();
  await closing;
  expect(() => gate.enter()).toThrow(expect.objectContaining({ code: 'PW_CLOSED' }));
});
