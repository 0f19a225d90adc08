/** Room in a pool while pages are on their way to the file: a frame is refused only when what has the frames holds on to them. */
import {
  type CheckpointSteps,
  type IoBackend,
  type IoFile,
  isPagewrightError,
  NO_LOG,
  type PageStore,
  SharedLatch,
} from '@pagewright/core';
import { newModel, type PageModel, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { afterEach, expect, it, vi } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';
const FANOUT = 12;

afterEach(() => {
  vi.restoreAllMocks();
});

/** The same files, where a batch that is written without blocking is held up on the way, once that is asked for. */
class HeldUp {
  readonly io: IoBackend;
  #gate: Promise<void> | null = null;
  #open = (): void => {};

  constructor(files: IoBackend, between: () => void = () => {}) {
    this.io = over<IoBackend>(files, {
      open: async (path, flags) => {
        const file = await files.open(path, flags);
        const submit: IoFile['submit'] = async (...given) => {
          if (given[0].some(({ kind }) => kind === 'write')) await this.#gate;
          await file.submit(...given);
        };
        const submitSync: IoFile['submitSync'] = (...given) => {
          between();
          file.submitSync(...given);
        };
        return over(file, { submit, submitSync });
      },
    });
  }

  begin(): void {
    this.#gate = new Promise((resolve) => {
      this.#open = resolve;
    });
  }

  end(): void {
    this.#gate = null;
    this.#open();
  }
}

