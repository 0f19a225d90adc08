/** Keys, values, ranges and iterators, where this database differs inside from what abstract-level’s suite can know. */
import fc from 'fast-check';
import { open, type PagewrightError } from 'pagewright';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { PagewrightLevel } from '../src/index.js';
import { codesOf, Rig } from './rig.js';

let rig: Rig;
let db: PagewrightLevel;
beforeEach(async () => {
  rig = new Rig();
  db = await rig.open({ pageSize: '4KiB' });
});
afterEach(() => rig.end());

const BUFFERS = { keyEncoding: 'buffer', valueEncoding: 'buffer' } as const;

describe('keys', () => {
  test('of any bytes, the empty one too, come back in order, and ranges and seeks find them', async () => {
    const buffers = await rig.open<Buffer, Buffer>({ ...BUFFERS, pageSize: '4KiB' }, 'buffers.pw');
    const tooLarge = (await buffers.put(Buffer.alloc(5000), Buffer.alloc(0)).catch((error) => error)) as Error;
    const { limit } = (tooLarge.cause as PagewrightError).details as { limit: number };
    // Zeros are what is peculiar inside, and bounds that are longer than any key.
    const short = fc.array(fc.constantFrom(0, 0, 1, 255), { maxLength: 5 }).map((numbers) => Buffer.from(numbers));
    const long = (most: number) =>
      fc
        .tuple(fc.integer({ min: limit - 2, max: most }), fc.constantFrom(0, 120))
        .map(([length, byte]) => Buffer.alloc(length, byte));
    const bytes = fc.oneof(short, long(limit - 1), fc.constant(Buffer.alloc(limit, 'x')));
    const bound = fc.oneof(short, long(limit + 3));
    await fc.assert(
      fc.asyncProperty(
        fc.array(bytes, { maxLength: 12 }),
        bound,
        bound,
        fc.boolean(),
        async (keys, low, high, reverse) => {
          await buffers.clear();
          await buffers.batch(keys.map((key) => ({ type: 'put', key, value: key })));
          const sorted = [...new Map(keys.map((key) => [key.toString('hex'), key])).values()].sort(Buffer.compare);
          const ordered = (list: Buffer[]) => (reverse ? list.toReversed() : list);
          expect(await buffers.keys({ reverse }).all()).toEqual(ordered(sorted));
          const between = (list: Buffer[], includes: (key: Buffer) => boolean) => ordered(list.filter(includes));
          const [gt, lte] = [low, high];
          expect(await buffers.keys({ gt, lte, reverse }).all()).toEqual(
            between(sorted, (key) => Buffer.compare(key, gt) > 0 && Buffer.compare(key, lte) <= 0),
          );
          expect(await buffers.values({ gte: low, lt: high, reverse }).all()).toEqual(
            between(sorted, (key) => Buffer.compare(key, low) >= 0 && Buffer.compare(key, high) < 0),
          );
          const iterator = buffers.keys({ reverse });
          iterator.seek(low);
          expect(await iterator.all()).toEqual(
            between(sorted, (key) => (reverse ? Buffer.compare(key, low) <= 0 : Buffer.compare(key, low) >= 0)),
          );
          for (const key of keys) expect(await buffers.get(key)).toEqual(key);
          expect(await buffers.hasMany(keys)).toEqual(keys.map(() => true));
        },
      ),
      { numRuns: 200 },
    );
  });

  test('of strings that are not well-formed have U+FFFD, as everywhere in Level', async () => {
    await db.put('a\ud800', '\udfff');
    expect(await db.iterator().all()).toEqual([['a\ufffd', '\ufffd']]);
    expect(await db.get('a\ud800')).toBe('\ufffd');
  });

  test('of any length come back, and texts of all kinds as they are', async () => {
    const texts = [
      '',
      '\ufeffmark',
      'é',
      '日本',
      '😀'.repeat(6),
      'ascii of more than twenty-four characters',
      'é'.repeat(200),
    ];
    await db.batch(texts.map((text) => ({ type: 'put', key: text, value: text })));
    expect(await db.getMany(texts)).toEqual(texts);
    expect(texts.map((text) => db.getSync(text))).toEqual(texts);
    expect((await db.keys().all()).sort()).toEqual([...texts].sort());
  });

  test('changed by the program after the call change nothing', async () => {
    const key = Buffer.from('a key of more than twenty-four bytes');
    const value = Buffer.from('a value');
    const buffers = await rig.open<Buffer, Buffer>(BUFFERS, 'buffers.pw');
    const [wanted, meant] = [Buffer.from(key), Buffer.from(value)];
    const changes = [buffers.put(key, value), buffers.batch([{ type: 'put', key: Buffer.from('b'), value }])];
    const [gte, target] = [Buffer.from('a'), Buffer.from('a')];
    key.fill(0);
    value.fill(0);
    await Promise.all(changes);
    const iterator = buffers.iterator({ gte });
    gte.fill(255);
    iterator.seek(target);
    target.fill(255);
    expect(await iterator.all()).toEqual([
      [wanted, meant],
      [Buffer.from('b'), meant],
    ]);
  });
});

