import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wal } from '@pagewright/wal';
import { afterEach, beforeEach, expect, expectTypeOf, it } from 'vitest';
import { type ArchivedSegment, attach, composeFrom, open, type RestoreStoreOptions, restore } from '../src/index.js';

let directory: string;
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-restore-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

async function bytesOf(segment: ArchivedSegment): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of segment.read()) chunks.push(chunk);
  return Buffer.concat(chunks);
}

it('restores a store from a backup and an archive that is a directory, in one call each', async () => {
  const db = await open(at('app.pw'), { archive: at('archive'), memory: '8MiB' });
  const users = await db.index<string, string>('users');
  await db.backup(at('backup.pw'));
  await users.put('ada', 'Ada');
  const good = db.lastCommit;
  await users.delete('ada');
  await db.close();
  const report = await restore({
    backup: at('backup.pw'),
    archive: at('archive'),
    path: at('restored.pw'),
    until: good,
    memory: '8MiB',
  });
  expect(report).toMatchObject({ path: at('restored.pw'), timestamp: good, commits: 1, time: expect.any(Date) });
  const restored = await open(at('restored.pw'), { readOnly: true, memory: '8MiB' });
  expect((await restored.index('users')).getSync('ada')).toBe('Ada');
  await restored.close();
  expect(readdirSync(directory).sort()).toEqual(['app.pw', 'archive', 'backup.pw', 'restored.pw']);
});

it('calls a function with each segment, and reads from an object', async () => {
  const kept = new Map<string, Uint8Array>();
  const archive = async (segment: ArchivedSegment): Promise<void> => {
    kept.set(segment.name, await bytesOf(segment));
  };
  const db = await open(at('app.pw'), { archive, memory: '8MiB' });
  await db.backup(at('backup.pw'));
  await (await db.index('users')).put('ada', 'Ada');
  await db.close();
  expect(kept.size).toBe(1);
  const source = { list: () => kept.keys(), read: async (name: string) => kept.get(name) as Uint8Array };
  const report = await restore({ backup: at('backup.pw'), archive: source, path: at('restored.pw'), memory: '8MiB' });
  expect(report.commits).toBe(2);
});

it('archives commits after a time while the store is open', async () => {
  const kept = new Map<string, Uint8Array>();
  let last = 0;
  let tell: () => void = () => undefined;
  const archive = async (segment: ArchivedSegment): Promise<void> => {
    kept.set(segment.name, await bytesOf(segment));
    last = segment.lastTimestamp ?? last;
    tell();
  };
  const db = await open(at('app.pw'), { archive, archiveTimeoutMs: 5, memory: '8MiB' });
  await db.backup(at('backup.pw'));
  const users = await db.index<string, string>('users');
  await users.put('ada', 'Ada');
  while (last < db.lastCommit) await new Promise<void>((resolve) => (tell = resolve));
  const source = { list: () => kept.keys(), read: async (name: string) => kept.get(name) as Uint8Array };
  const report = await restore({ backup: at('backup.pw'), archive: source, path: at('restored.pw'), memory: '8MiB' });
  expect(report.timestamp).toBe(db.lastCommit);
  await db.close();
});

it('takes the archive in a config that is data', async () => {
  const blueprint = await composeFrom({
    io: '@pagewright/io-posix',
    pages: ['@pagewright/bufferpool', { memory: '8MiB' }],
    indexes: '@pagewright/index-btree',
    concurrency: '@pagewright/mvcc',
    log: ['@pagewright/wal', { archive: at('archive') }],
  });
  const db = await blueprint.open(at('app.pw'));
  await (await db.index('users')).put('ada', 'Ada');
  await db.close();
  expect(readdirSync(at('archive'))).toHaveLength(1);
});

