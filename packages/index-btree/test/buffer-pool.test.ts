/** The tree on the real buffer pool, with so little memory that pages come and go all the time. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { BufferPool } from '@pagewright/bufferpool';
import { NO_LOG } from '@pagewright/core';
import { NodeFiles } from '@pagewright/io-posix';
import { checkTree, ModeledIndex, Random, valueBytes } from '@pagewright/testkit';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { BtreeType } from '../src/index.js';

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
        const tree = new ModeledIndex<BufferPool>(new BtreeType(), pool);
        const random = new Random(seed);
        for (let round = 0; round < 4; round++) {
          let running: Promise<void> | null = null;
          for (let i = 0; i < 1000; i++) {
            const n = random.below(1_000_000);
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
          tree.expectScan({ from: null, exclusive: false, reverse: round % 2 === 0 }, 40);
          await checkpoint(pool, tree.timestamp);
          if (round === 1) {
            await pool.close();
            pool = await openPool(file, pageSize, 96);
            tree.reopen(pool);
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
