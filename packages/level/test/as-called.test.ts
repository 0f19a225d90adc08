/** What reads show that have to wait for pages, while changes that were called after them do not: abstract-level's suite has no test of it. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PagewrightLevel } from '../src/index.js';
import { Rig } from './rig.js';

const COUNT = 500;
const KEYS = Array.from({ length: COUNT }, (_, i) => `key ${String(i).padStart(4, '0')}`);
const OLD = 'old '.repeat(200);
const KEY = KEYS[COUNT / 2] as string;
const LAST = KEYS.at(-1) as string;

let rig: Rig;
let db: PagewrightLevel;
beforeEach(async () => {
  rig = new Rig();
  const before = await rig.open({ pageSize: '4KiB' });
  await before.batch(KEYS.map((key) => ({ type: 'put', key, value: OLD })));
  await before.close();
  // None of its pages is in memory.
  db = await rig.open();
});
afterEach(() => rig.end());

/** Changes a key in this very turn. */
function change(key: string, change: () => Promise<void>): Promise<void> {
  db.getSync(key); // Its page is in memory now.
  return change();
}

const misses = (): number => db.engine.stats().pages.misses;

/** Whether a call that has just been made waits for a page. */
async function waiting<Result>(call: () => Promise<Result>): Promise<{ read: Promise<Result> }> {
  const before = misses();
  const read = call();
  expect(misses(), 'it has to wait for a page').toBeGreaterThan(before);
  return { read };
}

describe('a read shows what there was when it was called, though its page comes later:', () => {
  test('get, before a put', async () => {
    const { read } = await waiting(() => db.get(KEY));
    const put = change(KEY, () => db.put(KEY, 'new'));
    expect(db.getSync(KEY)).toBe('new');
    expect(await read).toBe(OLD);
    await put;
    expect(await db.get(KEY)).toBe('new');
    expect(db.engine.stats().concurrency.activeSnapshots).toBe(0);
  });

  test('get, before a del, and of a key that is put only then', async () => {
    const { read } = await waiting(() => db.get(KEY));
    const del = change(KEY, () => db.del(KEY));
    const nothing = db.get('key 9999');
    const put = change('key 9999', () => db.put('key 9999', 'new'));
    expect([await read, await nothing]).toEqual([OLD, undefined]);
    await Promise.all([del, put]);
  });

  test('getMany, of a moment for all its keys', async () => {
    const { read } = await waiting(() => db.getMany([KEYS[0] as string, KEY, LAST, 'key 9999']));
    const batch = change(KEY, () =>
      db.batch([
        { type: 'put', key: KEY, value: 'new' },
        { type: 'del', key: LAST },
      ]),
    );
    const put = change('key 9999', () => db.put('key 9999', 'new'));
    expect(await read).toEqual([OLD, OLD, OLD, undefined]);
    await Promise.all([batch, put]);
  });

  test('has and hasMany', async () => {
    const { read } = await waiting(() => db.has(KEY));
    const many = db.hasMany([KEYS[0] as string, KEY, LAST, 'key 9999']);
    const changes = [change(KEY, () => db.del(KEY)), change(LAST, () => db.del(LAST)), db.put('key 9999', 'new')];
    expect(await read).toBe(true);
    expect(await many).toEqual([true, true, true, false]);
    await Promise.all(changes);
    expect(await db.hasMany([KEY, 'key 9999'])).toEqual([false, true]);
  });

  test.each(['iterator', 'keys', 'values'] as const)('%s()', async (kind) => {
    const range = { gte: KEYS[COUNT / 2 - 1] as string, lte: KEYS[COUNT / 2 + 1] as string };
    const iterator = { iterator: db.iterator(range), keys: db.keys(range), values: db.values(range) }[kind];
    const changes = [
      change(KEY, () => db.put(KEY, 'new')),
      change(LAST, () => db.del(KEYS[COUNT / 2 + 1] as string)),
      change(KEY, () => db.put(`${KEY} and more`, 'new')),
    ];
    await Promise.all(changes);
    const keys = KEYS.slice(COUNT / 2 - 1, COUNT / 2 + 2);
    const shown = { iterator: keys.map((key) => [key, OLD]), keys, values: keys.map(() => OLD) };
    expect(await iterator.all()).toEqual(shown[kind]);
    expect(await db.keys(range).all()).toEqual([keys[0], KEY, `${KEY} and more`]);
  });
});

