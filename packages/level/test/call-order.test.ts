/** Changes take effect in the order of their calls, also beside clearing that is under way, and whatever they wait for. */
import { mvcc } from '@pagewright/mvcc';
import { singleWriter } from '@pagewright/single-writer';
import { Random } from '@pagewright/testkit';
import { afterAll, describe, expect, test } from 'vitest';
import type { DatabaseOptions, PagewrightLevel } from '../src/index.js';
import { codesOf, Rig } from './rig.js';

const SEED = Number(process.env.CALL_ORDER_SEED ?? Date.now() % 2 ** 31);

const rig = new Rig();
afterAll(() => rig.end());

/** Both ways in which writers meet. */
const WRITERS = [
  ['many', {}],
  ['one', { concurrency: singleWriter() }],
] as const;

/** A database with so much in `j` that clearing it takes many turns. */
async function filled(name: string, options: DatabaseOptions<string, string> = {}): Promise<PagewrightLevel> {
  const db = await rig.open(options, name);
  for (let round = 0; round < 20; round++) {
    await db.batch(
      Array.from({ length: 200 }, (_, at) => ({ type: 'put' as const, key: `j${round * 200 + at}`, value: 'v' })),
    );
  }
  return db;
}

test.each([
  true,
  false,
])('a batch that waits for clearing does not overtake a put that was called after it (awaited: %s)', async (awaits) => {
  const db = await filled(`batch-${awaits}.pw`);
  const clearing = db.clear({ gte: 'j', lt: 'k' });
  const batch = db.batch([
    { type: 'put', key: 'k', value: 'first' },
    { type: 'put', key: 'j1', value: 'new' },
  ]);
  const put = db.put('k', 'second');
  if (awaits) {
    await put;
    expect(await db.get('k')).toBe('second');
  }
  await Promise.all([clearing, batch, put]);
  expect(await db.getMany(['k', 'j1', 'j2'])).toEqual(['second', 'new', undefined]);
});

const keyOf = (number: number): string => `a${String(number).padStart(6, '0')}`;

/** A database with 8,000 entries of a kilobyte, none of which is in memory. */
async function cold(name: string, options: DatabaseOptions<string, string> = {}): Promise<PagewrightLevel> {
  const value = 'x'.repeat(1000);
  const before = await rig.open(options, name);
  for (let round = 0; round < 40; round++) {
    await before.batch(
      Array.from({ length: 200 }, (_, at) => ({ type: 'put' as const, key: keyOf(round * 200 + at), value })),
    );
  }
  await before.close();
  return rig.open(options, name);
}

test('clearing of a range removes a put that was called before it, of which the page has to be read', async () => {
  const db = await cold('cold.pw');
  await db.get(keyOf(0));
  const put = db.put(`${keyOf(4000)}b`, 'put before the clear');
  await Promise.all([put, db.clear({ gte: `${keyOf(4000)}a`, lt: keyOf(4001) })]);
  expect(await db.get(`${keyOf(4000)}b`)).toBeUndefined();
});

test.each([
  ['a range', { gte: 'a' }],
  ['all', {}],
  ['all, with a limit that it does not reach', { limit: 100 }],
] as const)('clearing of %s removes a put that waits for clearing of all', async (what, second) => {
  const db = await rig.open({}, `${what}.pw`);
  await db.put('a', '1');
  await Promise.all([db.clear(), db.put('b', '2'), db.clear(second)]);
  expect(await db.keys().all()).toEqual([]);
});

test('clearing with a limit does not count what clearing before it removes', async () => {
  const db = await filled('limit.pw');
  await db.put('k1', '1');
  await db.put('k2', '2');
  await Promise.all([db.clear({ gte: 'j', lt: 'k' }), db.clear({ gte: 'j', limit: 1 })]);
  expect(await db.keys().all()).toEqual(['k2']);
});

test('clearing with a limit counts what clearing after it removes, though that finds its pages first', async () => {
  const db = await cold('cold-limit.pw');
  await db.get(keyOf(0));
  await Promise.all([db.clear({ gte: 'a', limit: 5 }), db.clear({ gte: 'a', lt: keyOf(5) })]);
  expect(await db.keys({ limit: 1 }).all()).toEqual([keyOf(5)]);
});

test.each([
  false,
  true,
])('clearing of a range does not keep what it removes: it is no matter how much that is (reverse: %s)', async (reverse) => {
  const db = await filled(`much-${reverse}.pw`, { concurrency: mvcc({ versionMemory: '16KiB' }) });
  await db.put('k', 'stays');
  await db.clear({ gte: 'j', lt: 'k', reverse });
  expect(await db.keys().all()).toEqual(['k']);
});

test('clearing of a range leaves what others add behind its last entry', async () => {
  const db = await filled('others.pw');
  const entries = await db.engine.index('level', { key: 'buffer', value: 'buffer' });
  let isOver = false;
  const clearing = db.clear({ gte: 'j', lt: 'k' }).finally(() => {
    isOver = true;
  });
  await new Promise(setImmediate);
  const added: string[] = [];
  while (!isOver) {
    const key = `jz${String(added.length).padStart(6, '0')}`;
    await entries.put(Buffer.from(key), Buffer.from('v'), { durability: 'none' });
    added.push(key);
    await new Promise(setImmediate);
  }
  await clearing;
  expect(await db.keys().all()).toEqual(added);
});

