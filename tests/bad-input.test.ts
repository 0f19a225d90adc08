/**
 * What people get wrong: configs, keys, paths, files that are no store, stores in use, damaged by a copy that was cut short.
 * Each is refused with a code of its own and a message that says what to do, and nothing is lost.
 */
import { type ChildProcess, execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { crc32 } from 'node:zlib';
import { bufferPool } from '@pagewright/bufferpool';
import {
  type ComposeConfig,
  compose,
  composeFrom,
  definePlugin,
  type Engine,
  type ErrorCode,
  INDEXES,
  isPagewrightError,
  PagewrightError,
} from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { ioPosix, NodeFiles } from '@pagewright/io-posix';
import { mvcc } from '@pagewright/mvcc';
import { wal } from '@pagewright/wal';
import { type OpenStoreOptions, open } from 'pagewright';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { recordsOf, untilIdle } from './log-anatomy.js';
import { canMount, endAll, kill, start, tell } from './store-process.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-bad-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  await endAll();
  fs.rmSync(directory, { recursive: true, force: true });
});

// ── A store whose data is known ──────────────────────────────────────────────────────────────────────────────────

const SMALL: OpenStoreOptions = { memory: '4MiB', pageSize: '4KiB' };
const DATA: readonly (readonly [string, unknown])[] = Array.from({ length: 300 }, (_, number) => [
  `key/${String(number).padStart(4, '0')}`,
  { number, text: number % 60 === 0 ? 'large '.repeat(2000) : 'small' },
]);

async function fill(db: Engine, from = 0, to = DATA.length): Promise<void> {
  const index = await db.index<string, unknown>('data');
  await index.batch(DATA.slice(from, to).map(([key, value]) => ({ type: 'put', key, value })));
}

async function makeStore(options: OpenStoreOptions = SMALL): Promise<void> {
  const db = await open(path, options);
  await fill(db);
  await db.close();
}

/** The store as its process leaves it that is killed when the log has been idle: half of the data is in the log alone. */
async function makeKilledStore(options: OpenStoreOptions = SMALL): Promise<void> {
  const original = join(directory, 'original.pw');
  const db = await open(original, options);
  await fill(db, 0, 150);
  await db.checkpoint();
  await fill(db, 150);
  await untilIdle(() => filesIn(`${original}-wal`));
  fs.copyFileSync(original, path);
  fs.cpSync(`${original}-wal`, `${path}-wal`, { recursive: true });
  await db.close();
  fs.rmSync(original);
}

async function expectKept(options: OpenStoreOptions = {}): Promise<void> {
  const db = await open(path, { memory: '4MiB', ...options });
  try {
    const index = await db.index<string, unknown>('data');
    expect([...index.rangeSync()]).toEqual(DATA);
    await index.put('written afterwards', 1);
    await index.delete('written afterwards');
  } finally {
    await db.close();
  }
}

function filesIn(folder: string): Map<string, Uint8Array> {
  const entries = fs.existsSync(folder) ? fs.readdirSync(folder, { withFileTypes: true, recursive: true }) : [];
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  return new Map(files.map((file) => [file, fs.readFileSync(file)]));
}

/** All files with what is in them: to see that nothing was changed, and nothing left behind. */
function picture(): Record<string, string> {
  const hashes = [...filesIn(directory)].map(([file, bytes]) => [file, createHash('sha1').update(bytes).digest('hex')]);
  return Object.fromEntries(hashes.sort());
}

// ── Refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** What it is refused with. Awaits what `attempt` returns; a store that it opens is closed. */
async function refusal(attempt: () => unknown, code: ErrorCode, advice: RegExp): Promise<PagewrightError> {
  let result: unknown;
  try {
    result = await attempt();
  } catch (error) {
    expect(error).toBeInstanceOf(PagewrightError);
    expect(error).toMatchObject({ code, message: expect.stringMatching(advice) });
    return error as PagewrightError;
  }
  await (result as { close?: () => Promise<void> } | undefined)?.close?.();
  throw new Error(`it was not refused with ${code}`);
}

