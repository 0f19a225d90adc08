/**
 * Stress over real threads: one store on real files, a pool much smaller than the data, several workers that write keys of
 * their own and read all, while this thread writes checkpoints. Every answer is checked; in the end the tree is, and what a
 * reopened store holds. With `lose`, a worker is ended at some moment: either the pool fails for all with `PW_THREAD_LOST`, or
 * nothing was held and the others go on. With `endProvider` that is the pool's own thread.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import {
  EntryReference,
  type Index,
  isPagewrightError,
  NO_LOG,
  type PageBounds,
  type StoreState,
} from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { noCounts, type ThreadCounts } from './counts.js';
import { type IndexName, indexTypeOf } from './index-types.js';
import { pauseAtPoints } from './pauses.js';
import { bytesOf, describe, isAbsent, keyOf, Versions } from './versions.js';
import type { ThreadReport, ThreadTask } from './worker.js';

export interface StressOptions {
  /** The file of the worker's program. */
  readonly program: string;
  readonly seed: number;
  readonly threads: number;
  /** Of each thread. */
  readonly operations: number;
  readonly keys: number;
  /** Default: the B+-tree. */
  readonly index?: IndexName;
  /** Frames of 4 KiB. */
  readonly frames: number;
  /** Ends one of the threads while it is at work. */
  readonly lose?: boolean;
  /** One of them ends in the midst of a change. */
  readonly stall?: boolean;
  readonly replacement?: string;
  /** All threads wait at schedule points, a little and by chance, so that others come in between. */
  readonly pauses?: boolean;
  /** Whether the pool may have a page provider. Default: no. */
  readonly provider?: boolean;
  /** Ends it at some moment. */
  readonly endProvider?: boolean;
  /** Whether this thread writes checkpoints meanwhile. Default: yes. */
  readonly checkpoints?: boolean;
  readonly translation?: string;
}

export interface StressResult {
  readonly operations: number;
  readonly checkpoints: number;
  /** Pages that compactions have moved. */
  readonly moved: number;
  readonly evictions: number;
  /** Of these, those of the page provider. */
  readonly evictionsAhead: number;
  readonly pageReads: number;
  /** Whether a thread was lost while it held something. */
  readonly lost: boolean;
  /** What each thread has said that it did; and reads that began anew, and latches that were waited for, of all of them. */
  readonly done: readonly ThreadCounts[];
  readonly restarts: number;
  readonly latchWaits: number;
}

/** What a checkpoint stands for. */
interface GateContent {
  readonly timestamp: number;
  readonly versions: Int32Array;
}

const INDEX = 7;
const PAGE_SIZE = 4096;
/** How often it is looked for threads that have ended, and how long is waited in between: many times what that takes. */
const MOST_LOOKS = 2000;
const BETWEEN_LOOKS_MS = 5;

