/** A pool says that it has no frame only when none can be had: it says who has them, and waits for what other threads have for moments. */
import { SimulatedDevice } from '@pagewright/testkit';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { BufferPool } from '../src/index.js';

const FRAMES = 64;
const PATH = '/store.pw';

afterEach(() => {
  vi.restoreAllMocks();
});

/** A pool, and as many that are attached to it as other threads would have. */
async function openPools(others: number): Promise<BufferPool[]> {
  const io = new SimulatedDevice();
  const owner = new BufferPool({ memory: FRAMES * 4096, pageSize: 4096 });
  await owner.open({ path: PATH, io, create: true, errorIfExists: false, readOnly: false });
  const pools = [owner];
  for (let at = 0; at < others; at++) {
    const pool = new BufferPool();
    await pool.attach({ io, handle: owner.share() });
    pools.push(pool);
  }
  return pools;
}

/** A page below the root of all; its frame. */
function linked(pool: BufferPool, offset = pool.root.offset, parent = pool.root.frame): number {
  pool.latch(parent);
  pool.modify(parent, 1);
  const frame = pool.allocate(1, 1, 0, 1);
  pool.link(parent, offset, frame);
  pool.unlatch(frame);
  pool.unlatch(parent);
  return frame;
}

/** Pages without a place, by turns of the pools, until there is no frame; what is thrown then. */
function fill(pools: readonly BufferPool[], frames: number[]): unknown {
  for (;;) {
    const pool = pools[frames.length % pools.length] as BufferPool;
    try {
      const frame = pool.allocate(1, 1, 0, 1);
      pool.unlatch(frame);
      frames.push(frame);
    } catch (error) {
      return error;
    }
  }
}

describe('a pool without a frame to spare', () => {
  it('says so, and who has its frames, when every one is held', async () => {
    const [pool] = (await openPools(0)) as [BufferPool];
    pool.pin(linked(pool));
    const frames: number[] = [];
    const error = fill([pool], frames);
    expect(frames).toHaveLength(FRAMES - 2);
    expect(error).toMatchObject({
      code: 'PW_POOL_EXHAUSTED',
      details: { frames: FRAMES, heldBy: { pinned: 2, placeless: FRAMES - 2, free: 0, evictable: 0 } },
    });
    await pool.close();
  });

  it('says so in whichever thread meets it, with what all threads hold', async () => {
    const pools = await openPools(2);
    const [owner, first, second] = pools as [BufferPool, BufferPool, BufferPool];
    first.pin(linked(owner));
    vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
    const frames: number[] = [];
    const errors = [fill([owner, first, second], frames), fill([first], frames), fill([second], frames)];
    expect(frames).toHaveLength(FRAMES - 2);
    for (const error of errors) {
      expect(error).toMatchObject({
        code: 'PW_POOL_EXHAUSTED',
        details: { heldBy: { pinned: 2, placeless: FRAMES - 2, evictable: 0 } },
      });
    }
    // Nothing was lost on the way: what one thread gives up, another gets.
    second.latch(frames[0] as number);
    second.free(frames[0] as number);
    expect(first.allocate(1, 1, 0, 1)).toBe(frames[0]);
    first.unlatch(frames[0] as number);
    await second.close();
    await first.close();
    await owner.close();
  });

  it('waits for what another thread holds for a moment', async () => {
    const [owner, other] = (await openPools(1)) as [BufferPool, BufferPool];
    const page = linked(owner);
    other.pin(page);
    const wait = vi.spyOn(Atomics, 'wait').mockReturnValue('timed-out');
    const frames: number[] = [];
    fill([owner], frames);
    let waits = 0;
    wait.mockImplementation(() => {
      if (++waits === 3) other.unpin(page);
      return 'timed-out';
    });
    expect(owner.allocate(1, 1, 0, 1)).toBe(page);
    expect(waits).toBe(3);
    owner.unlatch(page);
    await other.close();
    await owner.close();
  });
});
