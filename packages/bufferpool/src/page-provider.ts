/**
 * The page provider as the pool's owner has it: a thread that is started when frames first run short, so that a store that fits into
 * memory never has one, and that ends before the pool does.
 *
 * Must hold: work goes on without it, whether it cannot be had, has failed, or was ended; but if it ended while it held
 * something, the pool has failed as with any thread (M6).
 */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { IoModule, Threads } from '@pagewright/core/contracts';
import { tellProvider } from './diagnostics.js';
import type { PageProviderSignal } from './page-provider-signal.js';
import type { PoolHandle } from './pool-memory.js';

/** What the thread gets. */
export interface PageProviderTask {
  readonly handle: PoolHandle;
  readonly io: IoModule;
}

/** So long it has for ending by itself, which takes it one batch of writes, and then for being ended. */
const PATIENCE_MS = 5000;

export class PageProvider {
  #worker: Worker | null = null;
  #exited: Promise<void> = Promise.resolve();
  /** There will be none any more. */
  #isOver = false;

  constructor(
    private readonly signal: PageProviderSignal,
    private readonly threads: Threads,
    private readonly task: PageProviderTask,
  ) {
    // Whoever asks may hold latches, and is in the midst of something.
    signal.onWanted = () => setImmediate(() => this.startIfWanted()).unref();
  }

  /** Threads that attached can ask for it, but not start it: the owner looks from time to time. */
  startIfWanted(): void {
    if (this.#worker !== null || this.#isOver || !this.signal.isWanted) return;
    try {
      this.#worker = startThread(this.task);
    } catch (error) {
      this.#isOver = true;
      tellProvider(this.task.handle.path, 'unavailable', error);
      return;
    }
    this.#watch(this.#worker);
  }

  /** Resolves when it has ended, or does not even when it is made to. */
  async stop(): Promise<void> {
    this.#isOver = true;
    const worker = this.#worker;
    if (worker === null) return;
    // Else the process could end before it.
    worker.ref();
    this.signal.stop();
    if (await isOverWithin(this.#exited, PATIENCE_MS)) return;
    await isOverWithin(worker.terminate(), PATIENCE_MS);
  }

  #watch(worker: Worker): void {
    const { path } = this.task.handle;
    // A process whose own work is done ends, with it.
    worker.unref();
    let failure: unknown;
    worker.once('online', () => tellProvider(path, 'started'));
    worker.once('error', (error) => {
      failure = error;
    });
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#worker = null;
        this.#isOver = true;
        const slot = this.signal.gone();
        if (slot >= 0) this.threads.ended(slot);
        tellProvider(path, 'ended', failure);
        resolve();
      });
    });
  }
}

/** Throws where there can be no thread, or its program is not beside this module, as in sources and in bundles that were not told of it. */
function startThread(task: PageProviderTask): Worker {
  const program = new URL('./page-provider-worker.js', import.meta.url);
  if (program.protocol === 'file:' && !existsSync(program))
    throw new Error(`There is no ${program.href} to run in a thread`);
  // Written out, because bundlers look for this form.
  return new Worker(new URL('./page-provider-worker.js', import.meta.url), {
    name: 'pagewright page provider',
    workerData: task,
    // It keeps next to nothing on its heap: images are outside of it.
    resourceLimits: { maxYoungGenerationSizeMb: 2, maxOldGenerationSizeMb: 64 },
  });
}

async function isOverWithin(ending: Promise<unknown>, patienceMs: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const patience = new Promise<boolean>((resolve) => {
    timer = setTimeout(() => resolve(false), patienceMs);
  });
  const isOver = await Promise.race([ending.then(() => true), patience]);
  clearTimeout(timer);
  return isOver;
}