/** Runs it; throws what it finds to be wrong. */
export async function stress(options: StressOptions): Promise<StressResult> {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-stress-'));
  try {
    return await new Stress(options, join(directory, 'stress.pw')).run();
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

class Stress {
  readonly #random: Random;
  readonly #versions: Versions;
  readonly #clock = new Int32Array(new SharedArrayBuffer(4));
  /** What each key had at the gate of the last checkpoint that is over, and at the gates of those that failed since. */
  #checkpointed: GateContent[] = [];
  #checkpoints = 0;
  /** Pages that compactions have moved. */
  #moved = 0;

  constructor(
    private readonly options: StressOptions,
    private readonly path: string,
  ) {
    this.#random = new Random(options.seed);
    this.#versions = new Versions(options.keys, new SharedArrayBuffer(Versions.bytes(options.keys)));
  }

  async run(): Promise<StressResult> {
    const provider = new ProviderWatch();
    try {
      return await this.#run(provider);
    } finally {
      provider.end();
    }
  }

  async #run(provider: ProviderWatch): Promise<StressResult> {
    const { pages } = await this.#openPool();
    const index = indexTypeOf(this.options.index).create({ pages, number: INDEX, root: pages.root }, this.#tick());
    this.#fill(index);
    await this.#checkpoint(pages);
    const goOn =
      this.options.pauses === true ? pauseAtPoints(this.options.seed, this.#random.fork('pauses')) : () => {};
    const { reports, lost } = await this.#runThreads(pages, provider).finally(goOn);
    const { evictions, evictionsAhead, pageReads, restarts, latchWaits } = pages.stats();
    if (!lost) {
      this.#checkTree(pages, index);
      this.#checkContent(index, this.#now(), 'the tree');
      if (this.#random.chance(0.7)) await this.#checkpoint(pages);
    }
    await pages.close();
    if (provider.isRunning) throw new Error('The pool is closed, and its page provider runs still');
    const { failure } = provider;
    if (failure !== null && !(lost && (failure as { code?: unknown }).code === 'PW_THREAD_LOST'))
      throw new Error('The page provider fails', { cause: failure });
    await this.#reopen();
    const operations = reports.reduce((sum, report) => sum + report.operations, 0);
    return {
      operations,
      checkpoints: this.#checkpoints,
      moved: this.#moved,
      evictions,
      evictionsAhead,
      pageReads,
      lost,
      done: reports.map(({ done }) => done),
      restarts,
      latchWaits,
    };
  }

  async #openPool(): Promise<{ readonly pages: BufferPool; readonly state: StoreState }> {
    const { frames, replacement, translation, provider: pageProvider = false } = this.options;
    const memory = frames * PAGE_SIZE;
    const pages = new BufferPool({ memory, pageSize: PAGE_SIZE, replacement, translation, pageProvider });
    const request = { path: this.path, io: new NodeFiles(), create: true, errorIfExists: false, readOnly: false };
    return { pages, state: await pages.open(request) };
  }

  #fill(index: Index): void {
    for (let key = 0; key < this.options.keys; key++) {
      const version = this.#versions.begin(key);
      index.upsert(keyOf(key), 0, bytesOf(key, version), this.#tick());
      this.#versions.end(key, version);
    }
  }

  async #runThreads(
    pages: BufferPool,
    provider: ProviderWatch,
  ): Promise<{ readonly reports: readonly ThreadReport[]; readonly lost: boolean }> {
    const { threads, program, operations, keys, seed } = this.options;
    const { lose = false, stall = false, endProvider = false, pauses = false, checkpoints = true } = this.options;
    const running = Array.from({ length: threads }, (_, thread) => {
      const task: ThreadTask = {
        handle: pages.share(),
        index: INDEX,
        type: this.options.index,
        thread,
        threads,
        keys,
        versions: this.#versions.memory,
        clock: this.#clock.buffer as SharedArrayBuffer,
        operations,
        seed,
        stalls: stall && thread === 0,
        pauses,
      };
      return reportOf(started(program, task));
    });
    let left = threads;
    for (const { report } of running) void report.then(() => left--);
    let fails = false;
    const providersLast = this.#random.between(10, 80);
    while (left > 0 && !fails && checkpoints) {
      if (lose && this.#checkpoints === 2) {
        const { worker, ended } = this.#random.pick(running);
        await worker.terminate();
        await ended;
      }
      if (endProvider && this.#checkpoints >= providersLast) await provider.terminate();
      fails = !(await this.#checkpointIfWhole(pages));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    const reports = await Promise.all(running.map(({ report }) => report));
    const failure = reports.find(
      ({ failure, code }) => failure !== undefined && !(this.#mayLose && code === 'PW_THREAD_LOST'),
    );
    if (failure !== undefined)
      throw new Error(`A thread fails after ${failure.operations} operations: ${failure.failure}`);
    return { reports, lost: fails || (await this.#isAnyLost(pages, provider)) };
  }

  /** When all threads have ended: whether one did so while it held something. Who still had to do with that may have been done before. */
  async #isAnyLost({ threads }: BufferPool, provider: ProviderWatch): Promise<boolean> {
    for (let looks = 0; looks < MOST_LOOKS; looks++) {
      threads.sweep();
      if (threads.isLost) {
        if (!this.#mayLose) throw new Error('A thread is taken for lost, and none was ended');
        return true;
      }
      if (threads.count <= (provider.isRunning ? 2 : 1)) return false;
      // The system shows a thread for a moment after it has ended, and the pool looks now and then for what it was reading.
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS));
    }
    throw new Error(`${threads.count} threads have the pool open, and all others have ended`);
  }

  async #checkpointIfWhole(pages: BufferPool): Promise<boolean> {
    try {
      if (this.#checkpoints % 4 === 3) await this.#compact(pages);
      else await this.#checkpoint(pages);
      return true;
    } catch (error) {
      if (this.#mayLose && isPagewrightError(error, 'PW_THREAD_LOST')) return false;
      throw error;
    }
  }

  /** Moves pages about while threads change them. */
  async #compact(pages: BufferPool): Promise<void> {
    const { pages: moved } = await pages.compact({
      checkpoint: () => this.#checkpoint(pages),
      advanced: () => undefined,
    });
    this.#moved += moved;
    // It writes none where there is nothing to gain.
    await this.#checkpoint(pages);
  }

  get #mayLose(): boolean {
    const { lose = false, stall = false, endProvider = false } = this.options;
    return lose || stall || endProvider;
  }

  async #checkpoint(pages: BufferPool): Promise<void> {
    const gate = () => {
      const closed = { timestamp: Atomics.load(this.#clock, 0), versions: this.#now() };
      // Should it fail, it may be in the file all the same.
      this.#checkpointed.push(closed);
      return { timestamp: closed.timestamp, log: NO_LOG };
    };
    await pages.checkpoint({ gate, secureLog: async () => {} });
    this.#checkpointed = this.#checkpointed.slice(-1);
    this.#checkpoints++;
  }

  /** The version of each key; nobody is about to leave another. */
  #now(): Int32Array {
    return Int32Array.from({ length: this.options.keys }, (_, key) => this.#versions.least(key));
  }

  #tick(): number {
    return Atomics.add(this.#clock, 0, 1) + 1;
  }

  async #reopen(): Promise<void> {
    const { pages, state } = await this.#openPool();
    const found = this.#checkpointed.find(({ timestamp }) => timestamp === state.mark.timestamp);
    if (found === undefined) throw new Error(`The store opened again is that of timestamp ${state.mark.timestamp}`);
    const index = indexTypeOf(this.options.index).open({ pages, number: INDEX, root: pages.root });
    this.#checkTree(pages, index);
    this.#checkContent(index, found.versions, 'the store opened again');
    await pages.close();
  }

  #checkTree(pages: BufferPool, index: Index): void {
    const damage: string[] = [];
    const childOf = (parent: number, offset: number): number => {
      pages.latch(parent);
      try {
        return pages.childOfLatched(parent, offset);
      } finally {
        pages.unlatch(parent);
      }
    };
    const visit = (frame: number, bounds: PageBounds): void => {
      pages.pin(frame);
      const children = index.check(frame, bounds, (message) => damage.push(message));
      for (const [offset, below] of children) visit(childOf(frame, offset), below);
      pages.unpin(frame);
    };
    visit(childOf(pages.root.frame, pages.root.offset), { lower: null, upper: null });
    if (damage.length > 0) throw new Error(`The tree is damaged: ${damage.slice(0, 5).join('; ')}`);
  }

  #checkContent(index: Index, versions: Int32Array, where: string): void {
    const reference = new EntryReference();
    for (let key = 0; key < this.options.keys; key++) {
      const version = versions[key] as number;
      const isThere = index.lookup(keyOf(key), reference);
      const isRight = isAbsent(version)
        ? !isThere
        : isThere && Buffer.compare(reference.value, bytesOf(key, version)) === 0;
      if (!isRight) {
        const found = describe(isThere ? reference.value : null);
        throw new Error(`In ${where} key ${key} has ${found}, and is not as version ${version} left it`);
      }
    }
  }
}

/** The page provider's thread, which the pool starts by itself: the first that nobody here has started. */
class ProviderWatch {
  /** What ended it. */
  failure: unknown = null;
  #worker: Worker | null = null;
  readonly #started = (worker: Worker): void => {
    if (OWN.has(worker)) return;
    this.#worker = worker;
    worker.once('error', (error) => {
      this.failure = error;
    });
    worker.once('exit', () => {
      this.#worker = null;
    });
  };

  constructor() {
    process.on('worker', this.#started);
  }

  end(): void {
    process.off('worker', this.#started);
  }

  get isRunning(): boolean {
    return this.#worker !== null;
  }

  async terminate(): Promise<void> {
    await this.#worker?.terminate();
  }
}

/** Threads that the stress has started. */
const OWN = new WeakSet<Worker>();

function started(program: string, task: ThreadTask): Worker {
  const worker = new Worker(program, { workerData: task });
  OWN.add(worker);
  return worker;
}

/** What the thread says in the end; one that was ended, or ended itself, says nothing. */
function reportOf(worker: Worker) {
  let report: ThreadReport = { operations: 0, done: noCounts() };
  worker.on('message', (message: ThreadReport) => {
    report = message;
  });
  worker.on('error', (error) => {
    report = { operations: 0, done: noCounts(), failure: error.stack ?? error.message };
  });
  const ended = new Promise<void>((resolve) => worker.once('exit', () => resolve()));
  return { worker, ended, report: ended.then(() => report) };
}
