/** Changes take effect in the order of their calls, also beside clearing that is under way, and whatever they wait for. */
import { afterAll, expect, test } from 'vitest';
import type { PagewrightLevel } from '../src/index.js';
import { Rig } from './rig.js';

const rig = new Rig();
afterAll(() => rig.end());

/** A database with so much in `j` that clearing it takes many turns. */
async function filled(name: string): Promise<PagewrightLevel> {
  const db = await rig.open({}, name);
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

test('clearing of a range removes a put that was called before it, of which the page has to be read', async () => {
  const value = 'x'.repeat(1000);
  const keyOf = (number: number): string => `a${String(number).padStart(6, '0')}`;
  const before = await rig.open({}, 'cold.pw');
  for (let round = 0; round < 40; round++) {
    await before.batch(
      Array.from({ length: 200 }, (_, at) => ({ type: 'put' as const, key: keyOf(round * 200 + at), value })),
    );
  }
  await before.close();
  const db = await rig.open({}, 'cold.pw');
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
