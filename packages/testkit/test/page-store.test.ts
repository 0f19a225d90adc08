/** Each fault breaks one thing in a page store that is sound; the clauses named must notice. */
import { BufferPool, type PoolHandle } from '@pagewright/bufferpool';
import {
  type BackupProgress,
  type BackupRequest,
  type BackupResult,
  type CheckpointResult,
  type CheckpointSteps,
  type CompactRequest,
  type CompactResult,
  type IoBackend,
  type IoFile,
  PAGE_KIND,
  PAGE_TIMESTAMP,
  type PageStore,
  type PageStoreAttachRequest,
  type PageStoreOpenRequest,
  type PageStoreStats,
  RESTART,
  type StoreState,
  SWIP_NULL,
  SwipList,
  type SwipLocation,
  Threads,
} from '@pagewright/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Arrivals } from '../../bufferpool/src/arrivals.js';
import { BackupSpace } from '../../bufferpool/src/backup-space.js';
import { CheckpointReader } from '../../bufferpool/src/checkpoint-reader.js';
import { Checkpointer } from '../../bufferpool/src/checkpointer.js';
import { Epochs } from '../../bufferpool/src/epochs.js';
import { FileSpace } from '../../bufferpool/src/file-space.js';
import { Gate } from '../../bufferpool/src/gate.js';
import { Latches } from '../../bufferpool/src/latches.js';
import { PageFile } from '../../bufferpool/src/page-file.js';
import { Placement } from '../../bufferpool/src/placement.js';
import type { PoolMemory } from '../../bufferpool/src/pool-memory.js';
import { ReaderPins } from '../../bufferpool/src/reader-pins.js';
import { Residency } from '../../bufferpool/src/residency.js';
import { decodeSlot, encodeSuperblock, SLOT_SIZE, type Superblock } from '../../bufferpool/src/superblock.js';
import { brokenClauses, FANOUT, PageTree, pageStoreSuite } from '../src/index.js';

const PAGE_SIZE = 4096;
const EVERYTHING = { files: true, eviction: true, faulting: true, sizeClasses: true, readers: true, threads: true };

type PoolClass = new (options: { memory: number; pageSize: number }) => PageStore;

/** Which of these clauses the store breaks. */
async function brokenBy(Pool: PoolClass, ...ids: string[]): Promise<string[]> {
  const make = (frames: number): PageStore => new Pool({ memory: frames * PAGE_SIZE, pageSize: PAGE_SIZE });
  const broken = await brokenClauses(pageStoreSuite, { create: () => ({ make }) }, EVERYTHING, new Set(ids));
  return broken.map(({ id }) => id);
}

