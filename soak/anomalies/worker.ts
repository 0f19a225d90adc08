/** A thread of a round of transactions: attaches to the engine, does its share, and tells what it has done, and how it ended. */
import { parentPort, workerData } from 'node:worker_threads';
import { type EngineHandle, isPagewrightError } from '@pagewright/core';
import { singleWriter } from '@pagewright/single-writer';
import { type LoadPlan, Random, type RecordedTransaction, runTransactions } from '@pagewright/testkit';
import { attach } from 'pagewright';
import { pauseAtPoints } from '../threads/pauses.js';
import { FILLING, FILLING_ENTRIES, INDEX_TYPES, WAITS } from './filling.js';

export interface LoadTask {
  readonly handle: EngineHandle;
  readonly plan: LoadPlan;
  readonly thread: number;
  readonly transactions: number;
  /** Transactions that are open at a time; null: one, by the synchronous methods. */
  readonly open: number | null;
  /** Reads now and then what is larger than the pool. */
  readonly evicts: boolean;
  readonly pauses: boolean;
  readonly oneWriter: boolean;
  /** The thread may be ended at any moment: all that it has done is told at once. */
  readonly tellsAtOnce: boolean;
}

export type FromLoad =
  | { readonly records: readonly RecordedTransaction[] }
  | { readonly ended: true; readonly failure: string | null; readonly code: string | null };

/** Otherwise so many are told together. */
const MOST_HELD = 500;

const task = workerData as LoadTask;
const held: RecordedTransaction[] = [];

function post(message: FromLoad): void {
  parentPort?.postMessage(message);
}

function tell(): void {
  if (held.length > 0) post({ records: held.splice(0) });
}

async function run(): Promise<void> {
  const { handle, plan, thread, transactions, open, evicts, pauses, tellsAtOnce, oneWriter } = task;
  const db = await attach(handle, {
    indexes: INDEX_TYPES,
    ...(oneWriter ? { concurrency: singleWriter(WAITS) } : {}),
  });
  try {
    const filling = await db.index('filling', FILLING);
    if (pauses) pauseAtPoints(plan.seed + thread, new Random(plan.seed).fork(`pauses ${thread}`));
    await runTransactions(db, plan, {
      thread,
      transactions,
      ...(open === null ? {} : { open }),
      onRecord: (record) => {
        held.push(record);
        if (tellsAtOnce || held.length >= MOST_HELD) tell();
      },
      ...(evicts
        ? {
            besides: (transaction, random) => {
              for (let reads = random.below(4); reads > 0; reads--)
                transaction.getSync(filling, random.below(FILLING_ENTRIES));
            },
          }
        : {}),
    });
  } finally {
    tell();
    await db.close();
  }
}

try {
  await run();
  post({ ended: true, failure: null, code: null });
} catch (error) {
  const { stack = String(error) } = error as Error;
  post({ ended: true, failure: stack, code: isPagewrightError(error) ? error.code : null });
}
