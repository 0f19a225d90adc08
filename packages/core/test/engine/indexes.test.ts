/** Creating, opening, clearing and dropping indexes, and what of it is there after a crash. */

import { BufferPool } from '@pagewright/bufferpool';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Catalog } from '../../src/engine/catalog.js';
import { EntryReference } from '../../src/index.js';
import { FanIndexType } from './fan-index.js';
import { all, codeOf, Rig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

const upperCase = {
  name: 'upper',
  encode: (text: string) => new Uint8Array(Buffer.from(text.toUpperCase())),
  decode: (bytes: Uint8Array) => Buffer.from(bytes).toString().toLowerCase(),
};

/** Goes through turns of the event loop until it holds; housekeeping is done in them. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise(setImmediate);
}

describe('an engine with hundreds of indexes', () => {
  test('has all of them with all that is in them, after a crash and after closing', async () => {
    const db = await rig.open();
    const names = Array.from({ length: 200 }, (_, i) => `index ${i}`);
    const indexes = await Promise.all(
      names.map((name, i) => db.index<string, number>(name, { type: i % 2 ? 'other' : 'fan' })),
    );
    await Promise.all(indexes.map((index, i) => index.put('k', i)));
    await db.checkpoint();
    for (const name of names.slice(0, 100)) await db.dropIndex(name);
    const later = await db.index<string, number>('later');
    await later.put('k', 1000);
    const check = async (engine: typeof db) => {
      expect(engine.indexes().map(({ name }) => name)).toEqual([...names.slice(100), 'later'].sort());
      for (const [i, name] of names.entries()) {
        if (i < 100) continue;
        expect((await engine.index<string, number>(name)).getSync('k')).toBe(i);
      }
      expect((await engine.index<string, number>('later')).getSync('k')).toBe(1000);
    };
    await check(await rig.open({ file: rig.crash('crashed.pw') }));
    await db.close();
    await check(await rig.open());
  });
});

describe('an index', () => {
  test('is made once, however many ask for it at a time', async () => {
    const db = await rig.open();
    const [a, b] = await Promise.all([db.index<string, number>('index'), db.index<string, number>('index')]);
    await a.put('k', 1);
    expect(b.getSync('k')).toBe(1);
    expect(db.indexes()).toEqual([{ name: 'index', type: 'fan', key: 'utf8', value: 'json' }]);
  });

  test('that was made by someone who did not wait is there when it is asked for again', async () => {
    const db = await rig.open();
    const first = db.index('index');
    const again = await db.index<string, number>('index');
    await again.put('k', 1);
    expect(
      await (await rig.open({ file: rig.crash('copy.pw') }))
        .index<string, number>('index')
        .then((index) => index.getSync('k')),
    ).toBe(1);
    await first;
  });

  test('keeps its options, and says which of those asked for are others', async () => {
    const db = await rig.open();
    await db.index('index', { type: 'other', key: 'u32', value: 'buffer' });
    await db.close();
    const again = await rig.open();
    const index = await again.index<number, Uint8Array>('index');
    await index.put(7, new Uint8Array([1]));
    expect([index.type, await all(index.keys())]).toEqual(['other', [7]]);
    const mismatch = (options: object) => again.index('index', options).catch((error) => error);
    expect(await mismatch({ type: 'fan' })).toMatchObject({
      code: 'PW_INDEX_MISMATCH',
      message: expect.stringContaining("its type is 'other'"),
    });
    expect(await mismatch({ key: 'utf8' })).toMatchObject({
      message: expect.stringContaining("its key encoding is 'u32', not 'utf8'"),
    });
    expect(await mismatch({ value: 'json' })).toMatchObject({
      message: expect.stringContaining("its value encoding is 'buffer'"),
    });
  });

  test('with an encoding of the program must be opened with it again', async () => {
    const db = await rig.open();
    const index = await db.index('index', { key: upperCase, value: 'utf8' });
    await index.put('k', 'x');
    await db.close();
    const again = await rig.open();
    expect(await codeOf(() => again.index('index'))).toBe('PW_INDEX_MISMATCH');
    expect(await codeOf(() => again.index('index', { key: { ...upperCase, name: 'lower' } }))).toBe(
      'PW_INDEX_MISMATCH',
    );
    expect(await all((await again.index('index', { key: upperCase, value: 'utf8' })).range())).toEqual([['k', 'x']]);
  });

  test.each([
    ['', 'PW_INDEX_NAME'],
    ['x'.repeat(129), 'PW_INDEX_NAME'],
    ['ä'.repeat(65), 'PW_INDEX_NAME'],
    ['\ud800', 'PW_INDEX_NAME'],
    [7, 'PW_INDEX_NAME'],
    ['ä'.repeat(64), 'none'],
  ])('of the name %j is answered with %s', async (name, code) => {
    const db = await rig.open();
    expect(await codeOf(() => db.index(name as string))).toBe(code);
  });

  test.each([
    [{ type: 'none' }, 'PW_INDEX_UNKNOWN'],
    [{ keys: 'utf8' }, 'PW_ARGUMENT'],
    [{ key: 'utf16' }, 'PW_ARGUMENT'],
    [{ value: { ...upperCase, name: 'x'.repeat(33) } }, 'PW_ARGUMENT'],
    [null, 'PW_ARGUMENT'],
  ])('asked for with %o is answered with %s, and is not made', async (options, code) => {
    const db = await rig.open();
    expect(await codeOf(() => db.index('index', options as never))).toBe(code);
    expect(db.indexes()).toEqual([]);
    await db.index('index');
  });

  test('of a type that no plugin brings can be listed and dropped, not opened', async () => {
    const db = await rig.open();
    const index = await db.index('index', { type: 'other' });
    await index.put('k', 1);
    await db.close();
    const again = await rig.open({ types: [new FanIndexType('fan')] });
    expect(again.indexes()).toMatchObject([{ name: 'index', type: 'other' }]);
    expect(await codeOf(() => again.index('index'))).toBe('PW_INDEX_UNKNOWN');
    await again.dropIndex('index');
    expect(again.indexes()).toEqual([]);
  });

  test('of a type that no plugin brings cannot be recovered, and that is said; nothing is lost by it', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index', { type: 'other' });
    await index.put('k', 1);
    const file = rig.crash('copy.pw');
    expect(await codeOf(() => rig.open({ file, types: [new FanIndexType('fan')] }))).toBe('PW_INDEX_UNKNOWN');
    const found = await (await rig.open({ file })).index<string, number>('index');
    expect(found.getSync('k')).toBe(1);
  });
});

describe('keys and values', () => {
  test('that cannot be are refused, with the limit', async () => {
    const db = await rig.open();
    const index = await db.index<string, unknown>('index');
    const transaction = db.begin();
    for (const put of [
      (key: string, value: unknown) => index.put(key, value),
      (key: string, value: unknown) => index.putSync(key, value),
      (key: string, value: unknown) => index.batch([{ type: 'put', key, value }]),
      (key: string, value: unknown) => transaction.put(index, key, value),
    ]) {
      expect(await codeOf(() => put('', 1))).toBe('PW_KEY_EMPTY');
      expect(await codeOf(() => put('x'.repeat(1025), 1))).toBe('PW_KEY_TOO_LARGE');
      expect(await codeOf(() => put('k', 'x'.repeat(4096)))).toBe('PW_VALUE_TOO_LARGE');
      expect(await codeOf(() => put('k', undefined))).toBe('PW_ENCODING');
      expect(await codeOf(() => put(7 as never, 1))).toBe('PW_ENCODING');
    }
    await expect(index.get('x'.repeat(1025))).rejects.toMatchObject({ details: { limit: 1024 } });
    expect(await index.count()).toBe(0);
  });

  test('in a batch of the wrong form are refused', async () => {
    const db = await rig.open();
    const index = await db.index('index');
    for (const operations of [7, [null], [{ type: 'del', key: 'k' }], [{ key: 'k', value: 1 }]]) {
      expect(await codeOf(() => index.batch(operations as never))).toBe('PW_ARGUMENT');
    }
    await index.batch([]);
  });
});

describe('an index that was dropped', () => {
  test('and made again under the same name does not get the old entries back from the log (scenario 39)', async () => {
    const db = await rig.open();
    const old = await db.index<string, number>('index');
    await old.put('old', 1);
    await db.checkpoint();
    await old.put('older', 2);
    await db.dropIndex('index');
    const young = await db.index<string, number>('index');
    await young.put('new', 3);
    const recovered = await rig.open({ file: rig.crash('copy.pw') });
    expect(await all((await recovered.index<string, number>('index')).range())).toEqual([['new', 3]]);
    expect(await all(young.range())).toEqual([['new', 3]]);
  });

  test('says so to everyone who still has it', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('k', 1);
    const transaction = db.begin();
    transaction.put(index, 'k', 2);
    const range = index.rangeSync();
    const pending = index.range();
    await db.dropIndex('index');
    for (const call of [
      () => index.get('k'),
      () => index.getSync('k'),
      () => index.put('k', 1),
      () => index.putSync('k', 1),
      () => index.clear(),
      () => index.count(),
      () => index.range(),
      () => range.next(),
      () => pending.next(),
      () => transaction.getSync(index, 'k'),
      () => transaction.commit(),
    ]) {
      expect(await codeOf(call)).toBe('PW_INDEX_DROPPED');
    }
    expect(await codeOf(() => db.dropIndex('index'))).toBe('PW_INDEX_UNKNOWN');
  });

  test('gives its space back, also when the store is closed before it is done', async () => {
    const db = await rig.open({ pool: { memory: 16 << 20 } });
    const fill = async (name: string) => {
      const index = await db.index<string, string>(name);
      const entries = Array.from({ length: 250 }, (_, i) => ({
        type: 'put' as const,
        key: String.fromCharCode(i + 1),
        value: 'x'.repeat(3000),
      }));
      await index.batch(entries);
    };
    await fill('first');
    await fill('second');
    await db.checkpoint();
    const used = (engine: typeof db) => {
      const { fileBytes, freeFileBytes, retainedFileBytes } = engine.stats().pages;
      return fileBytes - freeFileBytes - retainedFileBytes;
    };
    const full = used(db);
    await db.dropIndex('first');
    await db.dropIndex('second');
    await db.close();
    const again = await rig.open({ pool: { memory: 16 << 20 } });
    await again.index('after');
    // Two checkpoints, so that no slot names what was given up.
    for (let i = 0; i < 50 && used(again) > full / 10; i++) {
      await new Promise(setImmediate);
      await again.checkpoint();
    }
    expect(used(again)).toBeLessThan(full / 10);
  });
});

describe('an index that is cleared', () => {
  test('is empty at once, stays so after a crash, and takes new entries', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.batch(['a', 'b', 'c'].map((key) => ({ type: 'put' as const, key, value: 1 })));
    await index.clear();
    expect(await all(index.range())).toEqual([]);
    await index.put('d', 2);
    const recovered = await rig.open({ file: rig.crash('copy.pw') });
    expect(await all((await recovered.index('index')).range())).toEqual([['d', 2]]);
  });

  test('is as it was for older snapshots, until the last of them is gone', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('k', 1);
    const snapshot = db.snapshot();
    const transaction = db.begin();
    const range = index.keys({ snapshot });
    await index.clear();
    const between = db.snapshot();
    await index.put('k', 2);
    await index.put('l', 2);
    expect(await all(index.range({ snapshot }))).toEqual([['k', 1]]);
    expect(await all(range)).toEqual(['k']);
    expect(transaction.getSync(index, 'k')).toBe(1);
    expect(await all(index.range({ snapshot: between }))).toEqual([]);
    expect(await all(index.range())).toEqual([
      ['k', 2],
      ['l', 2],
    ]);
    await index.clear();
    await index.clear();
    expect(await all(index.range({ snapshot }))).toEqual([['k', 1]]);
    transaction.put(index, 'm', 3);
    expect(await codeOf(() => transaction.commit())).toBe('PW_CONFLICT');
    const before = db.stats().pages.dirtyFrames;
    snapshot.release();
    between.release();
    await until(() => db.stats().pages.dirtyFrames < before);
    expect(await all(index.range())).toEqual([]);
  });

  test('with a snapshot open is recovered as cleared, and nothing of the old tree is left', async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('k', 1);
    using _snapshot = db.snapshot();
    await index.clear();
    await db.checkpoint();
    await index.put('l', 2);
    const recovered = await rig.open({ file: rig.crash('copy.pw') });
    expect(await all((await recovered.index('index')).range())).toEqual([['l', 2]]);
  });
});

describe('tombstones', () => {
  /** What is really on the pages of a store that is closed. */
  async function lookInside(file: string): Promise<{ flag: boolean; isThere: boolean }> {
    const pages = new BufferPool({ memory: 4 << 20, pageSize: 4096 });
    await pages.open({
      path: `${rig.directory}/${file}`,
      io: rig.io,
      create: false,
      errorIfExists: false,
      readOnly: false,
    });
    const catalog = Catalog.open(pages, [new FanIndexType()], { create: false, timestamp: 0 });
    const entry = catalog.byName.get('index')!;
    entry.open(pages, catalog.types);
    const isThere = entry.index.lookup(Buffer.from('k'), new EntryReference());
    await pages.close();
    return { flag: entry.mayHaveTombstones, isThere };
  }

  const setup = async () => {
    const db = await rig.open();
    const index = await db.index<string, number>('index');
    await index.put('k', 1);
    const snapshot = db.snapshot();
    await index.delete('k');
    expect(db.stats().concurrency.tombstones).toBe(1);
    return { db, index, snapshot };
  };

  test('are collected when no snapshot needs them any more', async () => {
    const { db, snapshot } = await setup();
    snapshot.release();
    await until(() => db.stats().concurrency.tombstones === 0);
    expect(db.stats().concurrency).toMatchObject({ versions: 0, activeSnapshots: 0 });
  });

  test('are gone when the store has been closed, though a snapshot was never released', async () => {
    const { db } = await setup();
    await db.close();
    expect(await lookInside('app.pw')).toEqual({ flag: false, isThere: false });
  });

  test('that a crash left are swept', async () => {
    const { db } = await setup();
    await db.checkpoint();
    const file = rig.crash('copy.pw');
    expect(await lookInside(rig.crash('inside.pw'))).toEqual({ flag: true, isThere: true });
    const recovered = await rig.open({ file });
    // Brings the pages into memory, so that the sweep does not wait for them.
    expect(await (await recovered.index('index')).count()).toBe(0);
    for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
    await recovered.close();
    expect(await lookInside(file)).toEqual({ flag: false, isThere: false });
  });
});
