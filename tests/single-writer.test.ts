/**
 * The whole engine where one writes at a time: what is asked for side by side takes effect one after the other, in the order in which it was asked for, and none of it
 * conflicts. SINGLE_WRITER_SEED chooses other runs.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { type Engine, type IndexHandle, isPagewrightError } from '@pagewright/core';
import { singleWriter } from '@pagewright/single-writer';
import { Random } from '@pagewright/testkit';
import { type OpenStoreOptions, open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SEED = Number(process.env.SINGLE_WRITER_SEED ?? Date.now() % 2 ** 31);
const RUNS = Number(process.env.SINGLE_WRITER_RUNS ?? 6);
const PROGRAM = fileURLToPath(new URL('./programs/writing-thread.mjs', import.meta.url));
/** Only there a thread that has ended is told from one that lives. */
const linux = process.platform === 'linux';
const COUNTS = { key: 'utf8', value: 'u32' } as const;
/** Long enough for all that is not for ever. */
const LONG = 100_000;

let directory: string;
let path: string;
const engines: Engine[] = [];
const workers: Worker[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-writer-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
  for (const engine of engines.splice(0)) await engine.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function opened(waits = {}, options: OpenStoreOptions = {}): Promise<Engine> {
  const db = await open(path, { concurrency: singleWriter({ waitMs: LONG, waitSyncMs: 0, ...waits }), ...options });
  engines.push(db);
  return db;
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'none',
    (error: { code?: unknown }) => error.code ?? error,
  );

function codeNow(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (isPagewrightError(error)) return error.code;
    throw error;
  }
  return 'none';
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

it('closing at any moment leaves no turn with a transaction that was to begin', async () => {
  for (const ends of ['abort', 'commit'] as const) {
    for (let ticks = 0; ticks < 12; ticks++) {
      const db = await opened();
      const index = await db.index<string, number>('counts', COUNTS);
      const first = db.begin();
      first.put(index, 'first', ticks);
      const second = codeOf(db.transaction((transaction) => transaction.put(index, 'second', ticks)));
      const plain = codeOf(index.put('plain', ticks));
      await new Promise((resolve) => setTimeout(resolve, 1));
      if (ends === 'abort') first.abort();
      else first.commitSync();
      for (let tick = 0; tick < ticks; tick++) await null;
      await db.close();
      expect(['none', 'PW_CLOSED'], `${ends}, ${ticks} ticks`).toContain(await second);
      expect(await plain, `${ends}, ${ticks} ticks`).toBe('none');
    }
  }
});

describe('a signal', () => {
  it('ends the wait for the turn, and the function does not run', async () => {
    const db = await opened();
    const index = await db.index<string, number>('counts', COUNTS);
    const holder = db.begin();
    holder.put(index, 'first', 1);
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    let runs = 0;
    const waits = db.transaction(() => runs++, { signal: controller.signal }).catch((error) => error);
    const behind = db.transaction((transaction) => transaction.put(index, 'second', 2));
    await turn();
    controller.abort(reason);
    expect(await waits).toBe(reason);
    holder.commitSync();
    await behind;
    expect([runs, [...index.rangeSync()].map(([key]) => key)]).toEqual([0, ['first', 'second']]);
  });

  it('that is aborted at any moment about the turn lets the function run to its end with it, or not at all', async () => {
    const db = await opened();
    const index = await db.index<string, number>('counts', COUNTS);
    const outcomes = new Set<string>();
    for (let ticks = 0; ticks < 12; ticks++) {
      const holder = db.begin();
      holder.put(index, 'first', ticks);
      const controller = new AbortController();
      const states: boolean[] = [];
      const run = (): void => void states.push(controller.signal.aborted);
      const waits = db.transaction(run, { signal: controller.signal }).then(
        () => 'done',
        (error) => error,
      );
      await turn();
      holder.commitSync();
      for (let tick = 0; tick < ticks; tick++) await null;
      controller.abort('aborted');
      const outcome = await waits;
      expect(states, `${ticks} ticks`).toEqual(outcome === 'done' ? [false] : []);
      outcomes.add(outcome);
      // The turn has gone on.
      index.putSync('after', ticks);
    }
    expect([...outcomes].sort()).toEqual(['aborted', 'done']);
  });
});

it('a transaction does not write by what it has read of an index that was loaded meanwhile: it runs again, and others see either all of what was before or all that came', async () => {
  const db = await opened();
  const loaded = await db.index<string, number>('loaded', COUNTS);
  const index = await db.index<string, number>('counts', COUNTS);
  await loaded.bulkLoad([['key', 1]]);
  let goOn = (): void => {};
  const isRead = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  async function* entries(): AsyncGenerator<[string, number]> {
    await isRead;
    yield ['key', 2];
  }
  // It begins before the transaction, and ends beside it.
  const loading = loaded.bulkLoad(entries());
  const attempts: number[] = [];
  const between: (number | undefined)[] = [];
  await db.transaction(async (transaction, attempt) => {
    attempts.push(attempt);
    const seen = transaction.getSync(loaded, 'key')!;
    if (attempt === 1) {
      goOn();
      await loading;
      const snapshot = db.snapshot();
      between.push(loaded.getSync('key', { snapshot }), index.getSync('copy', { snapshot }));
      snapshot.release();
    }
    transaction.put(index, 'copy', seen);
  });
  expect(between).toEqual([2, undefined]);
  expect([attempts, index.getSync('copy')]).toEqual([[1, 2], 2]);
});

it('an empty batch is over when all that was asked for before has taken effect', async () => {
  const db = await opened();
  const index = await db.index<string, number>('counts', COUNTS);
  const first = db.begin();
  first.put(index, 'first', 1);
  const put = index.put('plain', 1);
  const order: string[] = [];
  const empty = index.batch([]).then(() => order.push(`${index.getSync('plain')}`));
  await new Promise((resolve) => setTimeout(resolve, 1));
  expect(order).toEqual([]);
  first.commitSync();
  await Promise.all([put, empty]);
  expect(order).toEqual(['1']);
});

describe('a store where one writes at a time', () => {
  it('is asked for by name, and counts right: transactions side by side run once each, in the order in which they came', async () => {
    const db = await open(path, { concurrency: '@pagewright/single-writer' });
    engines.push(db);
    const counters = await db.index('counters', COUNTS);
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 50 }, (_, number) =>
        db.transaction(async (tx, attempt) => {
          expect(attempt).toBe(1);
          const before = (await tx.get(counters, 'all')) ?? 0;
          if (number % 3 === 0) await turn();
          expect(before).toBe(number);
          tx.put(counters, 'all', before + 1);
          order.push(number);
        }),
      ),
    );
    expect(order).toEqual(Array.from({ length: 50 }, (_, number) => number));
    expect(counters.getSync('all')).toBe(50);
    expect(db.stats().concurrency.conflicts).toBe(0);
  });

  it.each(
    Array.from({ length: RUNS }, (_, run) => SEED + run),
  )('is what the changes make of it one after the other, whichever they are and however long each takes (seed %i)', async (seed) => {
    const random = new Random(seed);
    // Much less memory than there is data: some changes have all that they need at once, others wait for pages.
    const db = await opened({}, { memory: '1MiB', pageSize: '4KiB', checkpoint: { logBytes: 200_000 } });
    const index = await db.index<string, string>('things', { key: 'utf8', value: 'utf8' });
    const model = new Map<string, string>();
    const name = (): string => `key ${String(random.below(2500)).padStart(5, '0')}`;
    const value = (step: number): string => `${step}`.padEnd(random.below(1200), '.');
    const filling = Array.from({ length: 2500 }, (_, i) => [`key ${String(i).padStart(5, '0')}`, value(0)] as const);
    await index.bulkLoad(filling);
    for (const [key, content] of filling) model.set(key, content);
    let under: Promise<unknown>[] = [];
    for (let step = 1; step <= 400; step++) {
      under.push(change(db, index, model, random, name, () => value(step)));
      if (random.chance(0.01)) {
        // What is asked for before takes effect before it, and what is asked for meanwhile afterwards. A transaction among that would run twice, and out of turn.
        const loading = load(index, model, value(step));
        under.push(
          loading,
          change(db, index, model, random, name, () => value(step), 55),
        );
        await loading;
      }
      if (random.chance(0.3)) await turn();
      if (random.chance(0.02)) under.push(db.checkpoint());
      if (random.chance(0.03)) {
        const snapshot = db.snapshot();
        const found = [...index.rangeSync({ snapshot })];
        await turn();
        expect([...index.rangeSync({ snapshot })], `seed ${seed}`).toEqual(found);
        snapshot.release();
      }
      if (random.chance(0.05)) {
        await Promise.all(under);
        under = [];
        // No commit is under way: what is changed in place waits for nobody.
        const key = name();
        index.putSync(key, 'in place');
        model.set(key, 'in place');
      }
    }
    await Promise.all(under);
    const expected = [...model].sort(([a], [b]) => (a < b ? -1 : 1));
    expect(new Map(index.rangeSync()), `seed ${seed}`).toEqual(new Map(expected));
    expect(db.stats().concurrency.conflicts).toBe(0);
    await db.close();
    const again = await opened();
    expect(new Map((await again.index<string, string>('things')).rangeSync())).toEqual(new Map(expected));
  }, 300_000);

  it('lets a transaction of begin() read beside writers, write what it has not read upon, and write upon nothing that is past', async () => {
    const db = await opened();
    const index = await db.index('things', COUNTS);
    await index.put('a', 1);
    const [reader, blind, second] = [db.begin(), db.begin(), db.begin()];
    expect(reader.getSync(index, 'a')).toBe(1);
    await index.put('a', 2);
    blind.put(index, 'b', 1);
    expect(blind.getSync(index, 'a')).toBe(2);
    expect(codeNow(() => second.put(index, 'c', 1))).toBe('PW_WRITER_BUSY');
    expect(codeNow(() => index.putSync('c', 1))).toBe('PW_WRITER_BUSY');
    expect(codeNow(() => db.transactionSync(() => {}))).toBe('PW_WRITER_BUSY');
    const waits = index.put('a', 3);
    await turn();
    expect(index.getSync('a')).toBe(2);
    expect(reader.getSync(index, 'a')).toBe(1);
    await blind.commit();
    await waits;
    expect(index.getSync('a')).toBe(3);
    expect(codeNow(() => reader.put(index, 'a', 9))).toBe('PW_CONFLICT');
    expect(reader.getSync(index, 'a')).toBe(1);
    reader.abort();
    second.put(index, 'c', 1);
    expect(second.getSync(index, 'a')).toBe(3);
    second.commitSync();
    expect([...index.rangeSync()]).toEqual(Object.entries({ a: 3, b: 1, c: 1 }));
    expect(db.stats().concurrency.activeSnapshots).toBe(0);
  });

  it('goes back to savepoints that are older than its first write, also if others have written since', async () => {
    const db = await opened();
    const index = await db.index('counts', COUNTS);
    const tx = db.begin();
    const savepoints = [tx.savepoint(), tx.savepoint(), tx.savepoint()] as const;
    tx.rollbackTo(savepoints[1]);
    await index.put('of another', 1);
    tx.put(index, 'own', 1);
    const later = tx.savepoint();
    tx.put(index, 'own', 2);
    tx.rollbackTo(later);
    expect(tx.getSync(index, 'own')).toBe(1);
    expect(codeNow(() => tx.rollbackTo(savepoints[2]))).toBe('PW_ARGUMENT');
    tx.rollbackTo(savepoints[1]);
    expect(tx.getSync(index, 'own')).toBeUndefined();
    expect(tx.getSync(index, 'of another')).toBe(1);
    expect(codeNow(() => tx.rollbackTo(later))).toBe('PW_ARGUMENT');
    tx.put(index, 'own', 3);
    tx.rollbackTo(savepoints[0]);
    expect(codeNow(() => tx.rollbackTo(savepoints[1]))).toBe('PW_ARGUMENT');
    tx.put(index, 'own', 4);
    await tx.commit();
    expect(index.getSync('own')).toBe(4);
  });

  it('refuses a change that waits for the transaction in whose function it is awaited, and goes on', async () => {
    const db = await opened({ waitMs: 30 });
    const index = await db.index('things', COUNTS);
    const codes: unknown[] = [];
    await db.transaction(async (tx) => {
      tx.put(index, 'a', 1);
      codes.push(await codeOf(index.put('b', 1)));
      codes.push(await codeOf(db.transaction((other) => other.put(index, 'b', 1))));
      codes.push(await codeOf(index.clear()));
      codes.push(await codeOf(index.bulkLoad([])));
      codes.push(await codeOf(db.dropIndex('things')));
    });
    expect(codes).toEqual(Array.from({ length: 5 }, () => 'PW_WRITER_BUSY'));
    await index.put('b', 2);
    expect([...index.rangeSync()]).toEqual(Object.entries({ a: 1, b: 2 }));
  });

  it('makes indexes while a transaction writes, also in its function', async () => {
    const db = await opened();
    await db.transaction(async (tx) => {
      const index = await db.index('made inside', COUNTS);
      tx.put(index, 'a', 1);
    });
    expect((await db.index('made inside', COUNTS)).getSync('a')).toBe(1);
  });

  it('does not keep others from writing while a transaction waits for the load of an index', async () => {
    const db = await opened();
    const loaded = await db.index('loaded', COUNTS);
    const other = await db.index('other', COUNTS);
    let release = (): void => {};
    const isHeld = new Promise<void>((resolve) => {
      release = resolve;
    });
    async function* input(): AsyncGenerator<[string, number]> {
      yield ['a', 1];
      await isHeld;
      yield ['b', 2];
    }
    const loading = loaded.bulkLoad(input());
    await turn();
    const attempts: number[] = [];
    const adding = db.transaction(async (tx, attempt) => {
      attempts.push(attempt);
      tx.put(loaded, 'a', (tx.getSync(loaded, 'a') ?? 0) + 10);
    });
    const putting = loaded.put('c', 3);
    await other.put('beside', 1);
    await db.transaction((tx) => tx.put(other, 'beside', 2));
    release();
    await Promise.all([loading, adding, putting]);
    expect(attempts).toEqual([1, 2]);
    expect([...loaded.rangeSync()]).toEqual(Object.entries({ a: 11, b: 2, c: 3 }));
  });

  it('ends the load of an index while a transaction writes another one', async () => {
    const db = await opened();
    const [index, other] = [await db.index('things', COUNTS), await db.index('other', COUNTS)];
    const holder = db.begin();
    let isHeld = false;
    await index.bulkLoad(
      (async function* (): AsyncGenerator<[string, number]> {
        await turn();
        holder.put(other, 'a', 1);
        isHeld = true;
        yield ['b', 2];
      })(),
    );
    expect(isHeld).toBe(true);
    expect([...index.rangeSync()]).toEqual([['b', 2]]);
    await holder.commit();
    expect(other.getSync('a')).toBe(1);
  });

  it('makes a change that was asked for after the load of an index after it, also when both have waited for a transaction', async () => {
    const db = await opened();
    const index = await db.index('things', COUNTS);
    const holder = db.begin();
    holder.put(index, 'a', 1);
    async function* input(): AsyncGenerator<[string, number]> {
      for (const key of ['b', 'c']) {
        await turn();
        yield [key, 2];
      }
    }
    const all = [index.put('before', 1), index.bulkLoad(input()), index.put('after', 3), index.delete('c')];
    await turn();
    await holder.commit();
    await Promise.all(all);
    expect([...index.rangeSync()]).toEqual(Object.entries({ after: 3, b: 2 }));
  });

  it('is closed while some write and others wait: what waits for a transaction of the program does not wait for ever', async () => {
    const db = await opened();
    const index = await db.index('things', COUNTS);
    const holder = db.begin();
    holder.put(index, 'never', 1);
    const put = index.put('asked for before', 1);
    const waits = codeOf(db.transaction((tx) => tx.put(index, 'never', 1)));
    await db.close();
    await put;
    expect(await waits).toBe('PW_CLOSED');
    expect(await codeOf(holder.commit())).toBe('PW_CLOSED');
    const again = await opened();
    expect([...(await again.index('things', COUNTS)).rangeSync()]).toEqual([['asked for before', 1]]);
  });

  it('takes transactions that read where it was opened read-only', async () => {
    const db = await opened();
    await (await db.index('things', COUNTS)).put('a', 1);
    await db.close();
    const reader = await opened({}, { readOnly: true });
    const index = await reader.index('things', COUNTS);
    expect(await reader.transaction((tx) => tx.getSync(index, 'a'))).toBe(1);
    expect(await codeOf(reader.transaction((tx) => tx.put(index, 'a', 2)))).toBe('PW_READ_ONLY');
  });
});

