/** What programs do with an engine, and what they must find again when they open it once more. */
import fs from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { all, codeOf, Rig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

describe('an index', () => {
  test('gives back what was put, in both forms', async () => {
    const db = await rig.open();
    const users = await db.index<string, { name: string }>('users');
    await users.put('ada', { name: 'Ada' });
    users.putSync('bob', { name: 'Bob' });
    expect(await users.get('ada')).toEqual({ name: 'Ada' });
    expect(users.getSync('bob')).toEqual({ name: 'Bob' });
    expect(users.getSync('eve')).toBeUndefined();
    expect(await users.getMany(['bob', 'eve', 'ada'])).toEqual([{ name: 'Bob' }, undefined, { name: 'Ada' }]);
    expect([await users.has('ada'), users.hasSync('eve')]).toEqual([true, false]);
    await users.delete('ada');
    users.deleteSync('bob');
    await users.delete('nobody');
    expect(await users.count()).toBe(0);
  });

  test('is there after closing and opening, and the file alone is the store', async () => {
    const db = await rig.open();
    const users = await db.index('users');
    for (let i = 0; i < 50; i++) await users.put(`user ${i}`, { i });
    await db.close();
    expect(rig.logFiles()).toEqual([]);
    const again = await rig.open();
    expect(again.recovered).toMatchObject({ records: 0, tornBytes: 0 });
    const found = await again.index('users');
    expect(await found.count()).toBe(50);
    expect(await found.get('user 7')).toEqual({ i: 7 });
  });

  test('is recovered from the log after a crash, and again when recovery itself is cut short', async () => {
    const db = await rig.open();
    const users = await db.index<string, number>('users');
    await users.put('a', 1);
    await db.checkpoint();
    await users.batch([
      { type: 'put', key: 'b', value: 2 },
      { type: 'put', key: 'c', value: 3 },
      { type: 'delete', key: 'a' },
    ]);
    users.putSync('d', 4);
    const progress: number[] = [];
    for (const name of ['once.pw', 'twice.pw']) {
      const recovered = await rig.open({ file: rig.crash(name), onRecovery: ({ records }) => progress.push(records) });
      expect(recovered.recovered).toMatchObject({ records: 2, transactions: 2 });
      const found = await recovered.index<string, number>('users');
      expect(await all(found.range())).toEqual([
        ['b', 2],
        ['c', 3],
        ['d', 4],
      ]);
      await found.put('e', 5);
      await recovered.close();
    }
    expect(progress).toEqual([2, 2]);
  });

  test('takes puts in the order in which they were called, though none was waited for', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const puts: Promise<void>[] = [];
    for (let i = 0; i < 200; i++)
      puts.push(i % 3 === 0 ? index.batch([{ type: 'put', key: 'k', value: i }]) : index.put('k', i));
    await Promise.all(puts);
    expect(index.getSync('k')).toBe(199);
  });

  test('keeps its own copies of the bytes that it was given', async () => {
    const db = await rig.open();
    const index = await db.index('bytes', { key: 'buffer', value: 'buffer' });
    const key = Buffer.from('key');
    const value = Buffer.from('value');
    const put = index.put(key, value);
    const transaction = db.begin();
    transaction.put(index, Buffer.from('other'), value);
    key.fill(0);
    value.fill(0);
    await put;
    await transaction.commit();
    expect(Buffer.from(index.getSync(Buffer.from('key'))!).toString()).toBe('value');
    expect(Buffer.from(index.getSync(Buffer.from('other'))!).toString()).toBe('value');
  });
});

