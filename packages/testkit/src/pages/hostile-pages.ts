/**
 * A page store in plain memory for tests of indexes. It keeps the contract of `PageStore` to the letter and uses all the
 * freedom that the contract leaves: at every call that may load, allocate or wait it moves and evicts pages that nobody
 * has latched or pinned, fills the frames that they left with rubbish, and pretends that other threads changed a page.
 * And it watches: bytes may change only between `modify` and `unlatch`, swips only by way of their table.
 *
 * What an index does wrong is an `Error` that says so; what a store may do to an index is a `PagewrightError`. It keeps
 * nothing: `checkpoint` and `close` do nothing.
 */
import {
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  PageFault,
  type PageStore,
  type PageStoreStats,
  PagewrightError,
  RESTART,
  type Segment,
  SWIP_COLD,
  SWIP_HOT,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  type SwipList,
  type SwipLocation,
  Threads,
} from '@pagewright/core';
import { Random } from '../random.js';
import { assertEachReachedOnce, countBelow } from './census.js';
import { CATALOG, Frames, NOWHERE } from './frames.js';
import { type Chances, type HostileCounts, Hostility, noCounts } from './hostility.js';
import type { HostilePagesOptions } from './options.js';
import { Placement } from './placement.js';
import { Residency } from './residency.js';
import { NO_FILE_STATS, VolatileStore } from './volatile-store.js';
import { Watch } from './watch.js';

/** The kind of the catalog page; no page of an index is read by it. */
const CATALOG_KIND = 0x7f;

export class HostilePages extends VolatileStore implements PageStore {
  readonly pageSize: number;
  readonly maxSizeClass: number;
  readonly threads = Threads.alone();
  readonly root: SwipLocation = { frame: CATALOG, offset: PAGE_HEADER_SIZE };
  faulting = false;
  scanned = 0;
  /** May be changed at any time. */
  readonly chances: Chances;
  readonly counts: HostileCounts = noCounts();
  /** The allocation after so many more fails with `PW_POOL_EXHAUSTED`; below 0 none does. Then it is -1 again. */
  failAllocation = -1;
  /** The `modify` after so many more fails with `PW_FULL`; below 0 none does. Then it is -1 again. */
  failModify = -1;
  /** After so many more calls that reach or latch a page the next one fails: a way that has no end ends here. */
  callsLeft = Number.POSITIVE_INFINITY;

  readonly #frames: Frames;
  readonly #watch: Watch;
  readonly #hostility: Hostility;
  readonly #residency: Residency;
  readonly #placement: Placement;
  readonly #pageFault = new PageFault();
  #fault: { readonly parent: number; readonly offset: number; readonly word: number } | null = null;
  readonly #arriving: { readonly parent: number; readonly offset: number; readonly word: number }[] = [];

  constructor(options: HostilePagesOptions = {}) {
    super();
    const { pageSize = 4096, maxSizeClass = 6, frames = 4096, roots = 4, watch = true, seed = 1 } = options;
    const { relocate = 0, evict = 0, interfere = 0, tear = 0, prefetch = 1 } = options;
    const random = new Random(seed);
    this.pageSize = pageSize;
    this.maxSizeClass = maxSizeClass;
    this.chances = { relocate, evict, interfere, tear, prefetch };
    this.#frames = new Frames(frames, pageSize, random);
    this.#watch = new Watch(this.#frames, watch);
    this.#hostility = new Hostility(this.#frames, random, this.chances, this.counts);
    this.#residency = new Residency(this.#frames, this.#watch, this.counts, maxSizeClass);
    this.#placement = new Placement(this.#frames, this.#watch, this.#residency);
    this.#makeCatalog(roots);
  }

  // ── For tests ───────────────────────────────────────────────────────────────────────────────────────────────

  /** The place for the root of an index: number 0 is that of `root`. */
  rootOf(index: number): SwipLocation {
    return { frame: CATALOG, offset: PAGE_HEADER_SIZE + SWIP_SIZE * index };
  }

  /** Pages that must be loaded cannot be: `PW_IO`. */
  get failLoads(): boolean {
    return this.#residency.failLoads;
  }
  set failLoads(fail: boolean) {
    this.#residency.failLoads = fail;
  }

  /** How many latches are held. */
  get latchesHeld(): number {
    return this.#watch.held;
  }

