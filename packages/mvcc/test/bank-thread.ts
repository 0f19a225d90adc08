/** A thread of the bank: attaches to pool and transactions, does so many operations, and says how it went. */
import { parentPort, workerData } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import { driveSchedule, isPagewrightError, POINT, type Target } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { Mvcc } from '../src/index.js';
import { Bank, Known } from './bank.js';
import { SharedLog } from './shared-log.js';

export interface BankTask {
  readonly pool: unknown;
  readonly mvcc: unknown;
  readonly log: SharedArrayBuffer;
  readonly known: SharedArrayBuffer;
  readonly thread: number;
  readonly operations: number;
  readonly seed: number;
  /** Waits at the points of transactions, a little and by chance. */
  readonly pauses: boolean;
  /** After some operations it stands still: at this point of a commit, or with a snapshot open. */
  readonly stalls: number | 'snapshot' | null;
}

export interface BankReport {
  readonly operations: number;
  readonly conflicts: number;
  readonly tooOld: number;
  /** Of a `PagewrightError`. */
  readonly code?: string;
  readonly failure?: string;
}

const INDEX = 1;
const STALLS_AFTER = 100;

function targetOn(index: Target['index']): Target {
  return { number: INDEX, name: 'bank', index, incarnation: 0, predecessor: null, dropped: false, noteTombstones() {} };
}

function standStill(): never {
  parentPort?.postMessage('stalled');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  throw new Error('Nobody ended this thread');
}

/** Half a millisecond at most, in memory of its own: what the thread holds at a point it holds meanwhile. */
function pauseAtPoints(random: Random): void {
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  driveSchedule((point) => {
    if (point < POINT.snapshotOpened || point > POINT.tombstoneSwept || !random.chance(0.02)) return;
    Atomics.wait(nothing, 0, 0, random.below(50) / 100);
  });
}

async function run(task: BankTask): Promise<BankReport> {
  const pages = new BufferPool();
  const mvcc = new Mvcc();
  let operations = 0;
  let bank: Bank | null = null;
  try {
    await pages.attach({ io: new NodeFiles(), handle: task.pool });
    const target = targetOn(new BtreeType().open({ pages, number: INDEX, root: pages.root }));
    const host = {
      pages,
      log: new SharedLog(task.log).log,
      assertWritable() {},
      fail: (error: unknown) => error as Error,
      committed() {},
      kept() {},
      catchUp() {},
      target: () => target,
    };
    mvcc.attach(host, task.mvcc);
    bank = new Bank(mvcc, target, new Known(task.known), task.thread, new Random(task.seed * 100 + task.thread));
    if (task.pauses) pauseAtPoints(new Random(task.seed * 1000 + task.thread));
    for (; operations < task.operations; operations++) {
      if (task.stalls !== null && operations >= STALLS_AFTER) {
        if (task.stalls === 'snapshot') {
          mvcc.snapshot();
          standStill();
        }
        driveSchedule((point) => {
          if (point === task.stalls) standStill();
        });
      }
      bank.act();
    }
    driveSchedule(null);
    bank.end();
    mvcc.detach();
    await pages.close();
    return { operations, conflicts: bank.conflicts, tooOld: bank.tooOld };
  } catch (error) {
    const { stack = String(error) } = error as Error;
    const code = isPagewrightError(error) ? { code: error.code } : {};
    return { operations, conflicts: bank?.conflicts ?? 0, tooOld: bank?.tooOld ?? 0, failure: stack, ...code };
  }
}

parentPort?.postMessage(await run(workerData as BankTask));
