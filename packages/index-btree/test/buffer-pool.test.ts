/** The tree on the real buffer pool, with so little memory that pages come and go all the time. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BufferPool } from '@pagewright/bufferpool';
import { EntryBatch, EntryReference, NO_LOG, PageFault } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BtreeType } from '../src/index.js';
import { bytes, checkTree, INDEX, ModelTree, text, valueBytes } from './model.js';

let directory: string;
let files = 0;

beforeEach(() => {
  directory = fs.mkdtempSync(path.join(os.tmpdir(), 'pagewright-btree-'));
});
afterEach(() => {
  fs.rmSync(directory, { recursive: true, force: true });
});

async function openPool(file: string, pageSize: number, frames: number): Promise<BufferPool> {
  const pool = new BufferPool({ memory: frames * pageSize, pageSize });
  await pool.open({ path: file, io: new NodeFiles(), create: true, errorIfExists: false, readOnly: false });
  return pool;
}

async function checkpoint(pool: BufferPool, timestamp: number): Promise<void> {
  await pool.checkpoint({ gate: () => ({ timestamp, log: NO_LOG }), secureLog: async () => {} });
}

/** Numbers below a million, all of which follow from the seed. */
function numbersFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) | 0;
    return Math.floor(((state ^ (state >>> 15)) >>> 0) / 4295);
  };
}

/** A key whose shape and neighbours follow from a number. */
function keyOf(n: number, pageSize: number): string {
  const number = String((n * 7919) % 3000).padStart(6, '0');
  if (n % 97 === 0) return `q${number}`.padEnd(pageSize / 4, 'q');
  if (n % 3 === 0) return `a/path/that/many/share/${number}`;
  return n % 3 === 1 ? number : `\xff\x00${number}`;
}

for (const pageSize of [4096, 16384]) {
  it(`agrees with a sorted list on pages of ${pageSize} bytes, across eviction, checkpoints and reopening`, async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const file = path.join(directory, `${files++}.pw`);
        let pool = await openPool(file, pageSize, 96);
        const tree = new ModelTree(pool);
        const next = numbersFrom(seed);
        for (let round = 0; round < 4; round++) {
          let running: Promise<void> | null = null;
          for (let i = 0; i < 1000; i++) {
            const n = next();
            const key = keyOf(n % 6000, pageSize);
            const length = n % 41 === 0 ? n % (pageSize * 3) : n % 400;
            if (n % 4 === 0) tree.remove(key);
            else tree.put(key, n & 255, valueBytes(n, length));
            if (i === 150) running = checkpoint(pool, tree.timestamp);
            if (i % 100 === 99) await new Promise((resolve) => setImmediate(resolve));
          }
          await running;
          expect(checkTree(tree.index, pool)).toEqual([]);
          for (const key of tree.sorted.slice(0, 300)) tree.expectEntry(key);
          tree.expectScan(null, false, round % 2 === 0, 40);
          await checkpoint(pool, tree.timestamp);
          if (round === 1) {
            await pool.close();
            pool = await openPool(file, pageSize, 96);
            tree.pages = pool;
            tree.index = new BtreeType().open({ pages: pool, number: INDEX, root: pool.root });
          }
        }
        const { evictions, pageReads } = pool.stats();
        expect(Math.min(evictions, pageReads)).toBeGreaterThan(pageSize === 4096 ? 100 : 0);
        for (const key of [...tree.sorted]) tree.remove(key);
        expect(tree.index.stats().height).toBe(1);
        expect(checkTree(tree.index, pool)).toEqual([]);
        await pool.close();
        fs.rmSync(file);
      }),
      { numRuns: pageSize === 4096 ? 4 : 2 },
    );
  });
}

it('reads without blocking: faults are loaded, and the operation is started again', async () => {
  const file = path.join(directory, 'faults.pw');
  let pool = await openPool(file, 4096, 128);
  const tree = new ModelTree(pool);
  for (let i = 0; i < 3000; i++)
    tree.put(`k${String(i).padStart(6, '0')}`, 0, valueBytes(i, i % 100 === 0 ? 6000 : 80));
  await checkpoint(pool, tree.timestamp);
  await pool.close();
  pool = await openPool(file, 4096, 128);
  const index = new BtreeType().open({ pages: pool, number: INDEX, root: pool.root });
  let faults = 0;
  const withoutBlocking = async <T>(operation: () => T): Promise<T> => {
    for (;;) {
      try {
        pool.faulting = true;
        return operation();
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
        faults++;
      } finally {
        pool.faulting = false;
      }
      await pool.loadFault();
    }
  };
  const reference = new EntryReference();
  for (let i = 0; i < 3000; i += 17) {
    expect(await withoutBlocking(() => index.lookup(bytes(`k${String(i).padStart(6, '0')}`), reference))).toBe(true);
    expect(reference.value).toEqual(valueBytes(i, i % 100 === 0 ? 6000 : 80));
  }
  const cursor = index.cursor();
  cursor.seek(null, {});
  const batch = new EntryBatch();
  const seen: string[] = [];
  while (await withoutBlocking(() => cursor.next(batch)))
    for (let i = 0; i < batch.count; i++) seen.push(text(batch.keys[i]!));
  expect(seen).toEqual(tree.sorted);
  expect(faults).toBeGreaterThan(50);
  await pool.close();
});