async function openPool(io: IoBackend, frames: number): Promise<BufferPool> {
  const pool = new BufferPool({ memory: frames * 4096, pageSize: 4096 });
  await pool.open({ path: PATH, io, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

function stepsOf(tree: PageTree): CheckpointSteps {
  return { gate: () => ({ timestamp: tree.timestamp, log: NO_LOG }), secureLog: async () => {} };
}

/** The numbers below this one, in an order that has nothing to do with theirs. */
function shuffled(count: number): number[] {
  const numbers = [...Array(count).keys()];
  let state = 12_345;
  for (let left = count - 1; left > 0; left--) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    const other = state % (left + 1);
    [numbers[left], numbers[other]] = [numbers[other]!, numbers[left]!];
  }
  return numbers;
}

/** Three levels of pages below the root, and some of a fourth, level by level, in frames that lie as they come. */
function plantShuffled(tree: PageTree, leaves: number): PageModel {
  const root = newModel(1, 0, FANOUT);
  tree.plant(1);
  const add = (path: readonly number[], slot: number, number: number): void => {
    const parent = path.reduce((above, at) => above.children[at] as PageModel, root);
    tree.insert(path, slot, number, 0);
    parent.children[slot] = newModel(number, 0, FANOUT);
  };
  const at = (n: number, level: number): number => Math.floor(n / FANOUT ** level) % FANOUT;
  for (let n = 0; n < FANOUT; n++) add([], n, 10 + n);
  for (const n of shuffled(FANOUT ** 2)) add([at(n, 1)], at(n, 0), 100 + n);
  for (const n of shuffled(FANOUT ** 3)) add([at(n, 2), at(n, 1)], at(n, 0), 1000 + n);
  for (const n of shuffled(leaves)) add([at(n, 2), at(n, 1), at(n, 0)], 3, 5000 + n);
  return root;
}

/** Pages without a place until there is no frame for one more. */
function fill(pool: PageStore): number[] {
  const frames: number[] = [];
  for (;;) {
    try {
      const frame = pool.allocate(1, 1, 0, 1);
      pool.unlatch(frame);
      frames.push(frame);
    } catch (error) {
      if (!isPagewrightError(error, 'PW_POOL_EXHAUSTED')) throw error;
      return frames;
    }
  }
}

function empty(pool: PageStore, frames: readonly number[]): void {
  for (const frame of frames) {
    pool.latch(frame);
    pool.free(frame);
  }
}

async function expectStored(files: SimulatedDevice, model: PageModel, frames: number): Promise<void> {
  const pool = await openPool(files, frames);
  new PageTree(pool, FANOUT).check(model);
  await pool.close();
}

for (const whose of ['the same', 'another'] as const) {
  it(`the largest page finds room beside a batch that a checkpoint of ${whose} thread has on its way, wherever its pages lie`, async () => {
    vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
    const files = new SimulatedDevice();
    const held = new HeldUp(files);
    const owner = await openPool(held.io, 2048);
    const tree = new PageTree(owner, FANOUT);
    const model = plantShuffled(tree, 400);
    const other = new BufferPool();
    if (whose === 'another') await other.attach({ io: files, handle: owner.share() });
    const pool = whose === 'another' ? other : owner;
    held.begin();
    const checkpoint = owner.checkpoint(stepsOf(tree));
    pool.free(pool.allocate(1, 1, pool.maxSizeClass, 1));
    tree.check(model);
    held.end();
    await checkpoint;
    tree.check(model);
    await other.close();
    await owner.close();
    await expectStored(files, model, 2048);
  });
}

it('the largest page finds room beside what another thread is evicting, which is told of it', async () => {
  vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
  const files = new SimulatedDevice();
  let meanwhile: (() => void) | null = null;
  const held = new HeldUp(files, () => {
    const step = meanwhile;
    meanwhile = null;
    step?.();
  });
  const owner = await openPool(files, 64);
  const tree = new PageTree(owner, FANOUT);
  const model = newModel(1, 0, FANOUT);
  tree.plant(1);
  for (const n of shuffled(4 * FANOUT)) {
    const [a, b] = [n % 4, Math.floor(n / 4)];
    if (model.children[a] === null) {
      tree.insert([], a, 10 + a, 0);
      model.children[a] = newModel(10 + a, 0, FANOUT);
    }
    tree.insert([a], b, 100 + n, 0);
    model.children[a]!.children[b] = newModel(100 + n, 0, FANOUT);
  }
  const other = new BufferPool();
  await other.attach({ io: held.io, handle: owner.share() });
  let isReached = false;
  meanwhile = () => {
    isReached = true;
    const large = [1, 2, 3, 4, 5, 6].map(() => owner.allocate(1, 1, owner.maxSizeClass, 1));
    for (const frame of large) owner.free(frame);
    tree.check(model);
  };
  const more: number[] = [];
  while (!isReached) {
    const frame = other.allocate(1, 1, 0, 1);
    other.unlatch(frame);
    more.push(frame);
  }
  empty(other, more);
  tree.check(model);
  await other.close();
  await owner.checkpoint(stepsOf(tree));
  tree.check(model);
  await owner.close();
  await expectStored(files, model, 64);
});

it('a page finds room where all that may leave is on its way to the file, by the same thread', async () => {
  const files = new SimulatedDevice();
  const held = new HeldUp(files);
  const pool = await openPool(held.io, 64);
  const tree = new PageTree(pool, FANOUT);
  const model = newModel(1, 0, FANOUT);
  tree.plant(1);
  for (let slot = 0; slot < 6; slot++) {
    tree.insert([], slot, 100 + slot, 0);
    model.children[slot] = newModel(100 + slot, 0, FANOUT);
  }
  held.begin();
  const checkpoint = pool.checkpoint(stepsOf(tree));
  const frames = fill(pool);
  // All but the root block's.
  expect(frames).toHaveLength(63);
  empty(pool, frames);
  // The batch is in the file, and on its way once more: what has changed since is of the next checkpoint.
  tree.change([2], 300);
  tree.check({ ...model, children: model.children.with(2, newModel(300, 0, FANOUT)) });
  held.end();
  await checkpoint;
  await expectStored(files.copy(), model, 64);
  model.children[2] = newModel(300, 0, FANOUT);
  await pool.checkpoint(stepsOf(tree));
  tree.check(model);
  await pool.close();
  await expectStored(files, model, 64);
});

it('a page finds room where all that may leave is on its way to the file, by a thread that is blocked meanwhile', async () => {
  const files = new SimulatedDevice();
  const held = new HeldUp(files);
  const owner = await openPool(held.io, 64);
  const tree = new PageTree(owner, FANOUT);
  const model = newModel(1, 0, FANOUT);
  tree.plant(1);
  for (let slot = 0; slot < 6; slot++) {
    tree.insert([], slot, 100 + slot, 0);
    model.children[slot] = newModel(100 + slot, 0, FANOUT);
  }
  const other = new BufferPool();
  await other.attach({ io: files, handle: owner.share() });
  held.begin();
  const checkpoint = owner.checkpoint(stepsOf(tree));
  // A thread that has the pool latch does nothing: it waits for no other.
  const latch = new SharedLatch(new SharedArrayBuffer(SharedLatch.bytes()), owner.threads, 'poolLatch');
  const sweep = (): void => owner.threads.sweepWhileBlocked();
  let looks = 0;
  const waits = vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    if (++looks <= 20) latch.holding(sweep);
    else sweep();
    return 'timed-out';
  });
  expect(fill(other)).toHaveLength(63);
  expect(looks).toBeGreaterThan(20);
  waits.mockRestore();
  held.end();
  await checkpoint;
  await other.close();
  await owner.close();
  await expectStored(files, model, 64);
});

