/** A thread that takes the latches of a pool, as it is told, for `threads.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { Threads } from '@pagewright/core';
import { Counters } from '../src/counters.js';
import { FrameTable } from '../src/frames.js';
import { Gate } from '../src/gate.js';
import { Latches } from '../src/latches.js';
import { PoolLatch } from '../src/pool-latch.js';

export interface LatchMemory {
  readonly threads: SharedArrayBuffer;
  readonly poolLatch: SharedArrayBuffer;
  readonly gate: SharedArrayBuffer;
  readonly frames: SharedArrayBuffer;
  /** Two counters that only who holds the latch in question changes, without atomics. */
  readonly counters: SharedArrayBuffer;
}

export type Role = 'count under the pool latch' | 'count in the gate' | 'count under latches of pages' | Holding;
/** Takes it and never gives it back. */
export type Holding =
  | 'hold a latch'
  | 'hold a latch, and throw'
  | 'hold the pool latch'
  | 'hold the gate'
  | 'hold nothing';

export interface LatchingTask {
  readonly memory: LatchMemory;
  readonly role: Role;
  readonly times: number;
}

const { memory, role, times } = workerData as LatchingTask;
const threads = new Threads(memory.threads);
const poolLatch = new PoolLatch(memory.poolLatch, threads);
const gate = new Gate(memory.gate, threads);
const latches = new Latches(
  new FrameTable(4, memory.frames),
  threads,
  new Counters(new SharedArrayBuffer(Counters.bytes(1)), 0),
);
const counters = new Float64Array(memory.counters);

/** A change that another thread could tear: the value is away for a while. */
function count(at: number): void {
  const before = counters[at] as number;
  for (let spin = 0; spin < 20; spin++) counters[at] = Number.NaN;
  counters[at] = before + 1;
}

switch (role) {
  case 'count under the pool latch':
    for (let i = 0; i < times; i++) {
      poolLatch.take();
      poolLatch.take();
      count(0);
      if (i % 7 === 0) poolLatch.resume(poolLatch.suspend());
      poolLatch.give();
      count(1);
      poolLatch.give();
    }
    break;
  case 'count in the gate':
    for (let i = 0; i < times; i++) {
      gate.enter();
      Atomics.add(new Int32Array(memory.counters), 0, 1);
      for (let spin = 0; spin < 50; spin++) Atomics.load(new Int32Array(memory.counters), 0);
      Atomics.add(new Int32Array(memory.counters), 1, 1);
      gate.leave();
    }
    break;
  case 'count under latches of pages':
    for (let i = 0; i < times; i++) {
      const frame = i % 2;
      if (i % 3 === 0) latches.latch(frame);
      else while (!latches.upgrade(frame, latches.readVersion(frame)));
      count(frame);
      latches.unlatch(frame);
    }
    break;
  case 'hold a latch':
  case 'hold a latch, and throw':
    latches.latch(1);
    break;
  case 'hold the pool latch':
    poolLatch.take();
    break;
  case 'hold the gate':
    gate.enter();
    break;
  case 'hold nothing':
    latches.latch(1);
    latches.unlatch(1);
    break;
}
const isHolding = role.startsWith('hold');
if (!isHolding) threads.leave();
parentPort?.postMessage('done');
if (role === 'hold a latch, and throw') throw new Error('Nobody catches this.');
if (isHolding) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
