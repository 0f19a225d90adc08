import { NO_LOG, PageFault } from '@pagewright/core';
import { FANOUT, PageTree, Random, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';
const pools: BufferPool[] = [];

async function openPool(files: SimulatedDevice): Promise<BufferPool> {
  const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false });
  pools.push(pool);
  return pool;
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

/** Reads without waiting in place: goes to the event loop whenever a page is missing. */
async function numberAt(pool: BufferPool, tree: PageTree, path: readonly number[]): Promise<number> {
  for (;;) {
    pool.faulting = true;
    try {
      return tree.numberAt(path);
    } catch (error) {
      if (!(error instanceof PageFault)) throw error;
    } finally {
      pool.faulting = false;
    }
    await pool.loadFault();
  }
}

async function storeOf256Leaves(): Promise<SimulatedDevice> {
  const files = new SimulatedDevice();
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  tree.plant(1);
  for (let a = 0; a < FANOUT; a++) {
    tree.insert([], a, 100 + a, 0);
    for (let b = 0; b < FANOUT; b++) tree.insert([a], b, 1000 + a * FANOUT + b, 0);
  }
  await pool.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
  await pool.close();
  return files;
}

it('a thousand reads at once of a store four times the pool all get the right page, none waits in place', async () => {
  const files = await storeOf256Leaves();
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  const random = new Random(1);
  const reads = Array.from({ length: 1000 }, async () => {
    const a = random.below(FANOUT);
    const b = random.below(FANOUT);
    expect(await numberAt(pool, tree, [a, b])).toBe(1000 + a * FANOUT + b);
  });
  await Promise.all(reads);
  expect(pool.stats().evictions).toBeGreaterThan(0);
});

it('a page that arrives after it was brought in, changed, moved or given up meanwhile is not used (scenario 9)', async () => {
  const files = await storeOf256Leaves();
  for (const meanwhile of ['read in place', 'changed', 'moved', 'given up', 'given up and replaced'] as const) {
    const pool = await openPool(files.copy());
    const tree = new PageTree(pool);
    // The inner page is there, its leaf is not.
    expect(tree.numberAt([3])).toBe(103);
    const reading = numberAt(pool, tree, [3, 5]).catch((error: Error) => error);
    if (meanwhile === 'read in place') expect(tree.numberAt([3, 5])).toBe(1000 + 3 * FANOUT + 5);
    if (meanwhile === 'changed') tree.change([3, 5], 77);
    if (meanwhile === 'moved') {
      tree.discardLeaf([4], 0);
      tree.move([3], 5, [4], 0);
      tree.insert([3], 5, 88, 0);
    }
    if (meanwhile === 'given up') tree.discardLeaf([3], 5);
    if (meanwhile === 'given up and replaced') {
      tree.discardLeaf([3], 5);
      tree.insert([3], 5, 99, 0);
    }
    const result = await reading;
    const expected = { 'read in place': 1053, changed: 77, moved: 88, 'given up and replaced': 99 } as const;
    if (meanwhile === 'given up') expect(result).toMatchObject({ code: 'PW_CORRUPT_PAGE' });
    else expect(result, meanwhile).toBe(expected[meanwhile]);
    if (meanwhile === 'moved') expect(tree.numberAt([4, 0])).toBe(1053);
    await pool.close();
  }
});

it('a page that does not match its checksum is an error for whoever asked, and the pool goes on', async () => {
  const files = await storeOf256Leaves();
  // Damages every page below the root's children, which are the last 17 written but for the map.
  const needle = Buffer.alloc(8);
  needle.writeDoubleLE(1053 + 2048);
  files.flip(PATH, Buffer.from(files.contentOf(PATH)).indexOf(needle), 5);
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  await expect(numberAt(pool, tree, [3, 5])).rejects.toMatchObject({ code: 'PW_CORRUPT_PAGE' });
  expect(() => tree.numberAt([3, 5])).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
  expect(await numberAt(pool, tree, [3, 6])).toBe(1054);
});
