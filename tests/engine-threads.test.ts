/**
 * Engines in several threads over one store: transactions, snapshots and operations of the catalog of all of them at once, on a pool that is smaller than the
 * data, beside checkpoints; threads that end at any moment; and the process that ends with all of them.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Engine, LoggedTransaction } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { wal } from '@pagewright/wal';
import { open, restore } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SEED = Number(process.env.ENGINE_THREADS_SEED ?? Date.now() % 2 ** 31);
const TRANSFERS = Number(process.env.ENGINE_THREADS_TRANSFERS ?? 300);
const PROGRAM = fileURLToPath(new URL('./programs/engine-thread.mjs', import.meta.url));
const WAITING = fileURLToPath(new URL('./programs/waiting-thread.mjs', import.meta.url));
const ACCOUNTS = 60;
const EACH = 100;
const TOTAL = ACCOUNTS * EACH;
const MOST_THREADS = 4;
const BALANCES = { key: 'u32', value: 'u32' } as const;

let directory: string;
let path: string;

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-engines-'));
  path = join(directory, 'app.pw');
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

interface Report {
  readonly kind: 'begun' | 'done' | 'failed';
  readonly code?: string;
  readonly message?: string;
  readonly done: {
    readonly transfers: number;
    readonly sums: number;
    readonly rows: number;
    readonly indexes: number;
    readonly restarts: number;
  };
}

interface Kind {
  readonly sync?: boolean;
  /** Name of the plugin. Default: that of the default engine. */
  readonly concurrency?: string;
}

/** A bank, and threads that are at it. */
class Bank {
  readonly acknowledged = new SharedArrayBuffer(4 * MOST_THREADS);
  readonly stop = new SharedArrayBuffer(4);
  readonly workers: Worker[] = [];
  readonly ends: Promise<Report>[] = [];

  constructor(readonly db: Engine) {}

  static async open(options: Parameters<typeof open>[1] = {}): Promise<Bank> {
    const checkpoint = { logBytes: 300_000 };
    const db = await open(path, { memory: '2MiB', pageSize: '4KiB', checkpoint, ...options });
    const bank = await db.index('bank', BALANCES);
    await bank.batch(Array.from({ length: ACCOUNTS }, (_, key) => ({ type: 'put', key, value: EACH })));
    // More than the pool holds.
    const filling = await db.index('filling', { key: 'u32', value: 'buffer' });
    await filling.batch(Array.from({ length: 4000 }, (_, key) => ({ type: 'put', key, value: new Uint8Array(800) })));
    return new Bank(db);
  }

  async start(number: number, { sync = false, concurrency }: Kind = {}): Promise<void> {
    const { acknowledged, stop } = this;
    const workerData = {
      handle: this.db.share(),
      number,
      seed: SEED,
      accounts: ACCOUNTS,
      total: TOTAL,
      acknowledged,
      stop,
      sync,
      concurrency,
    };
    const worker = new Worker(PROGRAM, { workerData, execArgv: [] });
    this.workers.push(worker);
    await new Promise<void>((begun, failed) => {
      const end = new Promise<Report>((resolve) => {
        const onMessage = (report: Report): void => (report.kind === 'begun' ? begun() : resolve(report));
        worker.on('message', onMessage);
        worker.once('error', (error) => onMessage({ kind: 'failed', message: `${error.stack}` } as Report));
        worker.once('exit', () => onMessage({ kind: 'failed', message: 'it ended' } as Report));
      });
      void end.then(failed);
      this.ends.push(end);
    });
  }

  async end(): Promise<Report[]> {
    Atomics.store(new Int32Array(this.stop), 0, 1);
    return Promise.all(this.ends);
  }

  rowOf(number: number): number {
    return Atomics.load(new Int32Array(this.acknowledged), number);
  }
}

async function sumOf(db: Engine): Promise<number> {
  const snapshot = db.snapshot();
  let sum = 0;
  for await (const [, amount] of (await db.index('bank', BALANCES)).range({ snapshot })) sum += amount;
  snapshot.release();
  return sum;
}

