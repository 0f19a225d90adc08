/**
 * A round of random transactions in several threads on one engine, on real files: their history is checked for anomalies. If there is one that the isolation level does
 * not allow, the history goes to a file, because threads do not go the same way twice.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import type { Engine } from '@pagewright/core';
import { singleWriter } from '@pagewright/single-writer';
import {
  type AnomalyReport,
  fillLists,
  findAnomalies,
  forbiddenBy,
  HistoryCollector,
  initialKeys,
  type LoadPlan,
  Random,
  readLists,
  sharedMemoryOf,
  type TransactionHistory,
} from '@pagewright/testkit';
import { open } from 'pagewright';
import { withDoubtfulReads } from './doubtful-reads.js';
import { FILLING, FILLING_BYTES, FILLING_ENTRIES, INDEX_TYPES, WAITS } from './filling.js';
import type { FromLoad, LoadTask } from './worker.js';

export interface RoundOptions {
  /** The file of the thread's program. */
  readonly program: string;
  readonly seed: number;
  /** What the history is held against. */
  readonly level: 'snapshot' | 'serializable';
  /** What transactions are begun with, as it is given to `begin`. */
  readonly begin?: LoadPlan['begin'];
  /** For each thread, how many transactions it has open at a time; null: one, by the synchronous methods. */
  readonly threads: readonly (number | null)[];
  /** Of each thread. */
  readonly transactions: number;
  /** Of each of two indexes: those that are written at a time. */
  readonly keys: number;
  readonly commit?: string;
  /** One transaction writes at a time. */
  readonly oneWriter?: boolean;
  /** Transactions are run by `db.transaction`. */
  readonly inFunctions?: boolean;
  /** The pool is smaller than what is read. */
  readonly evicts?: boolean;
  /** Checkpoints are written all the time. */
  readonly checkpoints?: boolean;
  /** Threads wait at schedule points. */
  readonly pauses?: boolean;
  /** One of the threads is ended, at some moment. */
  readonly lose?: boolean;
  /** Where a history goes that has what it must not have. Default: the directory for temporary files. */
  readonly directory?: string;
}

export interface RoundResult {
  readonly report: AnomalyReport;
  readonly history: TransactionHistory;
  readonly aborted: number;
  readonly unknown: number;
  readonly checkpoints: number;
  readonly evictions: number;
  /** Whether the engine failed because a thread was ended. */
  readonly lost: boolean;
}

/** How a thread has ended. */
interface End {
  readonly failure: string | null;
  readonly code: string | null;
}

const LONGEST = 10;
/** Why threads may stop when one of them was ended. */
const LOSSES = ['PW_THREAD_LOST', 'PW_COMMIT_UNKNOWN', 'PW_ENGINE_FAILED', 'PW_READ_ONLY'];
/** Anomalies that a message has. */
const MOST_TOLD = 5;