  /**
   * For when no operation runs: throws if a latch is held, if bytes have changed in secret, or if a page is not reached by exactly
   * one swip.
   */
  assertQuiet(): void {
    this.#hostility.mend();
    this.#watch.assertNoneHeld('the end of an operation');
    for (const frame of this.#frames.live) this.#watch.assertUnchanged(frame, 'was changed outside any operation');
    assertEachReachedOnce(this.#frames, this.#residency.cold);
  }

  /** How many pages the swip leads to, cold ones included. Loads none. */
  countPages(location: SwipLocation): number {
    return countBelow(this.#frames, this.#residency.cold, location.frame, location.offset);
  }

  /** Calls back with each page that a swip leads to, loaded and in memory while it lasts, parents first. Nothing moves. */
  walk(location: SwipLocation, visit: (frame: number, offsetInParent: number, parent: number) => void): void {
    this.#hostility.mend();
    this.#placement.walk(location.frame, location.offset, visit);
  }

  /** Tells the store that a test has changed a page behind its back. */
  acceptBytes(frame: number): void {
    this.#watch.remember(frame);
  }

  /** Evicts what can be evicted: afterwards all pages but the catalog's are cold, if none is pinned or latched. */
  evictAll(): void {
    this.#hostility.mend();
    const { live } = this.#frames;
    for (let before = -1; before !== live.length; ) {
      before = live.length;
      for (const frame of [...live]) this.#residency.evict(frame);
    }
  }

  stats(): PageStoreStats {
    const { count, live } = this.#frames;
    return {
      ...NO_FILE_STATS,
      pageSize: this.pageSize,
      memoryBytes: count * this.pageSize,
      frames: count,
      freeFrames: count - live.length,
      misses: this.counts.loads,
      pageReads: this.counts.loads,
      evictions: this.counts.evictions,
      relocations: this.counts.relocations,
    };
  }

  // ── Addressing ──────────────────────────────────────────────────────────────────────────────────────────────

  segmentOf(frame: number): Segment {
    return this.#frames.segmentOf(frame);
  }

  baseOf(frame: number): number {
    return this.#frames.baseOf(frame);
  }

  sizeOf(frame: number): number {
    return this.#frames.sizeOf(frame);
  }

  // ── Latches ─────────────────────────────────────────────────────────────────────────────────────────────────

  readVersion(frame: number): number {
    this.#countCall();
    if (this.#watch.isLatched(frame))
      throw new Error(`The version of frame ${frame} is waited for by the thread that has its latch`);
    const version = this.#frames.versions[frame]!;
    this.#hostility.mayTear(frame);
    return version;
  }

  validate(frame: number, version: number): boolean {
    if (this.#watch.isLatched(frame))
      throw new Error(`Frame ${frame} is validated by the thread that has its latch, and never will be`);
    this.#hostility.mend(frame);
    this.#hostility.mayInterfere(frame);
    return this.#frames.versions[frame] === version;
  }

  upgrade(frame: number, version: number): boolean {
    if (!this.validate(frame, version)) return false;
    this.#watch.hold(frame);
    return true;
  }

  latch(frame: number): void {
    this.#countCall();
    this.#disturb();
    this.#watch.hold(frame);
  }

  unlatch(frame: number): number {
    this.#watch.assertLatched(frame, 'unlatched');
    this.#watch.endChange(frame);
    this.#watch.letGo(frame);
    this.#frames.touch(frame);
    return this.#frames.versions[frame]!;
  }

  // ── Reaching pages ──────────────────────────────────────────────────────────────────────────────────────────

  child(parent: number, offset: number, parentVersion: number): number {
    this.#countCall();
    if (this.#watch.isLatched(parent)) throw new Error(`child is called for frame ${parent}, whose latch is held`);
    this.#watch.assertNoneHeld('child');
    this.#disturb();
    const word = this.#frames.word(parent, offset);
    // As in a real store the word is bounded, and no more: the caller validates the parent.
    if ((word & SWIP_TAG_MASK) === SWIP_HOT && word >>> 2 < this.#frames.count) return word >>> 2;
    if (this.#frames.versions[parent] !== parentVersion) return RESTART;
    if (this.faulting && (word & SWIP_TAG_MASK) === SWIP_COLD) {
      this.#fault = { parent, offset, word };
      throw this.#pageFault;
    }
    this.#residency.resolve(parent, offset);
    this.#frames.touch(parent);
    return RESTART;
  }

  childOfLatched(parent: number, offset: number): number {
    this.#countCall();
    this.#watch.assertLatched(parent, 'asked for a child');
    this.#disturb();
    return this.#residency.resolve(parent, offset);
  }

  enterGate(): void {}
  leaveGate(): void {}

  async loadFault(): Promise<void> {
    const fault = this.#fault;
    this.#fault = null;
    if (fault === null || this.#frames.word(fault.parent, fault.offset) !== fault.word) return;
    this.#residency.resolve(fault.parent, fault.offset);
    this.#frames.touch(fault.parent);
  }

  /** Loads what is asked for as far as the chance allows, at once: that is as soon as it could ever arrive. */
  prefetch(swips: SwipList): number {
    this.#countCall();
    this.#watch.assertNoneHeld('prefetch');
    this.#disturb();
    let at = 0;
    for (; at < swips.count; at++) {
      const parent = swips.parents[at]!;
      const offset = swips.offsets[at]!;
      if (this.#frames.versions[parent] !== swips.versions[at]) break;
      if (!this.isSwip(parent, offset)) continue;
      const word = this.#frames.word(parent, offset);
      if ((word & SWIP_TAG_MASK) !== SWIP_COLD) continue;
      this.counts.wanted++;
      this.#arriving.push({ parent, offset, word });
    }
    for (const { parent, offset, word } of this.#arriving.splice(0)) {
      const comes = !this.failLoads && this.#hostility.lets(this.chances.prefetch);
      if (!comes || !this.#frames.isLive(parent) || this.#frames.word(parent, offset) !== word) continue;
      this.#residency.resolve(parent, offset);
      this.#frames.touch(parent);
    }
    return at;
  }

  /** Throws where there is none: no index asks for such a thing. */
  protected isSwip(parent: number, offset: number): boolean {
    if (this.#frames.swips(parent).includes(offset)) return true;
    throw new Error(`There is no swip at ${offset} of frame ${parent}`);
  }

  // ── Changing pages ──────────────────────────────────────────────────────────────────────────────────────────

  modify(frame: number, timestamp: number): void {
    this.#watch.assertLatched(frame, 'modified');
    if (this.failModify >= 0 && this.failModify-- === 0)
      throw new PagewrightError('PW_FULL', 'This call of modify was told to fail.');
    this.counts.marks++;
    const { f64 } = this.#frames.segmentOf(frame);
    const at = (this.#frames.baseOf(frame) + PAGE_TIMESTAMP) >>> 3;
    const stamp = Math.max(f64[at]!, timestamp);
    // Looks at the bytes first: what has changed by now has changed too early.
    this.#watch.beginChange(frame, stamp);
    f64[at] = stamp;
  }

  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
    if (!(sizeClass >= 0 && sizeClass <= this.maxSizeClass)) throw new Error(`There is no size class ${sizeClass}`);
    this.#disturb();
    if (this.failAllocation >= 0 && this.failAllocation-- === 0)
      throw new PagewrightError('PW_POOL_EXHAUSTED', 'This allocation was told to fail.');
    this.counts.allocations++;
    const frame = this.#frames.take(sizeClass);
    this.#format(frame, index, kind, timestamp);
    return frame;
  }

  link(parent: number, offset: number, child: number): void {
    this.#placement.link(parent, offset, child);
  }

  unlink(parent: number, offset: number): number {
    return this.#placement.unlink(parent, offset);
  }

  free(frame: number): void {
    this.#placement.free(frame);
  }

  discard(parent: number, offset: number): void {
    this.#placement.discard(parent, offset);
  }

  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    this.#placement.moveSwips(from, fromOffset, to, toOffset, count, stride);
  }

  releaseTree({ frame, offset }: SwipLocation, timestamp: number, budget: number): boolean {
    this.latch(frame);
    this.modify(frame, timestamp);
    const left = this.#placement.releaseBelow(frame, offset, budget, (page) => this.modify(page, timestamp));
    this.unlatch(frame);
    return left >= 0;
  }

  pin(frame: number): void {
    this.#frames.pins[frame]!++;
  }

  unpin(frame: number): void {
    this.#frames.pins[frame]!--;
  }

  #makeCatalog(roots: number): void {
    this.#format(this.#frames.take(0), 0, CATALOG_KIND, 0);
    const { u16, u32 } = this.#frames.segmentOf(CATALOG);
    u32[PAGE_SWIP_OFFSET >>> 2] = PAGE_HEADER_SIZE;
    u16[PAGE_SWIP_COUNT >>> 1] = roots;
    u16[PAGE_SWIP_STRIDE >>> 1] = SWIP_SIZE;
    u32.fill(0, PAGE_HEADER_SIZE >>> 2, (PAGE_HEADER_SIZE + SWIP_SIZE * roots) >>> 2);
    this.pin(CATALOG);
    this.unlatch(CATALOG);
  }

  /** A new page: latched, changing, and nowhere in the tree. */
  #format(frame: number, index: number, kind: number, timestamp: number): void {
    this.#frames.format(frame, index, kind, timestamp);
    this.#watch.remember(frame);
    this.#watch.hold(frame);
    this.#watch.beginChange(frame, timestamp);
  }

  /** What may happen at any call that can load, allocate or wait. */
  #disturb(): void {
    this.#hostility.mend();
    const moving = this.#hostility.pickToRelocate();
    if (moving !== NOWHERE) this.#residency.relocate(moving);
    const leaving = this.#hostility.pickToEvict();
    if (leaving !== NOWHERE) this.#residency.evict(leaving);
  }

  #countCall(): void {
    if (this.callsLeft-- <= 0) throw new Error('The index goes round and round: it reaches for pages without end');
  }
}