describe.each(['fan', 'btree'] as const)('an index of type %s that is larger than the pool', (type) => {
  const COUNT = 400;
  const options = { pool: { memory: 64 * 4096, pageSize: 4096 } };
  const key = (i: number) => String.fromCharCode(33 + (i % 90)) + i;
  const keys = Array.from({ length: COUNT }, (_, i) => key(i));
  const values = keys.map((_, i) => 'x'.repeat(700) + i);

  /** None of its pages is in memory. */
  const setup = async () => {
    const before = await rig.open(options);
    const index = await before.index<string, string>('index', { type });
    for (let i = 0; i < COUNT; i++) await index.put(keys[i]!, values[i]!);
    await before.close();
    const db = await rig.open(options);
    return { db, index: await db.index<string, string>('index') };
  };

  test('is read without blocking, or blocking, in all ways', async () => {
    const { db, index } = await setup();
    expect(await Promise.all(keys.map((key) => index.get(key)))).toEqual(values);
    expect(keys.map((key) => index.getSync(key))).toEqual(values);
    expect(await index.getMany(keys)).toEqual(values);
    expect(await Promise.all(keys.map((key) => index.has(key)))).toEqual(keys.map(() => true));
    expect((await all(index.range())).length).toBe(COUNT);
    expect([...index.rangeSync()].length).toBe(COUNT);
    expect(await index.count()).toBe(COUNT);
    await db.transaction(async (transaction) => {
      expect(await Promise.all(keys.map((key) => transaction.get(index, key)))).toEqual(values);
      expect((await all(transaction.range(index, { reverse: true }))).length).toBe(COUNT);
    });
    expect(db.stats().pages.evictions).toBeGreaterThan(0);
  });

  test('answers steps of a range that do not wait for each other in order', async () => {
    const { index } = await setup();
    const range = index.keys();
    const results = await Promise.all(Array.from({ length: COUNT + 1 }, () => range.next()));
    expect(results.map((result) => result.value)).toEqual([...[...keys].sort(), undefined]);
  });

  test('gives many entries of a range at once, in order with steps for one, and none at its end', async () => {
    const { db, index } = await setup();
    const sorted = [...keys].sort();
    const range = index.keys({ limit: 301 });
    const first = range.next();
    const calls = [range.nextMany(7), range.nextMany(1), range.nextMany(1000)];
    const last = range.next();
    const some = (await Promise.all(calls)).flat();
    const got = [(await first).value, ...some, (await last).value];
    for (let more = await range.nextMany(1000); more.length > 0; more = await range.nextMany(1000)) got.push(...more);
    expect(got).toEqual(sorted.slice(0, 301));
    expect((await calls[0])?.length).toBeLessThanOrEqual(7);
    expect([await range.nextMany(1), (await range.next()).done]).toEqual([[], true]);
    for (const most of [0, -1, 1.5, '3', undefined]) {
      expect(await codeOf(() => index.keys().nextMany(most as never))).toBe('PW_ARGUMENT');
    }
    const left = index.keys();
    await left.nextMany(2);
    await left.return();
    expect(await left.nextMany(2)).toEqual([]);
    await db.transaction(async (transaction) => {
      transaction.delete(index, sorted[0] as string);
      const entries = await transaction.range(index).nextMany(1);
      expect(entries.map(([key]) => key)).toEqual([sorted[1]]);
    });
    const closed = index.keys();
    await closed.nextMany(1);
    await db.close();
    expect(await codeOf(() => all(closed))).toBe('PW_CLOSED');
  });

  test('is read as it was when the call was made, if that is asked for, though the page comes later', async () => {
    const { db, index } = await setup();
    const [key, gone, added] = [keys[100] as string, keys[200] as string, '~'];
    const { misses } = db.stats().pages;
    const asCalled = { asCalled: true };
    const reads = [index.get(key, asCalled), index.get(gone, asCalled), index.get(added, asCalled), index.get(key)];
    const looks = [index.has(gone, asCalled), index.has(added, asCalled), index.has(gone)];
    expect(db.stats().pages.misses, 'they wait for pages').toBeGreaterThan(misses);
    index.putSync(key, 'new');
    index.deleteSync(gone);
    index.putSync(added, 'new');
    expect(await Promise.all(reads)).toEqual([values[100], values[200], undefined, 'new']);
    expect(await Promise.all(looks)).toEqual([true, false, false]);
    expect(await index.get(key, asCalled)).toBe('new');
    expect(db.stats().concurrency.activeSnapshots).toBe(0);
    expect(await codeOf(() => index.getMany([key], asCalled as never))).toBe('PW_ARGUMENT');
  });

  test('takes writes in the order in which they were called, though some of them wait for pages', async () => {
    const { index } = await setup();
    index.getSync('!0');
    const slow = index.batch(keys.map((key) => ({ type: 'put' as const, key, value: 'slow' })));
    const fast = index.put('!0', 'fast');
    const transaction = index.put('!0', 'fastest');
    await Promise.all([slow, fast, transaction]);
    expect(index.getSync('!0')).toBe('fastest');
    expect(index.getSync('"1')).toBe('slow');
  });

  test('is closed only when what waits for its pages is through', async () => {
    const { db, index } = await setup();
    const release = rig.io.holdReads();
    const found = index.get(key(7));
    const put = index.put(key(123), 'put');
    const closed = db.close();
    // Time enough to close, for an engine that does not wait.
    for (let i = 0; i < 200; i++) await fs.promises.stat(rig.file);
    expect(db.state).toBe('closing');
    release();
    expect(await found).toBe(values[7]);
    await put;
    await closed;
    const again = await rig.open(options);
    expect((await again.index<string, string>('index')).getSync(key(123))).toBe('put');
  });
});