describe('clearing removes what there was when it was called, and nothing that was written after that:', () => {
  const within = { gte: KEYS[10] as string, lt: KEYS[COUNT - 10] as string };
  const rest = [...KEYS.slice(0, 10), ...KEYS.slice(COUNT - 10)];

  test('a range', async () => {
    const cleared = db.clear(within);
    const changes = [
      change(KEY, () => db.put(KEY, 'new')),
      change(KEYS[20] as string, () => db.batch([{ type: 'put', key: KEYS[20] as string, value: 'new' }])),
      change(LAST, () => db.put(`${KEYS[20]} and more`, 'new')),
      db.transaction((tx) => tx.put(KEYS[30] as string, 'new')),
    ];
    await Promise.all([cleared, ...changes]);
    const stays = [KEYS[20], `${KEYS[20]} and more`, KEYS[30], KEY];
    expect(await db.keys().all()).toEqual([...rest.slice(0, 10), ...stays, ...rest.slice(10)]);
    expect(await db.getMany([KEY, KEYS[20] as string, KEYS[30] as string])).toEqual(['new', 'new', 'new']);
  });

  test('changes of other keys do not wait for it', async () => {
    let isOver = false;
    const cleared = db.clear(within).then(() => {
      isOver = true;
    });
    await change(LAST, () => db.put(LAST, 'new', { durability: 'none' }));
    expect(isOver).toBe(false);
    await cleared;
  });

  test('what a program does to its bytes while they wait changes nothing', async () => {
    const cleared = db.clear(within);
    const key = Buffer.from(KEY);
    const value = Buffer.from('new');
    const put = db.put<Buffer, Buffer>(key, value, { keyEncoding: 'buffer', valueEncoding: 'buffer' });
    key.fill(0);
    value.fill(0);
    await Promise.all([cleared, put]);
    expect(await db.get(KEY)).toBe('new');
    expect(await db.keys().all()).toEqual([...rest.slice(0, 10), KEY, ...rest.slice(10)]);
  });

  test('everything', async () => {
    const cleared = db.clear();
    const put = change(KEY, () => db.put(KEY, 'new'));
    await Promise.all([cleared, put]);
    expect(await db.iterator().all()).toEqual([[KEY, 'new']]);
  });

  test('a del that comes after a put, while both wait, still comes after it', async () => {
    const cleared = db.clear(within);
    await Promise.all([cleared, db.put(KEY, 'new'), db.put(KEY, 'newer'), db.del(KEY)]);
    expect(await db.keys().all()).toEqual(rest);
  });

  test('a change that waits for it is there when what is called next clears again', async () => {
    const first = db.clear(within);
    const put = db.put(KEY, 'new');
    const second = db.clear({ gte: KEY, lte: KEY });
    const last = db.put(`${KEY} and more`, 'new');
    await Promise.all([first, put, second, last]);
    expect(await db.keys().all()).toEqual([...rest.slice(0, 10), `${KEY} and more`, ...rest.slice(10)]);
    const again = [db.clear(within), db.put(KEY, 'new'), db.clear(), db.put('a', 'new')];
    await Promise.all(again);
    expect(await db.keys().all()).toEqual(['a']);
  });

  test('of what an explicit snapshot shows, though it was written again before the call', async () => {
    const snapshot = db.snapshot();
    await db.put('key 0011 and more', 'new');
    await db.put(KEY, 'new');
    await db.clear({ ...within, snapshot });
    expect(db.engine.stats().concurrency.activeSnapshots).toBe(1);
    await snapshot.close();
    expect(db.engine.stats().concurrency.activeSnapshots).toBe(0);
    expect(await db.keys().all()).toEqual([...rest.slice(0, 10), 'key 0011 and more', ...rest.slice(10)]);
  });

  test('many more entries than one commit takes away, from either end, up to a limit', async () => {
    const many = Array.from({ length: 5000 }, (_, i) => `many ${String(i).padStart(5, '0')}`);
    await db.batch(many.map((key) => ({ type: 'put', key, value: '' })));
    const { commits } = db.engine.stats().concurrency;
    await db.clear({ gte: 'many', reverse: true, limit: 3000 });
    expect(db.engine.stats().concurrency.commits - commits).toBeGreaterThanOrEqual(3);
    expect(await db.keys({ gte: 'many' }).all()).toEqual(many.slice(0, 2000));
    await db.clear({ gte: 'many', limit: 1500, sync: false });
    expect(await db.keys({ gte: 'many' }).all()).toEqual(many.slice(1500, 2000));
    await db.clear({ gte: 'many' });
    expect(await db.keys({}).all()).toEqual(KEYS);
  });
});
