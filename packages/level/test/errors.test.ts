/** Errors have Level's codes, whatever the engine calls them, and the engine's error as their cause. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ERROR_CODES, isPagewrightError, open, PagewrightError } from 'pagewright';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { levelError } from '../src/errors.js';
import { PagewrightLevel, PagewrightLevelError } from '../src/index.js';
import { codesOf, Rig } from './rig.js';

let rig: Rig;
beforeEach(() => {
  rig = new Rig();
});
afterEach(() => rig.end());

test.each(Object.keys(ERROR_CODES) as (keyof typeof ERROR_CODES)[])('%s has a code of Level', (code) => {
  const cause = new PagewrightError(code, 'What happened.');
  const error = levelError(cause) as PagewrightLevelError;
  expect(error).toBeInstanceOf(PagewrightLevelError);
  expect(error.code).toMatch(/^LEVEL_[A-Z_]+$/);
  expect([error.cause, error.message]).toEqual([cause, 'What happened.']);
});

describe('opening', () => {
  test('a database that another one has is LEVEL_LOCKED, and goes on', async () => {
    const db = await rig.open();
    await db.put('a', '1');
    const other = new PagewrightLevel(rig.path());
    expect(await codesOf(() => other.open())).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'LEVEL_LOCKED', 'PW_LOCKED']);
    expect(other.status).toBe('closed');
    expect(await db.get('a')).toBe('1');
    await db.close();
    await other.open();
    expect(await other.get('a')).toBe('1');
    await other.close();
  });

  test('a damaged file, or one that is no store, is LEVEL_CORRUPTION', async () => {
    const db = await rig.open();
    await db.put('a', '1');
    await db.close();
    const bytes = readFileSync(rig.path());
    const damaged = Buffer.from(bytes);
    damaged.fill(0xaa, 16, 8192);
    writeFileSync(rig.path('damaged.pw'), damaged);
    writeFileSync(rig.path('text.pw'), 'not a store '.repeat(10_000));
    for (const name of ['damaged.pw', 'text.pw']) {
      expect((await codesOf(() => rig.open({}, name))).slice(0, 2)).toEqual([
        'LEVEL_DATABASE_NOT_OPEN',
        'LEVEL_CORRUPTION',
      ]);
    }
  });

  test('a directory of LevelDB’s is LEVEL_NOT_SUPPORTED, says what it is, and stays as it was; any other is LEVEL_CORRUPTION', async () => {
    for (const [name, files, code] of [
      ['level', ['000005.log', 'CURRENT', 'LOCK', 'MANIFEST-000004'], 'LEVEL_NOT_SUPPORTED'],
      ['other', ['LOCK'], 'LEVEL_CORRUPTION'],
    ] as const) {
      mkdirSync(rig.path(name));
      for (const file of files) writeFileSync(join(rig.path(name), file), '');
      const opening = () => rig.open({}, name);
      expect((await codesOf(opening)).slice(0, 3)).toEqual(['LEVEL_DATABASE_NOT_OPEN', code, 'PW_NOT_A_STORE']);
      const error = await opening().catch((error) => error.cause as Error);
      expect((error as Error).message.includes("a directory of LevelDB's")).toBe(name === 'level');
      expect(readdirSync(rig.path(name)).sort()).toEqual(files);
    }
  });

  test('one that does not exist, or exists, is told as Level does', async () => {
    const missing = () => rig.open({ createIfMissing: false });
    expect(await codesOf(missing)).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'LEVEL_NOT_FOUND', 'PW_NOT_FOUND']);
    await (await rig.open()).close();
    const existing = () => rig.open({ errorIfExists: true });
    expect(await codesOf(existing)).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'LEVEL_EXISTS', 'PW_EXISTS']);
  });

  test('one whose directory cannot be created is LEVEL_IO_ERROR, with the engine’s error as its cause', async () => {
    writeFileSync(rig.path('file'), '');
    const opening = () => rig.open({}, join('file', 'below', 'app.pw'));
    expect(await codesOf(opening)).toEqual(['LEVEL_DATABASE_NOT_OPEN', 'LEVEL_IO_ERROR', 'PW_IO', 'ENOTDIR']);
    const error = (await opening().catch((error) => error.cause.cause)) as PagewrightError;
    expect(error.details).toEqual({ errno: 'ENOTDIR', operation: 'mkdir', path: rig.path(join('file', 'below')) });
    expect(readdirSync(rig.directory)).toEqual(['file']);
  });

  test('with an option that is wrong is LEVEL_INVALID_OPTION, and nothing is created', async () => {
    for (const options of [{ memory: 'much' }, { durability: 'maybe' }, { create: false }, { commit: 'never' }]) {
      expect((await codesOf(() => rig.open(options as never))).slice(0, 2)).toEqual([
        'LEVEL_DATABASE_NOT_OPEN',
        'LEVEL_INVALID_OPTION',
      ]);
    }
    expect(() => new PagewrightLevel('')).toThrow(TypeError);
    expect(await codesOf(() => rig.open({ createIfMissing: false }))).toContain('PW_NOT_FOUND');
  });

  test('a store whose index of that name is another’s is LEVEL_NOT_SUPPORTED, and is left closed', async () => {
    const store = await open(rig.path(), { memory: '4MiB' });
    await store.index('level', { key: 'u32', value: 'json' });
    await store.close();
    expect(await codesOf(() => rig.open())).toEqual([
      'LEVEL_DATABASE_NOT_OPEN',
      'LEVEL_NOT_SUPPORTED',
      'PW_INDEX_MISMATCH',
    ]);
    await (await open(rig.path(), { memory: '4MiB' })).close();
  });
});

describe('a damaged page', () => {
  test('is LEVEL_CORRUPTION for whatever reads it, never an answer', async () => {
    const db = await rig.open({ pageSize: '4KiB' });
    const keys = Array.from({ length: 500 }, (_, i) => `key ${String(i).padStart(4, '0')}`);
    await db.batch(keys.map((key) => ({ type: 'put', key, value: `the value of ${key}`.repeat(20) })));
    await db.close();
    const bytes = readFileSync(rig.path());
    for (
      let at = bytes.indexOf('the value of key 0300');
      at !== -1;
      at = bytes.indexOf('the value of key 0300', at + 1)
    ) {
      bytes.writeUInt8(0, at);
    }
    writeFileSync(rig.path(), bytes);
    const damaged = await rig.open();
    const reads = [
      () => damaged.get('key 0300'),
      () => damaged.getSync('key 0300'),
      () => damaged.getMany(['key 0000', 'key 0300']),
      () => damaged.has('key 0300'),
      () => damaged.hasMany(['key 0000', 'key 0300']),
      () => damaged.iterator().all(),
      () =>
        damaged
          .keys({ gte: 'key 0200', lt: 'key 0310' })
          .nextv(1000)
          .then(() => damaged.keys({ gte: 'key 0300' }).next()),
      () => damaged.values({ gte: 'key 0300' }).next(),
      () => damaged.clear({ gt: 'key 0290', lt: 'key 0310' }),
      () => damaged.put('key 0300', ''),
      () => damaged.transaction((tx) => tx.get('key 0300')),
    ];
    for (const read of reads) expect(await codesOf(read)).toEqual(['LEVEL_CORRUPTION', 'PW_CORRUPT_PAGE']);
    expect(await damaged.get('key 0000')).toContain('the value of key 0000');
  });
});

describe('a database that is open read-only', () => {
  test('reads, and refuses changes with LEVEL_READONLY', async () => {
    const db = await rig.open();
    await db.put('a', '1');
    await db.close();
    const reader = await rig.open({ readOnly: true });
    expect([await reader.get('a'), reader.getSync('a'), await reader.has('a')]).toEqual(['1', '1', true]);
    expect([await reader.getMany(['a', 'b']), await reader.iterator().all()]).toEqual([['1', undefined], [['a', '1']]]);
    const changes = [
      () => reader.put('a', '2'),
      () => reader.del('a'),
      () => reader.batch([{ type: 'del', key: 'a' }]),
      () => reader.batch().put('a', '2').write(),
      () => reader.clear(),
      () => reader.clear({ gte: 'a' }),
      () => reader.transaction((tx) => tx.put('a', '2')),
    ];
    for (const change of changes) expect(await codesOf(change)).toEqual(['LEVEL_READONLY', 'PW_READ_ONLY']);
    expect(await reader.get('a')).toBe('1');
  });

  test('is beside the one that writes, goes on with it, and needs a database that there is', async () => {
    expect((await codesOf(() => rig.open({ readOnly: true })))[1]).toBe('LEVEL_NOT_FOUND');
    const db = await rig.open();
    await db.put('a', '1');
    await db.engine.checkpoint();
    const reader = await rig.open({ readOnly: true, follow: false });
    await db.put('a', '2');
    await db.engine.checkpoint();
    const iterator = reader.iterator();
    expect(await reader.get('a')).toBe('1');
    expect(await reader.engine.refresh()).toBe(true);
    expect(await reader.getMany(['a'])).toEqual(['2']);
    expect(await codesOf(() => iterator.next())).toEqual(['LEVEL_SNAPSHOT_TOO_OLD', 'PW_SNAPSHOT_TOO_OLD']);
  });
});

describe('what is closed', () => {
  test('is LEVEL_DATABASE_NOT_OPEN, and its engine too; it can be opened again', async () => {
    const db = await rig.open();
    await db.put('a', '1');
    const { engine } = db;
    await db.close();
    const calls = [
      () => db.get('a'),
      () => db.getSync('a'),
      () => db.put('a', '2'),
      () => db.iterator(),
      () => db.engine,
    ];
    for (const call of calls) expect((await codesOf(call))[0]).toBe('LEVEL_DATABASE_NOT_OPEN');
    expect(engine.state).toBe('closed');
    await db.open();
    expect(await db.get('a')).toBe('1');
    expect(db.engine).not.toBe(engine);
  });

  test('iterators and snapshots that are held while the database is closed are closed with it', async () => {
    const db = await rig.open();
    await db.batch(Array.from({ length: 5000 }, (_, i) => ({ type: 'put', key: `k${i}`, value: 'x'.repeat(100) })));
    const idle = db.iterator();
    const begun = db.keys();
    await begun.nextv(10);
    const snapshot = db.snapshot();
    const reading = db.values({ snapshot });
    const read = reading.nextv(3000);
    await db.close();
    expect((await read).length).toBe(3000);
    for (const iterator of [idle, begun, reading]) {
      expect(await codesOf(() => iterator.next())).toEqual(['LEVEL_ITERATOR_NOT_OPEN']);
    }
    await db.open();
    expect(await codesOf(() => db.get('k1', { snapshot }))).toEqual(['LEVEL_SNAPSHOT_NOT_OPEN']);
    expect(db.engine.stats().concurrency.activeSnapshots).toBe(0);
    expect(await db.get('k1')).toBe('x'.repeat(100));
  });

  test('a database whose engine could not close properly is closed all the same the second time, and opens again', async () => {
    const db = await rig.open({ archive: () => Promise.reject(new Error('no archive')) });
    await db.put('a', '1');
    expect(await codesOf(() => db.close())).toEqual([
      'LEVEL_DATABASE_NOT_CLOSED',
      'LEVEL_IO_ERROR',
      'PW_ARCHIVE_FAILED',
      undefined,
    ]);
    expect((await codesOf(() => db.get('a')))[0]).toBe('LEVEL_DATABASE_NOT_OPEN');
    await db.close();
    expect(db.status).toBe('closed');
    await db.open({ archive: rig.path('archive') });
    expect(await db.get('a')).toBe('1');
  });
});

describe('arguments', () => {
  test('a key above the limit is LEVEL_INVALID_KEY, a value above it LEVEL_INVALID_VALUE, and nothing is written', async () => {
    const db = await rig.open({ pageSize: '4KiB' });
    await db.put('a', '1');
    const key = 'k'.repeat(2000);
    const calls = [
      () => db.put(key, ''),
      () => db.del(key),
      () => db.get(key),
      () => db.getSync(key),
      () => db.getMany(['a', key]),
      () => db.has(key),
      () => db.hasMany(['a', key]),
      () =>
        db.batch([
          { type: 'put', key: 'b', value: '' },
          { type: 'put', key, value: '' },
        ]),
      () => db.batch().put('b', '').put(key, '').write(),
    ];
    for (const call of calls) expect(await codesOf(call)).toEqual(['LEVEL_INVALID_KEY', 'PW_KEY_TOO_LARGE']);
    const error = (await db.put(key, '').catch((error) => error)) as PagewrightLevelError;
    expect(isPagewrightError(error.cause) && error.cause.details).toMatchObject({ bytes: 2000 });
    expect(await codesOf(() => db.put('b', 'v'.repeat(5 << 20)))).toEqual([
      'LEVEL_INVALID_VALUE',
      'PW_VALUE_TOO_LARGE',
    ]);
    expect(await db.keys().all()).toEqual(['a']);
  });

  test('what an encoding makes neither text nor bytes of is LEVEL_INVALID_KEY or LEVEL_INVALID_VALUE, and nothing is written', async () => {
    const nothing = { name: 'nothing', format: 'utf8', encode: () => undefined, decode: () => '' } as never;
    const numbers = { name: 'numbers', format: 'buffer', encode: () => 7, decode: () => '' } as never;
    const top = await rig.open<unknown, unknown>();
    const sub = top.sublevel<unknown, unknown>('sub', {});
    for (const [db, encodings] of [
      [top, [nothing, numbers, 'json' as never]],
      // What a sublevel has encoded the database encodes once more, and there are bytes of a number.
      [sub as unknown as typeof top, [nothing, 'json' as never]],
    ] as const) {
      const within = db === top ? {} : { sublevel: sub };
      for (const encoding of encodings) {
        // JSON has no functions.
        const data = (): void => {};
        const key = { keyEncoding: encoding };
        const value = { valueEncoding: encoding };
        for (const call of [
          () => db.put(data, '1', key),
          () => db.del(data, key),
          () => db.get(data, key),
          () => db.batch([{ type: 'put', key: data, value: '1', ...key }]),
          async () => db.batch().put(data, '1', key).write(),
          () => top.transaction((tx) => tx.put(data, '1', { ...key, ...within })),
        ]) {
          expect([String(call), ...(await codesOf(call))]).toEqual([String(call), 'LEVEL_INVALID_KEY']);
        }
        for (const call of [
          () => db.put('a', data, value),
          () => db.batch([{ type: 'put', key: 'a', value: data, ...value }]),
          async () => db.batch().put('a', data, value).write(),
          () => top.transaction((tx) => tx.put('a', data, { ...value, ...within })),
        ]) {
          expect([String(call), ...(await codesOf(call))]).toEqual([String(call), 'LEVEL_INVALID_VALUE']);
        }
      }
    }
    expect(await top.keys().all()).toEqual([]);
  });

  test('what the engine cannot encode is told by what it is for, what it cannot decode is LEVEL_CORRUPTION', async () => {
    const store = await open(rig.path(), { memory: '4MiB' });
    const index = await store.index<Uint8Array, Uint8Array>('bytes', { key: 'buffer', value: 'buffer' });
    const levelCodeOf = async (call: () => unknown): Promise<unknown> => {
      try {
        await call();
      } catch (error) {
        return (levelError(error) as PagewrightLevelError).code;
      }
      return 'none';
    };
    const [bytes, text] = [new Uint8Array(1), 'text' as never];
    expect(await levelCodeOf(() => index.put(text, bytes))).toBe('LEVEL_INVALID_KEY');
    expect(await levelCodeOf(() => index.get(text))).toBe('LEVEL_INVALID_KEY');
    expect(await levelCodeOf(() => index.range({ gte: text }).nextMany(1))).toBe('LEVEL_INVALID_KEY');
    expect(await levelCodeOf(() => index.put(bytes, text))).toBe('LEVEL_INVALID_VALUE');
    const read = new PagewrightError('PW_ENCODING', 'Cannot decode as json.', { details: { encoding: 'json' } });
    expect((levelError(read) as PagewrightLevelError).code).toBe('LEVEL_CORRUPTION');
    await store.close();
  });

  test('options that are wrong are LEVEL_INVALID_OPTION', async () => {
    const db = await rig.open();
    const other = await rig.open({}, 'other.pw');
    const snapshot = other.snapshot();
    const calls = [
      () => db.put('a', '', { sync: 'yes' as never }),
      () => db.put('a', '', { durability: 'maybe' as never }),
      () => db.del('a', { sync: true, durability: 'none' }),
      () => db.batch([{ type: 'del', key: 'a' }], { durability: 'maybe' as never }),
      () =>
        db
          .batch()
          .del('a')
          .write({ sync: 1 as never }),
      () => db.clear({ gte: 'a', sync: 0 as never }),
      () => db.get('a', { snapshot }),
      () => db.getSync('a', { snapshot }),
      () => db.getMany(['a'], { snapshot }),
      () => db.has('a', { snapshot }),
      () => db.iterator({ snapshot }),
      () => db.get('a', { snapshot: { ref() {}, unref() {} } as never }),
      () => db.clear({ snapshot }),
      () => db.iterator({ highWaterMarkBytes: 1.5 }),
    ];
    for (const call of calls) expect((await codesOf(call))[0]).toBe('LEVEL_INVALID_OPTION');
    expect(db.engine.stats().concurrency.activeSnapshots).toBe(0);
  });

  test('an iterator of which the snapshot had to be given up is LEVEL_SNAPSHOT_TOO_OLD', async () => {
    const { mvcc } = await import('@pagewright/mvcc');
    const db = await rig.open({ concurrency: mvcc({ versionMemory: '1MiB' }) });
    await db.batch(Array.from({ length: 600 }, (_, i) => ({ type: 'put', key: `k${i}`, value: 'x'.repeat(3000) })));
    const iterator = db.iterator();
    for (let round = 0; round < 4; round++) {
      await db.batch(
        Array.from({ length: 600 }, (_, i) => ({ type: 'put', key: `k${i}`, value: `${round}`.repeat(3000) })),
      );
    }
    expect(await codesOf(() => iterator.all())).toEqual(['LEVEL_SNAPSHOT_TOO_OLD', 'PW_SNAPSHOT_TOO_OLD']);
    expect(await db.get('k1')).toBe('3'.repeat(3000));
  });
});
