/** Each fault breaks one thing in a page store that is sound; the clauses named must notice. Here: what it says of pages: how they are reached, kept, read ahead and evicted. */
import { BufferPool } from '@pagewright/bufferpool';
import { PAGE_KIND, PAGE_TIMESTAMP, RESTART, SWIP_NULL, SwipList, type SwipLocation } from '@pagewright/core';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { Arrivals } from '../../bufferpool/src/arrivals.js';
import { Latches } from '../../bufferpool/src/latches.js';
import { PageFile } from '../../bufferpool/src/page-file.js';
import { Placement } from '../../bufferpool/src/placement.js';
import { Residency } from '../../bufferpool/src/residency.js';
import { brokenBy } from './page-store-faulty.js';

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
});