/** A pool whose file is reached through this. */
function onFiles(change: (file: IoFile) => IoFile): PoolClass {
  return class extends BufferPool {
    override open(request: PageStoreOpenRequest): Promise<StoreState> {
      const io: IoBackend = new Proxy(request.io, {
        get(target, name) {
          if (name === 'open')
            return async (...given: Parameters<IoBackend['open']>) => change(await target.open(...given));
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return super.open({ ...request, io });
    }
  };
}

/** A pool whose backups are made on a backend that is changed. */
function copyingThrough(change: (io: IoBackend) => Partial<IoBackend>): PoolClass {
  return class extends BufferPool {
    override backup(request: BackupRequest): Promise<BackupResult> {
      const changes = change(request.io);
      const io: IoBackend = new Proxy(request.io, {
        get(target, name) {
          const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      return super.backup({ ...request, io });
    }
  };
}

/** The same file, but for some of its methods. */
function fileWith(file: IoFile, changes: Partial<IoFile>): IoFile {
  return new Proxy(file, {
    get(target, name) {
      const value: unknown = Reflect.get(changes, name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

afterEach(() => {
  vi.restoreAllMocks();
});

describe('the suite for page stores finds', () => {
  it('a validation that says yes to everything', async () => {
    class Trusting extends BufferPool {
      override validate(): boolean {
        return true;
      }
    }
    const ids = ['version-tells-change', 'version-never-reset', 'reading-changes-the-parent'];
    expect(await brokenBy(Trusting, ...ids)).toEqual(ids);
  });

  it('versions that begin anew when a page is freed (scenario 4)', async () => {
    class Resetting extends BufferPool {
      readonly #begin = new Map<number, number>();
      #base(frame: number): number {
        return this.#begin.get(frame) ?? 0;
      }
      override readVersion(frame: number): number {
        return super.readVersion(frame) - this.#base(frame);
      }
      override validate(frame: number, version: number): boolean {
        return super.validate(frame, version + this.#base(frame));
      }
      override upgrade(frame: number, version: number): boolean {
        return super.upgrade(frame, version + this.#base(frame));
      }
      override child(parent: number, offset: number, version: number): number {
        return super.child(parent, offset, version + this.#base(parent));
      }
      override free(frame: number): void {
        super.free(frame);
        this.#begin.set(frame, super.readVersion(frame));
      }
    }
    expect(await brokenBy(Resetting, 'version-tells-change', 'version-never-reset')).toEqual(['version-never-reset']);
  });

  it('new pages whose header is not filled in', async () => {
    class Blank extends BufferPool {
      override allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
        const frame = super.allocate(index, kind, sizeClass, timestamp);
        this.segmentOf(frame).u16[(this.baseOf(frame) + PAGE_KIND) >>> 1] = 0;
        return frame;
      }
    }
    expect(await brokenBy(Blank, 'allocates-formatted', 'keeps-the-tree')).toEqual([
      'allocates-formatted',
      'keeps-the-tree',
    ]);
  });

  it('a stamp that goes back', async () => {
    class Latest extends BufferPool {
      override modify(frame: number, timestamp: number): void {
        super.modify(frame, timestamp);
        this.segmentOf(frame).f64[(this.baseOf(frame) + PAGE_TIMESTAMP) >>> 3] = timestamp;
      }
    }
    expect(await brokenBy(Latest, 'stamp-keeps-the-highest')).toEqual(['stamp-keeps-the-highest']);
  });

  it('changes that mark nothing dirty', async () => {
    class Forgetful extends BufferPool {
      #calls = 0;
      override modify(frame: number, timestamp: number): void {
        if (++this.#calls % 8 !== 0) super.modify(frame, timestamp);
      }
    }
    const ids = ['stamp-keeps-the-highest', 'evicts-and-reads-back', 'holds-the-gate'];
    expect(await brokenBy(Forgetful, ...ids)).toEqual(ids.slice(1));
  });

  it('moved swips whose pages do not know their new parent (scenario 16)', async () => {
    class Parentless extends BufferPool {
      override moveSwips(from: number, at: number, to: number, toAt: number, count: number, stride: number): void {
        for (let step = 0; step < count * stride; step += stride) {
          const source = this.segmentOf(from).u32;
          const target = this.segmentOf(to).u32;
          const sourceAt = (this.baseOf(from) + at + step) >>> 2;
          const targetAt = (this.baseOf(to) + toAt + step) >>> 2;
          target.copyWithin(targetAt, sourceAt, sourceAt + 2);
          target.set(source.slice(sourceAt, sourceAt + 2), targetAt);
          source.fill(SWIP_NULL, sourceAt, sourceAt + 2);
        }
      }
    }
    expect(await brokenBy(Parentless, 'moves-swips', 'keeps-the-tree')).toEqual(['moves-swips', 'keeps-the-tree']);
  });

  it('given up pages that keep their frames', async () => {
    class Leaking extends BufferPool {
      override discard(parent: number, offset: number): void {
        this.unlink(parent, offset);
      }
    }
    expect(await brokenBy(Leaking, 'frees')).toEqual(['frees']);
  });

  it('a tree that is given up all at once', async () => {
    class Hasty extends BufferPool {
      override releaseTree(location: SwipLocation, timestamp: number): boolean {
        return super.releaseTree(location, timestamp, 1e9);
      }
    }
    expect(await brokenBy(Hasty, 'releases-trees')).toEqual(['releases-trees']);
  });

  it('a child read by a swip that may have changed', async () => {
    class Careless extends BufferPool {
      override child(parent: number, offset: number): number {
        return super.child(parent, offset, this.readVersion(parent));
      }
    }
    const ids = ['restarts-when-the-parent-changed'];
    expect(await brokenBy(Careless, ...ids)).toEqual(ids);
  });

  it('reads that block though faulting is on', async () => {
    class Blocking extends BufferPool {
      override child(parent: number, offset: number, version: number): number {
        const { faulting } = this;
        this.faulting = false;
        const answer = super.child(parent, offset, version);
        this.faulting = faulting;
        return answer;
      }
    }
    const ids = ['faults-instead-of-reading', 'many-faults-at-once'];
    expect(await brokenBy(Blocking, ...ids)).toEqual(ids);
  });

  it('a fault whose page never comes', async () => {
    class Idle extends BufferPool {
      override async loadFault(): Promise<void> {}
    }
    expect(await brokenBy(Idle, 'faults-instead-of-reading', 'late-arrivals-are-not-used')).toContain(
      'faults-instead-of-reading',
    );
  });

  it('pages that are asked for ahead and are not read', async () => {
    class Deaf extends BufferPool {
      override prefetch(swips: SwipList): number {
        return swips.count;
      }
    }
    const ids = ['prefetch-is-one-read', 'prefetch-in-place'];
    expect(await brokenBy(Deaf, ...ids)).toEqual(ids);
  });

  it('pages that are read ahead one by one', async () => {
    class Single extends BufferPool {
      override prefetch(swips: SwipList): number {
        const one = new SwipList(1);
        for (let at = 0; at < swips.count; at++) {
          one.clear();
          const parent = swips.parents[at]!;
          one.add(parent, super.readVersion(parent), swips.offsets[at]!);
          super.prefetch(one);
        }
        return swips.count;
      }
    }
    // It also takes the version that the page has now.
    const ids = ['prefetch-is-one-read', 'prefetch-in-place', 'prefetch-of-nothing'];
    expect(await brokenBy(Single, ...ids)).toEqual(ids);
  });

  it('reading ahead that blocks though faulting is on', async () => {
    class Blocking extends BufferPool {
      override prefetch(swips: SwipList): number {
        const { faulting } = this;
        this.faulting = false;
        const dealtWith = super.prefetch(swips);
        this.faulting = faulting;
        return dealtWith;
      }
    }
    expect(await brokenBy(Blocking, 'prefetch-is-one-read', 'prefetch-in-place')).toEqual(['prefetch-is-one-read']);
  });

  it('a page that was read ahead and is put where its swip was', async () => {
    const placeOf = new Map<number, number>();
    class Blind extends BufferPool {
      override prefetch(swips: SwipList): number {
        for (let at = 0; at < swips.count; at++) {
          const parent = swips.parents[at]!;
          const offset = swips.offsets[at]!;
          placeOf.set(this.segmentOf(parent).u32[(this.baseOf(parent) + offset) >>> 2]!, offset);
        }
        return super.prefetch(swips);
      }
    }
    const { settle } = Arrivals.prototype;
    vi.spyOn(Arrivals.prototype, 'settle').mockImplementation(function (this: Arrivals, arrival) {
      const offset = placeOf.get(arrival.word);
      if (offset === undefined) return settle.call(this, arrival);
      const { residency } = this as unknown as { residency: Residency };
      residency.admit(arrival.frame, arrival.bytes, arrival.word >>> 2, arrival.checksum);
      residency.swizzle(arrival.parent, offset, arrival.frame);
    });
    expect(await brokenBy(Blind, 'prefetch-arrives-late')).toEqual(['prefetch-arrives-late']);
  });

  it('an error of reading ahead that is thrown, and frames of pages that did not come', async () => {
    class Throwing extends BufferPool {
      override prefetch(swips: SwipList): number {
        const dealtWith = super.prefetch(swips);
        for (let at = 0; at < swips.count && !this.faulting; at++) {
          const parent = swips.parents[at]!;
          while (super.child(parent, swips.offsets[at]!, super.readVersion(parent)) === RESTART);
        }
        return dealtWith;
      }
    }
    expect(await brokenBy(Throwing, 'prefetch-does-not-fail')).toEqual(['prefetch-does-not-fail']);
    const { release } = Residency.prototype;
    vi.spyOn(Residency.prototype, 'release').mockImplementation(function (this: Residency, frame) {
      if (!new Error().stack?.includes('Prefetch')) release.call(this, frame);
    });
    expect(await brokenBy(BufferPool, 'prefetch-does-not-fail')).toEqual(['prefetch-does-not-fail']);
  });

  it('reading ahead that takes the last frames', async () => {
    vi.spyOn(Residency.prototype, 'acquireSpare').mockImplementation(Residency.prototype.acquire);
    expect(await brokenBy(BufferPool, 'prefetch-needs-no-room')).toEqual(['prefetch-needs-no-room']);
  });

  it('reading ahead that empties the pool', async () => {
    vi.spyOn(Residency.prototype, 'makeSpare').mockImplementation(function (this: Residency) {
      const { eviction } = this;
      for (let left = 1; left > 0; left = eviction.evictBatch()) eviction.evictUpTo(1000);
    });
    expect(await brokenBy(BufferPool, 'prefetch-needs-no-room')).toEqual(['prefetch-needs-no-room']);
  });

  it('pins that do not hold', async () => {
    class Slippery extends BufferPool {
      override pin(): void {}
      override unpin(): void {}
    }
    expect(await brokenBy(Slippery, 'pins-hold')).toEqual(['pins-hold']);
  });

  it('eviction that takes pages whose latch is held', async () => {
    vi.spyOn(Placement.prototype, 'mayLeave').mockImplementation(function (this: Placement, frame) {
      return this.isEvictable(frame);
    });
    vi.spyOn(Latches.prototype, 'tryLatch').mockImplementation(() => true);
    expect(await brokenBy(BufferPool, 'pins-hold')).toEqual(['pins-hold']);
  });

  it('eviction without regard to what is used, below one parent', async () => {
    vi.spyOn(Residency.prototype, 'keepRoom').mockImplementation(() => {});
    expect(await brokenBy(BufferPool, 'keeps-what-is-used')).toEqual(['keeps-what-is-used']);
  });

  it('pages that are read without a look at their checksum', async () => {
    vi.spyOn(PageFile.prototype, 'verify').mockImplementation(() => {});
    const ids = ['damage-is-an-error', 'misdirected-writes-are-found'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('extents that are free before no superblock names them (scenarios 20, 22)', async () => {
    const { giveUp } = FileSpace.prototype;
    vi.spyOn(FileSpace.prototype, 'giveUp').mockImplementation(function (this: FileSpace, address, epoch, number) {
      giveUp.call(this, address, epoch, number);
      this.release(number);
    });
    const ids = ['whole-after-a-crash', 'older-slot-stays'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('extents that are never free again', async () => {
    vi.spyOn(FileSpace.prototype, 'release').mockImplementation(() => {});
    expect(await brokenBy(BufferPool, 'space-is-used-again')).toEqual(['space-is-used-again']);
  });

  it('a gate that is passed before the epoch closes (scenario 13)', async () => {
    class Early extends BufferPool {
      override async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const mark = steps.gate();
        for (let turn = 0; turn < 3; turn++) await null;
        return super.checkpoint({ gate: () => mark, secureLog: (given) => steps.secureLog(given) });
      }
    }
    const ids = ['holds-the-gate', 'gate-in-mid-change'];
    expect(await brokenBy(Early, ...ids)).toEqual(ids);
  });

  it('a superblock that is written before the log is secured', async () => {
    class Ahead extends BufferPool {
      override async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const result = await super.checkpoint({ gate: () => steps.gate(), secureLog: async () => {} });
        await steps.secureLog(result.mark);
        return result;
      }
    }
    const ids = ['secures-the-log-first', 'log-cannot-be-secured'];
    expect(await brokenBy(Ahead, ...ids)).toEqual(ids);
  });

  it('a log that is not waited for', async () => {
    class Impatient extends BufferPool {
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        return super.checkpoint({
          gate: () => steps.gate(),
          secureLog: async (mark) => void steps.secureLog(mark).catch(() => {}),
        });
      }
    }
    const ids = ['secures-the-log-first', 'log-cannot-be-secured'];
    expect(await brokenBy(Impatient, ...ids)).toEqual(ids);
  });

  it('pages that are not synced before the superblock names them', async () => {
    const Unsynced = onFiles((file) => fileWith(file, { sync: async () => {} }));
    const ids = ['secures-the-log-first', 'whole-after-a-crash'];
    expect(await brokenBy(Unsynced, ...ids)).toEqual(ids);
  });

  it('a superblock that is not synced when the checkpoint is reported', async () => {
    const Unsynced = onFiles((file) => fileWith(file, { submit: (operations) => file.submit(operations) }));
    expect(await brokenBy(Unsynced, 'secures-the-log-first')).toEqual(['secures-the-log-first']);
  });

  it('checkpoints that queue instead of sharing', async () => {
    class Queueing extends BufferPool {
      #last: Promise<unknown> = Promise.resolve();
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        const mine = this.#last.then(() => super.checkpoint(steps));
        this.#last = mine.catch(() => {});
        return mine;
      }
    }
    expect(await brokenBy(Queueing, 'shares-checkpoints')).toEqual(['shares-checkpoints']);
  });

  it('a request that shares a checkpoint which was under way already', async () => {
    class Lazy extends BufferPool {
      #running: Promise<CheckpointResult> | null = null;
      override checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
        this.#running ??= super.checkpoint(steps).finally(() => {
          this.#running = null;
        });
        return this.#running;
      }
    }
    expect(await brokenBy(Lazy, 'shares-checkpoints')).toEqual(['shares-checkpoints']);
  });

  it('room that is not secured', async () => {
    class Hopeful extends BufferPool {
      override secureSpace(): void {}
    }
    const ids = ['refuses-before-it-is-full', 'secured-is-enough'];
    expect(await brokenBy(Hopeful, ...ids)).toEqual(ids);
  });

  it('room that is secured, and anybody else counts on', async () => {
    class Generous extends BufferPool {
      override secureSpace(pages: number): void {
        super.secureSpace(pages);
        super.giveSpace(pages);
      }
      override giveSpace(): void {}
    }
    const ids = ['secured-room-is-kept', 'secured-room-is-of-its-thread'];
    expect(await brokenBy(Generous, ...ids)).toEqual(ids);
  });

  it('room that a thread has secured, and keeps when it has left', async () => {
    const present = vi.spyOn(Threads.prototype, 'isPresent').mockReturnValue(true);
    try {
      expect(await brokenBy(BufferPool, 'secured-room-is-of-its-thread')).toEqual(['secured-room-is-of-its-thread']);
    } finally {
      present.mockRestore();
    }
  });

  it('a file that is not locked', async () => {
    const Unlocked = onFiles((file) => fileWith(file, { lock: async () => ({ release: async () => {} }) }));
    expect(await brokenBy(Unlocked, 'one-holder')).toEqual(['one-holder']);
  });

  it('writes to a file that was opened read-only', async () => {
    class Writing extends BufferPool {
      override open(request: PageStoreOpenRequest): Promise<StoreState> {
        return super.open({ ...request, readOnly: false });
      }
    }
    expect(await brokenBy(Writing, 'read-only')).toEqual(['read-only']);
  });

  it('a second close that fails, and one that does not wait', async () => {
    class Strict extends BufferPool {
      #closed = false;
      override close(): Promise<void> {
        if (this.#closed) throw new Error('closed already');
        this.#closed = true;
        return super.close();
      }
    }
    class Abrupt extends BufferPool {
      override async close(): Promise<void> {
        void super.close().catch(() => {});
      }
    }
    expect(await brokenBy(Strict, 'close-is-idempotent')).toEqual(['close-is-idempotent']);
    expect(await brokenBy(Abrupt, 'close-is-idempotent')).toEqual(['close-is-idempotent']);
  });

  it('a state that is not that of the store', async () => {
    class Amnesic extends BufferPool {
      override async open(request: PageStoreOpenRequest): Promise<StoreState> {
        return { ...(await super.open(request)), storeId: '0'.repeat(32) };
      }
    }
    expect(await brokenBy(Amnesic, 'says-what-it-found')).toEqual(['says-what-it-found']);
  });

  it('figures that do not add up', async () => {
    class Boasting extends BufferPool {
      override stats(): PageStoreStats {
        const stats = super.stats();
        return { ...stats, freeFrames: stats.frames, coolFrames: 1 };
      }
    }
    expect(await brokenBy(Boasting, 'counts-add-up')).toEqual(['counts-add-up']);
  });

  it('pages of a size class that are not among all pages', async () => {
    class Forgetful extends BufferPool {
      override stats(): PageStoreStats {
        const stats = super.stats();
        return { ...stats, bySizeClass: stats.bySizeClass.slice(1) };
      }
    }
    expect(await brokenBy(Forgetful, 'counts-add-up')).toEqual(['counts-add-up']);
  });

  it('readers that never get on', async () => {
    class Shy extends BufferPool {
      override child(): number {
        return RESTART;
      }
    }
    expect(await brokenBy(Shy, 'reaches-what-was-linked')).toEqual(['reaches-what-was-linked']);
  });

  it('a backup for which nothing is kept, and one for which it is kept for good', async () => {
    const { hold } = FileSpace.prototype;
    vi.spyOn(FileSpace.prototype, 'hold').mockImplementation(() => () => undefined);
    const ids = ['copies-a-checkpoint', 'backup-gives-space-back'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
    vi.spyOn(FileSpace.prototype, 'hold').mockImplementation(function (this: FileSpace, epoch) {
      hold.call(this, epoch);
      return () => undefined;
    });
    expect(await brokenBy(BufferPool, ...ids)).toEqual(['backup-gives-space-back']);
  });

  it('a backup that is made under its own name', async () => {
    const there = (path: string) => path.replace('.pw-part', '');
    const Open = copyingThrough((io) => ({
      open: (path, flags) => io.open(there(path), flags),
      remove: (path) => io.remove(there(path)),
      rename: async () => {},
      exists: async () => false,
    }));
    const ids = ['backup-overwrites-nothing', 'backup-survives-crashes'];
    expect(await brokenBy(Open, ...ids)).toEqual(ids);
  });

  it('a backup that is not synced, or its name is not', async () => {
    const Unsynced = copyingThrough((io) => ({
      open: async (path, flags) => {
        const file = await io.open(path, flags);
        return fileWith(file, { sync: async () => {}, submit: (operations) => file.submit(operations) });
      },
    }));
    const Nameless = copyingThrough(() => ({ syncDirectory: async () => {} }));
    const ids = ['copies-an-empty-store', 'backup-survives-crashes'];
    expect(await brokenBy(Unsynced, ...ids)).toEqual(ids.slice(1));
    expect(await brokenBy(Nameless, ...ids)).toEqual(ids.slice(1));
  });

  it('a backup that leaves behind what it has written when it ends early', async () => {
    const Untidy = copyingThrough(() => ({ remove: async () => {} }));
    const ids = ['ended-backup-leaves-nothing'];
    expect(await brokenBy(Untidy, ...ids)).toEqual(ids);
  });

  it('a backup whose file is not locked', async () => {
    const Unlocked = copyingThrough((io) => ({
      open: async (path, flags) =>
        fileWith(await io.open(path, flags), { lock: async () => ({ release: async () => {} }) }),
    }));
    expect(await brokenBy(Unlocked, 'one-backup-to-a-path')).toEqual(['one-backup-to-a-path']);
  });

  it('a backup of pages that were not held against their checksums', async () => {
    vi.spyOn(PageFile.prototype, 'verify').mockImplementation(() => {});
    const ids = ['backup-checks-what-it-copies'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a backup that goes through memory', async () => {
    class Loading extends BufferPool {
      override backup(request: BackupRequest): Promise<BackupResult> {
        for (let slot = 0; slot < FANOUT ** 2; slot++) {
          try {
            new PageTree(this).numberAt([slot >>> 4, slot % FANOUT]);
          } catch {} // there is no page
        }
        return super.backup(request);
      }
    }
    const ids = ['backup-leaves-memory-alone', 'ended-backup-leaves-nothing'];
    expect(await brokenBy(Loading, ...ids)).toEqual(ids.slice(0, 1));
  });

  it('a backup that waits for no answer, and one that says nothing between beginning and end', async () => {
    class Hasty extends BufferPool {
      override backup({ advanced, ...request }: BackupRequest): Promise<BackupResult> {
        return super.backup({ ...request, advanced: (progress) => void advanced(progress) });
      }
    }
    class Silent extends BufferPool {
      override backup({ advanced, ...request }: BackupRequest): Promise<BackupResult> {
        const isEnd = ({ bytes, totalBytes }: BackupProgress) => bytes === 0 || bytes === totalBytes;
        return super.backup({
          ...request,
          advanced: (progress) => (isEnd(progress) ? advanced(progress) : undefined),
        });
      }
    }
    expect(await brokenBy(Hasty, 'tells-how-far-it-is')).toEqual(['tells-how-far-it-is']);
    const ids = ['tells-how-far-it-is', 'ended-backup-leaves-nothing'];
    expect(await brokenBy(Silent, ...ids)).toEqual(ids);
  });

  it('a copy with gaps, and one whose map has no regard to its pages', async () => {
    const { allocate, forEachGap } = BackupSpace.prototype;
    vi.spyOn(BackupSpace.prototype, 'allocate').mockImplementation(function (this: BackupSpace, sizeClass) {
      allocate.call(this, sizeClass);
      return allocate.call(this, sizeClass);
    });
    const ids = ['copies-a-checkpoint', 'copy-is-a-store', 'copy-is-compact'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(2));
    vi.mocked(BackupSpace.prototype.allocate).mockRestore();
    vi.spyOn(BackupSpace.prototype, 'forEachGap').mockImplementation(function (this: BackupSpace, visit) {
      forEachGap.call(this, visit);
      // Not the last one, which is the map.
      visit(2, this.units - 5);
    });
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(1));
  });

  it('a copy that is another store, and one that names a log', async () => {
    const changed = (change: (superblock: Superblock) => Superblock): PoolClass =>
      class extends BufferPool {
        override async backup(request: BackupRequest): Promise<BackupResult> {
          const result = await super.backup(request);
          const file = await request.io.open(request.path, {});
          for (const offset of [0, SLOT_SIZE]) {
            const block = Buffer.alloc(SLOT_SIZE);
            file.readSync(block, offset);
            const slot = decodeSlot(block);
            if (slot.kind === 'valid') file.writeSync(encodeSuperblock(change(slot.superblock)), offset);
          }
          await file.close();
          return result;
        }
      };
    const ids = ['copies-a-checkpoint', 'copy-is-a-store'];
    const other = changed((superblock) => ({ ...superblock, storeId: 'ab'.repeat(16) }));
    expect(await brokenBy(other, ...ids)).toEqual(['copy-is-a-store']);
    const log = { incarnation: 7, segment: 1, offset: 4096 };
    const logged = changed((superblock) => ({ ...superblock, mark: { ...superblock.mark, log } }));
    expect(await brokenBy(logged, ...ids)).toEqual(['copies-a-checkpoint']);
  });

  it('a compaction that does nothing, one that loses count, and one that waits for no answer', async () => {
    class Idle extends BufferPool {
      override async compact({ advanced }: CompactRequest): Promise<CompactResult> {
        const bytes = this.stats().fileBytes;
        await advanced({ pages: 0, bytes: 0, fileBytes: bytes });
        return { bytesBefore: bytes, bytesAfter: bytes, pages: 0, retainedBytes: 0 };
      }
    }
    class Forgetful extends BufferPool {
      override async compact(request: CompactRequest): Promise<CompactResult> {
        const bytesBefore = this.stats().fileBytes;
        return { ...(await super.compact(request)), bytesBefore };
      }
    }
    class Hasty extends BufferPool {
      override compact({ advanced, ...request }: CompactRequest): Promise<CompactResult> {
        return super.compact({
          ...request,
          advanced: (progress) => void Promise.resolve(advanced(progress)).catch(() => {}),
        });
      }
    }
    const ids = ['compaction-makes-the-file-smaller', 'compaction-tells-how-far-it-is', 'compactions-take-turns'];
    expect(await brokenBy(Idle, ...ids)).toEqual(ids.slice(0, 2));
    expect(await brokenBy(Forgetful, ...ids)).toEqual(ids.slice(2));
    expect(await brokenBy(Hasty, ...ids)).toEqual(ids.slice(1, 2));
  });

  it('a file that is cut off before both superblocks know of it', async () => {
    vi.spyOn(Checkpointer.prototype, 'mappedUnits', 'get').mockReturnValue(0);
    const ids = ['compaction-survives-crashes'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('space that a page has left by being moved, and that is used again at once', async () => {
    vi.spyOn(Epochs.prototype, 'extentFreed').mockImplementation(function (this: Epochs, address) {
      const { space } = (this as unknown as { parts: { space: FileSpace } }).parts;
      space.withdraw(address);
    });
    const ids = ['compaction-keeps-what-a-backup-reads'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a compaction that does more than it is asked to, and one that does nothing of the kind', async () => {
    class Thorough extends BufferPool {
      override compact({ tailOnly, ...request }: CompactRequest): Promise<CompactResult> {
        return super.compact({ ...request, tailOnly: tailOnly !== true });
      }
    }
    class Idle extends BufferPool {
      override compact(request: CompactRequest): Promise<CompactResult> {
        if (request.tailOnly !== true) return super.compact(request);
        const { fileBytes } = this.stats();
        return Promise.resolve({ bytesBefore: fileBytes, bytesAfter: fileBytes, pages: 0, retainedBytes: 0 });
      }
    }
    const ids = ['compaction-of-the-tail'];
    expect(await brokenBy(Thorough, ...ids)).toEqual(ids);
    expect(await brokenBy(Idle, ...ids)).toEqual(ids);
  });

  it('a compaction that goes through memory', async () => {
    class Loading extends BufferPool {
      override compact(request: CompactRequest): Promise<CompactResult> {
        for (let leaf = 0; leaf < 16 * 16 * 4; leaf++) {
          try {
            new PageTree(this).numberAt([leaf >>> 6, (leaf >>> 2) % 16, leaf % 4]);
          } catch {} // there is no page
        }
        return super.compact(request);
      }
    }
    const ids = ['compaction-leaves-memory-alone'];
    expect(await brokenBy(Loading, ...ids)).toEqual(ids);
  });

  it('a file that gets smaller without regard to readers, and readers who do not know what became of it', async () => {
    const ids = ['compaction-keeps-what-readers-read', 'compaction-overtakes-readers', 'compaction-is-for-writers'];
    vi.spyOn(PageFile.prototype, 'whyUnread').mockImplementation((error) => error);
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(1, 2));
    vi.mocked(PageFile.prototype.whyUnread).mockRestore();
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async (epoch) => epoch);
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids.slice(0, 1));
  });

  it('a reader that locks the file', async () => {
    class Locking extends BufferPool {
      override async open(request: PageStoreOpenRequest): Promise<StoreState> {
        const state = await super.open(request);
        if (request.readOnly) await (await request.io.open(request.path, { readOnly: true })).lock();
        return state;
      }
    }
    const ids = ['reads-beside-a-writer', 'reader-changes-nothing'];
    expect(await brokenBy(Locking, ...ids)).toEqual(ids);
  });

  it('a reader that syncs what it finds', async () => {
    const Syncing = onFiles((file) => {
      let synced = false;
      return fileWith(file, {
        read: async (buffer, offset) => {
          if (!synced) await file.sync();
          synced = true;
          await file.read(buffer, offset);
        },
      });
    });
    expect(await brokenBy(Syncing, 'reader-changes-nothing')).toEqual(['reader-changes-nothing']);
  });

  it('a writer that never looks for readers (scenario 24)', async () => {
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async (oldestNamed) => oldestNamed);
    const ids = ['keeps-what-is-read', 'reader-opens-in-between', 'readers-outlive-writers'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a writer that does not look for readers when it opens', async () => {
    const { limit } = ReaderPins.prototype;
    const opened = new WeakSet<ReaderPins>();
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async function (this: ReaderPins, oldestNamed) {
      const isFirst = !opened.has(this);
      opened.add(this);
      return isFirst ? oldestNamed : limit.call(this, oldestNamed);
    });
    expect(await brokenBy(BufferPool, 'readers-outlive-writers')).toEqual(['readers-outlive-writers']);
  });

  it('a writer that goes on keeping what was read', async () => {
    const { limit } = ReaderPins.prototype;
    const lowest = new WeakMap<ReaderPins, number>();
    vi.spyOn(ReaderPins.prototype, 'limit').mockImplementation(async function (this: ReaderPins, oldestNamed) {
      const now = await limit.call(this, oldestNamed);
      if (this.count > 0) lowest.set(this, Math.min(now, lowest.get(this) ?? now));
      return lowest.get(this) ?? now;
    });
    const ids = ['keeps-what-is-read', 'dead-readers-keep-nothing'];
    expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
  });

  it('a reader that does not read the superblocks again when it has published its pin (scenario 24)', async () => {
    const { begin } = CheckpointReader.prototype;
    vi.spyOn(CheckpointReader.prototype, 'begin').mockImplementation(async function (this: CheckpointReader) {
      const again = vi.spyOn(this, 'newer').mockResolvedValue(null);
      await begin.call(this);
      again.mockRestore();
    });
    expect(await brokenBy(BufferPool, 'reader-opens-in-between')).toEqual(['reader-opens-in-between']);
  });

  it('a reader that follows and keeps pages of before', async () => {
    class Keeping extends BufferPool {
      override follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
        return super.follow((state) => {
          moved({ ...state, epoch: state.epoch - 1 });
        });
      }
    }
    class Late extends BufferPool {
      override async follow(moved: (state: StoreState) => void): Promise<StoreState | null> {
        const state = await super.follow(() => {});
        // Too late, and maybe when the store is closed.
        if (state !== null)
          setImmediate(() => {
            try {
              moved(state);
            } catch {}
          });
        return state;
      }
    }
    class Still extends BufferPool {
      override async follow(): Promise<StoreState | null> {
        return null;
      }
    }
    for (const Pool of [Keeping, Late, Still]) {
      expect(await brokenBy(Pool, 'follows-the-writer')).toEqual(['follows-the-writer']);
    }
  });

  it('a reader whose pin stays behind when it follows', async () => {
    vi.spyOn(CheckpointReader.prototype, 'movePin').mockResolvedValue();
    expect(await brokenBy(BufferPool, 'follows-the-writer')).toEqual(['follows-the-writer']);
  });

  it('a reader whose pin goes ahead of what it reads', async () => {
    const { movePin } = CheckpointReader.prototype;
    vi.spyOn(CheckpointReader.prototype, 'movePin').mockImplementation(function (this: CheckpointReader) {
      return movePin.call(this, 1_000_000);
    });
    expect(await brokenBy(BufferPool, 'keeps-what-is-read')).toEqual(['keeps-what-is-read']);
  });

  it('a reader that takes all that does not match for damage, and one that takes it for nothing', async () => {
    const overtaken = vi.spyOn(CheckpointReader.prototype, 'overtaken').mockReturnValue(null);
    expect(await brokenBy(BufferPool, 'overtaken-is-told')).toEqual(['overtaken-is-told']);
    overtaken.mockRestore();
    const named = vi.spyOn(CheckpointReader.prototype, 'isNamed').mockReturnValue(false);
    expect(await brokenBy(BufferPool, 'damage-is-told-from-overtaking')).toEqual(['damage-is-told-from-overtaking']);
    named.mockRestore();
    vi.spyOn(PageFile.prototype, 'verify').mockReturnValue();
    expect(await brokenBy(BufferPool, 'overtaken-is-told')).toEqual(['overtaken-is-told']);
  });

  it('a reader that takes the first superblock that does not match for damage', async () => {
    const Hasty = onFiles((file) => {
      let times = 0;
      return fileWith(file, {
        read: async (buffer, offset) => {
          // Eight times the same: as if it had looked once.
          if (offset !== 0 || times === 0) await file.read(buffer, offset);
          if (offset === 0 && times++ > 0) buffer.fill(1);
        },
      });
    });
    expect(await brokenBy(Hasty, 'reader-waits-for-superblocks')).toEqual(['reader-waits-for-superblocks']);
  });

  describe('between threads', () => {
    /** A pool that shares a part of its memory in name only: whoever attaches has a copy of it. */
    const copying = (...parts: (keyof PoolMemory)[]): PoolClass =>
      class extends BufferPool {
        override share(): PoolHandle {
          const handle = super.share();
          const memory: Record<string, unknown> = { ...handle.memory };
          for (const part of parts) memory[part] = copyOf(memory[part]);
          return { ...handle, memory: memory as unknown as PoolMemory };
        }
      };

    it('pages, versions, and counters that each thread has for itself', async () => {
      const ids = ['attached-has-the-same-pages', 'attached-keeps-the-tree'];
      expect(await brokenBy(copying('segments'), ...ids)).toEqual(ids);
      expect(await brokenBy(copying('frames'), ...ids)).toEqual(ids);
      expect(await brokenBy(copying('counters'), ...ids)).toEqual(['attached-keeps-the-tree']);
    });

    it('frames that each thread gives out from a list of its own', async () => {
      expect(await brokenBy(copying('blocks'), 'frames-are-given-once')).toEqual(['frames-are-given-once']);
    });

    it('a replacement policy that does not know which pages other threads brought in', async () => {
      expect(await brokenBy(copying('cooler'), 'attached-keeps-the-tree')).toEqual(['attached-keeps-the-tree']);
    });

    it('changes of other threads of which the checkpoint knows nothing', async () => {
      const ids = ['attached-changes-are-in-checkpoints'];
      expect(await brokenBy(copying('epochs'), ...ids)).toEqual(ids);
      expect(await brokenBy(copying('space'), ...ids)).toEqual(ids);
    });

    it('faulting that is on in all threads or in none, and loads that come to nothing', async () => {
      let faulting = false;
      class Common extends BufferPool {
        override child(parent: number, offset: number, version: number): number {
          Object.defineProperty(this, 'faulting', {
            get: () => faulting,
            set: (on: boolean) => {
              faulting = on;
            },
          });
          return super.child(parent, offset, version);
        }
      }
      class Alone extends BufferPool {
        override async loadFault(): Promise<void> {}
      }
      const ids = ['attached-faults-by-itself'];
      expect(await brokenBy(Common, ...ids)).toEqual(ids);
      expect(await brokenBy(Alone, ...ids)).toEqual(ids);
    });

    it('a checkpoint that does not wait for who is in the gate, and a gate that is left by the first of two leaves', async () => {
      vi.spyOn(Gate.prototype, 'whileClosed').mockImplementation((instant) => instant());
      const ids = ['gate-waits-for-all', 'verification-waits-for-all'];
      expect(await brokenBy(BufferPool, ...ids)).toEqual(ids);
      vi.restoreAllMocks();
      class Flat extends BufferPool {
        #depth = 0;
        override enterGate(): void {
          if (this.#depth++ === 0) super.enterGate();
        }
        override leaveGate(): void {
          if (this.#depth > 0) super.leaveGate();
          this.#depth = 0;
        }
      }
      expect(await brokenBy(Flat, 'gate-waits-for-all')).toEqual(['gate-waits-for-all']);
    });

    it('a latch that is not waited for', async () => {
      vi.spyOn(Latches.prototype, 'upgrade').mockReturnValue(true);
      vi.spyOn(Latches.prototype, 'unlatch').mockReturnValue(0);
      expect(await brokenBy(BufferPool, 'latch-waits-for-others')).toEqual(['latch-waits-for-others']);
    });

    it('anything that is taken for a handle', async () => {
      class Trusting extends BufferPool {
        override attach(request: PageStoreAttachRequest): Promise<void> {
          const { memory } = request.handle as PoolHandle;
          return memory === undefined ? Promise.reject(new TypeError('no memory')) : super.attach(request);
        }
      }
      class Easy extends BufferPool {
        override async attach(request: PageStoreAttachRequest): Promise<void> {
          await super.attach(request).catch(() => {});
        }
      }
      const ids = ['attach-refuses-what-is-no-handle', 'attaches-once'];
      expect(await brokenBy(Trusting, ...ids)).toEqual(ids.slice(0, 1));
      expect(await brokenBy(Easy, ...ids)).toEqual(ids);
    });

    it('checkpoints, verification and backups that any thread makes', async () => {
      class Anybody extends BufferPool {
        override async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
          return await super.checkpoint(steps).catch(() => ({}) as CheckpointResult);
        }
      }
      class Copying extends BufferPool {
        override async backup(request: BackupRequest): Promise<BackupResult> {
          return await super.backup(request).catch(() => ({}) as BackupResult);
        }
      }
      const ids = ['the-whole-store-is-its-owner-s'];
      expect(await brokenBy(Anybody, ...ids)).toEqual(ids);
      expect(await brokenBy(Copying, ...ids)).toEqual(ids);
    });

    it('a thread that closes the store for all others', async () => {
      const owners: BufferPool[] = [];
      class Closing extends BufferPool {
        override open(request: PageStoreOpenRequest): Promise<StoreState> {
          owners.push(this);
          return super.open(request);
        }
        override async close(): Promise<void> {
          await super.close();
          await Promise.all(owners.splice(0).map((owner) => owner.close()));
        }
      }
      expect(await brokenBy(Closing, 'attached-closes-alone')).toEqual(['attached-closes-alone']);
    });

    it('an owner that closes without a word, or without waiting', async () => {
      vi.spyOn(Threads.prototype, 'closeForOthers').mockResolvedValue();
      expect(await brokenBy(BufferPool, 'owner-closes-for-all')).toEqual(['owner-closes-for-all']);
      vi.restoreAllMocks();
      const { closeForOthers } = Threads.prototype;
      vi.spyOn(Threads.prototype, 'closeForOthers').mockImplementation(async function (this: Threads) {
        void closeForOthers.call(this);
      });
      expect(await brokenBy(BufferPool, 'owner-closes-for-all')).toEqual(['owner-closes-for-all']);
    });
  });
});

/** Memory of the same content that nobody else has. */
function copyOf(memory: unknown): unknown {
  if (memory instanceof SharedArrayBuffer) {
    const copy = new SharedArrayBuffer(memory.byteLength);
    new Uint8Array(copy).set(new Uint8Array(memory));
    return copy;
  }
  if (Array.isArray(memory)) return memory.map(copyOf);
  if (typeof memory !== 'object' || memory === null) return memory;
  return Object.fromEntries(Object.entries(memory).map(([name, part]) => [name, copyOf(part)]));
}
