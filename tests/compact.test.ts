/**
 * Compaction makes the file smaller, and does nothing else that anybody can see: not when work goes on beside it, not when it is ended or
 * fails at any operation, and not when power goes.
 *
 * `COMPACT_SEED` repeats a run of the random tests.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import type { Engine } from '@pagewright/core';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { open } from 'pagewright';
import { describe, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const PATH = '/store/pages.pw';
const SEED = Number(process.env.COMPACT_SEED ?? Date.now() % 2 ** 31);
const MIB = 2 ** 20;

/** Content by index and key, as it should be. */
type Content = Map<string, Buffer>;

/** Fills the store with values of these sizes until it has so many bytes, then deletes all but every so many. */
async function fillAndDelete(db: Engine, bytes: number, kept: number, sizes: readonly number[]): Promise<Content> {
  const random = new Random(SEED);
  const values = await db.index<number, Uint8Array>('values', { key: 'u32', value: 'buffer' });
  const content: Content = new Map();
  let total = 0;
  for (let key = 0; total < bytes; ) {
    const puts: Promise<void>[] = [];
    for (let batch = 0; total < bytes && batch < 2 * MIB; key++) {
      const value = Buffer.alloc(random.pick(sizes), key % 251);
      total += value.length + 20;
      batch += value.length + 20;
      content.set(String(key), value);
      puts.push(values.put(key, value));
    }
    await Promise.all(puts);
  }
  const deletes: Promise<void>[] = [];
  for (const key of [...content.keys()]) {
    if (random.fraction() < kept) continue;
    content.delete(key);
    deletes.push(values.delete(Number(key)).then(() => undefined));
  }
  await Promise.all(deletes);
  return content;
}

async function expectContent(db: Engine, content: Content): Promise<void> {
  const values = await db.index<number, Uint8Array>('values', { key: 'u32', value: 'buffer' });
  let count = 0;
  for (const [key, value] of values.rangeSync()) {
    count++;
    if (content.get(String(key))?.equals(value) !== true) throw new Error(`Key ${key} has another value.`);
  }
  expect(count).toBe(content.size);
  expect((await db.verify()).problems).toEqual([]);
}

describe('compaction', () => {
  for (const pageSize of [4096, 16_384, 65_536]) {
    it(`gives back the space of what was deleted, in pages of ${pageSize} bytes`, async () => {
      const disk = new SimulatedDevice();
      const db = await engineOn(disk, PATH, { pageSize, memory: 128 * pageSize });
      const content = await fillAndDelete(db, 16 * MIB, 0.1, [30, 200, 900, 3000, 9000]);
      const before = disk.contentOf(PATH).length;
      const report = await db.compact();
      console.log(report, db.stats().pages);
      const live = [...content.values()].reduce((sum, { length }) => sum + length, 0);
      console.log({ live, before, after: disk.contentOf(PATH).length, pageSize });
      await expectContent(db, content);
      await db.close();
    });
  }
});
