/** How a checkpoint brings to the device what was written before it and by it: in pieces, while others use the device. */
import { type CheckpointResult, type IoBackend, type IoFile, NO_LOG, type OpenFlags } from '@pagewright/core';
import { type DiskOperation, dropAll, PageTree, PageTreeDriver, Random, SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';
const PAGE = 65_536;
const MIB = 2 ** 20;
/** What is asked for at a time, and a region that may be more than that. */
const MOST_AT_ONCE = 2 * MIB;

/** A pool of 4 MiB over a tree that is larger, with a checkpoint behind it, and evictions since. */
async function evicted(
  seed: number,
  through: (files: SimulatedDevice) => IoBackend = (files) => files,
): Promise<{ files: SimulatedDevice; driver: PageTreeDriver }> {
  const files = new SimulatedDevice({ seed });
  const pool = new BufferPool({ memory: 64 * PAGE, pageSize: PAGE, pageProvider: false });
  await pool.open({ path: PATH, io: through(files), create: true, errorIfExists: false, readOnly: false });
  const driver = new PageTreeDriver(pool, new Random(seed)).run(1500);
  await driver.checkpoint();
  const { evictions } = pool.stats();
  driver.run(600);
  expect(pool.stats().evictions).toBeGreaterThan(evictions + 64);
  return { files, driver };
}

/** A backend whose files are otherwise in this. */
function opening(files: SimulatedDevice, changes: { writeBack: IoFile['writeBack'] | undefined }): IoBackend {
  const changed = <Target extends object>(target: Target, others: object): Target =>
    new Proxy(target, {
      get: (_, name) => {
        if (name in others) return Reflect.get(others, name);
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
  return changed<IoBackend>(files, {
    open: async (path: string, flags: OpenFlags) => changed(await files.open(path, flags), changes),
  });
}

/** A checkpoint with others at work, or with none, and what the device was asked for meanwhile. */
async function checkpoint(
  { files, driver }: Awaited<ReturnType<typeof evicted>>,
  isShared: boolean | ((written: number) => boolean),
): Promise<{ result: CheckpointResult; operations: DiskOperation[]; told: number[] }> {
  const from = files.history.length;
  const told: number[] = [];
  const result = await driver.pages.checkpoint({
    gate: () => ({ timestamp: driver.tree.timestamp, log: NO_LOG }),
    secureLog: async () => {},
    advanced: async ({ written }, bringOut) => {
      told.push(written);
      if (typeof isShared === 'boolean' ? isShared : isShared(written)) await bringOut();
    },
  });
  return { result, told, operations: files.history.slice(from) };
}

/** Bytes of pages that were written since a write-back last covered them. */
class Unsynced {
  readonly #pages = new Set<number>();

  see({ kind, offset = 0, length = 0 }: DiskOperation): number {
    const pages = Array.from({ length: Math.ceil(length / PAGE) }, (_, at) => Math.floor(offset / PAGE) + at);
    if (kind === 'write') for (const page of pages) this.#pages.add(page);
    if (kind !== 'write-back') return 0;
    const before = this.#pages.size;
    for (const page of pages) this.#pages.delete(page);
    return (before - this.#pages.size) * PAGE;
  }

  get bytes(): number {
    return this.#pages.size * PAGE;
  }
}

/** What was written since the last sync. */
function unsyncedAfter(history: readonly DiskOperation[]): Unsynced {
  const unsynced = new Unsynced();
  for (const operation of history.slice(history.findLastIndex(({ kind }) => kind === 'sync'))) unsynced.see(operation);
  return unsynced;
}

describe('a checkpoint beside others', () => {
  it('brings out what was evicted and what it writes itself in pieces, in step with how far it is, and leaves nothing for its sync', async () => {
    for (const seed of [1, 2, 3]) {
      const setUp = await evicted(seed);
      const unsynced = unsyncedAfter(setUp.files.history);
      const evictedBytes = unsynced.bytes;
      expect(evictedBytes).toBeGreaterThan(3 * MIB);
      const { operations, told, result } = await checkpoint(setUp, true);
      const syncs = operations.filter(({ kind, path }) => kind === 'sync' && path === PATH);
      expect(syncs, `seed ${seed}`).toHaveLength(2); // of the pages, and of the superblock
      const firstSync = operations.indexOf(syncs[0]!);
      const pieces: number[] = [];
      for (const operation of operations.slice(0, firstSync)) {
        const brought = unsynced.see(operation);
        if (operation.kind === 'write-back') pieces.push(brought);
      }
      expect(Math.max(...pieces)).toBeLessThanOrEqual(MOST_AT_ONCE);
      // What was written to one place twice is counted once.
      const broughtOut = pieces.reduce((sum, bytes) => sum + bytes, 0);
      expect(broughtOut).toBeGreaterThanOrEqual(Math.max(evictedBytes, result.bytesWritten));
      const ofOneBatch = told.map((written) => told.filter((other) => other === written).length);
      expect(Math.max(...ofOneBatch)).toBeLessThan(told.length / 2);
      const map = operations[firstSync - 1]!;
      expect(map.kind).toBe('write');
      expect(unsynced.bytes).toBe(Math.ceil((map.length ?? 0) / PAGE) * PAGE);
      expect(told.at(-1)).toBe(1);
      expect(new Set(told).size).toBeGreaterThan(2);
      await setUp.driver.pages.close();
    }
  });

  it('brings out in the end what it has not while it was alone', async () => {
    const setUp = await evicted(8);
    const unsynced = unsyncedAfter(setUp.files.history);
    const { operations } = await checkpoint(setUp, (written) => written > 0.9);
    const firstSync = operations.findIndex(({ kind, path }) => kind === 'sync' && path === PATH);
    for (const operation of operations.slice(0, firstSync)) unsynced.see(operation);
    expect(unsynced.bytes).toBe(Math.ceil((operations[firstSync - 1]!.length ?? 0) / PAGE) * PAGE);
  });

  it('comes to an end though others evict more, for each piece, than is brought out by it', async () => {
    const { files, driver } = await evicted(7);
    const from = files.history.length;
    const most = 10 * 64 * PAGE; // of what is dirty, and was evicted before
    const mostAtLast = 6 * 64 * PAGE; // of what is dirty, and is left then
    let piecesAtLast = 0;
    let evictedMeanwhile = 0;
    const result = await driver.pages.checkpoint({
      gate: () => ({ timestamp: driver.tree.timestamp, log: NO_LOG }),
      secureLog: async () => {},
      advanced: async ({ written }, bringOut) => {
        await bringOut();
        if (written === 1) piecesAtLast++;
        const { evictions } = driver.pages.stats();
        if (evictedMeanwhile * PAGE < 8 * most) driver.run(150);
        evictedMeanwhile += driver.pages.stats().evictions - evictions;
      },
    });
    const pieces = files.history.slice(from).filter(({ kind }) => kind === 'write-back').length;
    expect(result.bytesWritten).toBeGreaterThan(0);
    expect((pieces - piecesAtLast) * MIB).toBeLessThan(most);
    expect(pieces * MIB).toBeLessThan(most + mostAtLast);
    expect(evictedMeanwhile * PAGE).toBeGreaterThan(pieces * MIB);
  });

  it('catches up in the end with what others have evicted meanwhile, and takes more of the time for it', async () => {
    const { files, driver } = await evicted(9);
    const { history } = files;
    const unsynced = unsyncedAfter(history);
    let seen = history.length;
    const see = (): number => {
      for (; seen < history.length; seen++) unsynced.see(history[seen]!);
      return unsynced.bytes;
    };
    const leftAtLast: number[] = [];
    const haste = new Set<number | undefined>();
    await driver.pages.checkpoint({
      gate: () => ({ timestamp: driver.tree.timestamp, log: NO_LOG }),
      secureLog: async () => {},
      advanced: async (progress, bringOut) => {
        if (progress.written === 1) {
          haste.add(progress.haste);
          leftAtLast.push(see());
          driver.run(5);
        } else {
          expect(progress).toMatchObject({ haste: 1, inPieces: true });
          driver.run(200);
        }
        await bringOut();
      },
    });
    expect(leftAtLast[0]).toBeGreaterThan(20 * MIB);
    expect(leftAtLast.at(-1)).toBeLessThan(4 * MIB);
    expect(haste).toEqual(new Set([2]));
  });

  it('leaves all of it to its sync if nobody needs the device', async () => {
    const { operations } = await checkpoint(await evicted(4), false);
    const kinds = operations.map(({ kind }) => kind);
    expect(kinds).not.toContain('write-back');
    expect(kinds.filter((kind) => kind === 'sync')).toHaveLength(2);
  });

  it.each([
    ['have no way to', undefined],
    ['say that they cannot', async () => false],
  ])('syncs after each batch, and no more often, where files %s', async (_, writeBack) => {
    const { operations, told } = await checkpoint(await evicted(5, (files) => opening(files, { writeBack })), true);
    const kinds = operations.filter(({ path }) => path === PATH).map(({ kind }) => kind);
    expect(kinds).not.toContain('write-back');
    expect(kinds.filter((kind) => kind === 'sync')).toHaveLength(told.length + 2);
    expect(new Set(told).size).toBe(told.length);
  });

  it.each([
    'dropped',
    'kept',
  ] as const)('ends, and is the last one, if a range cannot be brought out and what was written is %s; no later sync makes it count', async (dirty) => {
    for (const nth of [1, 3]) {
      const setUp = await evicted(6);
      let seen = 0;
      setUp.files.inject({
        fault: { kind: 'failed-sync', dirty },
        kinds: ['write-back'],
        when: () => ++seen === nth,
      });
      await expect(checkpoint(setUp, true)).rejects.toMatchObject({ code: 'PW_IO' });
      await expect(checkpoint(setUp, false)).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
      await setUp.driver.pages.close();
      const left = setUp.files.afterCrash(dropAll);
      const again = new BufferPool({ memory: 64 * PAGE });
      await again.open({ path: PATH, io: left, create: false, errorIfExists: false, readOnly: false });
      new PageTree(again).check(setUp.driver.durable);
      await again.close();
    }
  });
});
