/** What a transaction reads, in all forms: the state at its beginning with its own writes, whatever others do, with pages that are evicted and more entries than a turn takes. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, IndexHandle, Transaction } from '@pagewright/core';
import { art } from '@pagewright/index-art';
import { btree } from '@pagewright/index-btree';
import { singleWriter } from '@pagewright/single-writer';
import { Random } from '@pagewright/testkit';
import { open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const SEED = Number(process.env.READS_SEED ?? Date.now() % 2 ** 31);
const KEYS = 600;

type Numbers = IndexHandle<number, Uint8Array>;
type Model = Map<number, number>;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-reads-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

/** Some 200 pages of 4 KiB; memory is for 64. */
async function numbers(
  type: 'btree' | 'art',
  parts: { readonly concurrency?: ReturnType<typeof singleWriter> } = {},
): Promise<{ db: Engine<'btree' | 'art'>; index: Numbers; model: Model }> {
  const options = { memory: 64 * 4096, pageSize: 4096, indexes: [btree(), art()], durability: 'relaxed' } as const;
  const db = await open(join(directory, 'app.pw'), { ...options, ...parts });
  const index = await db.index<number, Uint8Array>('numbers', { type, key: 'u32', value: 'buffer' });
  const model: Model = new Map();
  for (let key = 0; key < KEYS; key += 2) model.set(key, key % 251);
  await index.batch([...model].map(([key, mark]) => ({ type: 'put', key, value: filled(mark) })));
  return { db, index, model };
}

function filled(mark: number): Uint8Array {
  return new Uint8Array(1500).fill(mark);
}

const markOf = (value: Uint8Array | undefined): number | undefined => value?.[0];

interface Bounds {
  readonly gte: number;
  readonly lt: number;
  readonly reverse: boolean;
  readonly limit: number | undefined;
}

