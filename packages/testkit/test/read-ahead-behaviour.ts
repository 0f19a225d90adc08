/** What is expected of cold scans and look-ups of an index that reads ahead: they ask for many pages at once, and for few that nobody wants. */
import { BufferPool } from '@pagewright/bufferpool';
import { EntryBatch, type IndexType, NO_LOG, PageFault, type PageStore, type SeekOptions } from '@pagewright/core';
import { ModeledIndex, Random, SimulatedDevice, valueBytes } from '@pagewright/testkit';
import { afterEach, describe, expect, it } from 'vitest';
import { WatchedFiles } from '../src/conformance/watched-files.js';

const PAGE_SIZE = 4096;
const PATH = '/store.pw';
const ENTRIES = 6000;
interface Opened {
  readonly pool: BufferPool;
  readonly files: WatchedFiles;
  readonly tree: ModeledIndex<BufferPool>;
}

interface Form extends SeekOptions {
  readonly from?: string;
  /** Entries read at most. */
  readonly most?: number;
  readonly isSync: boolean;
}

/** How the pages of an index lie. */
export interface Shape {
  /** Pages that one read of a whole scan brings, at least. */
  readonly pagesARead: number;
  /** Pages one below the other. */
  readonly levels: number;
}

/** `type`: the index type that is tested. */
export function describeReadAhead(type: () => IndexType, { pagesARead, levels }: Shape): void {
  const pools: BufferPool[] = [];

  afterEach(async () => {
    for (const pool of pools.splice(0)) await pool.close();
  });

  async function open(device: SimulatedDevice, frames: number, tree?: ModeledIndex<BufferPool>): Promise<Opened> {
    const files = new WatchedFiles(device);
    const pool = new BufferPool({ memory: frames * PAGE_SIZE, pageSize: PAGE_SIZE });
    await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false });
    pools.push(pool);
    files.forget();
    if (tree === undefined) return { pool, files, tree: new ModeledIndex(type(), pool) };
    tree.reopen(pool);
    return { pool, files, tree };
  }

  /** A store with entries of 100 bytes, about 35 a leaf. */
  async function filled(): Promise<{ readonly device: SimulatedDevice; readonly tree: ModeledIndex<BufferPool> }> {
    const device = new SimulatedDevice();
    const { pool, tree } = await open(device, 1024);
    for (let n = 0; n < ENTRIES; n++) tree.put(keyOf(n), 0, valueBytes(n, 100));
    await pool.checkpoint({ gate: () => ({ timestamp: tree.timestamp, log: NO_LOG }), secureLog: async () => {} });
    await pool.close();
    pools.pop();
    return { device, tree };
  }

  let unchanging: Awaited<ReturnType<typeof filled>> | undefined;

  /** The same, with nothing of it in memory. What is not to be changed may be shared. */
  async function coldStore(frames = 1024, isChanged = false): Promise<Opened> {
    if (!isChanged) unchanging ??= await filled();
    const { device, tree } = isChanged || unchanging === undefined ? await filled() : unchanging;
    return open(device.copy(), frames, tree);
  }

  describe.each([
    { isSync: true, reverse: false },
    { isSync: true, reverse: true },
    { isSync: false, reverse: false },
    { isSync: false, reverse: true },
  ])('a cold scan, in place: $isSync, in reverse: $reverse,', (form) => {
    it('reads its leaves in far fewer reads than there are leaves, each of them once', async () => {
      const store = await coldStore();
      expect(await scan(store, form)).toEqual(
        store.tree.keysOf({ from: null, exclusive: false, reverse: form.reverse }),
      );
      const { pageReads } = store.pool.stats();
      expect(pageReads).toBe(pagesOf(store));
      expect(store.files.readCalls).toBeLessThan(pageReads / pagesARead);
    });

    it('of ten entries reads at most one leaf that it does not need', async () => {
      for (let n = 100; n < ENTRIES - 100; n += 397) {
        const store = await coldStore();
        const keys = await scan(store, { ...form, from: keyOf(n), most: 10 });
        expect(keys.length).toBe(10);
        const again = await coldStore();
        for (const key of keys) again.tree.expectEntry(key);
        expect(store.pool.stats().pageReads).toBeLessThanOrEqual(again.pool.stats().pageReads + 1);
        for (const pool of pools.splice(0)) await pool.close();
      }
    });

    it('reads no leaf beyond the key at which it ends', async () => {
      const [from, end] = form.reverse ? [keyOf(4000), keyOf(3000)] : [keyOf(3000), keyOf(4000)];
      const store = await coldStore();
      const keys = await scan(store, { ...form, from, most: 1001, end: Buffer.from(end) });
      expect(keys.at(-1)).toBe(end);
      const read = store.pool.stats().pageReads;
      // Whoever reads one entry of each leaf between reads all that are needed, and no others.
      const other = await coldStore();
      for (const key of keys) other.tree.expectEntry(key);
      expect(read).toBe(other.pool.stats().pageReads);
      expect(store.files.readCalls).toBeLessThan(read / 2);
    });

    it('reads hardly more leaves than the entries that it is known to want take', async () => {
      const store = await coldStore();
      await scan(store, { ...form, from: keyOf(3000), most: 700, limit: 700 });
      const read = store.pool.stats().pageReads;
      const other = await coldStore();
      for (let n = 0; n < 700; n++) other.tree.expectEntry(keyOf(form.reverse ? 3000 - n : 3000 + n));
      expect(read).toBeLessThanOrEqual(other.pool.stats().pageReads + 3);
    });

    it('hands out everything though no batch can be read', async () => {
      const store = await coldStore();
      store.files.refusesReadsOf = 2;
      expect((await scan(store, form)).length).toBe(ENTRIES);
    });

    it('hands out everything from a pool of hardly any memory', async () => {
      const store = await coldStore(64);
      expect(await scan(store, form)).toEqual(
        store.tree.keysOf({ from: null, exclusive: false, reverse: form.reverse }),
      );
      expect(store.files.readCalls).toBeLessThan(store.pool.stats().pageReads / 1.5);
    });

    it('neither repeats nor skips what stays, whatever is changed between its batches', async () => {
      for (let seed = 1; seed <= 3; seed++) {
        const store = await coldStore(96, true);
        const { tree, pool } = store;
        const random = new Random(seed);
        const cursor = tree.index.cursor();
        cursor.seek(null, form);
        const batch = new EntryBatch();
        const stays = new Set(tree.sorted.filter((_, at) => at % 3 === 0));
        const seen: string[] = [];
        const change = (): void => {
          for (let changes = random.below(30); changes > 0; changes--) {
            const n = random.below(ENTRIES);
            if (n % 3 === 0) tree.put(keyOf(n), 1, valueBytes(n, random.below(300)));
            else if (random.chance(0.5)) tree.remove(keyOf(n));
            else tree.put(`${keyOf(n)}/${random.below(9)}`, 0, valueBytes(n, random.below(600)));
          }
        };
        for (;;) {
          batch.limit = random.between(1, 200);
          const goesOn = form.isSync
            ? cursor.next(batch)
            : await unblocked(pool, () => {
                // While pages are on their way.
                if (random.chance(0.3)) {
                  pool.faulting = false;
                  change();
                  pool.faulting = true;
                }
                return cursor.next(batch);
              });
          if (!goesOn) break;
          for (let at = 0; at < batch.count; at++) seen.push(Buffer.from(batch.keys[at]!).toString('latin1'));
          change();
        }
        const met = seen.filter((key) => stays.has(key));
        expect(met, `seed ${seed}`).toEqual(form.reverse ? [...stays].sort().reverse() : [...stays].sort());
        for (const key of tree.sorted.filter((_, at) => at % 50 === 0)) tree.expectEntry(key);
        for (const open of pools.splice(0)) await open.close();
      }
    });
  });

  it('pages of several keys are read together, level by level', async () => {
    const { tree, pool, files } = await coldStore();
    const keys = Array.from({ length: 30 }, (_, at) => Buffer.from(keyOf(at * 190)));
    files.forget();
    for (let level = 0; level < levels; level++) {
      pool.faulting = true;
      tree.index.prefetch!(keys);
      const missing = keys.some((key) => {
        try {
          return !tree.index.lookup(key, tree.reference);
        } catch (error) {
          expect(error).toBeInstanceOf(PageFault);
          return true;
        }
      });
      pool.faulting = false;
      if (missing) await pool.loadFault();
    }
    for (let at = 0; at < 30; at++) tree.expectEntry(keyOf(at * 190));
    expect(files.readCalls).toBeLessThanOrEqual(levels);
  });
}

