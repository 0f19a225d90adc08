import fs from 'node:fs';
import { join } from 'node:path';
import { bufferPool } from '@pagewright/bufferpool';
import {
  type ComposeConfig,
  compose,
  composeFrom,
  definePlugin,
  INDEXES,
  type PagewrightError,
} from '@pagewright/core';
import { art } from '@pagewright/index-art';
import { btree } from '@pagewright/index-btree';
import { ioPosix } from '@pagewright/io-posix';
import { ioUring } from '@pagewright/io-uring';
import { mvcc } from '@pagewright/mvcc';
import { singleWriter } from '@pagewright/single-writer';
import { wal } from '@pagewright/wal';
import { type OpenStoreOptions, open } from 'pagewright';
import { describe, expect, it } from 'vitest';
import {
  directory,
  expectKept,
  fill,
  inDirectories,
  makeStore,
  path,
  refusal,
  refusedUnchanged,
  SMALL,
} from './refused-store.js';

inDirectories();

function thrownBy(call: () => unknown): PagewrightError {
  try {
    call();
  } catch (error) {
    return error as PagewrightError;
  }
  throw new Error('Nothing was thrown');
}

const linesOf = (error: PagewrightError): string[] => error.problems.map(({ code, path }) => `${code} at ${path}`);

describe('a config', () => {
  it('with the name of a plugin that is not there is refused with the cure, and the store is as it was', async () => {
    await makeStore();
    const error = await refusedUnchanged({ indexes: '@acme/not-there' }, 'PW_CONFIG', /npm install @acme\/not-there/);
    expect(linesOf(error)).toEqual(['PW_PLUGIN_UNKNOWN at indexes']);
    await expectKept();
  });

  it('whose plugins were given no object for their options has all of them reported as what the program gave', () => {
    const none = null as never;
    for (const concurrency of [mvcc(none), singleWriter(none)]) {
      const config = { io: [ioPosix(none), ioUring(none)], pages: bufferPool(none), indexes: [btree(none), art(none)] };
      const composed = () => compose({ ...config, concurrency, log: wal(none) });
      expect(linesOf(thrownBy(composed)).sort()).toEqual([
        'PW_OPTION_INVALID at concurrency',
        'PW_OPTION_INVALID at indexes[0]',
        'PW_OPTION_INVALID at indexes[1]',
        'PW_OPTION_INVALID at io[0]',
        'PW_OPTION_INVALID at io[1]',
        'PW_OPTION_INVALID at log',
        'PW_OPTION_INVALID at pages',
      ]);
    }
  });

  it('with many mistakes in several plugins has all of them reported at once, each at its path', async () => {
    await makeStore();
    const options = {
      io: [['@pagewright/io-posix', { depth: 0 }]],
      pages: ['@pagewright/bufferpool', { memory: '1KiB', pageSize: 5000, coolingFraction: 2, pagesize: '4KiB' }],
      indexes: ['@pagewright/index-btree', '@acme/not-there'],
      concurrency: ['@pagewright/mvcc', { isolation: 'none', versionMemory: 'much', versions: 3 }],
      log: ['@pagewright/wal', { segmentSize: 1, bufferLimit: '1 furlong', maxRecordSize: -1, comit: 'sync' }],
      lag: {},
    } as unknown as OpenStoreOptions;
    const error = await refusal(() => composeFrom(options), 'PW_CONFIG', /No file was opened/);
    expect(linesOf(error).sort()).toEqual([
      'PW_CONFIG at lag',
      'PW_OPTION_INVALID at concurrency.isolation',
      'PW_OPTION_INVALID at concurrency.versionMemory',
      'PW_OPTION_INVALID at concurrency.versions',
      'PW_OPTION_INVALID at io[0].depth',
      'PW_OPTION_INVALID at log.bufferLimit',
      'PW_OPTION_INVALID at log.comit',
      'PW_OPTION_INVALID at log.maxRecordSize',
      'PW_OPTION_INVALID at log.segmentSize',
      'PW_OPTION_INVALID at pages.coolingFraction',
      'PW_OPTION_INVALID at pages.memory',
      'PW_OPTION_INVALID at pages.pageSize',
      'PW_OPTION_INVALID at pages.pagesize',
      'PW_PLUGIN_UNKNOWN at indexes[1]',
    ]);
    for (const { path: place } of error.problems) expect(error.message).toContain(place);
    await expectKept();
  });

  const trivial = {
    name: '@acme/index-trivial',
    kind: 'index',
    type: 'trivial',
    provides: [INDEXES],
    setup: () => {},
  } as const;
  const config = (indexes: ComposeConfig['indexes']): ComposeConfig => ({
    io: ioPosix(),
    pages: bufferPool(),
    indexes,
    concurrency: mvcc(),
    log: wal(),
  });

  it('with a plugin of another contract version says which side to upgrade', async () => {
    const newer = definePlugin({ ...trivial, contract: 2 });
    const older = definePlugin({ ...trivial, contract: 0 });
    const upgradeCore = await refusal(
      () => compose(config([btree(), newer()])),
      'PW_CONFIG',
      /Install a newer release of @pagewright\/core/,
    );
    expect(linesOf(upgradeCore)).toEqual(['PW_PLUGIN_CONTRACT at indexes[1]']);
    await refusal(() => compose(config([older()])), 'PW_CONFIG', /Install a newer release of @acme\/index-trivial/);
  });

  it('with two plugins of one name, or of one index type, names both', async () => {
    const other = definePlugin({ ...trivial, type: 'other', contract: 1 });
    const same = definePlugin({ ...trivial, contract: 1 });
    const names = await refusal(() => compose(config([same(), other()])), 'PW_CONFIG', /Leave one of them out|once/);
    expect(linesOf(names)).toEqual(['PW_PLUGIN_DUPLICATE at indexes[1]']);
    const impostor = definePlugin({ ...trivial, name: '@acme/index-impostor', type: 'btree', contract: 1 });
    const types = await refusal(() => compose(config([btree(), impostor()])), 'PW_CONFIG', /@pagewright\/index-btree/);
    expect(linesOf(types)).toEqual(['PW_PLUGIN_DUPLICATE at indexes[1]']);
  });

  it('with an option of opening that does not exist, or contradicts another, is refused before any file is made', async () => {
    await refusal(
      () => open(path, { readonly: true } as OpenStoreOptions),
      'PW_OPTION_INVALID',
      /there are .*readOnly/,
    );
    await refusal(() => open(path, { readOnly: true, create: true }), 'PW_OPTION_INVALID', /read-only/);
    await refusal(() => open(path, { checkpoint: { logBytes: 0 } }), 'PW_OPTION_INVALID', /from 1 on/);
    await refusal(
      () => open(path, { memory: '1MiB', pages: bufferPool() }),
      'PW_CONFIG',
      /Give it as an option of that plugin/,
    );
    await refusal(() => open('', {}), 'PW_ARGUMENT', /Pass text/);
    expect(fs.readdirSync(directory)).toEqual([]);
  });

  it('with too little memory is refused, for the page size asked for and for the one that the store has', async () => {
    await refusal(() => open(path, { memory: '128KiB', pageSize: '4KiB' }), 'PW_CONFIG', /at least 262144/);
    expect(fs.readdirSync(directory)).toEqual([]);
    await makeStore({ memory: '64MiB', pageSize: '64KiB' });
    const error = await refusedUnchanged({ memory: '1MiB' }, 'PW_OPTION_INVALID', /at least 4194304/);
    expect(error.details).toMatchObject({ memory: 2 ** 20, pageSize: 65536 });
    await expectKept();
  });

  it('with another page size than the store has is refused', async () => {
    await makeStore();
    const error = await refusedUnchanged({ pageSize: '16KiB' }, 'PW_PAGE_SIZE', /leave pageSize out/);
    expect(error.details).toMatchObject({ pageSize: 4096, asked: 16384 });
    await expectKept();
  });
});

