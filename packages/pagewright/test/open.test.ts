import { existsSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bufferPool } from '@pagewright/bufferpool';
import { compositionOf, type Engine } from '@pagewright/core';
import { afterEach, beforeEach, expect, expectTypeOf, it } from 'vitest';
import { attach, open } from '../src/index.js';

let directory: string;
let path: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-open-'));
  path = join(directory, 'app.pw');
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('opens a store, keeps what was put, and leaves one file behind', async () => {
  const db = await open(path);
  const users = await db.index<string, { name: string; visits?: number }>('users', { key: 'utf8', value: 'json' });
  await users.put('ada', { name: 'Ada' });
  await db.transaction((tx) => {
    const ada = tx.getSync(users, 'ada');
    if (ada !== undefined) tx.put(users, 'ada', { ...ada, visits: 1 });
    tx.delete(users, 'bob');
  });
  expect(users.getSync('ada')).toEqual({ name: 'Ada', visits: 1 });
  await db.close();
  expect(readdirSync(directory)).toEqual(['app.pw']);

  const again = await open(path);
  const found = await again.index<string, { name: string }>('users');
  expect(await found.get('ada')).toEqual({ name: 'Ada', visits: 1 });
  await again.close();
});

it('an empty store takes less than 256 KiB, open and closed', async () => {
  const db = await open(path);
  const bytes = [path, ...readdirSync(`${path}-wal`).map((name) => join(`${path}-wal`, name))].map(
    (file) => statSync(file).size,
  );
  expect(bytes.reduce((sum, size) => sum + size, 0)).toBeLessThan(256 * 1024);
  await db.close();
  expect(statSync(path).size).toBeLessThan(256 * 1024);
});

it('takes shorthands, parts as plugins, by name, and by name with options', async () => {
  const db = await open(path, { memory: '4MiB', pageSize: '4KiB', commit: 'sync' });
  expect(db.stats().pages).toMatchObject({ pageSize: 4096, frames: 1024 });
  expect(db.stats().log?.policy).toBe('sync');
  await db.close();
  const other = await open(path, {
    pages: bufferPool({ memory: '2MiB' }),
    indexes: ['@pagewright/index-btree'],
    log: ['@pagewright/wal', { commit: 'sync' }],
    concurrency: '@pagewright/mvcc',
    from: import.meta.url,
  });
  expect(other.stats().pages.frames).toBe(512);
  expect(compositionOf(other)?.plugins.map((plugin) => plugin.name)).toContain('@pagewright/index-btree');
  await other.close();
});

it('says everything that is wrong at once, and touches no file', async () => {
  const wrong = open(path, {
    memory: '1KiB',
    pageSize: 5000,
    commit: 'never',
    indexes: ['@acme/no-such-index'],
    concurrency: ['@pagewright/mvcc', { isolation: 'none', more: 1 }],
  });
  const error = await wrong.then(
    () => null,
    (error) => error,
  );
  expect(error).toMatchObject({ code: 'PW_CONFIG' });
  const paths = error.problems.map((problem: { path: string }) => problem.path);
  expect(paths).toEqual(
    expect.arrayContaining([
      'pages.memory',
      'pages.pageSize',
      'indexes[0]',
      'concurrency.isolation',
      'concurrency.more',
    ]),
  );
  expect(existsSync(path)).toBe(false);
});

it('a shorthand beside the part that it is short for is refused, because it would do nothing', async () => {
  const refused = open(path, { memory: '4MiB', pages: bufferPool(), commit: 'sync', log: '@pagewright/wal' });
  await expect(refused).rejects.toMatchObject({
    code: 'PW_CONFIG',
    problems: [
      { code: 'PW_OPTION_INVALID', path: 'memory' },
      { code: 'PW_OPTION_INVALID', path: 'commit' },
    ],
  });
});

it('an unknown commit policy is refused before anything is created', async () => {
  await expect(open(path, { commit: 'never' })).rejects.toMatchObject({ name: 'PagewrightError' });
  expect(readdirSync(directory)).toEqual([]);
});

it('the engine knows the index types that it was composed with', () => {
  type Opened = Awaited<ReturnType<typeof open<'btree'>>>;
  expectTypeOf<Opened>().toExtend<Engine<'btree'>>();
  expectTypeOf<NonNullable<Parameters<Opened['index']>[1]>['type']>().toEqualTypeOf<'btree' | undefined>();
});

it('who joins is refused what comes with the handle, because it would do nothing', async () => {
  const db = await open(path, { memory: '8MiB' });
  const handle = db.share();
  const options = { memory: '4MiB', pageSize: '4KiB', commit: 'sync', durability: 'none', archive: './archive' };
  for (const [name, value] of Object.entries(options)) {
    await expect(attach(handle, { [name]: value }), name).rejects.toMatchObject({
      code: 'PW_OPTION_INVALID',
      details: { unknown: [name] },
    });
  }
  await db.close();
});
