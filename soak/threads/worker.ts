/** A thread of the stress over threads: attaches to the pool, does so many operations, and says how it went. */
import { parentPort, workerData } from 'node:worker_threads';
import { BufferPool, type PoolHandle } from '@pagewright/bufferpool';
import { isPagewrightError } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { Actions } from './actions.js';
import { countChanges, noCounts, type ThreadCounts } from './counts.js';
import { type IndexName, indexTypeOf } from './index-types.js';
import { pauseAtPoints } from './pauses.js';
import { Versions } from './versions.js';

export interface ThreadTask {
  readonly handle: PoolHandle;
  readonly index: number;
  readonly type: IndexName | undefined;
  readonly thread: number;
  readonly threads: number;
  readonly keys: number;
  readonly versions: SharedArrayBuffer;
  readonly clock: SharedArrayBuffer;
  readonly operations: number;
  readonly seed: number;
  /** After half of its operations this thread begins a change, and ends in the midst of it. */
  readonly stalls: boolean;
  /** Waits at schedule points, a little and by chance. */
  readonly pauses: boolean;
}

export interface ThreadReport {
  readonly operations: number;
  readonly done: ThreadCounts;
  /** Of a `PagewrightError`. */
  readonly code?: string;
  readonly failure?: string;
}

const task = workerData as ThreadTask;
const done = noCounts();
let operations = 0;

async function run(): Promise<ThreadReport> {
  const pages = new BufferPool();
  try {
    await pages.attach({ io: new NodeFiles(), handle: task.handle });
    countChanges(pages, done);
    const index = indexTypeOf(task.type).open({ pages, number: task.index, root: pages.root });
    const { thread, threads, keys } = task;
    const share = { thread, threads, versions: new Versions(keys, task.versions), clock: new Int32Array(task.clock) };
    const random = new Random(task.seed + thread);
    const actions = new Actions(pages, index, share, random, done);
    if (task.pauses) pauseAtPoints(task.seed * threads + thread, random.fork('pauses'));
    for (; operations < task.operations; operations++) {
      if (task.stalls && operations * 2 >= task.operations) stall(pages);
      await actions.act();
    }
    await pages.close();
    return { operations, done };
  } catch (error) {
    const { stack = String(error) } = error as Error;
    return { operations, done, failure: stack, ...(isPagewrightError(error) ? { code: error.code } : {}) };
  }
}

/**
 * The catalog's place is latched by nobody else here, so that others go on until they meet the gate. The thread ends itself: who would be
 * told to end it may be waiting for the gate by then.
 */
function stall(pages: BufferPool): never {
  pages.enterGate();
  pages.latch(pages.root.frame);
  process.exit();
}

parentPort?.postMessage(await run());