it('a thread that is blocked by a latch does what the one that has it may wait for', async () => {
  vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
  const files = new SimulatedDevice();
  const owner = await openPool(files, 64);
  const other = new BufferPool();
  await other.attach({ io: files, handle: owner.share() });
  const frame = other.allocate(1, 1, 0, 1);
  owner.threads.whileBlocked = () => void other.unlatch(frame);
  owner.latch(frame);
  owner.free(frame);
  // Of the catalog, under which pages are allocated.
  const memory = new SharedArrayBuffer(SharedLatch.bytes());
  const [mine, its] = [owner, other].map(({ threads }) => new SharedLatch(memory, threads, 'catalogLatch'));
  its!.take();
  owner.threads.whileBlocked = () => its!.give();
  mine!.take();
  expect([mine!.isOwn, its!.isOwn]).toEqual([true, false]);
  mine!.give();
  await other.close();
  await owner.close();
});

it('a checkpoint fails whose batch cannot be written, though who wanted room has written it', async () => {
  const files = new SimulatedDevice();
  const held = new HeldUp(files);
  const pool = await openPool(held.io, 64);
  const tree = new PageTree(pool, FANOUT);
  tree.plant(1);
  const model = newModel(1, 0, FANOUT);
  for (let slot = 0; slot < 6; slot++) {
    tree.insert([], slot, 100 + slot, 0);
    model.children[slot] = newModel(100 + slot, 0, FANOUT);
  }
  held.begin();
  const checkpoint = pool.checkpoint(stepsOf(tree));
  checkpoint.catch(() => {});
  empty(pool, fill(pool));
  files.inject({ fault: { kind: 'error', errno: 'EIO' }, kinds: ['write'], from: 0, times: 1 });
  held.end();
  await expect(checkpoint).rejects.toMatchObject({ code: 'PW_IO' });
  tree.check(model);
  await expect(pool.checkpoint(stepsOf(tree))).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
  await pool.close();
});

it('a read that nobody is blocked by waits for its frame while what has the frames is on its way to the file', async () => {
  const files = new SimulatedDevice();
  const held = new HeldUp(files);
  const pool = await openPool(held.io, 64);
  const tree = new PageTree(pool, FANOUT);
  tree.plant(1);
  for (let a = 0; a < 5; a++) {
    tree.insert([], a, 10 + a, 0);
    for (let b = 0; b < FANOUT; b++) tree.insert([a], b, 100 * a + b, 0);
  }
  await pool.checkpoint(stepsOf(tree));
  const pinned: number[] = [];
  const pin = (path: readonly number[]): void => {
    tree.withPage(path, (frame) => {
      pool.pin(frame);
      pinned.push(frame);
    });
  };
  pin([]);
  for (let a = 0; a < 5; a++) pin([a]);
  for (let a = 0; a < 4; a++) for (let b = 0; b < FANOUT; b++) pin([a, b]);
  for (let b = 0; b < 9; b++) {
    pin([4, b]);
    tree.change([4, b], 1000 + b);
  }
  expect(pool.stats()).toMatchObject({ freeFrames: 0, dirtyFrames: 12 });
  // Of those that have changed, as the root block has, the first ones may leave once they are in the file.
  const changed = pinned.splice(-9);
  for (const frame of changed.splice(0, 5)) pool.unpin(frame);
  held.begin();
  const checkpoint = pool.checkpoint(stepsOf(tree));
  pool.faulting = true;
  expect(() => tree.numberAt([4, 11])).toThrow();
  let outcome: unknown = null;
  const loading = pool.loadFault().then(
    () => {
      outcome = 'read';
    },
    (error: unknown) => {
      outcome = error;
    },
  );
  await new Promise(setImmediate);
  expect(outcome).toBeNull();
  held.end();
  await loading;
  expect(outcome).toBe('read');
  expect(tree.numberAt([4, 11])).toBe(411);
  for (const frame of [...pinned, ...changed]) pool.unpin(frame);
  await checkpoint;
  await pool.close();
});