/** The same for opening the store at `path`, which leaves all files as they were. */
async function refusedUnchanged(options: OpenStoreOptions, code: ErrorCode, advice: RegExp): Promise<PagewrightError> {
  const before = picture();
  const error = await refusal(() => open(path, options), code, advice);
  expect(picture()).toEqual(before);
  return error;
}

const linesOf = (error: PagewrightError): string[] => error.problems.map(({ code, path }) => `${code} at ${path}`);

describe('a config', () => {
  it('with the name of a plugin that is not there is refused with the cure, and the store is as it was', async () => {
    await makeStore();
    const error = await refusedUnchanged({ indexes: '@acme/not-there' }, 'PW_CONFIG', /npm install @acme\/not-there/);
    expect(linesOf(error)).toEqual(['PW_PLUGIN_UNKNOWN at indexes']);
    await expectKept();
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

describe('a store that is in use', () => {
  let program: string;
  let programs: string;
  beforeAll(async () => {
    programs = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-program-'));
    program = await bundle('../../../tests/store-process-program.ts', programs);
  });
  afterAll(() => fs.rmSync(programs, { recursive: true, force: true }));

  it('in this process is refused with its own pid, under any name of the file, and the engine that has it goes on', async () => {
    await makeStore();
    const db = await open(path, SMALL);
    const other = join(directory, 'other-name.pw');
    for (const link of [() => fs.symlinkSync(path, other), () => fs.linkSync(path, other)]) {
      link();
      for (const name of [path, other]) {
        const error = await refusal(() => open(name), 'PW_LOCKED', /close it first/);
        expect(error.details.pid).toBe(process.pid);
        const reader = await open(name, { readOnly: true, memory: '4MiB' });
        expect([...(await reader.index<string, unknown>('data')).rangeSync()]).toEqual(DATA);
        await reader.close();
      }
      fs.rmSync(other);
    }
    await fill(db);
    await db.close();
    await expectKept();
  });

  it('in another process is refused with its pid; once that is killed, or has closed it, nothing is lost', async () => {
    await makeStore();
    const holder = await start(program);
    expect(await tell(holder, { do: 'open', path, options: SMALL })).toEqual({ outcome: 'done' });
    const error = await refusal(
      () => open(path),
      'PW_LOCKED',
      new RegExp(`process ${holder.pid} has it open.*Close it there`),
    );
    expect(error.details.pid).toBe(holder.pid);
    await kill(holder);
    await expectKept();
    const other = await start(program);
    await tell(other, { do: 'open', path, options: SMALL });
    await refusal(() => open(path), 'PW_LOCKED', /Close it there/);
    expect(await tell(other, { do: 'close' })).toEqual({ outcome: 'done' });
    await expectKept();
  });

  it('here is refused to another process with the pid of this one', async () => {
    const db = await open(path, SMALL);
    await fill(db);
    const other = await start(program);
    const answer = await tell(other, { do: 'open', path, options: SMALL });
    expect(answer).toMatchObject({ outcome: 'PW_LOCKED', details: { pid: process.pid } });
    await fill(db);
    await db.close();
    expect(await tell(other, { do: 'open', path, options: SMALL })).toEqual({ outcome: 'done' });
    expect((await tell(other, { do: 'read' })).entries).toEqual(DATA);
  });

  describe('to which the system does not give access', () => {
    const NOBODY = 65534;
    const opened = async (child: ChildProcess, readOnly = false) =>
      tell(child, { do: 'open', path, options: { memory: '4MiB', readOnly } });
    const denied = (errno: string) => ({
      outcome: 'PW_PERMISSION',
      message: expect.stringMatching(/Check the owner and mode/),
      details: { errno },
    });

    it('by owner and mode is refused, may be read where that is allowed, and stays as it was', async ({ skip }) => {
      skip(process.getuid?.() !== 0, 'only root can run a process as another user');
      fs.chmodSync(programs, 0o755);
      fs.chmodSync(program, 0o755);
      await makeStore();
      const before = picture();
      const open = async (readOnly?: boolean) => {
        const child = await start(program, { user: NOBODY });
        const answer = await opened(child, readOnly);
        return answer.outcome === 'done' ? ((await tell(child, { do: 'read' })).entries ?? []) : answer;
      };
      fs.chmodSync(directory, 0o755);
      fs.chmodSync(path, 0o600); // not even readable
      expect(await open()).toEqual(denied('EACCES'));
      expect(await open(true)).toEqual(denied('EACCES'));
      fs.chmodSync(path, 0o644); // readable
      expect(await open()).toEqual(denied('EACCES'));
      expect(await open(true)).toEqual(DATA);
      fs.chmodSync(path, 0o666); // writable, but the directory is not, where lock and log go
      expect(await open()).toEqual(denied('EACCES'));
      expect(await open(true)).toEqual(DATA);
      fs.chmodSync(directory, 0o700); // not even to be found
      expect(await open()).toMatchObject({ outcome: 'PW_PERMISSION' });
      expect(picture()).toEqual(before);
      await expectKept();
    });

    it('because its file system is mounted read-only is refused, and can be read', async ({ skip }) => {
      skip(!canMount(), 'needs user namespaces, to mount a file system');
      await makeStore();
      const before = picture();
      const within = `mount --bind '${directory}' '${directory}' && mount -o remount,ro,bind '${directory}' && exec "$@"`;
      const child = await start(program, { within });
      expect(await opened(child)).toEqual(denied('EROFS'));
      expect(await opened(child, true)).toEqual({ outcome: 'done' });
      expect((await tell(child, { do: 'read' })).entries).toEqual(DATA);
      expect(await tell(child, { do: 'close' })).toEqual({ outcome: 'done' });
      expect(picture()).toEqual(before);
      await expectKept();
    });
  });
});

describe('a store of another format', () => {
  const AT_VERSION = 8;
  const AT_CRC = 12;
  const AT_FEATURES = 16;
  /** Changes a field of a block and makes its checksum right again, as another release would have written it. */
  function rewrite(file: string, at: number, field: number, value: number): void {
    const bytes = fs.readFileSync(file);
    const block = bytes.subarray(at, at + 4096);
    block.writeUInt32LE(value, field);
    block.writeUInt32LE(0, AT_CRC);
    block.writeUInt32LE(crc32(block), AT_CRC);
    fs.writeFileSync(file, bytes);
  }

  it('in its version or its features is refused with what is known, also if it is one superblock alone', async () => {
    await makeStore();
    const original = fs.readFileSync(path);
    for (const slots of [[0], [1], [0, 1]]) {
      for (const slot of slots) rewrite(path, slot * 4096, AT_VERSION, 7);
      const version = await refusedUnchanged({}, 'PW_FORMAT_VERSION', /Open it with a release that knows that version/);
      expect(version.details).toMatchObject({ version: 7, known: 1 });
      await refusedUnchanged({ readOnly: true }, 'PW_FORMAT_VERSION', /Open it with a release/);
      fs.writeFileSync(path, original);
      for (const slot of slots) rewrite(path, slot * 4096, AT_FEATURES, 4);
      const features = await refusedUnchanged({}, 'PW_FORMAT_VERSION', /Open it with a newer release/);
      expect(features.details).toMatchObject({ features: 4 });
      fs.writeFileSync(path, original);
    }
    await expectKept();
  });

  it('in its log alone is refused, and the release that knows it finds everything', async () => {
    await makeKilledStore();
    const [segment] = [...filesIn(`${path}-wal`).keys()].sort();
    rewrite(segment!, 0, AT_VERSION, 9);
    const error = await refusedUnchanged({}, 'PW_FORMAT_VERSION', /Open the store with the release that wrote it/);
    expect(error.details).toMatchObject({ path: segment, version: 9 });
    rewrite(segment!, 0, AT_VERSION, 1);
    await expectKept();
  });
});

describe('what is no store', () => {
  const JPEG = Buffer.concat([
    Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex'),
    Buffer.alloc(50_000, 0xa5),
  ]);
  const kinds: readonly (readonly [string, Buffer])[] = [
    ['a short text', Buffer.from('hello\n')],
    ['a long text', Buffer.from('All work and no play makes Jack a dull boy.\n'.repeat(5000))],
    ['a picture', JPEG],
    ['a database of another kind', Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(30_000, 1)])],
    [
      'an image of a disc, which begins with 32 KiB of zeros',
      Buffer.concat([Buffer.alloc(32_768), Buffer.from('\x01CD001\x01'), Buffer.alloc(90_000, 3)]),
    ],
    ['a small file of zeros with something at its end', Buffer.concat([Buffer.alloc(10_000), Buffer.from('mine')])],
    ['a large file of zeros', Buffer.alloc(300_000)],
  ];
  for (const [what, bytes] of kinds) {
    it(`is refused and stays as it was: ${what}`, async () => {
      fs.writeFileSync(path, bytes);
      for (const options of [{}, { create: false }, { readOnly: true }]) {
        await refusedUnchanged(options, 'PW_NOT_A_STORE', /Check the path/);
      }
    });
  }

  it('is refused: a directory', async () => {
    fs.mkdirSync(path);
    fs.writeFileSync(join(path, 'inside'), 'mine');
    for (const options of [{}, { create: false }, { readOnly: true }]) {
      await refusedUnchanged(options, 'PW_NOT_A_STORE', /directory.*Check the path/);
    }
  });

  it('is refused without waiting for it: a pipe', async ({ skip }) => {
    skip(process.platform === 'win32', 'there are no pipes in the file system');
    execFileSync('mkfifo', [path]);
    for (const options of [{}, { create: false }, { readOnly: true }])
      await refusedUnchanged(options, 'PW_NOT_A_STORE', /Check the path/);
  }, 10_000);

  it('is not filled for ever: a device that swallows everything', async ({ skip }) => {
    skip(process.platform === 'win32', 'there is no such device');
    const device = await new NodeFiles().open('/dev/null', {});
    await refusal(() => device.allocate(0, 8192), 'PW_IO', /moves no bytes. Check the device/);
    await refusal(() => device.allocateSync(0, 8192), 'PW_IO', /moves no bytes. Check the device/);
    await device.close();
  }, 10_000);

  it('is refused: a path that leads nowhere', async () => {
    await refusal(() => open(path, { create: false }), 'PW_NOT_FOUND', /Check the path/);
    await refusal(() => open(path, { readOnly: true }), 'PW_NOT_FOUND', /Check the path/);
    await refusal(() => open(join(directory, 'no', 'app.pw')), 'PW_NOT_FOUND', /its directory exists/);
    fs.writeFileSync(path, 'a file');
    await refusal(() => open(join(path, 'app.pw')), 'PW_NOT_FOUND', /Check the path/);
  });

  it('is refused where there must be none: a store that exists', async () => {
    await makeStore();
    await refusedUnchanged({ errorIfExists: true }, 'PW_EXISTS', /Choose another path/);
    await expectKept();
  });

  it('is refused: an empty file, or none, beside the log of a store; with the file back nothing is lost', async () => {
    await makeKilledStore();
    const original = fs.readFileSync(path);
    fs.truncateSync(path);
    await refusedUnchanged({}, 'PW_CORRUPT_FILE', /Restore the file from a backup/);
    await refusedUnchanged({ create: false }, 'PW_NOT_FOUND', /create: true/);
    fs.rmSync(path);
    await refusedUnchanged({}, 'PW_CORRUPT_FILE', /Restore the file from a backup/);
    fs.writeFileSync(path, original);
    await expectKept();
  });
});

describe('what was cut short', () => {
  it('a page file of any length is refused, and with the rest back nothing is lost', async () => {
    for (const make of [makeStore, makeKilledStore]) {
      await make();
      const original = fs.readFileSync(path);
      const log = filesIn(`${path}-wal`);
      const end = original.length;
      const lengths = [1, 7, 8, 87, 88, 500, 4095, 4096, 4100, 8191, 8192, 8193, 12_288, 20_000];
      for (let at = 0; at < 12; at++) lengths.push(Math.floor((end * (at + 1)) / 13));
      lengths.push(end - 70_000, end - 4096, end - 1);
      const codes = new Set<string>();
      for (const length of lengths) {
        fs.writeFileSync(path, original.subarray(0, length));
        for (const options of [{}, { readOnly: true }]) {
          const before = picture();
          const error = await open(path, { memory: '4MiB', ...options }).catch((error) => error);
          if (!isPagewrightError(error)) {
            // Nothing that counts was cut off: the file is longer than what is in use.
            await (error as Engine).close();
            await expectKept();
            if (log.size > 0) fs.mkdirSync(`${path}-wal`);
            for (const [segment, bytes] of log) fs.writeFileSync(segment, bytes);
            fs.writeFileSync(path, original.subarray(0, length));
            continue;
          }
          codes.add(error.code);
          expect(error.message, `${length} bytes`).toMatch(/Restore the file from a backup|Check the path/);
          expect(picture()).toEqual(before);
        }
      }
      expect([...codes].sort()).toEqual(['PW_CORRUPT_FILE', 'PW_NOT_A_STORE']);
      fs.writeFileSync(path, original);
      await expectKept();
      fs.rmSync(path);
    }
  });

  it('to nothing is not taken for a store that may be opened without creating it', async () => {
    await makeStore();
    fs.truncateSync(path);
    await refusedUnchanged({ create: false }, 'PW_NOT_FOUND', /create: true/);
    await refusedUnchanged({ readOnly: true }, 'PW_NOT_FOUND', /create: true/);
  });

  it('a log of any length is refused or has everything, and with the rest back nothing is lost', async () => {
    await makeKilledStore();
    const segments = filesIn(`${path}-wal`);
    const pageFile = fs.readFileSync(path);
    let refused = 0;
    for (const [segment, bytes] of segments) {
      const lengths = [0, 1, 8, 72, 4095, 4096, 4097, 4144, 5000, bytes.length - 1];
      for (let at = 1; at < 10; at++) lengths.push(Math.floor((bytes.length * at) / 10));
      for (const length of lengths) {
        fs.writeFileSync(segment, bytes.subarray(0, length));
        const before = picture();
        const opened = await open(path, { memory: '4MiB' }).catch((error) => error);
        if (isPagewrightError(opened)) {
          expect(opened).toMatchObject({
            code: 'PW_CORRUPT_LOG',
            message: expect.stringMatching(/bring back the log's directory/),
          });
          expect(picture()).toEqual(before);
          refused++;
        } else {
          const found = [...(await (opened as Engine).index<string, unknown>('data')).rangeSync()];
          expect(found, `${segment} cut to ${length}`).toEqual(DATA);
          await (opened as Engine).close();
          fs.writeFileSync(path, pageFile);
          fs.mkdirSync(`${path}-wal`, { recursive: true });
        }
        for (const [name, content] of segments) fs.writeFileSync(name, content);
      }
    }
    expect(refused).toBeGreaterThan(5);
    await expectKept();
  });

  it('a log of which any segment is missing, or all of it, is refused, and with it back nothing is lost', async () => {
    await makeKilledStore({
      ...SMALL,
      memory: undefined,
      pageSize: undefined,
      pages: bufferPool({ memory: '4MiB', pageSize: '4KiB' }),
      log: wal({ segmentSize: '64KiB' }),
    });
    const segments = filesIn(`${path}-wal`);
    expect(segments.size).toBeGreaterThan(1);
    for (const [segment, bytes] of segments) {
      // One that was prepared for later may go.
      if (recordsOf(segment, bytes).length === 0) continue;
      fs.rmSync(segment);
      await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
      fs.writeFileSync(segment, bytes);
    }
    fs.renameSync(`${path}-wal`, join(directory, 'elsewhere'));
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
    fs.mkdirSync(`${path}-wal`);
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
    fs.rmdirSync(`${path}-wal`);
    fs.renameSync(join(directory, 'elsewhere'), `${path}-wal`);
    await expectKept();
  });

  it('a log of another store in place of its own is refused', async () => {
    await makeKilledStore();
    fs.renameSync(`${path}-wal`, join(directory, 'own-log'));
    fs.renameSync(path, join(directory, 'own.pw'));
    await makeKilledStore();
    fs.renameSync(join(directory, 'own.pw'), path);
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /bring back the log's directory/);
    const [foreign] = fs.readdirSync(`${path}-wal`).sort();
    const [own] = fs.readdirSync(join(directory, 'own-log')).sort();
    fs.renameSync(join(`${path}-wal`, foreign!), join(`${path}-wal`, own!));
    await refusedUnchanged({}, 'PW_CORRUPT_LOG', /belongs to another store.*bring back the log's directory/);
    fs.rmSync(`${path}-wal`, { recursive: true });
    fs.renameSync(join(directory, 'own-log'), `${path}-wal`);
    await expectKept();
  });
});

describe('use after close', () => {
  it('of the engine, an index, a transaction, a snapshot or a range is refused, whatever is called', async () => {
    const db = await open(path, SMALL);
    await fill(db);
    const index = await db.index<string, unknown>('data');
    const tx = db.begin();
    tx.put(index, 'never committed', 1);
    const savepoint = tx.savepoint();
    const snapshot = db.snapshot();
    const stream = index.range();
    const now = index.rangeSync();
    const inTransaction = tx.range(index);
    const first = [(await stream.next()).value, now.next().value, (await inTransaction.next()).value];
    expect(first).toEqual([DATA[0], DATA[0], DATA[0]]);
    const closing = db.close();
    expect(db.state).toBe('closing');
    const calls: readonly (() => unknown)[] = [
      () => db.index('data'),
      () => db.index('another'),
      () => db.dropIndex('data'),
      () => db.indexes(),
      () => db.transaction(() => {}),
      () => db.transactionSync(() => {}),
      () => db.begin(),
      () => db.snapshot(),
      () => db.batch([{ type: 'put', index: index as never, key: 'a', value: 1 }]),
      () => db.checkpoint(),
      () => db.stats(),
      () => index.get('key/0000'),
      () => index.getSync('key/0000'),
      () => index.get('key/0000', { snapshot }),
      () => index.getMany(['key/0000']),
      () => index.has('key/0000'),
      () => index.hasSync('key/0000'),
      () => index.put('a', 1),
      () => index.putSync('a', 1),
      () => index.delete('key/0000'),
      () => index.deleteSync('key/0000'),
      () => index.batch([{ type: 'delete', key: 'key/0000' }]),
      () => index.range().next(),
      () => index.rangeSync().next(),
      () => index.keys().next(),
      () => index.values().next(),
      () => index.count(),
      () => index.clear(),
      () => tx.get(index, 'key/0000'),
      () => tx.getSync(index, 'key/0000'),
      () => tx.range(index).next(),
      () => tx.rangeSync(index).next(),
      () => tx.put(index, 'a', 1),
      () => tx.delete(index, 'key/0000'),
      () => tx.savepoint(),
      () => tx.rollbackTo(savepoint),
      () => tx.commit(),
      () => tx.commitSync(),
    ];
    for (const call of calls) await refusal(call, 'PW_CLOSED', /Open the store again/);
    await closing;
    expect(db.state).toBe('closed');
    for (const call of calls) await refusal(call, 'PW_CLOSED', /Open the store again/);
    // A range hands out what it has read already, and never ends as if that were all.
    for (const range of [stream, inTransaction]) {
      await refusal(
        async () => {
          for await (const _ of range);
        },
        'PW_CLOSED',
        /Open the store again/,
      );
    }
    await refusal(
      () => {
        for (const _ of now);
      },
      'PW_CLOSED',
      /Open the store again/,
    );
    // What only ends things may be called at any time.
    tx.abort();
    snapshot.release();
    await db.close();
    await db[Symbol.asyncDispose]();
    await expectKept();
  });

  it('of a transaction that has ended, a snapshot that was released, an index that was dropped, another engine’s', async () => {
    await makeStore();
    const db = await open(path, SMALL);
    const other = await open(join(directory, 'other.pw'), SMALL);
    const index = await db.index<string, unknown>('data');
    const strange = await other.index<string, unknown>('data');
    for (const end of ['commit', 'abort'] as const) {
      const tx = db.begin();
      await tx[end]();
      for (const call of [
        () => tx.put(index, 'a', 1),
        () => tx.getSync(index, 'a'),
        () => tx.commit(),
        () => tx.commitSync(),
        () => tx.range(index),
      ]) {
        await refusal(call, 'PW_TXN_CLOSED', /Begin a new one/);
      }
    }
    const snapshot = db.snapshot();
    snapshot.release();
    await refusal(() => index.getSync('key/0000', { snapshot }), 'PW_CLOSED', /snapshot/);
    await refusal(() => index.get('key/0000', { snapshot }), 'PW_CLOSED', /snapshot/);
    await refusal(() => [...index.rangeSync({ snapshot })], 'PW_CLOSED', /snapshot/);
    const dropped = await db.index('dropped');
    await dropped.put('a', 1);
    await db.dropIndex('dropped');
    for (const call of [
      () => dropped.get('a'),
      () => dropped.put('a', 1),
      () => dropped.putSync('a', 1),
      () => dropped.rangeSync().next(),
      () => dropped.clear(),
    ]) {
      await refusal(call, 'PW_INDEX_DROPPED', /index\(\)/);
    }
    await refusal(() => db.dropIndex('dropped'), 'PW_INDEX_UNKNOWN', /There is no index 'dropped'/);
    await refusal(() => db.index('data', { key: 'u32' }), 'PW_INDEX_MISMATCH', /Leave out what is to be as it is/);
    await refusal(() => db.index('', {}), 'PW_INDEX_NAME', /1 to 128 bytes/);
    await refusal(() => db.index('new', { type: 'art' as 'btree' }), 'PW_INDEX_UNKNOWN', /there are: btree/);
    const tx = db.begin();
    await refusal(() => tx.put(strange, 'a', 1), 'PW_ARGUMENT', /another engine/);
    await refusal(() => index.get('a', { snapshot: other.snapshot() }), 'PW_ARGUMENT', /same engine/);
    tx.abort();
    await other.close();
    await db.close();
    await expectKept();
  });

  it('of a store that was opened to be read alone', async () => {
    await makeStore();
    const before = picture();
    const db = await open(path, { memory: '4MiB', readOnly: true });
    const index = await db.index<string, unknown>('data');
    for (const call of [
      () => index.put('a', 1),
      () => index.putSync('a', 1),
      () => index.clear(),
      () => db.dropIndex('data'),
      () => db.checkpoint(),
      () => db.begin().put(index, 'a', 1),
    ]) {
      await refusal(call, 'PW_READ_ONLY', /Open it without/);
    }
    await refusal(() => db.index('new'), 'PW_INDEX_UNKNOWN', /There is no index 'new'/);
    expect([...index.rangeSync()]).toEqual(DATA);
    await db.close();
    expect(picture()).toEqual(before);
    await expectKept();
  });
});