describe('a range', () => {
  const setup = async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.batch(['a', 'b', 'c', 'd', 'e'].map((key, i) => ({ type: 'put' as const, key, value: i })));
    return { db, index };
  };

  test.each([
    [{}, 'abcde'],
    [{ gte: 'b', lt: 'd' }, 'bc'],
    [{ gt: 'b', lte: 'd' }, 'cd'],
    [{ reverse: true }, 'edcba'],
    [{ gt: 'a', lte: 'd', reverse: true, limit: 2 }, 'dc'],
    [{ limit: 0 }, ''],
    [{ limit: Number.POSITIVE_INFINITY, gte: 'c' }, 'cde'],
    [{ gte: 'x' }, ''],
    [{ gte: 'd', lt: 'b' }, ''],
  ])('of %o has the keys %s, in all its forms', async (options, keys) => {
    const { db, index } = await setup();
    const expected = [...keys];
    expect((await all(index.range(options))).map(([key]) => key)).toEqual(expected);
    expect([...index.rangeSync(options)].map(([key]) => key)).toEqual(expected);
    expect(await all(index.keys(options))).toEqual(expected);
    expect((await all(index.values(options))).length).toBe(expected.length);
    expect(await index.count(options)).toBe(expected.length);
    const transaction = db.begin();
    expect((await all(transaction.range(index, options))).map(([key]) => key)).toEqual(expected);
    transaction.abort();
  });

  test.each([
    [{ gt: 'a', gte: 'a' }],
    [{ lt: 'a', lte: 'a' }],
    [{ limit: -1 }],
    [{ limit: 1.5 }],
    [{ reverse: 'yes' }],
    [{ start: 'a' }],
    [{ snapshot: {} }],
    [null],
  ])('of %o is refused when it is asked for', async (options) => {
    const { index } = await setup();
    for (const call of [
      () => index.range(options as never),
      () => index.rangeSync(options as never),
      () => index.count(options as never),
    ]) {
      expect(await codeOf(call)).toBe('PW_ARGUMENT');
    }
  });

  test('answers calls that do not wait for each other in order', async () => {
    const { index } = await setup();
    const range = index.keys();
    const results = await Promise.all(Array.from({ length: 7 }, () => range.next()));
    expect(results.map((result) => result.value)).toEqual(['a', 'b', 'c', 'd', 'e', undefined, undefined]);
  });

  test('ends for good when its loop is left', async () => {
    const { index } = await setup();
    const range = index.keys();
    for await (const key of range) if (key === 'b') break;
    expect(await range.next()).toEqual({ done: true, value: undefined });
  });

  test('at a snapshot sees what was there, a range without one what is there', async () => {
    const { db, index } = await setup();
    using snapshot = db.snapshot();
    await index.put('f', 5);
    await index.delete('a');
    expect(await all(index.keys({ snapshot }))).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(await all(index.keys())).toEqual(['b', 'c', 'd', 'e', 'f']);
    expect([await index.get('a', { snapshot }), await index.get('a')]).toEqual([0, undefined]);
    expect(await index.getMany(['a', 'f'], { snapshot })).toEqual([0, undefined]);
    expect([await index.has('a', { snapshot }), index.hasSync('f', { snapshot })]).toEqual([true, false]);
  });

  test('lets timers run though all its pages are in memory', async () => {
    const { index } = await setup();
    await index.batch(
      Array.from({ length: 9000 }, (_, i) => ({
        type: 'put' as const,
        key: `${String.fromCharCode(33 + (i % 90))}${i}`,
        value: i,
      })),
    );
    let turns = 0;
    const tick = (): void => {
      turns++;
      next = setImmediate(tick);
    };
    let next = setImmediate(tick);
    for await (const _ of index.keys()) {
      // Goes through all of them.
    }
    clearImmediate(next);
    expect(turns).toBeGreaterThan(1);
  });
});

