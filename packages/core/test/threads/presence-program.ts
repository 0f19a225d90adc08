/** A thread of a store, known by a descriptor, which holds what it is told to, for `presence.test.ts`. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Held, Threads } from '../../src/index.js';
import { ofDescriptor } from '../../src/threads/presence.js';

export interface PresenceTask {
  readonly memory: SharedArrayBuffer;
  readonly holds: Held | null;
}

const { memory, holds } = workerData as PresenceTask;
const threads = new Threads(memory, ofDescriptor() ?? undefined);
if (holds !== null) Atomics.store(threads.words, threads.at(holds), 1);
parentPort?.postMessage(threads.tag);
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