describe('with too little memory for a large value', () => {
  const large = Buffer.alloc(3_000_000, 'large');

  it('reading it is refused and the rest is there; with more memory it is there as well', async () => {
    const db = await open(path, { memory: '64MiB', pageSize: '4KiB' });
    await fill(db);
    await (await db.index('large', { value: 'buffer' })).put('large', large);
    await db.close();
    const small = await open(path, { memory: '256KiB' });
    const index = await small.index('large', { value: 'buffer' });
    await refusal(() => index.getSync('large'), 'PW_POOL_EXHAUSTED', /more memory/);
    await refusal(() => index.get('large'), 'PW_POOL_EXHAUSTED', /more memory/);
    await refusal(() => [...index.rangeSync()], 'PW_POOL_EXHAUSTED', /more memory/);
    await small.close();
    await expectKept({ memory: '256KiB' });
    const again = await open(path, { memory: '64MiB' });
    expect(Buffer.compare((await (await again.index('large', { value: 'buffer' })).get('large'))!, large)).toBe(0);
    await again.close();
  });

  it('recovering it from the log is refused, and with more memory nothing is lost', async () => {
    const original = join(directory, 'original.pw');
    const db = await open(original, { memory: '64MiB', pageSize: '4KiB' });
    await fill(db);
    await (await db.index('large', { value: 'buffer' })).put('large', large);
    fs.copyFileSync(original, path);
    fs.cpSync(`${original}-wal`, `${path}-wal`, { recursive: true });
    await db.close();
    await refusal(() => open(path, { memory: '1MiB' }), 'PW_POOL_EXHAUSTED', /more memory/);
    const again = await open(path, { memory: '64MiB' });
    expect(Buffer.compare((await (await again.index('large', { value: 'buffer' })).get('large'))!, large)).toBe(0);
    await again.close();
    await expectKept();
  });
});