describe('a transaction', () => {
  test('takes effect as a whole, in several indexes', async () => {
    const db = await rig.open();
    const from = await db.index<string, number>('from');
    const to = await db.index<string, number>('to', { type: 'other' });
    await from.put('ada', 10);
    const moved = await db.transaction(async (transaction, attempt) => {
      const amount = (await transaction.get(from, 'ada')) ?? 0;
      transaction.delete(from, 'ada');
      transaction.put(to, 'ada', amount);
      expect(transaction.getSync(to, 'ada')).toBe(10);
      expect(to.getSync('ada')).toBeUndefined();
      return [amount, attempt];
    });
    expect(moved).toEqual([10, 1]);
    expect([from.getSync('ada'), to.getSync('ada')]).toEqual([undefined, 10]);
  });

  test('that meets another one at a key is run again, until it comes through', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('count', 0);
    const attempts: number[] = [];
    await Promise.all(
      Array.from({ length: 8 }, () =>
        db.transaction(async (transaction, attempt) => {
          attempts.push(attempt);
          const count = (await transaction.get(index, 'count')) ?? 0;
          await new Promise(setImmediate);
          transaction.put(index, 'count', count + 1);
        }),
      ),
    );
    expect(index.getSync('count')).toBe(8);
    expect(Math.max(...attempts)).toBeGreaterThan(1);
  });

  test('conflicts for good when it may not be run again', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const conflicting = db.transaction(
      async (transaction) => {
        transaction.put(index, 'k', 1);
        await index.put('k', 2);
      },
      { retries: 0 },
    );
    await expect(conflicting).rejects.toMatchObject({ code: 'PW_CONFLICT', details: { index: 'index' } });
    expect(index.getSync('k')).toBe(2);
  });

  test('is undone by an error of its function, which is passed on', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const mistake = new Error('a mistake');
    const run = db.transaction((transaction) => {
      transaction.put(index, 'k', 1);
      throw mistake;
    });
    await expect(run).rejects.toBe(mistake);
    expect(index.hasSync('k')).toBe(false);
    expect(db.stats().concurrency.activeSnapshots).toBe(0);
  });

  test('may be synchronous, but not with an asynchronous function', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    expect(
      db.transactionSync((transaction) => {
        transaction.put(index, 'k', 1);
        return 'done';
      }),
    ).toBe('done');
    expect(index.getSync('k')).toBe(1);
    const asynchronous = async (transaction: { put: (...args: never[]) => void }) => {
      transaction.put(...([index, 'k', 2] as never[]));
      throw new Error('nobody hears of it');
    };
    expect(await codeOf(() => db.transactionSync(asynchronous))).toBe('PW_ARGUMENT');
    expect(index.getSync('k')).toBe(1);
  });

  test('is closed once it has ended, and says so', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const transaction = db.begin();
    transaction.put(index, 'k', 1);
    const range = transaction.rangeSync(index);
    const commit = transaction.commit();
    expect(await codeOf(() => transaction.put(index, 'k', 2))).toBe('PW_TXN_CLOSED');
    await commit;
    expect(transaction.committed).toBe(true);
    for (const call of [
      () => transaction.getSync(index, 'k'),
      () => transaction.get(index, 'k'),
      () => transaction.range(index),
      () => range.next(),
      () => transaction.delete(index, 'k'),
      () => transaction.savepoint(),
      () => transaction.commit(),
      () => transaction.commitSync(),
    ]) {
      expect(await codeOf(call)).toBe('PW_TXN_CLOSED');
    }
    transaction.abort();
    expect(index.getSync('k')).toBe(1);
  });

  test('has ended, with its snapshot, when its commit fails before there is anything to wait for', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    const transaction = db.begin();
    transaction.put(index, 'k', 1);
    const { core } = transaction as unknown as { core: { writes(): never } };
    core.writes = () => {
      throw new Error('no writes');
    };
    await expect(transaction.commit()).rejects.toThrow('no writes');
    expect([transaction.closed, transaction.committed]).toEqual([true, false]);
    expect(db.stats().concurrency.activeSnapshots).toBe(0);
    await transaction[Symbol.asyncDispose]();
  });

  test('goes back to a savepoint', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await using transaction = db.begin();
    transaction.put(index, 'a', 1);
    const savepoint = transaction.savepoint();
    transaction.put(index, 'b', 2);
    transaction.rollbackTo(savepoint);
    await transaction.commit();
    expect(await all(index.keys())).toEqual(['a']);
  });

  test('that is left by `await using` without a commit leaves nothing', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    {
      await using transaction = db.begin();
      transaction.put(index, 'k', 1);
    }
    expect(index.hasSync('k')).toBe(false);
    expect(db.stats().concurrency.activeSnapshots).toBe(0);
  });

  test('does not take an index of another engine', async () => {
    const db = await rig.open();
    const other = await rig.open({ file: 'other.pw' });
    const index = await other.index<string, number>('index');
    const transaction = db.begin();
    expect(await codeOf(() => transaction.put(index, 'k', 1))).toBe('PW_ARGUMENT');
    expect(await codeOf(() => db.batch([{ type: 'put', index, key: 'k', value: 1 }] as never))).toBe('PW_ARGUMENT');
    const snapshot = other.snapshot();
    const own = await db.index('own');
    expect(await codeOf(() => own.get('k', { snapshot }))).toBe('PW_ARGUMENT');
  });
});

test('a batch over several indexes takes effect as a whole', async () => {
  const db = await rig.open();
  const a = await db.index<string, number>('a');
  const b = await db.index<string, string>('b');
  await db.batch([
    { type: 'put', index: a, key: 'k', value: 1 },
    { type: 'put', index: b, key: 'k', value: 'one' },
    { type: 'delete', index: a, key: 'x' },
  ]);
  expect([a.getSync('k'), b.getSync('k')]).toEqual([1, 'one']);
  const bad = db.batch([
    { type: 'put', index: a, key: 'k', value: 2 },
    { type: 'put', index: b, key: '', value: 'two' },
  ]);
  await expect(bad).rejects.toMatchObject({ code: 'PW_KEY_EMPTY' });
  expect(a.getSync('k')).toBe(1);
});
