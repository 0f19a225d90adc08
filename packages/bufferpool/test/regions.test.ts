import {
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  SWIP_HOT,
  Threads,
} from '@pagewright/core';
import { newModel, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { Arena } from '../src/arena.js';
import { BuddyAllocator } from '../src/buddy.js';
import type { Cooler } from '../src/cooler.js';
import { Counters } from '../src/counters.js';
import type { Eviction } from '../src/eviction.js';
import {
  FrameTable,
  PARENT,
  PINS,
  RESIDENT_CHILDREN,
  STATE,
  STATE_CLAIMED,
  STATE_FREE,
  STATE_HOT,
  STATE_LOADING,
} from '../src/frames.js';
import { BufferPool } from '../src/index.js';
import { Latches } from '../src/latches.js';
import { Placement, type PoolParts } from '../src/placement.js';
import { PoolInThread } from '../src/pool-in-thread.js';
import { Regions } from '../src/regions.js';
import { ROOT_FRAME } from '../src/root-frame.js';
import { takeCensus } from '../src/verify-frames.js';

it('a page finds room where only larger ones are, all of them children of the page that is latched', async () => {
  const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await pool.open({
    path: '/store.pw',
    io: new SimulatedDevice(),
    create: true,
    errorIfExists: false,
    readOnly: false,
  });
  const tree = new PageTree(pool);
  const model = newModel(1);
  tree.plant(1);
  // Pages of four blocks fill the pool but for what the root block and the root page leave.
  for (let slot = 0; slot < 15; slot++) {
    tree.insert([], slot, 100 + slot, 2);
    model.children[slot] = newModel(100 + slot, 2);
  }
  const { frame, offset } = pool.root;
  pool.latch(frame);
  const parent = pool.childOfLatched(frame, offset);
  pool.unlatch(frame);
  pool.latch(parent);
  const pages = [1, 2, 3].map(() => pool.allocate(1, 7, 1, 2));
  for (const page of pages) pool.free(page);
  pool.unlatch(parent);
  expect(pool.stats().evictions).toBeGreaterThan(0);
  tree.check(model);
  await pool.close();
});

it('a page that took a frame of another size while room was made elsewhere is not moved as if it were that one', () => {
  const [FRAMES, ROOT] = [16, 15];
  const arena = new Arena(FRAMES, 4096);
  const frames = new FrameTable(FRAMES);
  const blocks = new BuddyAllocator(new SharedArrayBuffer(BuddyAllocator.bytes(2, FRAMES)), 2, FRAMES);
  const counters = new Counters(new SharedArrayBuffer(Counters.bytes(1)), 0);
  const latches = new Latches(frames, new Threads(new SharedArrayBuffer(Threads.bytes())), counters);
  const epochs = { isBeingWritten: () => false, pageMoved: () => {} };
  const parts = { arena, frames, blocks, counters, latches, epochs } as unknown as PoolParts;
  const { u16, u32 } = arena.segmentOf(ROOT);
  const root = arena.baseOf(ROOT);
  u32[(root + PAGE_SWIP_OFFSET) >>> 2] = PAGE_HEADER_SIZE;
  u16[(root + PAGE_SWIP_COUNT) >>> 1] = 1;
  u16[(root + PAGE_SWIP_STRIDE) >>> 1] = 8;
  u32[(root + PAGE_HEADER_SIZE) >>> 2] = SWIP_HOT;
  /** A page below the root that cannot leave, because of a page below it. */
  const put = (frame: number, sizeClass: number, pins = 0): void => {
    frames.initialize(frame, sizeClass, STATE_HOT);
    frames.set(frame, PARENT, ROOT);
    frames.set(frame, RESIDENT_CHILDREN, 1);
    frames.set(frame, PINS, pins);
  };
  blocks.extend(FRAMES);
  blocks.release(2, 2);
  for (let frame = 0; frame < FRAMES; frame++) if (frame < 2 || frame > 3) put(frame, 0, frame < 2 ? 0 : 1);
  const eviction = {
    evict: () => 0,
    // What another thread does while a batch is written.
    evictBatch: () => {
      if (frames.get(8, STATE) === STATE_FREE) return 0;
      frames.clear(8, 0);
      blocks.free(8, 0);
      for (const frame of [0, 1]) frames.clear(frame, 0);
      put(0, 1);
      return 1;
    },
  };
  const cooler = { random: () => 0, policy: { moved: () => {} } };
  const placement = new Placement(parts);
  const regions = new Regions(parts, placement, eviction as unknown as Eviction, cooler as unknown as Cooler);
  expect(regions.clearRegion(2)).toBe(-1);
  expect([8, 9].map((frame) => frames.get(frame, STATE))).toEqual([STATE_FREE, STATE_HOT]);
  expect(blocks.freeUnits).toBe(3);
});

it('what one thread has taken of a region while it writes a page of it is neither free nor damaged to another', async () => {
  const [files, fanout] = [new SimulatedDevice(), 12];
  const owner = new BufferPool({ memory: 256 * 4096, pageSize: 4096 });
  await owner.open({ path: '/store.pw', io: files, create: true, errorIfExists: false, readOnly: false });
  const tree = new PageTree(owner, fanout);
  tree.plant(1);
  // The levels one after the other, so that pages which may leave lie between others.
  for (let a = 0; a < fanout; a++) tree.insert([], a, 10 + a, 0);
  for (let n = 0; n < fanout ** 2; n++) tree.insert([n % fanout], Math.floor(n / fanout), 100 + n, 0);
  for (let n = 0; n < fanout ** 2; n += 2) tree.insert([n % fanout, Math.floor(n / fanout)], 0, 1000 + n, 0);
  let looks: (() => void) | null = null;
  const io = over(files, {
    open: async (path: string, flags: Parameters<typeof files.open>[1]) => {
      const file = await files.open(path, flags);
      const submitSync: typeof file.submitSync = (...given) => {
        looks?.();
        file.submitSync(...given);
      };
      return over(file, { submitSync });
    },
  });
  const looking = await PoolInThread.attach(files, owner.share());
  const working = await PoolInThread.attach(io, owner.share());
  const found: string[] = [];
  let claimed = 0;
  const census = (): void =>
    looking.poolLatch.holding(() => {
      const { arena, frames, translation, blocks, epochs, space, file } = looking;
      const parts = { arena, frames, translation, blocks, epochs, space, rootFrame: ROOT_FRAME };
      takeCensus({ ...parts, reservedUnits: file.reservedUnits }, tree.timestamp, (_frame, message) =>
        found.push(message),
      );
      for (let frame = 0; frame < frames.count; frame++) if (frames.get(frame, STATE) === STATE_CLAIMED) claimed++;
    });
  census();
  looks = census;
  const frames: number[] = [];
  for (let times = 0; times < 5; times++) {
    frames.push(working.poolLatch.holding(() => working.residency.acquire(4, STATE_LOADING)));
  }
  looks = null;
  expect(found).toEqual([]);
  expect(claimed).toBeGreaterThan(0);
  for (const frame of frames) working.poolLatch.holding(() => working.residency.release(frame));
  claimed = 0;
  census();
  expect({ found, claimed }).toEqual({ found: [], claimed: 0 });
  await working.leave();
  await looking.leave();
  await owner.close();
});