describe('keys and values', () => {
  for (const kib of [4, 8, 16, 32, 64]) {
    it(`a key of a quarter page and a value of the limit are taken, one byte more is not, with pages of ${kib} KiB`, async () => {
      const pageSize = kib * 1024;
      // The smallest pool that there may be.
      const options = { memory: 64 * pageSize, pageSize };
      let db = await open(path, options);
      let index = await db.index('entries', { key: 'buffer', value: 'buffer' });
      const keys = Array.from({ length: 24 }, (_, number) => {
        const key = Buffer.alloc(pageSize / 4, number % 3);
        key.writeUInt32BE(number, number % 2 === 0 ? 0 : key.length - 4);
        return key;
      });
      for (const [number, key] of keys.entries()) await index.put(key, Buffer.alloc(number, 7));
      const tooLong = Buffer.alloc(pageSize / 4 + 1, 1);
      const error = await refusal(() => index.put(tooLong, Buffer.alloc(1)), 'PW_KEY_TOO_LARGE', /at most/);
      expect(error.details).toEqual({ index: 'entries', bytes: pageSize / 4 + 1, limit: pageSize / 4 });
      await refusal(() => index.putSync(tooLong, Buffer.alloc(1)), 'PW_KEY_TOO_LARGE', /at most/);
      await refusal(() => index.getSync(tooLong), 'PW_KEY_TOO_LARGE', /at most/);
      await refusal(() => index.delete(tooLong), 'PW_KEY_TOO_LARGE', /at most/);
      await refusal(() => index.range({ gt: tooLong }), 'PW_KEY_TOO_LARGE', /at most/);

      const probe = await refusal(() => index.put(keys[0]!, Buffer.alloc(2 ** 25)), 'PW_VALUE_TOO_LARGE', /at most/);
      const limit = probe.details.limit as number;
      expect(limit).toBeGreaterThan(pageSize);
      const values = keys.map((_, number) => Buffer.alloc(limit, number + 1));
      for (const [number, key] of keys.entries()) {
        if (number % 2 === 0) await index.put(key, values[number]!);
        else index.putSync(key, values[number]!);
      }
      const over = Buffer.alloc(limit + 1, 9);
      await refusal(() => index.put(keys[0]!, over), 'PW_VALUE_TOO_LARGE', /at most/);
      await refusal(() => index.putSync(keys[0]!, over), 'PW_VALUE_TOO_LARGE', /at most/);
      const batch = [
        { type: 'delete' as const, key: keys[1]! },
        { type: 'put' as const, key: keys[0]!, value: over },
      ];
      await refusal(() => index.batch(batch), 'PW_VALUE_TOO_LARGE', /at most/);
      await refusal(() => db.transaction((tx) => tx.put(index, keys[0]!, over)), 'PW_VALUE_TOO_LARGE', /at most/);
      expect(db.state).toBe('open');
      await db.close();

      db = await open(path, options);
      index = await db.index('entries', { key: 'buffer', value: 'buffer' });
      expect(await index.count()).toBe(keys.length);
      for (const [number, key] of keys.entries()) {
        expect(Buffer.compare((await index.get(key))!, values[number]!), `the value of key ${number}`).toBe(0);
      }
      await db.close();
    });
  }

  it('whose memory was transferred or made shorter are refused by every way to give them, and never stored as empty', async () => {
    const db = await open(path, SMALL);
    const index = await db.index('buffers', { key: 'buffer', value: 'buffer' });
    const transferred = Buffer.from(new Uint8Array([1, 2, 3]).buffer);
    structuredClone(transferred.buffer, { transfer: [transferred.buffer] });
    const resizable = Reflect.construct(ArrayBuffer, [8, { maxByteLength: 8 }]) as ArrayBuffer & {
      resize(to: number): void;
    };
    const beyond = new Uint8Array(resizable, 4, 4);
    resizable.resize(4);
    const key = Buffer.from('key');
    const value = Buffer.from('value');
    for (const gone of [transferred, beyond]) {
      const attempts: [string, (() => unknown)[]][] = [
        [
          'value',
          [
            () => index.put(key, gone),
            () => index.putSync(key, gone),
            () => index.batch([{ type: 'put', key, value: gone }]),
            () => db.batch([{ index, type: 'put', key, value: gone }]),
            () => db.transactionSync((tx) => tx.put(index, key, gone)),
            () => db.transaction((tx) => tx.put(index, key, gone)),
            () => index.bulkLoad([[key, gone]]),
          ],
        ],
        [
          'key',
          [
            () => index.put(gone, value),
            () => index.deleteSync(gone),
            () => index.get(gone),
            () => index.getSync(gone),
            () => index.getMany([gone]),
            () => index.hasSync(gone),
            () => db.transactionSync((tx) => tx.put(index, gone, value)),
            () => index.bulkLoad([[gone, value]]),
          ],
        ],
        [
          'bound',
          [
            () => [...index.rangeSync({ lt: gone })],
            () => index.count({ gte: gone }),
            () => index.estimateCount({ gt: gone }),
          ],
        ],
      ];
      for (const [what, all] of attempts) {
        for (const attempt of all) {
          const { details } = await refusal(attempt, 'PW_ENCODING', /memory of a value of class \w+ is gone/);
          expect(details).toEqual({ index: 'buffers', what, encoding: 'buffer' });
        }
      }
      expect(await index.count()).toBe(0);
    }
    await index.put(key, value.subarray(5));
    expect(await index.get(key)).toEqual(new Uint8Array(0));
    await db.close();
  });

  it('that are empty, or that their encoding does not take, are refused, and a transaction goes on without them', async () => {
    const db = await open(path, SMALL);
    await fill(db);
    const index = await db.index<string, unknown>('data');
    const buffers = await db.index('buffers', { key: 'buffer', value: 'buffer' });
    await refusal(() => index.put('', 1), 'PW_KEY_EMPTY', /at least one/);
    await refusal(() => index.putSync('', 1), 'PW_KEY_EMPTY', /at least one/);
    await refusal(() => index.get(''), 'PW_KEY_EMPTY', /at least one/);
    await refusal(() => index.delete(''), 'PW_KEY_EMPTY', /at least one/);
    await refusal(() => buffers.put(new Uint8Array(0), Buffer.alloc(1)), 'PW_KEY_EMPTY', /at least one/);
    await refusal(() => index.put(7 as unknown as string, 1), 'PW_ENCODING', /utf8|string|text/);
    await refusal(() => index.put('a', () => 1), 'PW_ENCODING', /json|JSON/);
    await refusal(() => index.put('\ud800', 1), 'PW_ENCODING', /surrogate|UTF-8|utf8/i);
    await refusal(
      () => buffers.put(Buffer.from('a'), 'text' as unknown as Buffer),
      'PW_ENCODING',
      /buffer|bytes|Uint8Array/,
    );
    await buffers.put(Buffer.from('empty value'), new Uint8Array(0));
    await db.transaction(async (tx) => {
      await refusal(() => tx.put(index, '', 1), 'PW_KEY_EMPTY', /at least one/);
      tx.put(buffers, Buffer.from('a'), Buffer.from('b'));
    });
    expect(await buffers.count()).toBe(2);
    expect(db.state).toBe('open');
    await db.close();
    await expectKept();
  });
});
