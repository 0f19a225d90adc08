/** A pool of several segments: pages beyond 4 GiB are as good as others. Most of its memory is never touched, and so never taken. */
import { SWIP_COLD, SWIP_TAG_MASK } from '@pagewright/core';
import { PageTree, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

const GIB = 2 ** 30;
const PAGE_SIZE = 64 * 1024;
/** 16 MiB. */
const LARGEST = 8;
const LARGEST_BYTES = PAGE_SIZE << LARGEST;

it('a pool of more than 4 GiB keeps, evicts and reads back pages of 16 MiB in all of its segments', async () => {
  const pool = new BufferPool({ memory: 5 * GIB, pageSize: PAGE_SIZE });
  const io = new SimulatedDevice();
  await pool.open({ path: '/store.pw', io, create: true, errorIfExists: true, readOnly: false });
  const tree = new PageTree(pool, 400);
  tree.plant(1);
  const most = Math.floor((5 * GIB) / LARGEST_BYTES) - 10;
  for (let slot = 0; slot < most; slot++) tree.insert([], slot, 1000 + slot, LARGEST);
  expect(pool.stats().evictions).toBe(0);
  const frames = new Set<number>();
  for (let slot = 0; slot < most; slot++) {
    tree.withPage([slot], (frame) => {
      frames.add(frame);
      expectPage(pool, frame, 1000 + slot);
    });
  }
  expect(frames.size).toBe(most);
  const segments = new Set([...frames].map((frame) => Math.floor((frame * PAGE_SIZE) / GIB)));
  expect([...segments].sort()).toEqual([0, 1, 2, 3, 4]);
  // More than there is room for.
  for (let slot = most; slot < most + 12; slot++) tree.insert([], slot, 1000 + slot, LARGEST);
  const cold: number[] = [];
  tree.withPage([], (root) => {
    for (let slot = 0; slot < most + 12; slot++) {
      const word = pool.segmentOf(root).u32[(pool.baseOf(root) + tree.offsetOf(slot)) >>> 2] as number;
      if ((word & SWIP_TAG_MASK) === SWIP_COLD) cold.push(slot);
    }
  });
  expect(cold.length).toBeGreaterThan(1);
  for (const slot of cold.slice(0, 6)) tree.withPage([slot], (frame) => expectPage(pool, frame, 1000 + slot));
  expect(pool.stats().bySizeClass[LARGEST]?.pageReads).toBe(Math.min(cold.length, 6));
  await pool.close();
}, 60_000);

/** A page of the tree, to its last word. */
function expectPage(pool: BufferPool, frame: number, number: number): void {
  const { f64 } = pool.segmentOf(frame);
  const base = pool.baseOf(frame);
  expect(pool.sizeOf(frame)).toBe(LARGEST_BYTES);
  for (const at of [LARGEST_BYTES / 2, LARGEST_BYTES - 8]) expect(f64[(base + at) >>> 3]).toBe(number + at);
}