describe('values', () => {
  test('of any size up to the limit come back, in all formats', async () => {
    for (const length of [0, 1, 1000, 5000, 70_000, 200_000]) {
      const bytes = Buffer.alloc(length, 'value ');
      await db.put('k', bytes.toString());
      expect(await db.get('k')).toBe(bytes.toString());
      expect(db.getSync<string, Buffer>('k', { valueEncoding: 'buffer' })).toEqual(bytes);
      const view = await db.get<string, Uint8Array>('k', { valueEncoding: 'view' });
      expect(Buffer.isBuffer(view)).toBe(false);
      expect(view).toEqual(new Uint8Array(bytes));
    }
  });

  test('of many megabytes come back, among others, with memory for them', async () => {
    const large = await rig.open({ memory: '256MiB' }, 'large.pw');
    const value = Buffer.alloc(15 << 20, 'many megabytes ').toString('latin1');
    await large.batch(['a', 'b', 'c'].map((key) => ({ type: 'put', key, value: key === 'b' ? value : key })));
    await large.close();
    await large.open();
    expect((await large.get('b')) === value).toBe(true);
    expect((await large.values().all()).map(({ length }) => length)).toEqual([1, value.length, 1]);
  });

  test('that are read are the program’s own', async () => {
    await db.put('k', 'value');
    for (const read of [
      () => db.get<string, Uint8Array>('k', { valueEncoding: 'view' }),
      async () => db.getSync<string, Uint8Array>('k', { valueEncoding: 'view' }),
      async () => (await db.values<string, Uint8Array>({ valueEncoding: 'view' }).next()) as Uint8Array,
    ]) {
      (await read())?.fill(0);
      expect(await db.get('k')).toBe('value');
    }
  });
});

describe('iterators', () => {
  beforeEach(() =>
    db.batch(Array.from({ length: 100 }, (_, i) => ({ type: 'put', key: `${i + 100}`, value: 'v'.repeat(97) }))),
  );

  test('nextv stops once it has more bytes than highWaterMarkBytes', async () => {
    const counts = async (iterator: { nextv(size: number): Promise<unknown[]> }) => {
      const counts: number[] = [];
      for (;;) {
        const { length } = await iterator.nextv(40);
        if (length === 0) return counts;
        counts.push(length);
      }
    };
    expect(await counts(db.iterator())).toEqual([40, 40, 20]);
    expect(await counts(db.iterator({ highWaterMarkBytes: 2999 }))).toEqual([30, 30, 30, 10]);
    expect(await counts(db.iterator({ highWaterMarkBytes: 0, limit: 3 }))).toEqual([1, 1, 1]);
    expect(await counts(db.keys({ highWaterMarkBytes: 29 }))).toEqual(Array(10).fill(10));
    expect((await db.iterator({ highWaterMarkBytes: 0 }).all()).length).toBe(100);
  });

  test('of keys read no values', async () => {
    await db.put('150', 'x'.repeat(200_000));
    await db.close();
    await db.open();
    const reads = () =>
      db.engine.stats().pages.bySizeClass.reduce((sum, { sizeClass, misses }) => sum + (sizeClass > 0 ? misses : 0), 0);
    await db.keys().all();
    await db.iterator({ values: false }).all();
    expect(reads()).toBe(0);
    await db.iterator({ gte: '150', limit: 1 }).all();
    expect(reads()).toBeGreaterThan(0);
  });

  test('mix next, nextv, seek and all', async () => {
    const iterator = db.keys({ limit: 12 });
    expect(await iterator.next()).toBe('100');
    expect(await iterator.next()).toBe('101');
    expect(await iterator.nextv(3)).toEqual(['102', '103', '104']);
    iterator.seek('150');
    expect(await iterator.next()).toBe('150');
    iterator.seek('199');
    expect(await iterator.nextv(5)).toEqual(['199']);
    iterator.seek('110');
    expect(await iterator.all()).toEqual(['110', '111', '112', '113', '114']);
  });

  test('that wait for a page are aborted by their signal at once', async () => {
    await db.close();
    await db.open();
    const controller = new AbortController();
    const iterator = db.iterator({ signal: controller.signal });
    const next = iterator.next();
    controller.abort(new Error('enough'));
    await expect(next).rejects.toMatchObject({
      code: 'LEVEL_ABORTED',
      name: 'AbortError',
      cause: { message: 'enough' },
    });
    expect(await codesOf(() => iterator.next())).toEqual(['LEVEL_ABORTED']);
    await iterator.close();
    expect(db.engine.stats().concurrency.activeSnapshots).toBe(0);
    expect(await db.get('100')).toBe('v'.repeat(97));
  });
});