test('clearing of everything is one step, and durable, though a range is being cleared', async () => {
  const db = await filled('step.pw', { durability: 'none' });
  await db.batch(Array.from({ length: 3000 }, (_, at) => ({ type: 'put' as const, key: `z${keyOf(at)}`, value: 'v' })));
  const entries = await db.engine.index('level', { key: 'buffer', value: 'buffer' });
  const seen = new Set<number>();
  let isOver = false;
  const clears = Promise.all([db.clear({ gte: 'j', lt: 'k' }), db.clear()]).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    seen.add(entries.countSync({ gte: Buffer.from('z') }));
    await new Promise(setImmediate);
  }
  await clears;
  expect([...seen].filter((count) => count !== 3000 && count !== 0)).toEqual([]);
  expect(await db.keys().all()).toEqual([]);
  expect(db.engine.stats().log?.pendingBytes).toBe(0);
});

describe.each(WRITERS)('with %s writing at a time', (writers, options) => {
  test.each([
    false,
    true,
  ])('a transaction is whole, whenever clearing is called (told to listeners: %s)', async (isTold) => {
    const db = await rig.open(options, `whole-${writers}-${isTold}.pw`);
    if (isTold) db.on('write', () => {});
    for (let turns = 0; turns < 40; turns++) {
      const key = keyOf(turns);
      await db.put(key, 'old');
      const transaction = db.transaction((tx) => {
        tx.put(key, 'new');
        tx.put(`${key}+`, 'new');
      });
      for (let turn = 0; turn < turns; turn++) await null;
      await Promise.all([transaction, db.clear({ gte: key, lte: `${key}~` })]);
      const left = new Set(await db.getMany([key, `${key}+`]));
      expect([...left], `${turns} microtasks later`).toHaveLength(1);
    }
  });

  test('a transaction that waits for clearing is whole, whenever another one is called', async () => {
    for (let turns = 0; turns < 8; turns++) {
      const db = await filled(`wait-${writers}-${turns}.pw`, options);
      await db.batch(
        Array.from({ length: 1500 }, (_, at) => ({ type: 'put' as const, key: `z${keyOf(at)}`, value: 'v' })),
      );
      const first = db.clear({ gte: 'z' });
      const transaction = db.transaction((tx) => {
        tx.put('j999', 'new');
        tx.put('j999+', 'new');
      });
      for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
      await Promise.all([first, transaction, db.clear({ gte: 'j', lt: 'k' })]);
      const left = new Set(await db.getMany(['j999', 'j999+']));
      expect([...left], `${turns} turns later`).toHaveLength(1);
      await db.close();
    }
  });

  test('a transaction that is called while a range is being cleared begins after that, and neither waits for the other', async () => {
    const db = await filled(`begins-${writers}.pw`, options);
    const clearing = db.clear({ gte: 'j', lt: 'k' });
    const found = db.transaction(async (tx) => {
      const keys = await tx.keys().all();
      tx.put('j1', 'new');
      return keys;
    });
    await Promise.all([clearing, found]);
    expect(await found).toEqual([]);
    expect(await db.iterator().all()).toEqual([['j1', 'new']]);
  });

  test('a transaction is whole, whenever clearing is called while its function runs', async () => {
    const db = await rig.open(options, `running-${writers}.pw`);
    for (let turns = 0; turns < 8; turns++) {
      const from = `j${turns}`;
      for (let at = 0; at < 4000; at += 500) {
        await db.batch(
          Array.from({ length: 500 }, (_, more) => ({ type: 'put', key: `${from}${keyOf(at + more)}`, value: 'v' })),
        );
      }
      const last = `${from}${keyOf(3999)}`;
      let clearing: Promise<void> | null = null;
      await db.transaction(async (tx) => {
        clearing ??= db.clear({ gte: from, lt: `${from}~` });
        for (let turn = 0; turn < turns; turn++) await new Promise(setImmediate);
        tx.put(last, 'new');
        tx.put(`${last}+`, 'new');
      });
      await clearing;
      const left = new Set(await db.getMany([last, `${last}+`]));
      expect([...left], `${turns} turns later`).toHaveLength(1);
    }
  });

  test('a transaction that has to wait for pages to commit is whole, though clearing is called before it does', async () => {
    const db = await cold(`pages-${writers}.pw`, options);
    const key = keyOf(4000);
    let clearing: Promise<void> | null = null;
    await db.transaction((tx) => {
      for (const at of [100, 1000, 2000, 3000, 4000, 5000, 6000, 7000]) tx.put(keyOf(at), 'new');
      tx.put(`${key}+`, 'new');
      clearing ??= db.clear({ gte: key, lt: keyOf(4001) });
    });
    await clearing;
    const left = new Set(await db.getMany([key, `${key}+`]));
    expect([...left]).toHaveLength(1);
  });

  test('an attempt that comes again begins after clearing that is under way, and counts', async () => {
    const db = await cold(`again-${writers}.pw`, options);
    const attempts: [number, number][] = [];
    let clearing: Promise<void> | null = null;
    const conflict = await conflictOf(db);
    const codes = await codesOf(() =>
      db.transaction(
        async (tx, attempt) => {
          tx.put('a', String(attempt));
          const left = await tx.keys({ gte: 'a0', limit: 1 }).all();
          attempts.push([attempt, left.length]);
          // It takes longer than the pause before the next attempt.
          clearing ??= db.clear({ gte: 'a0' });
          throw conflict;
        },
        { retries: 2 },
      ),
    );
    await clearing;
    expect(attempts).toEqual([
      [1, 1],
      [2, 0],
      [3, 0],
    ]);
    expect(codes).toEqual(['LEVEL_TRANSACTION_CONFLICT', 'PW_CONFLICT']);
  });

  test('puts, batches and clears in random order leave what they leave one after the other', async () => {
    const random = new Random(SEED);
    const db = await rig.open({ ...options, durability: 'none' }, `model-${writers}.pw`);
    const key = (): string => keyOf(random.below(2000));
    for (let round = 0; round < 12; round++) {
      const model = new Map<string, string>(await db.iterator().all());
      const calls: Promise<void>[] = [];
      for (let call = 0; call < 40; call++) {
        calls.push(randomCall(db, model, random, key, `${round}.${call}`));
        if (random.below(5) === 0) await new Promise(setImmediate);
      }
      await Promise.all(calls);
      const expected = [...model].sort(([one], [other]) => (one < other ? -1 : 1));
      expect(await db.iterator().all(), `CALL_ORDER_SEED=${SEED}, round ${round}`).toEqual(expected);
    }
  });
});

