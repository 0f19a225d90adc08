/**
 * Threads run random transactions on one engine, on real files; their history is checked for the anomalies that the isolation level does not allow. A failure
 * names a file that has the history. ANOMALY_SEED chooses other transactions; the soak goes on with them.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import {
  allowedBy,
  findAnomalies,
  forbiddenBy,
  type TransactionHistory,
  tagOf,
  transactionId,
} from '@pagewright/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { withDoubtfulReads } from '../soak/anomalies/doubtful-reads.js';
import { anomalyRound, type RoundOptions, type RoundResult } from '../soak/anomalies/round.js';

const SEED = Number(process.env.ANOMALY_SEED ?? Date.now() % 2 ** 31);
const TRANSACTIONS = Number(process.env.ANOMALY_TRANSACTIONS ?? 1_000);

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-anomaly-program-'));
  program = await bundle('../../../soak/anomalies/worker.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

function run(options: Partial<RoundOptions>): Promise<RoundResult> {
  return anomalyRound({
    program,
    seed: SEED,
    level: 'snapshot',
    threads: [4, 4, null],
    transactions: TRANSACTIONS,
    keys: 12,
    ...options,
  });
}

describe(`under snapshot isolation (ANOMALY_SEED=${SEED})`, () => {
  it('write skew comes up, and nothing else', async () => {
    const { report, history, aborted } = await run({});
    const { counts } = report;
    expect([...counts.keys()].filter((kind) => !allowedBy('snapshot').has(kind))).toEqual([]);
    expect(counts.get('G2-item') ?? 0, `ANOMALY_SEED=${SEED}`).toBeGreaterThan(0);
    expect(aborted).toBeGreaterThan(0);
    // Those of the threads, and all that is there at the end, before and after reopening.
    expect(history.transactions.length).toBe(3 * TRANSACTIONS + 2);
  });

  it('nor while pages are evicted and checkpoints written, in threads that are interrupted at schedule points', async () => {
    const { report, evictions, checkpoints } = await run({
      threads: [8, null],
      evicts: true,
      checkpoints: true,
      pauses: true,
      commit: 'group',
      inFunctions: true,
    });
    expect(report.counts.get('G2-item') ?? 0, `ANOMALY_SEED=${SEED}`).toBeGreaterThan(0);
    expect(Math.min(evictions, checkpoints), `ANOMALY_SEED=${SEED}`).toBeGreaterThan(0);
  });

  it('nor where a thread is ended in the midst of it, and the store is opened again', async () => {
    for (let seed = SEED; seed < SEED + 4; seed++) {
      const { history } = await run({ seed, threads: [4, null, 2], lose: true });
      // It had begun, and was not done.
      expect(history.transactions.length).toBeGreaterThan(2);
      expect(history.transactions.length).toBeLessThan(3 * TRANSACTIONS);
    }
  });

  it('nor where a reader has seen what was never acknowledged, and is gone with the engine that failed', () => {
    // Two keys, one of them read before the engine failed. Of a writer of which nobody was told, and of one that was acknowledged.
    const historyOf = (outcome: 'unknown' | 'committed'): TransactionHistory => ({
      initial: [3, 7],
      transactions: [
        {
          id: transactionId(1, 1),
          operations: [
            { type: 'append', key: 1, list: [tagOf(transactionId(1, 1), 0)] },
            { type: 'append', key: 2, list: [tagOf(transactionId(1, 1), 1)] },
            { type: 'delete', key: 3, tag: tagOf(transactionId(1, 1), 2), list: [0] },
          ],
          outcome,
          began: [1, 2],
          ended: [3, outcome === 'unknown' ? null : 4],
        },
        ...[
          { type: 'read', key: 2, list: [tagOf(transactionId(1, 1), 1)] } as const,
          { type: 'read', key: 3, list: null } as const,
          { type: 'range', from: 2, to: 4, entries: [[2, [tagOf(transactionId(1, 1), 1)]]] } as const,
        ].map((operation, at) => ({
          id: transactionId(2, at + 1),
          operations: [operation],
          outcome: 'committed' as const,
          began: [10 + 4 * at, 11 + 4 * at] as const,
          ended: [12 + 4 * at, 13 + 4 * at] as const,
        })),
        {
          id: transactionId(0, 1),
          operations: [
            {
              type: 'range',
              from: 0,
              to: 10,
              entries: [
                [3, [0]],
                [7, [0]],
              ],
            },
          ],
          outcome: 'committed',
          began: [30, 31],
          ended: [32, 33],
        },
      ],
    });
    const found = (history: TransactionHistory) =>
      forbiddenBy('snapshot', findAnomalies(history, { realTime: 'snapshot' }));
    expect(found(historyOf('unknown'))).not.toEqual([]);
    expect(found(withDoubtfulReads(historyOf('unknown')))).toEqual([]);
    expect(found(withDoubtfulReads(historyOf('committed')))).not.toEqual([]);
  });

  it('the write skew is found if it is not allowed, and found again in the file that the failure names', async () => {
    const failure = await run({ level: 'serializable', threads: [8, 8], directory }).then(
      () => null,
      (error: Error) => error,
    );
    const [, seed, file] = /with seed (\d+), .* The history is in (\S+)\.\n/.exec(`${failure?.message}`) ?? [];
    expect(Number(seed), `${failure}`).toBe(SEED);
    const history = JSON.parse(fs.readFileSync(file as string, 'utf8')) as TransactionHistory;
    const found = forbiddenBy('serializable', findAnomalies(history, { realTime: 'serializable' }));
    expect(found.length).toBeGreaterThan(0);
    expect(failure?.message).toContain(found[0]?.text);
  });
});

describe(`of serializable transactions (ANOMALY_SEED=${SEED})`, () => {
  const serializable = { level: 'serializable', begin: { isolation: 'serializable' } } as const;

  it('nothing comes up, and some are refused for what they have read', async () => {
    const { report, aborted } = await run(serializable);
    expect([...report.counts.keys()]).toEqual([]);
    expect(aborted).toBeGreaterThan(0);
  });

  it('nor while pages are evicted and checkpoints written, in threads that are interrupted at schedule points', async () => {
    await run({
      ...serializable,
      threads: [8, null],
      evicts: true,
      checkpoints: true,
      pauses: true,
      commit: 'autonomous',
    });
  });

  it('nor where a thread is ended in the midst of it, and the store is opened again', async () => {
    for (let seed = SEED; seed < SEED + 2; seed++)
      await run({ ...serializable, seed, threads: [4, null, 2], lose: true });
  });
});

describe(`where one transaction writes at a time (ANOMALY_SEED=${SEED})`, () => {
  const oneWriter = { level: 'serializable', oneWriter: true } as const;

  it('nothing comes up, and what runs in a function has no conflicts', async () => {
    const { report, aborted, history } = await run({ ...oneWriter, threads: [4, 4], inFunctions: true });
    expect([...report.counts.keys()]).toEqual([]);
    // All but those that gave up: each was asked for once, and ran once.
    expect(history.transactions.length).toBe(2 * TRANSACTIONS + 2);
    expect(aborted, `ANOMALY_SEED=${SEED}`).toBeLessThan(0.1 * 2 * TRANSACTIONS);
  });

  it('nor where some are begun by hand, and refused, in threads that are interrupted at schedule points', async () => {
    const { report, aborted } = await run({ ...oneWriter, threads: [4, null, 2], pauses: true, checkpoints: true });
    expect([...report.counts.keys()]).toEqual([]);
    expect(aborted).toBeGreaterThan(0);
  });

  it('nor where a thread is ended in the midst of it, and the store is opened again', async () => {
    for (let seed = SEED; seed < SEED + 2; seed++)
      await run({ ...oneWriter, seed, threads: [4, null, 2], inFunctions: true, lose: true });
  });
});
