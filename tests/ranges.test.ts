/** Bounds and options of reads as programs give them: what is a key, what is none, and what is a slip. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-ranges-'));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

it('null is a bound like any other key where the encoding knows it', async () => {
  const db = await open(join(directory, 'a.pw'));
  const index = await db.index('ordered', { key: 'ordered', value: 'json' });
  const keys = [null, false, true, 1, 'a', [null], [null, 1]] as const;
  for (const key of keys) await index.put(key, 1);
  const found = (options: object): unknown[] => [...index.rangeSync(options)].map(([key]) => key);
  const sorted = found({});
  expect(sorted[0]).toBe(null);
  expect(found({ gt: null })).toEqual(sorted.slice(1));
  expect(found({ gte: null })).toEqual(sorted);
  expect(found({ lt: null })).toEqual([]);
  expect(found({ lte: null })).toEqual([null]);
  const text = await db.index('text', { key: 'utf8', value: 'json' });
  expect(() => [...text.rangeSync({ gt: null as never })]).toThrow(expect.objectContaining({ code: 'PW_ENCODING' }));
  await db.close();
});

it('every key is above the empty bound', async () => {
  const db = await open(join(directory, 'b.pw'));
  const index = await db.index<string, number>('text', { key: 'utf8', value: 'json' });
  for (const key of ['a', 'b', 'c']) await index.put(key, 1);
  const found = (options: object): string[] => [...index.rangeSync(options)].map(([key]) => key);
  for (const bound of ['gt', 'gte']) {
    expect(found({ [bound]: '' })).toEqual(['a', 'b', 'c']);
    expect(found({ [bound]: '', reverse: true })).toEqual(['c', 'b', 'a']);
  }
  for (const bound of ['lt', 'lte']) {
    expect(found({ [bound]: '' })).toEqual([]);
    expect(await index.count({ [bound]: '' })).toBe(0);
  }
  await expect(index.put('', 1)).rejects.toMatchObject({ code: 'PW_KEY_EMPTY' });
  await db.close();
});

it('a slip in the options of a read or of open is refused, not ignored', async () => {
  const path = join(directory, 'c.pw');
  await expect(open(path, { memry: '4MiB' } as never)).rejects.toMatchObject({
    code: 'PW_OPTION_INVALID',
    message: expect.stringContaining('memory'),
  });
  await expect(open(path, [] as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  const db = await open(path);
  const index = await db.index<string, number>('a');
  const snapshot = db.snapshot();
  await index.put('k', 1);
  expect(index.getSync('k', { snapshot })).toBeUndefined();
  expect(() => index.getSync('k', snapshot as never)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
  await expect(index.get('k', { snapsht: snapshot } as never)).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
  for (const name of [5n, {}, null, undefined]) {
    await expect(db.index(name as never)).rejects.toMatchObject({ code: 'PW_INDEX_NAME' });
  }
  snapshot.release();
  await db.close();
});

it('a store that was not closed, opened read-only, says that there is more in its log', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, '/store/d.pw');
  const index = await db.index<string, number>('a');
  await index.put('k', 1);
  const killed = disk.copy();
  await db.close();
  const reader = await engineOn(killed, '/store/d.pw', { opening: { readOnly: true } });
  expect(reader.recovered).toMatchObject({ records: 0, ignoredLog: true });
  expect(reader.indexes()).toEqual([]);
  await reader.close();
  const writer = await engineOn(killed, '/store/d.pw');
  expect(writer.recovered).toMatchObject({ records: 2, ignoredLog: false });
  await writer.close();
  const again = await engineOn(killed, '/store/d.pw', { opening: { readOnly: true } });
  expect(again.recovered.ignoredLog).toBe(false);
  expect((await again.index<string, number>('a')).getSync('k')).toBe(1);
  await again.close();
});
