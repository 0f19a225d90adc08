/** bulkLoad: what is there afterwards, what others see and do meanwhile, and that whatever ends it leaves the index as it was. */
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { Engine, IndexHandle } from '../../src/index.js';
import { all, codeOf, Rig } from './rig.js';

let rig: Rig;
let crashes = 0;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

type Entry = readonly [string, number];

/** Keys that rise, with these values. */
function entries(count: number, value = (at: number) => at): Entry[] {
  return Array.from({ length: count }, (_, at) => [keyOf(at), value(at)] as const);
}

function keyOf(at: number): string {
  return `key/${String(at).padStart(7, '0')}`;
}

/** The same, an entry for each turn of the event loop. */
async function* slowly(items: readonly Entry[]): AsyncGenerator<Entry> {
  for (const item of items) {
    await new Promise(setImmediate);
    yield item;
  }
}

/** An input that gives some entries and then waits until it is told to go on; and what it was told in the end. */
function held(items: readonly Entry[], more: readonly Entry[] = []) {
  let open = (): void => {};
  let reached = (): void => {};
  const isOpen = new Promise<void>((resolve) => {
    open = resolve;
  });
  const isReached = new Promise<void>((resolve) => {
    reached = resolve;
  });
  async function* input(): AsyncGenerator<Entry> {
    yield* items;
    reached();
    await isOpen;
    yield* more;
  }
  return { input: input(), isReached, open };
}

const TYPES = ['btree', 'fan'] as const;