describe('sublevels', () => {
  test('batches over sublevels are atomic, and each clears its own', async () => {
    const [a, b] = [db.sublevel('a'), db.sublevel('b')];
    const failing = [
      { type: 'put', key: '1', value: 'a', sublevel: a },
      { type: 'put', key: 'k'.repeat(5000), value: 'b', sublevel: b },
    ] as const;
    expect((await codesOf(() => db.batch([...failing])))[0]).toBe('LEVEL_INVALID_KEY');
    expect(await a.keys().all()).toEqual([]);
    await db.batch([failing[0], { ...failing[1], key: '1' }]);
    await a.clear();
    expect(await db.keys().all()).toEqual(['!b!1']);
  });
});

describe('the engine beside', () => {
  test('has other indexes, backups and statistics of the same store', async () => {
    await db.put('a', '1');
    const other = await db.engine.index<string, number>('other');
    await other.put('n', 1);
    await db.engine.backup(rig.path('copy.pw'));
    const copy = await rig.open({}, 'copy.pw');
    expect(await copy.iterator().all()).toEqual([['a', '1']]);
    expect(await (await copy.engine.index<string, number>('other')).get('n')).toBe(1);
    expect(db.engine.stats().log?.policy).toBe('pipelined');
  });

  test('shows the entries as bytes', async () => {
    await db.put('a', '1');
    await db.put('', 'empty');
    await db.close();
    const store = await open(rig.path(), { memory: '4MiB' });
    const index = await store.index('level', { key: 'buffer', value: 'buffer' });
    const entries = [...index.rangeSync()].map(([key, value]) => [
      Buffer.from(key).toString('hex'),
      Buffer.from(value).toString(),
    ]);
    expect(entries).toEqual([
      ['00', 'empty'],
      ['61', '1'],
    ]);
    await store.close();
  });
});

test('sync and durability ask the log for what they say', async () => {
  const flushes = () => db.engine.stats().log?.flushes as number;
  const flushed = async (call: () => Promise<void>) => {
    const before = flushes();
    await call();
    return flushes() - before;
  };
  const relaxed = await rig.open({ durability: 'none' }, 'relaxed.pw');
  await db.put('a', '0');
  expect(await flushed(() => db.put('a', '1'))).toBeGreaterThan(0);
  expect(await flushed(() => db.put('a', '2', { sync: true }))).toBeGreaterThan(0);
  const durable = () => db.engine.stats().log?.pendingBytes;
  expect(durable()).toBe(0);
  await db.put('a', '3', { durability: 'none' });
  expect(durable()).toBeGreaterThan(0);
  await relaxed.put('a', '1');
  expect(relaxed.engine.stats().log?.pendingBytes).toBeGreaterThan(0);
  await relaxed.put('a', '2', { sync: true });
  expect(relaxed.engine.stats().log?.pendingBytes).toBe(0);
});