/** All that was acknowledged is there, in order and without gaps; nothing is there by half. */
async function expectWhole(db: Engine, bank: Bank): Promise<void> {
  expect(await sumOf(db), `seed ${SEED}`).toBe(TOTAL);
  for (let number = 0; number < MOST_THREADS; number++) {
    if (!db.indexes().some(({ name }) => name === `row ${number}`)) {
      expect(bank.rowOf(number)).toBe(0);
      continue;
    }
    const keys = [...(await db.index(`row ${number}`, BALANCES)).rangeSync()];
    expect(keys.length, `seed ${SEED}: row ${number}`).toBeGreaterThanOrEqual(bank.rowOf(number));
    expect(keys.every(([key, value], i) => key === i + 1 && value === 3 * key)).toBe(true);
  }
  const report = await db.verify();
  expect(report.problems).toEqual([]);
}

async function settled(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe('threads on one store', () => {
  for (const [name, options, concurrency] of [
    ['asynchronous', [{ sync: false }, { sync: false }, { sync: false }]],
    ['synchronous', [{ sync: true }, { sync: true }]],
    ['of both kinds', [{ sync: true }, { sync: false }]],
    ['of which one writes at a time', [{ sync: true }, { sync: false }, { sync: false }], '@pagewright/single-writer'],
  ] as const) {
    it(`${name}: no money is lost or made, in any snapshot of any thread, and all is there after reopening`, async () => {
      const bank = await Bank.open(concurrency === undefined ? {} : { concurrency });
      for (const [number, kind] of options.entries())
        await bank.start(number, concurrency === undefined ? kind : { ...kind, concurrency });
      // This thread is at it, too.
      const own = await bank.db.index('bank', BALANCES);
      const random = new Random(SEED).fork('own');
      for (let i = 0; i < TRANSFERS; i++) {
        const [from, to] = [random.below(ACCOUNTS), random.below(ACCOUNTS)];
        await bank.db.transaction(
          (tx) => {
            const has = tx.getSync(own, from) ?? 0;
            if (has === 0 || from === to) return;
            tx.put(own, from, has - 1);
            tx.put(own, to, (tx.getSync(own, to) ?? 0) + 1);
          },
          { retries: 10_000 },
        );
        if (i % 20 === 0) expect(await sumOf(bank.db), `seed ${SEED}`).toBe(TOTAL);
        if (i % 100 === 0) await bank.db.checkpoint();
      }
      const reports = await bank.end();
      for (const { kind, message } of reports) expect([kind, message], `seed ${SEED}`).toEqual(['done', undefined]);
      for (const { done } of reports) expect(Math.min(done.transfers, done.sums, done.rows)).toBeGreaterThan(0);
      if (concurrency !== undefined) for (const { done } of reports) expect(done.restarts).toBe(0);
      await expectWhole(bank.db, bank);
      await bank.db.close();
      const again = await open(path);
      await expectWhole(again, bank);
      await again.close();
    }, 300_000);
  }

  it('their log is read and archived meanwhile: what a reader makes of it is the store, and so is what is restored', async () => {
    const archive = join(directory, 'archive');
    const bank = await Bank.open({ log: wal({ segmentSize: '64KiB', commit: 'autonomous', archive }) });
    const { db } = bank;
    await db.backup(join(directory, 'backup.pw'));
    const transactions: LoggedTransaction[] = [];
    const ending = new AbortController();
    const reading = (async () => {
      for await (const transaction of db.log.read(0, { signal: ending.signal })) transactions.push(transaction);
    })();
    reading.catch(() => undefined); // looked at below
    for (let number = 0; number < 3; number++) await bank.start(number, { sync: number === 0 });
    await settled(() => bank.rowOf(0) > 40 && bank.rowOf(1) > 40 && bank.rowOf(2) > 40);
    const reports = await bank.end();
    for (const { kind, message } of reports) expect([kind, message], `seed ${SEED}`).toEqual(['done', undefined]);
    const { lastCommit } = db;
    await settled(() => transactions.at(-1)?.timestamp === lastCommit);
    ending.abort();
    await expect(reading).rejects.toBe(ending.signal.reason);
    expect(transactions.every(({ timestamp }, i) => timestamp === i + 1)).toBe(true);
    for (const { name, key, value } of db.indexes()) {
      const index = await db.index<unknown, unknown>(name, { key, value } as object);
      const copy = new Map<unknown, unknown>();
      for (const transaction of transactions) {
        for (const change of index.changesIn(transaction)) {
          if (change.type === 'put') copy.set(change.key, change.value);
          else if (change.type === 'delete') copy.delete(change.key);
          else copy.clear();
        }
      }
      expect(copy, `seed ${SEED}: ${name}`).toEqual(new Map(index.rangeSync()));
    }
    await db.close();
    const path = join(directory, 'restored.pw');
    const { timestamp } = await restore({ backup: join(directory, 'backup.pw'), archive, path });
    expect(timestamp).toBe(lastCommit);
    const restored = await open(path);
    await expectWhole(restored, bank);
    await restored.close();
  }, 300_000);

  it('one that ends at any moment either held nothing, and all go on, or all fail, and nothing is lost', async () => {
    const random = new Random(SEED).fork('ends');
    const outcomes = { wentOn: 0, failed: 0 };
    for (let round = 0; round < 4; round++) {
      fs.rmSync(directory, { recursive: true });
      fs.mkdirSync(directory);
      const bank = await Bank.open();
      await bank.start(0, { sync: true });
      await bank.start(1, { sync: false });
      const from = bank.rowOf(0);
      const until = from + random.between(1, 60);
      await settled(() => bank.rowOf(0) >= until || bank.db.state !== 'open');
      await (bank.workers[0] as Worker).terminate();
      // Whoever is at work learns of it, or it does not concern them.
      const before = bank.rowOf(1);
      await settled(() => bank.rowOf(1) > before + 20 || bank.db.state !== 'open');
      // A log that a lost thread was changing is noticed before the loss itself.
      await settled(() => bank.db.state !== 'read-only');
      const { state } = bank.db;
      const [, other] = await bank.end();
      if (state === 'open') {
        expect([other?.kind, other?.message], `seed ${SEED}`).toEqual(['done', undefined]);
        // What it held may be what nobody has asked for since: `verify` asks for all.
        const report = await bank.db.verify().catch((error) => error);
        if (report?.code === 'PW_THREAD_LOST') {
          expect(bank.db.state).toBe('failed');
          expect(bank.db.failure).toMatchObject({ code: 'PW_THREAD_LOST' });
          outcomes.failed++;
        } else {
          await expectWhole(bank.db, bank);
          outcomes.wentOn++;
        }
      } else {
        expect(state).toBe('failed');
        // What waited for the log then does not know what became of it.
        expect(['PW_THREAD_LOST', 'PW_COMMIT_UNKNOWN'], `seed ${SEED}: ${other?.message}`).toContain(other?.code);
        expect(bank.db.failure).toMatchObject({ code: 'PW_THREAD_LOST' });
        outcomes.failed++;
      }
      await bank.db.close();
      const again = await open(path);
      await expectWhole(again, bank);
      await again.close();
    }
    expect(outcomes.wentOn + outcomes.failed).toBe(4);
  }, 300_000);

  it('one that waits for the load of another stays until that is over', async () => {
    const db = await open(path);
    const index = await db.index('data');
    let end = (): void => {};
    const ended = new Promise<void>((resolve) => {
      end = resolve;
    });
    async function* input(): AsyncGenerator<[string, number]> {
      yield ['loaded', 1];
      begin();
      await ended;
    }
    let begin = (): void => {};
    const begun = new Promise<void>((resolve) => {
      begin = resolve;
    });
    const loading = index.bulkLoad(input());
    await begun;
    const worker = new Worker(WAITING, { workerData: db.share(), execArgv: [] });
    const told: unknown[] = [];
    const exit = new Promise((resolve) => worker.once('exit', resolve));
    await new Promise<void>((resolve) => {
      worker.on('message', (message) => {
        told.push(message);
        resolve();
      });
    });
    // What else goes on meanwhile: a thread that nothing keeps alive is gone by then.
    const other = await db.index('other', BALANCES);
    for (let key = 0; key < 200; key++) await other.put(key, key);
    expect(worker.threadId).toBeGreaterThan(0);
    end();
    await loading;
    expect(await exit).toBe(0);
    expect(told).toEqual(['begun', 'done']);
    expect([...index.rangeSync()]).toEqual([
      ['key', 1],
      ['loaded', 1],
    ]);
    await db.close();
  });
});