describe.each(TYPES)('an index of the type %s', (type) => {
  let db: Engine<'fan' | 'other' | 'btree'>;
  let index: IndexHandle<string, number>;

  beforeEach(async () => {
    db = await rig.open();
    index = await db.index<string, number>('loaded', { type });
    await index.batch([
      { type: 'put', key: 'old', value: 1 },
      { type: 'put', key: keyOf(3), value: 2 },
    ]);
  });

  const expectOld = async (of: typeof index = index): Promise<void> => {
    expect(await all(of.range())).toEqual([
      [keyOf(3), 2],
      ['old', 1],
    ]);
  };

  test.each(['sync', 'async'])('has what was loaded from %s entries, and nothing else', async (form) => {
    const items = entries(500);
    const report = await index.bulkLoad(form === 'sync' ? items : slowly(items));
    expect(report).toMatchObject({ entries: 500, bytes: expect.any(Number), durationMs: expect.any(Number) });
    expect(await all(index.range())).toEqual(items);
    expect(index.getSync('old')).toBeUndefined();
    expect(await index.get(keyOf(77))).toBe(77);
    await index.put(keyOf(77), -1);
    await index.delete(keyOf(78));
    expect(await index.count()).toBe(499);
    expect((await db.verify()).problems).toEqual([]);
  });

  test('is there after a crash right behind it, and after closing, with what was changed since', async () => {
    await index.bulkLoad(entries(300));
    await index.put('new', 5);
    const crashed = await rig.open({ file: rig.crash(`crashed ${crashes++}.pw`) });
    const expected = [...entries(300), ['new', 5]];
    expect(await all((await crashed.index<string, number>('loaded')).range())).toEqual(expected);
    expect((await crashed.verify()).problems).toEqual([]);
    await db.close();
    const again = await rig.open();
    expect(await all((await again.index<string, number>('loaded')).range())).toEqual(expected);
  });

  test('is empty after a load of nothing', async () => {
    expect(await index.bulkLoad([])).toMatchObject({ entries: 0, bytes: 0 });
    expect(await index.count()).toBe(0);
    await index.put('a', 1);
    expect(await all(index.range())).toEqual([['a', 1]]);
  });

  test('can be loaded again and again, and gives the space of what was there back', async () => {
    let most = 0;
    for (let round = 0; round < 12; round++) {
      await index.bulkLoad(entries(type === 'fan' ? 700 : 3000, (at) => at + round));
      await settled(db);
      const { fileBytes } = db.stats().pages;
      if (round === 5) most = fileBytes;
      if (round > 5) expect(fileBytes).toBeLessThanOrEqual(2 * most);
    }
    expect(await index.get(keyOf(7))).toBe(18);
    expect((await db.verify()).problems).toEqual([]);
  });

  // ── Meanwhile ───────────────────────────────────────────────────────────────────────────────────────────────

  test('shows readers and snapshots what was there before, and snapshots still when it is over', async () => {
    using before = db.snapshot();
    const reader = db.begin();
    const { input, isReached, open } = held(entries(50), [['z', 9]]);
    const loading = index.bulkLoad(input);
    await isReached;
    using meanwhile = db.snapshot();
    await expectOld();
    expect(index.getSync(keyOf(3))).toBe(2);
    open();
    await loading;
    expect(await index.get('z')).toBe(9);
    expect(await index.get(keyOf(3))).toBe(3);
    for (const snapshot of [before, meanwhile]) {
      expect(await index.get(keyOf(3), { snapshot })).toBe(2);
      expect(await all(index.range({ snapshot }))).toEqual([
        [keyOf(3), 2],
        ['old', 1],
      ]);
    }
    expect(reader.getSync(index, 'old')).toBe(1);
    reader.abort();
    expect((await db.verify()).problems).toEqual([]);
  });

  test('lets other indexes go on, and its own changes wait and take effect upon what was loaded, in order', async () => {
    const other = await db.index<string, number>('other one', { type });
    const third = await db.index<string, number>('third one', { type });
    const { input, isReached, open } = held(entries(20));
    const loading = index.bulkLoad(input);
    await isReached;
    const order: string[] = [];
    const note = (what: string) => () => order.push(what);
    const before = other.put('x', 1);
    const changes = [
      index.put('a', 1).then(note('put')),
      index.put('a', 2).then(note('second put')),
      index.delete(keyOf(5)).then(note('delete')),
      db
        .batch([
          { type: 'put', key: 'a', value: 3, index },
          { type: 'put', key: 'b', value: 4, index: other },
        ])
        .then(note('batch')),
      other.put('b', 5).then(note('put behind the batch')),
    ];
    await before;
    await third.put('x', 1);
    other.putSync('y', 2);
    await new Promise(setImmediate);
    expect(order).toEqual([]);
    expect([other.getSync('b'), other.getSync('x'), other.getSync('y'), third.getSync('x')]).toEqual([
      undefined,
      1,
      2,
      1,
    ]);
    open();
    await loading.then(note('load'));
    await Promise.all(changes);
    expect(order[0]).toBe('load');
    expect(await index.get('a')).toBe(3);
    expect(await index.get(keyOf(5))).toBeUndefined();
    expect(await index.count()).toBe(20);
    expect(await other.get('b')).toBe(5);
  });

  test('refuses changes in place, without a trace, until it is over', async () => {
    const { input, isReached, open } = held(entries(20));
    const loading = index.bulkLoad(input);
    await isReached;
    expect(await codeOf(() => index.putSync('a', 1))).toBe('PW_INDEX_LOADING');
    expect(await codeOf(() => index.deleteSync('old'))).toBe('PW_INDEX_LOADING');
    expect(await codeOf(() => db.transactionSync((tx) => tx.put(index, 'a', 1)))).toBe('PW_INDEX_LOADING');
    open();
    await loading;
    index.putSync('a', 2);
    expect(await index.get('a')).toBe(2);
  });

  test('makes transactions conflict that began before it is over, and they succeed when they are run again', async () => {
    const { input, isReached, open } = held(entries(20));
    const loading = index.bulkLoad(input);
    await isReached;
    const tx = db.begin();
    tx.put(index, 'old', 7);
    const committing = codeOf(() => tx.commit());
    const retried = db.transaction((again, attempt) => {
      again.put(index, 'from a transaction', attempt);
    });
    open();
    await loading;
    expect(await committing).toBe('PW_CONFLICT');
    await retried;
    expect(await index.get('from a transaction')).toBe(2);
    expect(await index.get('old')).toBeUndefined();
  });

  test('is cleared, dropped and loaded again by calls that come meanwhile, one after the other', async () => {
    const { input, isReached, open } = held(entries(20));
    const loading = index.bulkLoad(input);
    await isReached;
    const seen: number[] = [];
    const look = () => seen.push([...index.rangeSync()].length);
    const clearing = index.clear().then(look);
    const putting = index.put('a', 1).then(look);
    const again = index.bulkLoad(entries(7)).then(look);
    const last = index.put('b', 1).then(look);
    open();
    await loading;
    await Promise.all([clearing, putting, again, last]);
    expect(await all(index.range())).toEqual([...entries(7), ['b', 1]].sort());
    const dropping = held(entries(20));
    const doomed = index.bulkLoad(dropping.input);
    await dropping.isReached;
    const dropped = db.dropIndex('loaded');
    expect(index.getSync('b')).toBe(1);
    dropping.open();
    await doomed;
    await dropped;
    expect(db.indexes()).toEqual([]);
    expect((await db.verify()).problems).toEqual([]);
  });

  test('is not loaded if it was dropped before, or while it was waited for', async () => {
    const dropping = db.dropIndex('loaded');
    expect(await codeOf(() => index.bulkLoad(entries(5000)))).toBe('PW_INDEX_DROPPED');
    await dropping;
    expect(await codeOf(() => index.bulkLoad([]))).toBe('PW_INDEX_DROPPED');
    expect((await db.verify()).problems).toEqual([]);
  });

  test('lets checkpoints, backups, verifications and compactions go on', async () => {
    const { input, isReached, open } = held(entries(2000), [['z', 1]]);
    const loading = index.bulkLoad(input);
    await isReached;
    await db.checkpoint();
    const copy = `${rig.directory}/copy.pw`;
    await db.backup(copy);
    await db.compact();
    expect((await db.verify()).problems).toEqual([]);
    const crashed = await rig.open({ file: rig.crash(`crashed ${crashes++}.pw`) });
    await expectOld(await crashed.index<string, number>('loaded'));
    open();
    await loading;
    const backedUp = await rig.open({ file: 'copy.pw' });
    await expectOld(await backedUp.index<string, number>('loaded'));
    expect((await backedUp.verify()).problems).toEqual([]);
    expect(await index.count()).toBe(2001);
    expect((await db.verify()).problems).toEqual([]);
  });

  // ── What ends it ────────────────────────────────────────────────────────────────────────────────────────────

  /** Runs what must fail, and sees that the index is as it was, takes changes, and that nothing of the load is left. */
  const expectUnchanged = async (load: () => Promise<unknown>): Promise<unknown> => {
    await settled(db);
    const before = usedBytes(db);
    const error = await load().then(
      () => null,
      (reason: unknown) => reason,
    );
    expect(error).not.toBeNull();
    await expectOld();
    await settled(db);
    expect(usedBytes(db)).toBeLessThanOrEqual(before);
    expect((await db.verify()).problems).toEqual([]);
    await index.put('old', 1);
    await expectOld(
      await (await rig.open({ file: rig.crash(`crashed ${crashes++}.pw`) })).index<string, number>('loaded'),
    );
    return error;
  };

  test.each([
    ['falls', 'a', 900],
    ['is there twice', keyOf(899), 900],
    ['falls at once', keyOf(0), 1],
  ])('is as it was if a key %s, and says which two keys', async (_, key, position) => {
    const items = [...entries(position), [key, 1] as const, ['z', 1] as const];
    const error = await expectUnchanged(() => index.bulkLoad(items));
    expect(error).toMatchObject({
      code: 'PW_UNSORTED',
      message: expect.stringContaining(JSON.stringify(key)),
      details: { index: 'loaded', key, previous: keyOf(position - 1), position },
    });
    expect((error as Error).message).toContain(JSON.stringify(keyOf(position - 1)));
  });

  test('is as it was if the input throws, which learns of its end by `return` in all other cases', async () => {
    const failure = new Error('of the input');
    const throwing = function* (): Generator<Entry> {
      yield* entries(800);
      throw failure;
    };
    expect(await expectUnchanged(() => index.bulkLoad(throwing()))).toBe(failure);
    const ended = vi.fn();
    const unsorted = async function* (): AsyncGenerator<Entry> {
      try {
        yield ['b', 1];
        yield ['a', 1];
      } finally {
        ended();
      }
    };
    expect(await expectUnchanged(() => index.bulkLoad(unsorted()))).toMatchObject({ code: 'PW_UNSORTED' });
    expect(ended).toHaveBeenCalledOnce();
  });

  test.each([
    ['PW_KEY_TOO_LARGE', ['z'.repeat(5000), 1]],
    ['PW_KEY_EMPTY', ['', 1]],
    ['PW_VALUE_TOO_LARGE', ['z', 'v'.repeat(9 << 20)]],
    ['PW_ENCODING', ['z', undefined]],
    ['PW_ENCODING', ['\ud800', 1]],
    ['PW_ARGUMENT', ['z']],
    ['PW_ARGUMENT', 'zz'],
    ['PW_ARGUMENT', null],
  ])('is as it was after %s', async (code, item) => {
    const items = Array.isArray(item) && item[0] === '' ? [item] : [...entries(700), item];
    expect(await expectUnchanged(() => index.bulkLoad(items as never))).toMatchObject({ code });
  });

  test('is as it was if it is aborted: before, on the way, and while the input gives nothing', async () => {
    const reason = new Error('enough');
    expect(await expectUnchanged(() => index.bulkLoad(entries(9), { signal: AbortSignal.abort(reason) }))).toBe(reason);
    const controller = new AbortController();
    const aborting = function* (): Generator<Entry> {
      for (const item of entries(20_000)) {
        if (item[1] === 1000) controller.abort(reason);
        yield item;
      }
    };
    expect(await expectUnchanged(() => index.bulkLoad(aborting(), { signal: controller.signal }))).toBe(reason);
    const silent = new AbortController();
    const { input, isReached } = held(entries(900));
    const load = () => index.bulkLoad(input, { signal: silent.signal });
    isReached.then(() => silent.abort(reason));
    expect(await expectUnchanged(load)).toBe(reason);
  });

  test('tells how far it is, and is as it was if that throws', async () => {
    const told: number[] = [];
    // The index that keeps all that begins with one byte on one page takes its time.
    const many = type === 'fan' ? 1500 : 40_000;
    const items = entries(many);
    await index.bulkLoad(items, { onProgress: (progress) => told.push(progress.entries) });
    expect(told.at(-1)).toBe(many);
    expect([...told].sort((a, b) => a - b)).toEqual(told);
    await index.bulkLoad([
      [keyOf(3), 2],
      ['old', 1],
    ]);
    const failure = new Error('of the progress');
    const onProgress = () => {
      throw failure;
    };
    expect(await expectUnchanged(() => index.bulkLoad(items, { onProgress }))).toBe(failure);
  });

  test('is as it was if the engine is closed meanwhile, which waits for nothing; changes that wait still take effect', async () => {
    const { input, isReached } = held(entries(900));
    const loading = codeOf(() => index.bulkLoad(input));
    await isReached;
    const waiting = index.put('waited', 3);
    const later = codeOf(() => index.bulkLoad(entries(4)));
    await db.close();
    expect(await loading).toBe('PW_CLOSED');
    expect(await later).toBe('PW_CLOSED');
    await waiting;
    const again = await rig.open();
    expect(await (await again.index<string, number>('loaded')).get('waited')).toBe(3);
    expect(await (await again.index<string, number>('loaded')).count()).toBe(3);
    await settled(again);
    expect((await again.verify()).problems).toEqual([]);
  });

  test('is as it was if a page cannot be written, and the engine says that it is read-only', async () => {
    const { input, isReached, open } = held(entries(900), entries(1000).slice(900));
    const loading = codeOf(() => index.bulkLoad(input));
    await isReached;
    rig.io.fail('write', { of: 'pages' });
    open();
    expect(await loading).toMatch(/PW_IO|PW_READ_ONLY/);
    await expectOld();
    rig.io.heal();
    const again = await rig.open({ file: rig.crash(`crashed ${crashes++}.pw`) });
    await expectOld(await again.index<string, number>('loaded'));
    await settled(again);
    expect((await again.verify()).problems).toEqual([]);
  });

  test.each([
    [{ fill: 0.4 }],
    [{ fill: 1.1 }],
    [{ fill: Number.NaN }],
    [{ fill: '1' }],
    [{ signal: {} }],
    [{ onProgress: 1 }],
    [{ filling: 1 }],
    [null],
  ])('does not take the options %j', async (options) => {
    expect(await codeOf(() => index.bulkLoad([], options as never))).toBe('PW_ARGUMENT');
    await expectOld();
  });

  test.each([
    [null],
    [undefined],
    [5],
    ['text'],
    [{}],
    [{ next: () => 1 }],
  ])('does not take %j as input', async (input) => {
    expect(await codeOf(() => index.bulkLoad(input as never))).toBe('PW_ARGUMENT');
    await expectOld();
  });
});

