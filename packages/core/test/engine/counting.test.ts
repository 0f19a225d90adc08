/** count and estimateCount, held against ranges. */
import { Random } from '@pagewright/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { all, codeOf, Rig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

const SEED = Number(process.env.COUNT_SEED ?? Date.now() % 2 ** 31);

function keyOf(at: number): string {
  return `key/${String(at).padStart(6, '0')}`;
}

describe.each(['btree', 'fan'] as const)('an index of the type %s', (type) => {
  test('counts exactly what a range hands out, among changes, with snapshots, tombstones and pages that are not in memory', async () => {
    const random = new Random(SEED);
    const db = await rig.open({ pool: { memory: 96 * 4096 } });
    const index = await db.index<string, number>('counted', { type });
    const most = type === 'fan' ? 120 : 3000;
    await index.batch(
      Array.from({ length: most }, (_, at) => ({ type: 'put' as const, key: keyOf(2 * at), value: at })),
    );
    const snapshots = [db.snapshot()];
    for (let round = 0; round < 12; round++) {
      const changes = Array.from({ length: random.between(1, most / 10) }, () => keyOf(random.below(2 * most)));
      await index.batch(
        changes.map((key) => (random.chance(0.5) ? { type: 'delete', key } : { type: 'put', key, value: round })),
      );
      if (round === 7) await index.clear();
      if (round === 8) await index.batch(changes.map((key) => ({ type: 'put', key, value: 1 })));
      if (random.chance(0.4)) snapshots.push(db.snapshot());
      for (let i = 0; i < 6; i++) {
        const bound = () => keyOf(random.below(2 * most));
        const options = {
          ...(random.chance(0.3) ? {} : random.chance(0.5) ? { gt: bound() } : { gte: bound() }),
          ...(random.chance(0.3) ? {} : random.chance(0.5) ? { lt: bound() } : { lte: bound() }),
          ...(random.chance(0.5) ? {} : { snapshot: random.pick(snapshots) }),
          ...(random.chance(0.8) ? {} : { limit: random.below(50) }),
          reverse: random.chance(0.5),
        };
        const { length } = await all(index.range(options));
        const { snapshot, ...shown } = options;
        const about = `COUNT_SEED=${SEED}, ${JSON.stringify({ ...shown, snapshot: snapshot?.timestamp })}`;
        expect(await index.count(options), about).toBe(length);
        expect(index.countSync(options), about).toBe(length);
      }
    }
    for (const snapshot of snapshots) snapshot.release();
  });

  test('estimates a handful exactly, and many to within a factor', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('estimated', { type });
    expect(await index.estimateCount()).toBe(0);
    const most = type === 'fan' ? 200 : 20_000;
    await index.bulkLoad(Array.from({ length: most }, (_, at) => [keyOf(at), at] as const));
    expect(index.estimateCountSync({ gte: keyOf(10), lt: keyOf(17) })).toBe(7);
    expect(index.estimateCountSync({ gte: keyOf(17), lt: keyOf(10) })).toBe(0);
    for (const [from, to] of [
      [0, most],
      [most / 10, most / 2],
      [most / 2, most - 1],
    ] as const) {
      const about = await index.estimateCount({ gte: keyOf(from), lt: keyOf(to) });
      expect(Math.abs(about - (to - from))).toBeLessThan(0.1 * (to - from) + 1);
    }
    expect(Math.abs((await index.estimateCount()) - most)).toBeLessThan(0.1 * most + 1);
  });

  test('estimates a handful from and to keys that belong to the range or not, up to the longest key', async () => {
    const db = await rig.open();
    const index = await db.index('edges', { type, key: 'buffer', value: 'u32' });
    const longest = 1024;
    const keys = [
      Buffer.of(1),
      Buffer.of(1, 0),
      Buffer.of(2),
      Buffer.alloc(longest, 3),
      Buffer.alloc(longest - 1, 4),
      Buffer.alloc(longest, 4),
      Buffer.of(...Buffer.alloc(longest - 1, 5), 0xff),
      Buffer.of(6, ...Buffer.alloc(longest - 1, 0xff)),
      Buffer.of(7),
      Buffer.alloc(longest, 0xff),
    ];
    await index.batch(keys.map((key, at) => ({ type: 'put', key, value: at })));
    for (const lower of [undefined, ...keys]) {
      for (const upper of [undefined, ...keys]) {
        for (const range of [
          { gt: lower, lt: upper },
          { gt: lower, lte: upper },
          { gte: lower, lt: upper },
          { gte: lower, lte: upper },
        ]) {
          const about = JSON.stringify(range, (_, value) => (Array.isArray(value) ? value.slice(0, 2) : value));
          expect(index.estimateCountSync(range), about).toBe(index.countSync(range));
        }
      }
    }
  });

  test('counts and estimates nothing it is not asked for in a way that it knows, and nothing of an index that is gone', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('gone', { type });
    for (const options of [{ from: 'a' }, { limit: -1 }, { snapshot: {} }, null])
      for (const count of [() => index.count(options as never), () => index.countSync(options as never)])
        expect(await codeOf(count)).toBe('PW_ARGUMENT');
    for (const options of [{ limit: 1 }, { reverse: true }, { snapshot: db.snapshot() }, { gt: 'a', gte: 'a' }, null])
      for (const estimate of [
        () => index.estimateCount(options as never),
        () => index.estimateCountSync(options as never),
      ])
        expect(await codeOf(estimate)).toBe('PW_ARGUMENT');
    await db.dropIndex('gone');
    for (const call of [
      () => index.count(),
      () => index.countSync(),
      () => index.estimateCount(),
      () => index.estimateCountSync(),
    ])
      expect(await codeOf(call)).toBe('PW_INDEX_DROPPED');
  });
});