describe('threads of which one writes at a time', () => {
  async function writerElsewhere(db: Engine, stalls = false): Promise<Worker> {
    const worker = new Worker(PROGRAM, { workerData: { handle: db.share(), stalls }, execArgv: [] });
    workers.push(worker);
    await once(worker, 'message');
    return worker;
  }

  it('wait for the transaction of another one without blocking, or in place for a time that ends', async () => {
    const db = await opened({ waitSyncMs: 5 });
    const index = await db.index('things', COUNTS);
    const worker = await writerElsewhere(db);
    expect(codeNow(() => index.putSync('in place', 1))).toBe('PW_WRITER_BUSY');
    expect(codeNow(() => db.transactionSync((tx) => tx.put(index, 'in place', 1)))).toBe('PW_WRITER_BUSY');
    expect(db.snapshot().timestamp).toBeGreaterThan(0);
    let isThere = false;
    const all = [
      index.put('a', 1),
      db.transaction((tx) => {
        isThere = tx.getSync(index, 'lost') === 1;
        tx.put(index, 'b', 1);
      }),
      index.put('a', 2),
    ];
    for (let times = 0; times < 5; times++) await turn();
    expect(index.getSync('a')).toBe(undefined);
    const ended = once(worker, 'exit');
    worker.postMessage('commit');
    await Promise.all(all);
    expect(isThere).toBe(true);
    index.putSync('c', 1);
    expect([...index.rangeSync()]).toEqual(Object.entries({ a: 2, b: 1, c: 1, lost: 1 }));
    await ended;
  });

  it.skipIf(!linux)('go on when one has ended that wrote: what it had not committed is not there', async () => {
    const db = await opened();
    const index = await db.index('things', COUNTS);
    const worker = await writerElsewhere(db);
    const waits = db.transaction((tx) => tx.put(index, 'a', 1));
    await worker.terminate();
    await waits;
    await index.put('b', 1);
    expect([...index.rangeSync()]).toEqual(Object.entries({ a: 1, b: 1 }));
    const next = await writerElsewhere(db);
    await next.terminate();
    // The system may know of it for another moment.
    while (codeNow(() => index.putSync('c', 1)) === 'PW_WRITER_BUSY') await turn();
    expect([...index.rangeSync()]).toEqual(Object.entries({ a: 1, b: 1, c: 1 }));
  });

  it.skipIf(!linux)('fail together when one has ended in the midst of its commit', async () => {
    const db = await opened();
    const index = await db.index('things', COUNTS);
    const worker = await writerElsewhere(db, true);
    const waits = codeOf(db.transaction((tx) => tx.put(index, 'a', 1)));
    const puts = codeOf(index.put('a', 1));
    await worker.terminate();
    expect([await waits, await puts]).toEqual(['PW_THREAD_LOST', 'PW_THREAD_LOST']);
  });

  it('are closed while another one writes: who waits for that is told', async () => {
    const db = await opened();
    const index = await db.index('things', COUNTS);
    await writerElsewhere(db);
    const waits = [codeOf(db.transaction((tx) => tx.put(index, 'a', 1))), codeOf(index.put('a', 1))];
    await turn();
    await db.close();
    expect(await Promise.all(waits)).toEqual(['PW_CLOSED', 'PW_CLOSED']);
  });
});