test('a store that is open read-only loads nothing', async () => {
  const db = await rig.open();
  await db.index('loaded', { type: 'btree' });
  await db.close();
  const reader = await rig.open({ readOnly: true });
  const index = await reader.index<string, number>('loaded');
  expect(await codeOf(() => index.bulkLoad(entries(1)))).toBe('PW_READ_ONLY');
});

test('a load many times as large as memory goes through it, and writes each page once', async () => {
  const memory = 1 << 20;
  const db = await rig.open({ pool: { memory } });
  const index = await db.index<string, Uint8Array>('large', { type: 'btree', value: 'buffer' });
  const value = new Uint8Array(200).fill(7);
  const count = 120_000;
  function* items(): Generator<[string, Uint8Array]> {
    for (let at = 0; at < count; at++) yield [keyOf(at), value];
  }
  const before = db.stats().pages;
  const { bytes } = await index.bulkLoad(items());
  const { pageWrites } = db.stats().pages;
  expect(bytes).toBeGreaterThan(24 * memory);
  const pages = Math.ceil((count * 224) / 4096);
  expect(pageWrites - before.pageWrites).toBeLessThan(1.1 * pages);
  let at = 0;
  for await (const [key] of index.range()) if (key !== keyOf(at++)) throw new Error(`${key} is entry ${at - 1}`);
  expect(at).toBe(count);
  expect((await db.verify()).problems).toEqual([]);
});

