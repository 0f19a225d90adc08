import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { wal } from '@pagewright/wal';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ArchivedSegment, attach, composeFrom, open, restore } from '../src/index.js';

let directory: string;
const at = (name: string): string => join(directory, name);

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-restore-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

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
    const chunks: Uint8Array[] = [];
    for await (const chunk of segment.read()) chunks.push(chunk);
    kept.set(segment.name, Buffer.concat(chunks));
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
  const db = await open(at('app.pw'), { memory: '8MiB' });
  await expect(attach(db.share(), { archive: at('archive') } as never)).rejects.toMatchObject({
    code: 'PW_OPTION_INVALID',
  });
  await db.close();

  const whole = { backup: at('app.pw'), archive: at('archive'), path: at('restored.pw') };
  for (const wrong of [
    { backup: '' },
    { path: 7 },
    { archive: null },
    { archive: { list: () => [] } },
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
  const read = (): Promise<never> => Promise.reject(new Error('no such shelf'));
  const archive = { list: () => ['0000000a-00000001.log'], read };
  await expect(restore({ ...whole, archive })).rejects.toThrow('no such shelf');
  const nothing = { list: archive.list, read: async () => 'text' as never };
  await expect(restore({ ...whole, archive: nothing })).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  expect(readdirSync(directory)).toEqual(['app.pw']);
});