/** Runs it. Errors: what the level does not allow, with the name of a file that has the history; what a thread fails with. */
export async function anomalyRound(options: RoundOptions): Promise<RoundResult> {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-anomalies-'));
  try {
    return await new Round(options, join(directory, 'app.pw')).run();
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

class Round {
  readonly #plan: LoadPlan;
  readonly #collector: HistoryCollector;
  readonly #random: Random;

  constructor(
    private readonly options: RoundOptions,
    private readonly path: string,
  ) {
    const { seed, keys, begin, inFunctions, threads, transactions } = options;
    // About half of the transactions let a list grow by one.
    const generations = 2 + Math.ceil((threads.length * transactions) / (keys * LONGEST));
    const memory = sharedMemoryOf(keys);
    const form = { inFunctions: inFunctions === true, ...(begin === undefined ? {} : { begin }) };
    // A snapshot is of both trees at once, whatever they are.
    this.#plan = { seed, keys, generations, longest: LONGEST, memory, secondType: 'art', ...form };
    this.#collector = new HistoryCollector(initialKeys(this.#plan));
    this.#random = new Random(seed).fork('round');
  }

  async run(): Promise<RoundResult> {
    const db = await this.#open();
    let checkpoints = 0;
    let evictions = 0;
    let lost = false;
    try {
      const filling = await db.index('filling', FILLING);
      await fillLists(db, this.#plan);
      if (this.options.evicts === true) {
        const keys = Array.from({ length: FILLING_ENTRIES }, (_, key) => key);
        await filling.batch(keys.map((key) => ({ type: 'put', key, value: new Uint8Array(FILLING_BYTES) })));
      }
      checkpoints = await this.#runThreads(db);
      evictions = db.stats().pages.evictions;
      this.#collector.add(await readLists(db, this.#plan));
    } catch (error) {
      if (!this.#isLoss((error as { code?: string }).code)) throw error;
      lost = true;
    } finally {
      await db.close();
    }
    // What was acknowledged is there after reopening, too.
    const again = await this.#open();
    this.#collector.add(await readLists(again, this.#plan, 2));
    await again.close();
    const recorded = this.#collector.history();
    const history = lost ? withDoubtfulReads(recorded) : recorded;
    return { ...this.#check(history), history, checkpoints, evictions, lost };
  }

  #open(): Promise<Engine> {
    const { commit, oneWriter } = this.options;
    const checkpoint = { logBytes: 300_000 };
    return open(this.path, {
      memory: '2MiB',
      pageSize: '4KiB',
      indexes: INDEX_TYPES,
      checkpoint,
      ...(commit === undefined ? {} : { commit }),
      ...(oneWriter === true ? { concurrency: singleWriter(WAITS) } : {}),
    });
  }

  /** How many checkpoints there were meanwhile. */
  async #runThreads(db: Engine): Promise<number> {
    const { threads, transactions, checkpoints: writes = false, lose = false } = this.options;
    const running = threads.map((_, at) => this.#start(db, at));
    let left = running.length;
    for (const { ended } of running) void ended.then(() => left--);
    const most = threads.length * transactions;
    let loses = lose ? this.#random.between(1, most / 2) : Number.POSITIVE_INFINITY;
    let checkpoints = 0;
    while (left > 0) {
      if (this.#collector.size >= loses) {
        loses = Number.POSITIVE_INFINITY;
        await this.#random.pick(running).worker.terminate();
      }
      if (writes && db.state === 'open') {
        await db.checkpoint().then(
          () => checkpoints++,
          (error: { code?: string }) => {
            if (!this.#isLoss(error.code)) throw error;
          },
        );
      }
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    for (const { ended } of running) {
      const { failure, code } = await ended;
      if (failure !== null && !this.#isLoss(code))
        throw new Error(`A thread fails, with seed ${this.options.seed}: ${failure}`);
    }
    return checkpoints;
  }

  /** Whether this comes of a thread that was ended. */
  #isLoss(code: string | null | undefined): boolean {
    return this.options.lose === true && LOSSES.includes(code ?? '');
  }

  #start(db: Engine, at: number) {
    const {
      program,
      threads,
      transactions,
      evicts = false,
      pauses = false,
      lose = false,
      oneWriter = false,
    } = this.options;
    const task: LoadTask = {
      handle: db.share(),
      oneWriter,
      plan: this.#plan,
      thread: at + 1,
      transactions,
      open: threads[at] as number | null,
      evicts,
      pauses,
      tellsAtOnce: lose,
    };
    const worker = new Worker(program, { workerData: task, execArgv: [] });
    // One that was ended says nothing.
    let end: End = { failure: lose ? null : 'it ended, and said nothing', code: null };
    worker.on('message', (message: FromLoad) => {
      if ('records' in message) this.#collector.add(...message.records);
      else end = message;
    });
    worker.on('error', (error) => {
      end = { failure: error.stack ?? error.message, code: null };
    });
    const ended = new Promise<End>((resolve) => worker.once('exit', () => resolve(end)));
    return { worker, ended };
  }

  #check(history: TransactionHistory): Pick<RoundResult, 'report' | 'aborted' | 'unknown'> {
    const { level, seed, directory = os.tmpdir() } = this.options;
    // Serializable transactions read at snapshots all the same.
    const reports = (level === 'snapshot' ? ['snapshot'] : ['serializable', 'snapshot']).map((realTime) =>
      findAnomalies(history, { realTime: realTime as 'snapshot' | 'serializable' }),
    );
    const [report] = reports as [AnomalyReport];
    const forbidden = reports.flatMap((each) => forbiddenBy(level, each));
    if (forbidden.length > 0) {
      const file = join(directory, `pagewright-history-${seed}-${process.pid}-${Date.now()}.json`);
      fs.writeFileSync(file, JSON.stringify(history));
      const texts = forbidden.slice(0, MOST_TOLD).map(({ text }) => text);
      throw new Error(
        `Under isolation ${level} there are, with seed ${seed}, ${forbidden.length} anomalies. The history is in ${file}.\n${texts.join('\n')}`,
      );
    }
    const outcomes = history.transactions.map(({ outcome }) => outcome);
    return {
      report,
      aborted: outcomes.filter((outcome) => outcome === 'aborted').length,
      unknown: outcomes.filter((outcome) => outcome === 'unknown').length,
    };
  }
}