function within(model: Model, { gte, lt, reverse, limit }: Bounds): [number, number][] {
  const entries = [...model].filter(([key]) => key >= gte && key < lt).sort(([one], [other]) => one - other);
  return (reverse ? entries.reverse() : entries).slice(0, limit);
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function expectReads(tx: Transaction, index: Numbers, model: Model, random: Random): Promise<void> {
  const keys = Array.from({ length: 200 }, () => random.below(KEYS + 10));
  const wanted = keys.map((key) => model.get(key));
  expect((await tx.getMany(index, keys)).map(markOf), `seed ${SEED}: getMany`).toEqual(wanted);
  const presence = await Promise.all(keys.map((key) => tx.has(index, key)));
  expect(presence, `seed ${SEED}: has`).toEqual(wanted.map((mark) => mark !== undefined));
  expect(
    keys.map((key) => tx.hasSync(index, key)),
    `seed ${SEED}: hasSync`,
  ).toEqual(presence);
  expect((await Promise.all(keys.map((key) => tx.get(index, key)))).map(markOf), `seed ${SEED}: get`).toEqual(wanted);
  for (let time = 0; time < 4; time++) {
    const [gte, lt] = [random.below(KEYS), random.below(KEYS + 10)];
    const limit = random.below(3) === 0 ? random.below(80) : undefined;
    const bounds: Bounds = { gte, lt, reverse: random.below(2) === 0, limit };
    const entries = within(model, bounds);
    const told = `seed ${SEED}: ${JSON.stringify(bounds)}`;
    expect(await all(tx.keys(index, bounds)), told).toEqual(entries.map(([key]) => key));
    expect((await all(tx.values(index, bounds))).map(markOf), told).toEqual(entries.map(([, mark]) => mark));
    expect((await all(tx.range(index, bounds))).map(([key, value]) => [key, markOf(value)])).toEqual(entries);
    expect(await tx.count(index, bounds), told).toBe(entries.length);
    expect(tx.countSync(index, bounds), told).toBe(entries.length);
  }
  expect(await tx.count(index)).toBe(model.size);
  expect(await tx.getMany(index, [])).toEqual([]);
}

describe.each(['btree', 'art'] as const)('transactions on an index of type %s', (type) => {
  for (const isolation of ['snapshot', 'serializable'] as const) {
    it(`read the state at their beginning and their own writes, isolated by ${isolation} (seed ${SEED})`, async () => {
      const random = new Random(SEED).fork(`${type} ${isolation}`);
      const { db, index, model } = await numbers(type);
      const tx = db.begin({ isolation });
      await expectReads(tx, index, model, random);
      // What others do is not seen.
      await index.batch(
        Array.from({ length: 150 }, () => {
          const key = random.below(KEYS);
          return random.below(2) === 0 ? { type: 'delete', key } : { type: 'put', key, value: filled(252) };
        }),
      );
      await expectReads(tx, index, model, random);
      const savepoint = tx.savepoint();
      const own = new Map(model);
      for (let time = 0; time < 150; time++) {
        const key = random.below(KEYS + 10);
        if (random.below(2) === 0) {
          tx.delete(index, key);
          own.delete(key);
        } else {
          tx.put(index, key, filled(253));
          own.set(key, 253);
        }
      }
      await expectReads(tx, index, own, random);
      tx.rollbackTo(savepoint);
      await expectReads(tx, index, model, random);
      tx.abort();
      await db.close();
    });
  }

  it.each([
    ['has', (tx: Transaction, index: Numbers) => tx.has(index, 1)],
    ['hasSync', (tx: Transaction, index: Numbers) => tx.hasSync(index, 1)],
    ['getMany', (tx: Transaction, index: Numbers) => tx.getMany(index, [0, 1])],
    ['keys', (tx: Transaction, index: Numbers) => all(tx.keys(index, { gte: 0, lt: 3 }))],
    ['values', (tx: Transaction, index: Numbers) => all(tx.values(index, { gte: 0, lt: 3 }))],
    ['count', (tx: Transaction, index: Numbers) => tx.count(index, { gte: 0, lt: 3 })],
    ['countSync', (tx: Transaction, index: Numbers) => tx.countSync(index, { gte: 0, lt: 3 })],
  ])('a serializable transaction has read what it asked for by %s', async (_, read) => {
    const { db, index } = await numbers(type);
    for (const [key, code] of [
      [1, 'PW_CONFLICT'],
      [KEYS - 1, undefined],
    ] as const) {
      const tx = db.begin({ isolation: 'serializable' });
      await read(tx, index);
      tx.put(index, KEYS + 1, filled(1));
      await index.put(key, filled(2));
      const found = await tx.commit().then(
        () => undefined,
        (error) => error.code,
      );
      expect(found, `after a change of ${key}`).toBe(code);
      await index.delete(1);
    }
    await db.close();
  });
});

it('it is the same where one writes at a time', async () => {
  const random = new Random(SEED).fork('single writer');
  const { db, index, model } = await numbers('btree', { concurrency: singleWriter() });
  await db.transaction(async (tx) => {
    await expectReads(tx, index, model, random);
    for (let key = 0; key < KEYS; key += 3) {
      if (key % 2 === 0) {
        tx.delete(index, key);
        model.delete(key);
      } else {
        tx.put(index, key, filled(253));
        model.set(key, 253);
      }
    }
    await expectReads(tx, index, model, random);
  });
  await db.close();
});

it('what is no list of keys, no option and no index is refused', async () => {
  const { db, index } = await numbers('btree');
  const tx = db.begin();
  await expect(tx.getMany(index, 7 as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  await expect(tx.getMany(index, ['a'] as never)).rejects.toMatchObject({ code: 'PW_ENCODING' });
  await expect(tx.getMany('numbers' as never, [1])).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  await expect(tx.has({} as never, 1)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  await expect(tx.count(index, { snapshot: db.snapshot() } as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  await expect(tx.count(index, { limit: -1 })).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  expect(() => tx.keys(index, { from: 1 } as never)).toThrow(/no option 'from'/);
  expect(await tx.count(index, { limit: 0 })).toBe(0);
  await db.close();
});
