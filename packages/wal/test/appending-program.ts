/** One of the threads of `threads.test.ts`: attaches to a log on real files, appends to it as it is told, and says how that ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { driveSchedule, isPagewrightError, POINT, Threads } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { Appender, type AppendingMemory } from './appending.js';
import { UnsyncedFiles } from './unsynced-files.js';

export interface AppendingTask {
  readonly handle: unknown;
  readonly threads: SharedArrayBuffer;
  readonly memory: AppendingMemory;
  readonly seed: number;
  readonly times: number;
  /** As fast as it can, on files that are not synced: what threads do at the same time is what matters then. */
  readonly hammers?: boolean;
  /** At one in so many schedule points of the log it waits for a moment; 0: nowhere. */
  readonly pauses: number;
  /** The point, if any, where it stops for good, after so many others of its kind. */
  readonly stopsAt?: { readonly point: number; readonly after: number };
}

export type AppendingEnd = { readonly how: 'done' } | { readonly how: 'failed'; readonly code: string };

const { handle, threads: registry, memory, seed, times, hammers, pauses, stopsAt } = workerData as AppendingTask;
const threads = new Threads(registry);
const log = new WriteAheadLog();
let told = 0;
await log.attach({
  io: hammers === true ? new UnsyncedFiles() : new NodeFiles(),
  threads,
  handle,
  onFailure: () => told++,
});

const random = new Random(seed + 77);
const nothing = new Int32Array(new SharedArrayBuffer(4));
let left = stopsAt?.after ?? 0;
driveSchedule((point) => {
  if (point < POINT.recordAppended || point > POINT.segmentRetiring) return;
  if (pauses > 0 && random.below(pauses) === 0) Atomics.wait(nothing, 0, 0, random.between(10, 800) / 1000);
  if (point === stopsAt?.point && left-- <= 0) {
    parentPort?.postMessage('stopped');
    Atomics.wait(nothing, 0, 0);
  }
});

let end: AppendingEnd = { how: 'done' };
try {
  const appender = new Appender(log, threads, memory);
  if (hammers === true) appender.hammer(times);
  else await appender.run(seed, times);
} catch (error) {
  end = { how: 'failed', code: isPagewrightError(error) ? error.code : String((error as Error).stack) };
}
await log.close({ discard: true });
threads.leave();
parentPort?.postMessage(end);