/** Asks for one change or another, and does the same to the model. */
function change(
  db: Engine,
  index: IndexHandle<string, string>,
  model: Map<string, string>,
  random: Random,
  name: () => string,
  value: () => string,
  kinds = 100,
): Promise<unknown> {
  const kind = random.below(kinds);
  const [key, other] = [name(), name()];
  const content = value();
  if (kind < 35) {
    model.set(key, content);
    return index.put(key, content);
  }
  if (kind < 45) {
    model.delete(key);
    return index.delete(key);
  }
  if (kind < 55) {
    model.set(key, content);
    model.delete(other);
    if (other === key) model.delete(key);
    return db.batch([
      { type: 'put', index, key, value: content },
      { type: 'delete', index, key: other },
    ]);
  }
  if (kind === 55) {
    model.clear();
    return index.clear();
  }
  // What it writes follows from what it reads.
  const before = model.get(key) ?? '';
  const aborts = random.chance(0.1);
  const pauses = random.below(3);
  if (!aborts) {
    model.set(other, `${before.slice(0, 500)}+`);
    model.set(key, content);
  }
  return db
    .transaction(async (tx) => {
      const found = (await tx.get(index, key)) ?? '';
      for (let times = 0; times < pauses; times++) await turn();
      tx.put(index, other, `${found.slice(0, 500)}+`);
      tx.put(index, key, content);
      if (aborts) throw ABORTED;
    })
    .catch((error) => {
      if (error !== ABORTED) throw error;
    });
}

function load(index: IndexHandle<string, string>, model: Map<string, string>, content: string): Promise<unknown> {
  model.clear();
  const entries = ['key 00001', 'key 00002', 'key 00900'].map((key) => [key, content] as const);
  for (const [key] of entries) model.set(key, content);
  return index.bulkLoad(entries);
}

const ABORTED = new Error('as the test wants');
