/** A pool that two threads have open, which take turns here: one of them goes on while the other waits for the file. */
import { type IoBackend, type IoFile, MOST_THREADS, NO_LOG, SwipList } from '@pagewright/core';
import { FANOUT, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, expect, it, vi } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { BufferPool } from '../src/index.js';
import { endThread } from './ending.js';

const PATH = '/store.pw';

afterEach(() => void vi.useRealTimers());

/** The same files, where something happens before each batch is written or read in place. */
function interrupted(files: IoBackend, between: () => void): IoBackend {
  return over<IoBackend>(files, {
    open: async (path, flags) => {
      const file = await files.open(path, flags);
      const submitSync: IoFile['submitSync'] = (...given) => {
        between();
        file.submitSync(...given);
      };
      return over(file, { submitSync });
    },
  });
}

/** A pool with 64 frames, and one that attaches to it as another thread would. */
async function twoPools(io: IoBackend, otherIo = io): Promise<{ owner: BufferPool; other: BufferPool }> {
  const owner = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await owner.open({ path: PATH, io, create: true, errorIfExists: false, readOnly: false });
  const other = new BufferPool();
  await other.attach({ io: otherIo, handle: owner.share() });
  return { owner, other };
}

/** A root with pages below it, and below these more than the pool holds, so that what is in memory has changed. */
function plant(pages: BufferPool, below = 4): PageTree {
  const tree = new PageTree(pages);
  tree.plant(1);
  for (let a = 0; a < below; a++) {
    tree.insert([], a, 100 + a, 0);
    for (let b = 0; b < FANOUT; b++) tree.insert([a], b, 1000 + a * FANOUT + b, 0);
  }
  return tree;
}

it('is told to be closed, however often a thread tries to join it', async () => {
  const files = new SimulatedDevice();
  const { owner, other } = await twoPools(files);
  const handle = owner.share();
  await other.close();
  await owner.close();
  for (let times = 0; times <= MOST_THREADS; times++) {
    await expect(new BufferPool().attach({ io: files, handle })).rejects.toMatchObject({ code: 'PW_CLOSED' });
  }
});

it('counts checkpoints, and readers in other processes, for all its threads', async () => {
  const files = new SimulatedDevice();
  const { owner, other } = await twoPools(files);
  plant(owner);
  const steps = { gate: () => ({ timestamp: 100, log: NO_LOG }), secureLog: async () => {} };
  await owner.checkpoint(steps);
  const reader = new BufferPool({ memory: 64 * 4096 });
  await reader.open({ path: PATH, io: files, create: false, errorIfExists: false, readOnly: true });
  await owner.checkpoint(steps);
  for (const pool of [owner, other]) expect(pool.stats()).toMatchObject({ checkpoints: 2, readers: 1 });
  await reader.close();
  await owner.checkpoint(steps);
  for (const pool of [owner, other]) expect(pool.stats()).toMatchObject({ checkpoints: 3, readers: 0 });
  await other.close();
  await owner.close();
});

it('writes nothing more once it was closed, whatever other threads look for', async () => {
  const files = new SimulatedDevice();
  let writes = 0;
  const { owner, other } = await twoPools(
    files,
    interrupted(files, () => writes++),
  );
  plant(owner, 8);
  const tree = new PageTree(other);
  const closed = expect.objectContaining({ code: 'PW_CLOSED' });
  other.faulting = true;
  expect(() => {
    for (let b = 0; b < FANOUT; b++) tree.numberAt([0, b]);
  }).toThrow();
  await owner.close();
  const { operations } = files;
  await expect(other.loadFault()).rejects.toThrow(closed);
  other.faulting = false;
  expect(() => {
    for (let a = 0; a < 8; a++) for (let b = 0; b < FANOUT; b++) tree.numberAt([a, b]);
  }).toThrow(closed);
  expect(writes).toBe(0);
  expect(files.operations).toBe(operations);
  await other.close();
});

it('lets a change come to its end that was begun before it is closed', async () => {
  const { owner, other } = await twoPools(new SimulatedDevice());
  plant(owner, 8);
  const tree = new PageTree(other);
  other.enterGate();
  let isClosed = false;
  const closing = owner.close().then(() => {
    isClosed = true;
  });
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  tree.insert([3, 2], 0, 77, 0);
  expect(isClosed).toBe(false);
  other.leaveGate();
  await closing;
  await other.close();
});

/** The same files, where what is read without blocking comes when the promise is fulfilled. */
function heldUp(files: IoBackend, until: Promise<void>): IoBackend {
  return over<IoBackend>(files, {
    open: async (path, flags) => {
      const file = await files.open(path, flags);
      const read: IoFile['read'] = (...given) => until.then(() => file.read(...given));
      const submit: IoFile['submit'] = (...given) => until.then(() => file.submit(...given));
      return over(file, { read, submit });
    },
  });
}

async function checkpoint(pages: BufferPool, tree: PageTree): Promise<void> {
  await pages.checkpoint({ gate: () => ({ timestamp: tree.timestamp, log: NO_LOG }), secureLog: async () => {} });
}

it('gets frames back into which a thread read that has ended, and its slot', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const files = new SimulatedDevice();
  const { owner, other } = await twoPools(files, heldUp(files, new Promise(() => {})));
  const tree = plant(owner, 8);
  await checkpoint(owner, tree);
  let parent = -1;
  tree.withPage([0], (frame) => {
    parent = frame;
  });
  const { freeFrames } = owner.stats();
  other.faulting = true;
  const swips = new SwipList(FANOUT);
  for (let slot = 0; slot < FANOUT; slot++) swips.add(parent, other.readVersion(parent), tree.offsetOf(slot));
  other.prefetch(swips);
  expect(owner.stats().freeFrames).toBeLessThan(freeFrames);
  endThread(owner.share().memory.threads, 1);
  vi.advanceTimersByTime(1000);
  expect(owner.stats().freeFrames).toBeGreaterThanOrEqual(freeFrames);
  const third = new BufferPool();
  await third.attach({ io: files, handle: owner.share() });
  tree.change([0, 3], 5);
  expect(new PageTree(third).numberAt([0, 3])).toBe(5);
  await third.close();
  await owner.close();
});

it('waits for a frame without blocking what would free one, where many threads read at once', async () => {
  const files = new SimulatedDevice();
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const { owner, other } = await twoPools(files, heldUp(files, held));
  const tree = new PageTree(owner, 160);
  tree.plant(1);
  tree.withPage([], (frame) => owner.pin(frame));
  for (let slot = 0; slot < 160; slot++) tree.insert([], slot, 100 + slot, 0);
  await checkpoint(owner, tree);
  const pools = [other];
  for (let more = 0; more < 15; more++) {
    const pool = new BufferPool();
    await pool.attach({ io: heldUp(files, held), handle: owner.share() });
    pools.push(pool);
  }
  const loads: Promise<void>[] = [];
  for (const [a, pool] of pools.entries()) {
    pool.faulting = true;
    for (let b = 0; b < 8; b++) {
      try {
        new PageTree(pool, 160).numberAt([a * 8 + b]);
      } catch {
        loads.push(pool.loadFault());
      }
      await null;
    }
  }
  expect(loads.length).toBeGreaterThan(63);
  letGo();
  await Promise.all(loads);
  for (const pool of pools) await pool.close();
  await owner.close();
});