it('says what is wrong with an archive, and with what is asked of restore', async () => {
  const log = wal();
  await expect(open(at('a.pw'), { archive: at('archive'), log })).rejects.toMatchObject({
    code: 'PW_CONFIG',
    problems: [{ code: 'PW_OPTION_INVALID', path: 'archive' }],
  });
  for (const archive of ['', 5, {}, null]) {
    await expect(open(at('a.pw'), { archive: archive as never }), String(archive)).rejects.toMatchObject({
      code: 'PW_CONFIG',
    });
  }
  for (const archiveTimeoutMs of [-1, 86_400_001, Number.NaN, '5000', null]) {
    const options = { archive: at('archive'), archiveTimeoutMs: archiveTimeoutMs as number };
    await expect(open(at('a.pw'), options), String(archiveTimeoutMs)).rejects.toMatchObject({ code: 'PW_CONFIG' });
  }
  await expect(open(at('a.pw'), { archiveTimeoutMs: 5000, log })).rejects.toMatchObject({
    code: 'PW_CONFIG',
    problems: [{ code: 'PW_OPTION_INVALID', path: 'archiveTimeoutMs' }],
  });
  const db = await open(at('app.pw'), { memory: '8MiB' });
  for (const options of [{ archive: at('archive') }, { archiveTimeoutMs: 5000 }])
    await expect(attach(db.share(), options as never)).rejects.toMatchObject({ code: 'PW_OPTION_INVALID' });
  await db.close();

  const whole = { backup: at('app.pw'), archive: at('archive'), path: at('restored.pw') };
  for (const wrong of [
    { backup: '' },
    { path: 7 },
    { archive: null },
    { archive: { list: () => [] } },
    { archive: { list: 1, read: 1 } },
    { until: -1 },
    { until: 1.5 },
    { until: '2026-01-01' },
    { until: new Date(Number.NaN) },
    { signal: {} },
    { onProgress: 'often' },
  ]) {
    const what = JSON.stringify(wrong);
    await expect(restore({ ...whole, ...wrong } as never), what).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  }
  await expect(restore({ ...whole, untli: 3 } as never)).rejects.toMatchObject({ code: 'PW_OPTION_INVALID' });
  await expect(restore({ ...whole, backup: at('missing.pw') })).rejects.toMatchObject({ code: 'PW_NOT_FOUND' });
  await expect(restore(whole)).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
  const nowhere = restore({ ...whole, archive: at('archvie') });
  await expect(nowhere).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP', details: { path: at('archvie') } });
  await expect(nowhere).rejects.toThrow(/^There is no archive at /);
  const read = (): Promise<never> => Promise.reject(new Error('no such shelf'));
  const archive = { list: () => ['0000000a-00000001.log'], read };
  await expect(restore({ ...whole, archive })).rejects.toThrow('no such shelf');
  const nothing = { list: archive.list, read: async () => 'text' as never };
  await expect(restore({ ...whole, archive: nothing })).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  const unlisted = { list: () => null as never, read: nothing.read };
  await expect(restore({ ...whole, archive: unlisted })).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  expect(readdirSync(directory)).toEqual(['app.pw']);
});

it('that cannot be written, as a backup that cannot, is told by the path that was given', async () => {
  const db = await open(at('app.pw'), { archive: at('archive'), memory: '8MiB' });
  await db.backup(at('backup.pw'));
  const path = at('missing/copy.pw');
  const wrong = { code: 'PW_NOT_FOUND', details: { path, errno: 'ENOENT' } };
  const message = new RegExp(`^Cannot open ${path}: ENOENT`);
  await expect(db.backup(path)).rejects.toMatchObject({ ...wrong, message: expect.stringMatching(message) });
  await db.close();
  const whole = { backup: at('backup.pw'), archive: at('archive'), path, memory: '8MiB' };
  await expect(restore(whole)).rejects.toMatchObject({ ...wrong, message: expect.stringMatching(message) });
});

it('into an archive that can be no directory is refused when the store is opened, which opens with another one', async () => {
  writeFileSync(at('file'), 'text');
  for (const [archive, message, errno] of [
    [at('file'), /is a file \(EEXIST\)/, 'EEXIST'],
    [at('file/archive'), /cannot be made \(ENOTDIR\)/, 'ENOTDIR'],
    [at('missing/archive'), /is not there, and neither is the directory/, 'ENOENT'],
  ] as const) {
    const details = { option: 'archive', path: archive, errno };
    const opening = open(at('app.pw'), { archive, memory: '8MiB' });
    await expect(opening).rejects.toMatchObject({
      code: 'PW_OPTION_INVALID',
      message: expect.stringMatching(message),
      details,
    });
  }
  const db = await open(at('app.pw'), { archive: at('archive'), memory: '8MiB' });
  expect(readdirSync(directory).sort()).toEqual(['app.pw', 'app.pw-wal', 'app.pw.lock', 'archive', 'file']);
  await db.close();
});

it('after a time is refused where there is no archive', async () => {
  await expect(open(at('app.pw'), { archiveTimeoutMs: 5000 })).rejects.toMatchObject({
    code: 'PW_CONFIG',
    problems: [
      {
        code: 'PW_OPTION_INVALID',
        path: 'log.archiveTimeoutMs',
        message: expect.stringMatching(/there is no archive/),
      },
    ],
  });
  expect(readdirSync(directory)).toEqual([]);
});

it('has a type that allows what it takes, and no option that it refuses', async () => {
  type Taken = 'backup' | 'archive' | 'path' | 'until' | 'signal' | 'onProgress' | 'memory';
  type Parts = 'io' | 'pages' | 'indexes' | 'concurrency' | 'log' | 'plugins' | 'from';
  expectTypeOf<keyof RestoreStoreOptions>().toEqualTypeOf<Taken | Parts>();
  for (const option of ['durability', 'commit', 'pageSize']) {
    const options = { backup: at('backup.pw'), path: at('restored.pw'), [option]: 'relaxed' };
    await expect(restore(options as never)).rejects.toMatchObject({ code: 'PW_OPTION_INVALID' });
  }
});
