/**
 * Transactions of several real threads, on one pool on a real file and one log in memory, while checkpoints run. MVCC_SEED chooses other runs,
 * MVCC_OPERATIONS longer ones.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import { NO_LOG, POINT } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../io-posix/test/bundle.js';
import { Mvcc, type MvccOptions } from '../src/index.js';
import { Bank, Known } from './bank.js';
import type { BankReport, BankTask } from './bank-thread.js';
import { SharedLog } from './shared-log.js';

const SEED = Number(process.env.MVCC_SEED ?? 1);
const LEAST_RUNS = 6;
const MOST_RUNS = 20;
const OPERATIONS = Number(process.env.MVCC_OPERATIONS ?? 300);
const STARTS_AT = 2 ** 32 - 1000;

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-bank-'));
  program = await bundle('../../mvcc/test/bank-thread.ts', directory);
}, 60_000);
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

interface BankOptions extends MvccOptions {
  readonly threads: number;
  readonly operations?: number;
  readonly frames?: number;
  readonly pauses?: boolean;
  /** What the first of them does after a while. */
  readonly stalls?: BankTask['stalls'];
  readonly seed?: number;
}

interface BankResult {
  readonly reports: readonly BankReport[];
  readonly conflicts: number;
  readonly tooOld: number;
  readonly commits: number;
  readonly checkpoints: number;
}

/** Runs the bank with so many workers; this thread works as well, and writes checkpoints. */
async function run({
  threads,
  operations = OPERATIONS,
  frames = 1000,
  pauses = false,
  stalls = null,
  seed = SEED,
  ...options
}: BankOptions): Promise<BankResult> {
  const pages = new BufferPool({ memory: frames * 4096, pageSize: 4096 });
  const path = join(directory, `bank-${Math.random()}.pw`);
  await pages.open({ path, io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
  try {
    const index = new BtreeType().create({ pages, number: 1, root: pages.root }, STARTS_AT);
    const log = new SharedLog(new SharedArrayBuffer(SharedLog.bytes()));
    log.begin(STARTS_AT);
    const known = new Known(new SharedArrayBuffer(Known.bytes(threads + 1)));
    const mvcc = new Mvcc(options);
    const target = {
      number: 1,
      name: 'bank',
      index,
      incarnation: 0,
      predecessor: null,
      dropped: false,
      noteTombstones() {},
    };
    const host = {
      pages,
      log: log.log,
      assertWritable() {},
      fail: (error: unknown) => error as Error,
      committed() {},
      kept() {},
      catchUp() {},
      target: () => target,
    };
    mvcc.start(host, STARTS_AT);
    const bank = new Bank(mvcc, target, known, threads, new Random(seed * 100 + threads));
    bank.fill();
    const workers = Array.from({ length: threads }, (_, thread) => {
      const task: BankTask = {
        pool: pages.share(),
        mvcc: mvcc.share(),
        log: log.memory,
        known: known.memory,
        thread,
        operations,
        seed,
        pauses,
        stalls: thread === 0 ? stalls : null,
      };
      const worker = new Worker(program, { workerData: task });
      const done = new Promise<BankReport | null>((resolve, reject) => {
        worker.on('message', (message: BankReport | 'stalled') => {
          if (message === 'stalled') void worker.terminate().then(() => resolve(null));
          else resolve(message);
        });
        worker.once('error', reject);
      });
      return done;
    });
    let over = false;
    const all = Promise.all(workers).finally(() => {
      over = true;
    });
    let checkpoints = 0;
    // Who would wait for a thread that stands still could not end it.
    const isIdle = typeof stalls === 'number';
    for (let turn = 0; !over; turn++) {
      for (let i = 0; i < 20 && !isIdle; i++) bank.act();
      if (turn % 20 === 10 && !isIdle) {
        const gate = () => {
          mvcc.assertSound();
          // C1: no change is under way, so all that was taken is published.
          expect(mvcc.visible).toBe(log.last);
          return { timestamp: mvcc.visible, log: NO_LOG };
        };
        await pages.checkpoint({ gate, secureLog: async () => {} });
        checkpoints++;
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    const reports = (await all).filter((report) => report !== null);
    expect(log.violations).toBe(0);
    if (reports.every(({ failure }) => failure === undefined)) {
      bank.end();
      expect(mvcc.visible).toBe(log.last);
      bank.checkEnd(stalls !== null);
    }
    const commits = mvcc.visible - STARTS_AT;
    const sum = (of: (report: BankReport) => number) => reports.reduce((total, report) => total + of(report), 0);
    return {
      reports,
      conflicts: sum((report) => report.conflicts),
      tooOld: sum((report) => report.tooOld),
      commits,
      checkpoints,
    };
  } finally {
    await pages.close();
  }
}

const failures = (reports: readonly BankReport[]) =>
  reports.map(({ failure }) => failure).filter((failure) => failure !== undefined);

describe('threads that share transactions', () => {
  it('keep the sum of all accounts, lose no increment, and see one another at once, while checkpoints run', async () => {
    for (let seed = SEED; seed < SEED + 3; seed++) {
      const { reports, conflicts, commits, checkpoints } = await run({ threads: 3, seed });
      expect(failures(reports)).toEqual([]);
      expect(commits).toBeGreaterThan(OPERATIONS);
      expect(conflicts).toBeGreaterThan(0);
      expect(checkpoints).toBeGreaterThan(0);
    }
  }, 60_000);

  it('do so where each stops now and then in the midst of what it does', async () => {
    for (let seed = SEED; seed < SEED + 3; seed++) {
      const { reports, conflicts } = await run({ threads: 4, operations: OPERATIONS / 3, pauses: true, seed });
      expect(failures(reports)).toEqual([]);
      expect(conflicts).toBeGreaterThan(0);
    }
  }, 60_000);

  it('never answer wrongly where memory for versions runs short all the time', async () => {
    for (const versionMemory of [3000, 20_000]) {
      let revoked = 0;
      // Threads that the system lets run one after the other revoke nothing of each other's.
      for (let seed = SEED; seed < SEED + (revoked === 0 ? MOST_RUNS : LEAST_RUNS); seed++) {
        const { reports, tooOld } = await run({ threads: 3, seed, versionMemory, pauses: versionMemory > 10_000 });
        expect(failures(reports)).toEqual([]);
        revoked += tooOld;
      }
      expect(revoked).toBeGreaterThan(0);
    }
  }, 60_000);

  it('do so where little of the index is in memory', async () => {
    const { reports } = await run({ threads: 3, frames: 64 });
    expect(failures(reports)).toEqual([]);
  }, 60_000);
});

const hasTasks = fs.existsSync('/proc/thread-self');

describe.skipIf(!hasTasks)('a thread that is ended', () => {
  it.each([
    'transactionChecked',
    'commitPrepared',
    'commitAppended',
    'entryInstalled',
    'commitPublishing',
  ] as const)('in the midst of a commit (%s) fails all others, and none waits for it for ever', async (point) => {
    const { reports } = await run({ threads: 3, operations: 20_000, stalls: POINT[point] });
    expect(reports.map(({ code }) => code)).toEqual(['PW_THREAD_LOST', 'PW_THREAD_LOST']);
  }, 60_000);

  it.each([
    ['a snapshot open', 'snapshot' as const],
    ['its commit published', POINT.commitEnded],
  ])(
    'with %s keeps nothing from the others, and what it alone knew is forgotten',
    async (_, stalls) => {
      const { reports } = await run({ threads: 3, stalls });
      expect(failures(reports)).toEqual([]);
    },
    60_000,
  );
});