describe('with one writing at a time', () => {
  const options = { concurrency: singleWriter() };

  test('clearing of a range removes a put that was called before it, and had to wait for its turn', async () => {
    const db = await rig.open(options, 'turn.pw');
    await db.put('j0', 'old');
    const transaction = db.engine.begin();
    transaction.put(
      await db.engine.index('level', { key: 'buffer', value: 'buffer' }),
      Buffer.from('q'),
      Buffer.from('1'),
    );
    const calls = [db.put('j1', 'put before the clear'), db.clear({ gte: 'j', lt: 'k' }), db.put('j2', 'put after it')];
    await new Promise(setImmediate);
    await transaction.commit();
    await Promise.all(calls);
    expect(await db.keys().all()).toEqual(['j2', 'q']);
  });

  test.each([
    ['what there is', false, ['k']],
    ['what a snapshot shows', true, ['j1+', 'k']],
  ] as const)('clearing of %s, called while a transaction has its turn, comes after it', async (what, ofSnapshot, left) => {
    const db = await filled(`${what}.pw`, options);
    const snapshot = db.snapshot();
    let clearing = Promise.resolve();
    await db.transaction(async (tx) => {
      tx.put('j1', 'new');
      clearing = db.clear({ gte: 'j', lt: 'k', ...(ofSnapshot ? { snapshot } : {}) });
      for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
      tx.put('j1+', 'new');
      tx.put('k', 'new');
    });
    await clearing;
    await snapshot.close();
    expect(await db.keys().all()).toEqual(left);
  });
});

/** What a transaction meets whose key another one has changed first. */
async function conflictOf(db: PagewrightLevel): Promise<unknown> {
  const entries = await db.engine.index('level', { key: 'buffer', value: 'buffer' });
  const transaction = db.engine.begin();
  try {
    await transaction.get(entries, Buffer.from('a'));
    await db.put('a', 'first');
    transaction.put(entries, Buffer.from('a'), Buffer.from('late'));
    await transaction.commit();
  } catch (error) {
    transaction.abort();
    return error;
  }
  throw new Error('There is no conflict.');
}

/** Calls something, and does the same to the model. */
function randomCall(
  db: PagewrightLevel,
  model: Map<string, string>,
  random: Random,
  key: () => string,
  value: string,
): Promise<void> {
  const which = random.below(20);
  if (which < 5) {
    const put = key();
    model.set(put, value);
    return db.put(put, value);
  }
  if (which < 7) {
    const deleted = key();
    model.delete(deleted);
    return db.del(deleted);
  }
  if (which < 13) {
    const operations = Array.from({ length: random.below(200) }, () => ({ type: 'put' as const, key: key(), value }));
    for (const operation of operations) model.set(operation.key, value);
    return db.batch(operations);
  }
  if (which === 13) {
    model.clear();
    return db.clear();
  }
  const [gte, lt] = [key(), key()].sort() as [string, string];
  const reverse = random.below(2) === 0;
  const limit = random.below(2) === 0 ? -1 : random.below(50);
  const keys = [...model.keys()].filter((each) => each >= gte && each < lt).sort();
  if (reverse) keys.reverse();
  for (const cleared of limit < 0 ? keys : keys.slice(0, limit)) model.delete(cleared);
  return db.clear({ gte, lt, reverse, limit });
}
