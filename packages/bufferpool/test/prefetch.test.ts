/** Pages that are read ahead: what the conformance suite cannot see from outside. */
import { type IoBackend, NO_LOG, PAGE_HEADER_SIZE, PagewrightError, SWIP_COLD, SwipList } from '@pagewright/core';
import { FANOUT, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, expect, it } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';
const pools: BufferPool[] = [];

async function openPool(files: IoBackend, frames = 1024): Promise<BufferPool> {
  const pool = new BufferPool({ memory: frames * 4096, pageSize: 4096 });
  await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false });
  pools.push(pool);
  return pool;
}

afterEach(async () => {
  for (const pool of pools.splice(0)) await pool.close();
});

/** A root with 256 pages below it, two levels down. */
async function stored(): Promise<SimulatedDevice> {
  const files = new SimulatedDevice();
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  tree.plant(1);
  for (let a = 0; a < FANOUT; a++) {
    tree.insert([], a, 100 + a, 0);
    for (let b = 0; b < FANOUT; b++) tree.insert([a], b, 1000 + a * FANOUT + b, 0);
  }
  await pool.checkpoint({ gate: () => ({ timestamp: tree.timestamp, log: NO_LOG }), secureLog: async () => {} });
  await pool.close();
  return files;
}

function frameAt(tree: PageTree, path: readonly number[]): number {
  let found = -1;
  tree.withPage(path, (frame) => {
    found = frame;
  });
  return found;
}

function below(pool: BufferPool, tree: PageTree, parent: number, slots = FANOUT): SwipList {
  const swips = new SwipList(FANOUT);
  for (let slot = 0; slot < slots; slot++) swips.add(parent, pool.readVersion(parent), tree.offsetOf(slot));
  return swips;
}

it('words that no extent can have are not read, whatever they look like', async () => {
  const files = await stored();
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  const parent = frameAt(tree, [3]);
  const { u32 } = pool.segmentOf(parent);
  const at = (pool.baseOf(parent) + PAGE_HEADER_SIZE) >>> 2;
  const sound = u32.slice(at, at + 2 * FANOUT);
  const superblock = 1; // unit 0, class 0, folded
  const words = [
    SWIP_COLD,
    0xffffffff,
    0x7fffffff,
    ((superblock << 2) | SWIP_COLD) >>> 0,
    ((2 ** 29) << 2) | SWIP_COLD,
  ];
  for (let slot = 0; slot < FANOUT; slot++) u32[at + 2 * slot] = words[slot % words.length]! >>> 0;
  const { freeFrames, pageReads } = pool.stats();
  const before = files.operations;
  for (const faulting of [true, false]) {
    pool.faulting = faulting;
    expect(pool.prefetch(below(pool, tree, parent))).toBe(FANOUT);
    pool.faulting = false;
  }
  expect(files.operations).toBe(before);
  expect(pool.stats()).toMatchObject({ freeFrames, pageReads });
  u32.set(sound, at);
  expect(tree.numberAt([3, 5])).toBe(1053);
});

it('a damaged page among those that are read ahead is left to who needs it, and the others are used', async () => {
  const files = await stored();
  const needle = Buffer.alloc(8);
  needle.writeDoubleLE(1053 + 2048);
  files.flip(PATH, Buffer.from(files.contentOf(PATH)).indexOf(needle), 5);
  for (const faulting of [true, false]) {
    const pool = await openPool(files.copy());
    const tree = new PageTree(pool);
    const parent = frameAt(tree, [3]);
    const { freeFrames } = pool.stats();
    pool.faulting = faulting;
    pool.prefetch(below(pool, tree, parent));
    if (faulting) {
      expect(() => tree.numberAt([3, 5])).toThrow();
      await pool.loadFault();
    }
    pool.faulting = true;
    for (let slot = 0; slot < FANOUT; slot++) if (slot !== 5) expect(tree.numberAt([3, slot])).toBe(1048 + slot);
    pool.faulting = false;
    expect(pool.stats().freeFrames).toBe(freeFrames - FANOUT + 1);
    expect(() => tree.numberAt([3, 5])).toThrow(expect.objectContaining({ code: 'PW_CORRUPT_PAGE' }));
  }
});

it('who misses a page that is on its way waits for it, and reads nothing', async () => {
  const files = await stored();
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  const parent = frameAt(tree, [3]);
  const before = files.operations;
  pool.faulting = true;
  pool.prefetch(below(pool, tree, parent));
  expect(pool.prefetch(below(pool, tree, parent))).toBe(FANOUT);
  expect(() => tree.numberAt([3, 7])).toThrow();
  await pool.loadFault();
  expect(files.operations - before).toBe(FANOUT);
  expect(tree.numberAt([3, 7])).toBe(1055);
  pool.faulting = false;
});

it('a file that refuses at once leaves nothing behind that others would wait for', async () => {
  const files = await stored();
  const refuses = { now: false };
  const io = over<IoBackend>(files, {
    open: async (path, flags) => {
      const file = await files.open(path, flags);
      const submit: typeof file.submit = (...given) => {
        if (refuses.now) throw new PagewrightError('PW_IO', 'No.');
        return file.submit(...given);
      };
      return over(file, { submit });
    },
  });
  const pool = await openPool(io);
  const tree = new PageTree(pool);
  const parent = frameAt(tree, [3]);
  const { freeFrames } = pool.stats();
  refuses.now = true;
  pool.faulting = true;
  pool.prefetch(below(pool, tree, parent));
  refuses.now = false;
  expect(pool.stats().freeFrames).toBe(freeFrames);
  await null;
  await null;
  expect(() => tree.numberAt([3, 7])).toThrow();
  await pool.loadFault();
  expect(tree.numberAt([3, 7])).toBe(1055);
  pool.faulting = false;
});

it('closing waits for what is read ahead, and nothing is begun afterwards', async () => {
  const files = await stored();
  const pool = await openPool(files);
  const tree = new PageTree(pool);
  const parent = frameAt(tree, [3]);
  const swips = below(pool, tree, parent);
  pool.faulting = true;
  pool.prefetch(swips);
  await pool.close();
  pool.faulting = false;
  expect(tree.numberAt([3, 7])).toBe(1055);
  const { freeFrames } = pool.stats();
  const other = frameAt(tree, [3]);
  expect(other).toBe(parent);
  expect(() => pool.prefetch(below(pool, tree, pool.root.frame))).not.toThrow();
  expect(pool.stats().freeFrames).toBe(freeFrames);
});

it('never takes more than a sixteenth of the frames for what is on its way', async () => {
  const files = await stored();
  const pool = await openPool(files, 64);
  const tree = new PageTree(pool);
  const parent = frameAt(tree, [3]);
  const { freeFrames } = pool.stats();
  pool.faulting = true;
  expect(pool.prefetch(below(pool, tree, parent))).toBe(4);
  expect(pool.stats().freeFrames).toBe(freeFrames - 4);
  pool.faulting = false;
  await pool.close();
});