function keyOf(n: number): string {
  return `key/${String(n).padStart(6, '0')}`;
}

/** Runs it without blocking, going to the event loop for each page that is missing. */
async function unblocked<Result>(pages: PageStore, work: () => Result): Promise<Result> {
  for (let misses = 0; misses < 10_000; misses++) {
    pages.faulting = true;
    try {
      return work();
    } catch (error) {
      if (!(error instanceof PageFault)) throw error;
    } finally {
      pages.faulting = false;
    }
    await pages.loadFault();
  }
  throw new Error('It faults for ever');
}

/** Pages that are in memory: each was read once, if none had to leave. */
function pagesOf({ pool }: Opened): number {
  const { frames, freeFrames } = pool.stats();
  return frames - freeFrames - 1;
}

async function scan({ tree, pool }: Opened, { from, most = 1e9, isSync, ...options }: Form): Promise<string[]> {
  const cursor = tree.index.cursor();
  cursor.seek(from === undefined ? null : Buffer.from(from), options);
  const batch = new EntryBatch();
  const keys: string[] = [];
  while (keys.length < most) {
    batch.limit = Math.min(1024, most - keys.length);
    const goesOn = isSync ? cursor.next(batch) : await unblocked(pool, () => cursor.next(batch));
    if (!goesOn) break;
    for (let at = 0; at < batch.count; at++) keys.push(Buffer.from(batch.keys[at]!).toString('latin1'));
  }
  return keys;
}