test('the event loop turns while a long synchronous input is read', async () => {
  const db = await rig.open();
  const index = await db.index<string, number>('loaded', { type: 'btree' });
  let turns = 0;
  let isOver = false;
  const turn = (): void => {
    turns++;
    if (!isOver) setImmediate(turn);
  };
  setImmediate(turn);
  await index.bulkLoad(entries(100_000));
  isOver = true;
  expect(turns).toBeGreaterThan(10);
});

test('pages are about as full as was asked for', async () => {
  const db = await rig.open({ pool: { memory: 16 << 20 } });
  const used: number[] = [];
  for (const fill of [1, 0.75, 0.5]) {
    const before = usedBytes(db);
    const index = await db.index<string, number>(`fill ${fill}`, { type: 'btree' });
    await index.bulkLoad(entries(50_000), { fill });
    await settled(db);
    used.push(usedBytes(db) - before);
  }
  expect(used[1]! / used[0]!).toBeCloseTo(1 / 0.75, 0.5);
  expect(used[2]! / used[0]!).toBeCloseTo(2, 0.5);
});

function usedBytes(db: Engine): number {
  const { fileBytes, freeFileBytes, retainedFileBytes } = db.stats().pages;
  return fileBytes - freeFileBytes - retainedFileBytes;
}

/** Everything that was given up is gone, from both checkpoints too. */
async function settled(db: Engine): Promise<void> {
  for (let quiet = 0, before = ''; quiet < 5; ) {
    await new Promise(setImmediate);
    const now = JSON.stringify([usedBytes(db), db.stats().pages.dirtyFrames, db.stats().pages.freeFrames]);
    quiet = now === before ? quiet + 1 : 0;
    before = now;
  }
  await db.checkpoint();
  await db.checkpoint();
}
