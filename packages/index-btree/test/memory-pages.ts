/**
 * A page store in plain memory for tests of indexes. It keeps the contract of `PageStore` to the letter and uses all the
 * freedom that the contract leaves: at every call that may load, allocate or wait it moves and evicts pages that nobody
 * has latched or pinned, fills the frames that they left with rubbish, and pretends that other threads changed a page.
 * And it watches: bytes may change only between `modify` and `unlatch`, swips only by way of their table.
 */
import {
  type CheckpointResult,
  type CheckpointSteps,
  foldAddress,
  NO_LOG,
  PAGE_CLASS,
  PAGE_EPOCH,
  PAGE_HEADER_SIZE,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  PageFault,
  type PageStore,
  type PageStoreStats,
  PagewrightError,
  RESTART,
  Segment,
  type StoreState,
  SWIP_COLD,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_TAG_MASK,
  type SwipLocation,
  sizeClassOf,
  type VerifyProgress,
} from '@pagewright/core';

export interface MemoryPagesOptions {
  readonly pageSize?: number;
  readonly maxSizeClass?: number;
  /** Frames for pages of class 0. Default: 4096. */
  readonly frames?: number;
  /** How many roots of indexes the catalog page has. Default: 4. */
  readonly roots?: number;
  /** Watches bytes and latches. Default: true. */
  readonly watch?: boolean;
  /** Seed of everything that happens by chance. */
  readonly seed?: number;
  /** Chances from 0 to 1, at each call at which it may happen. Default: 0. */
  readonly relocate?: number;
  readonly evict?: number;
  /** That a validation fails, or a latch is not got, because "another thread" was there. */
  readonly interfere?: number;
  /** That a page is read while "another thread" is writing it: full of rubbish, until the next call that would tell. */
  readonly tear?: number;
}

const FREE = 0;
const LIVE = 1;
const NOWHERE = -1;
const CATALOG = 0;
const CATALOG_KIND = 0x7f;
const RUBBISH = 0xdb;
const UNITS_PER_SEGMENT = 1024;

export class MemoryPages implements PageStore {
  readonly pageSize: number;
  readonly maxSizeClass: number;
  readonly root: SwipLocation = { frame: CATALOG, offset: PAGE_HEADER_SIZE };
  faulting = false;
  /** The allocation after so many more fails with `PW_POOL_EXHAUSTED`; below 0 none does. */
  failAllocation = -1;
  /** The `modify` after so many more fails with `PW_FULL`; below 0 none does. */
  failModify = -1;
  /** Pages that must be loaded cannot be: `PW_IO`. */
  failLoads = false;
  relocate: number;
  evict: number;
  interfere: number;
  tear: number;
  readonly counts = { tears: 0, relocations: 0, evictions: 0, loads: 0, allocations: 0, interferences: 0 };

  readonly #frames: number;
  readonly #watch: boolean;
  readonly #segments: Segment[] = [];
  readonly #versions: Int32Array;
  readonly #states: Uint8Array;
  readonly #classes: Uint8Array;
  readonly #parents: Int32Array;
  readonly #pins: Uint8Array;
  readonly #latched: Uint8Array;
  readonly #modified: Uint8Array;
  readonly #free: number[][] = [];
  #unused = 1;
  #nextAddress = 1;
  readonly #cold = new Map<number, Uint8Array>();
  /** What each page looked like when its latch was last given back. */
  readonly #shadows = new Map<number, Uint8Array>();
  readonly #live: number[] = [];
  #held = 0;
  #fault: { parent: number; offset: number; word: number } | null = null;
  readonly #pageFault = new PageFault();
  #random: number;
  /** A page that is being torn, and its bytes. */
  #torn: { readonly frame: number; readonly bytes: Uint8Array } | null = null;

  constructor(options: MemoryPagesOptions = {}) {
    this.pageSize = options.pageSize ?? 4096;
    this.maxSizeClass = options.maxSizeClass ?? 6;
    this.#frames = options.frames ?? 4096;
    this.#watch = options.watch ?? true;
    this.#random = options.seed ?? 1;
    this.relocate = options.relocate ?? 0;
    this.evict = options.evict ?? 0;
    this.interfere = options.interfere ?? 0;
    this.tear = options.tear ?? 0;
    this.#versions = new Int32Array(this.#frames);
    this.#states = new Uint8Array(this.#frames);
    this.#classes = new Uint8Array(this.#frames);
    this.#parents = new Int32Array(this.#frames).fill(NOWHERE);
    this.#pins = new Uint8Array(this.#frames);
    this.#latched = new Uint8Array(this.#frames);
    this.#modified = new Uint8Array(this.#frames);
    const roots = options.roots ?? 4;
    this.#setUp(CATALOG, 0, 0, CATALOG_KIND, 0);
    const { u16, u32 } = this.segmentOf(CATALOG);
    u32[PAGE_SWIP_OFFSET >>> 2] = PAGE_HEADER_SIZE;
    u16[PAGE_SWIP_COUNT >>> 1] = roots;
    u16[PAGE_SWIP_STRIDE >>> 1] = 8;
    u32.fill(0, PAGE_HEADER_SIZE >>> 2, (PAGE_HEADER_SIZE + 8 * roots) >>> 2);
    this.#letGo(CATALOG);
    this.#pins[CATALOG] = 1;
    this.#remember(CATALOG);
  }

  /** The place for the root of an index. */
  rootOf(index: number): SwipLocation {
    return { frame: CATALOG, offset: PAGE_HEADER_SIZE + 8 * index };
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  async open(): Promise<StoreState> {
    const mark = { timestamp: 0, log: NO_LOG };
    return { created: true, storeId: '0'.repeat(32), epoch: 0, mark, usedOlderSlot: false };
  }
  async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
    const mark = steps.gate();
    await steps.secureLog(mark);
    return { epoch: 1, mark, olderMark: mark, pagesWritten: 0, bytesWritten: 0, durationMs: 0 };
  }
  async verify(): Promise<VerifyProgress> {
    throw new Error('There is no file, so there is nothing to verify');
  }
  async close(): Promise<void> {}

  stats(): PageStoreStats {
    const free = this.#frames - this.#live.length;
    return {
      pageSize: this.pageSize,
      memoryBytes: this.#frames * this.pageSize,
      frames: this.#frames,
      freeFrames: free,
      coolFrames: 0,
      dirtyFrames: 0,
      pageReads: this.counts.loads,
      pageWrites: 0,
      evictions: this.counts.evictions,
      cooled: 0,
      rewarmed: 0,
      relocations: this.counts.relocations,
      restarts: 0,
      checkpoints: 0,
      fileBytes: 0,
      freeFileBytes: 0,
      retainedFileBytes: 0,
    };
  }

  // ── Addressing ──────────────────────────────────────────────────────────────────────────────────────────────

  segmentOf(frame: number): Segment {
    const at = (frame / UNITS_PER_SEGMENT) | 0;
    return this.#segments[at] ?? this.#addSegments(at);
  }
  baseOf(frame: number): number {
    return (frame % UNITS_PER_SEGMENT) * this.pageSize;
  }
  sizeOf(frame: number): number {
    return this.pageSize << this.#classes[frame]!;
  }

  // ── Latches ─────────────────────────────────────────────────────────────────────────────────────────────────

  readVersion(frame: number): number {
    if (this.#latched[frame]) throw new Error(`Frame ${frame} is read without its latch by the thread that holds it`);
    const version = this.#versions[frame]!;
    if (this.tear > 0 && this.#chance() < this.tear) this.#tear(frame);
    return version;
  }
  validate(frame: number, version: number): boolean {
    if (this.#latched[frame]) throw new Error(`Frame ${frame} is validated by the thread that holds its latch`);
    this.#mend(frame);
    this.#interfere(frame);
    return this.#versions[frame] === version;
  }
  upgrade(frame: number, version: number): boolean {
    if (this.#latched[frame]) throw new Error(`Frame ${frame} is latched twice`);
    this.#mend(frame);
    this.#interfere(frame);
    if (this.#versions[frame] !== version) return false;
    this.#hold(frame);
    return true;
  }
  latch(frame: number): void {
    this.#disturb();
    if (this.#latched[frame]) throw new Error(`Frame ${frame} is latched twice`);
    this.#hold(frame);
  }
  unlatch(frame: number): void {
    this.#assertLatched(frame, 'unlatched');
    if (this.#modified[frame]) this.#remember(frame);
    else this.#assertUnchanged(frame, 'was changed without modify');
    this.#letGo(frame);
    this.#touch(frame);
  }

  // ── Reaching pages ──────────────────────────────────────────────────────────────────────────────────────────

  child(parent: number, offset: number, parentVersion: number): number {
    if (this.#latched[parent]) throw new Error(`child is called for frame ${parent}, whose latch is held`);
    this.#assertNoLatch('child');
    this.#disturb();
    const word = this.#word(parent, offset);
    // As in a real store the word is bounded, and no more: the caller validates the parent.
    if ((word & SWIP_TAG_MASK) === SWIP_HOT && word >>> 2 < this.#frames) return word >>> 2;
    if (this.#versions[parent] !== parentVersion) return RESTART;
    if (this.faulting && (word & SWIP_TAG_MASK) === SWIP_COLD) {
      this.#fault = { parent, offset, word };
      throw this.#pageFault;
    }
    this.#resolve(parent, offset);
    this.#touch(parent);
    return RESTART;
  }
  childOfLatched(parent: number, offset: number): number {
    this.#assertLatched(parent, 'asked for a child');
    this.#disturb();
    return this.#resolve(parent, offset);
  }
  async loadFault(): Promise<void> {
    const fault = this.#fault;
    this.#fault = null;
    if (fault === null || this.#word(fault.parent, fault.offset) !== fault.word) return;
    this.#resolve(fault.parent, fault.offset);
    this.#touch(fault.parent);
  }

  // ── Changing pages ──────────────────────────────────────────────────────────────────────────────────────────

  modify(frame: number, timestamp: number): void {
    this.#assertLatched(frame, 'modified');
    if (!this.#modified[frame]) this.#assertUnchanged(frame, 'was changed before modify');
    if (this.failModify === 0) {
      this.failModify = -1;
      throw new PagewrightError('PW_FULL', 'This call of modify was told to fail.');
    }
    if (this.failModify > 0) this.failModify--;
    this.#modified[frame] = 1;
    const { f64 } = this.segmentOf(frame);
    const at = (this.baseOf(frame) + PAGE_TIMESTAMP) >>> 3;
    f64[at] = Math.max(f64[at]!, timestamp);
  }
  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
    if (sizeClass < 0 || sizeClass > this.maxSizeClass) throw new Error(`There is no size class ${sizeClass}`);
    this.#disturb();
    if (this.failAllocation === 0) {
      this.failAllocation = -1;
      throw new PagewrightError('PW_POOL_EXHAUSTED', 'This allocation was told to fail.');
    }
    if (this.failAllocation > 0) this.failAllocation--;
    this.counts.allocations++;
    const frame = this.#take(sizeClass);
    this.#setUp(frame, sizeClass, index, kind, timestamp);
    return frame;
  }
  link(parent: number, offset: number, child: number): void {
    this.#assertChanging(parent, 'link');
    this.#assertInTable(parent, offset, 1, 8);
    if (this.#parents[child] !== NOWHERE) throw new Error(`Frame ${child} is linked twice`);
    if (this.#word(parent, offset) !== SWIP_NULL) throw new Error(`A swip of frame ${parent} is written over`);
    this.#swizzle(parent, offset, child);
  }
  unlink(parent: number, offset: number): number {
    this.#assertChanging(parent, 'unlink');
    if (this.#word(parent, offset) === SWIP_NULL) return NOWHERE;
    const frame = this.#resolve(parent, offset);
    this.#parents[frame] = NOWHERE;
    this.#setSwip(parent, offset, SWIP_NULL);
    return frame;
  }
  free(frame: number): void {
    this.#assertLatched(frame, 'freed');
    if (this.#parents[frame] !== NOWHERE) throw new Error(`Frame ${frame} is freed in its place`);
    for (const offset of this.#swips(frame))
      if (this.#word(frame, offset) !== SWIP_NULL) throw new Error(`Frame ${frame} is freed with children`);
    this.#release(frame);
  }
  discard(parent: number, offset: number): void {
    this.#assertChanging(parent, 'discard');
    const word = this.#word(parent, offset);
    if (word === SWIP_NULL) return;
    if ((word & SWIP_TAG_MASK) === SWIP_COLD) {
      if (!this.#cold.delete(word)) throw new Error(`A swip of frame ${parent} names nothing`);
      this.#setSwip(parent, offset, SWIP_NULL);
      return;
    }
    const frame = this.unlink(parent, offset);
    if (this.#latched[frame]) throw new Error(`Frame ${frame} is discarded while its latch is held`);
    this.#hold(frame);
    this.free(frame);
  }
  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    this.#assertChanging(from, 'moveSwips');
    this.#assertChanging(to, 'moveSwips');
    if (from === to) throw new Error('Swips are moved within one page');
    this.#assertInTable(from, fromOffset, count, stride);
    this.#assertInTable(to, toOffset, count, stride);
    for (let i = 0; i < count; i++) {
      const word = this.#word(from, fromOffset + i * stride);
      if (this.#word(to, toOffset + i * stride) !== SWIP_NULL)
        throw new Error(`A swip of frame ${to} is written over by another`);
      this.#setSwip(to, toOffset + i * stride, word);
      this.#setSwip(from, fromOffset + i * stride, SWIP_NULL);
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) this.#parents[word >>> 2] = to;
    }
  }
  releaseTree(location: SwipLocation, timestamp: number, budget: number): boolean {
    const left = { pages: budget };
    this.latch(location.frame);
    this.modify(location.frame, timestamp);
    const done = this.#releaseBelow(location.frame, location.offset, timestamp, left);
    this.unlatch(location.frame);
    return done;
  }
  secureSpace(): void {}
  pin(frame: number): void {
    this.#pins[frame]!++;
  }
  unpin(frame: number): void {
    this.#pins[frame]!--;
  }

  // ── For tests ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Throws if a latch is held, if bytes have changed in secret, or if a page is neither reached nor free. */
  assertQuiet(): void {
    this.#mend();
    this.#assertNoLatch('the end of an operation');
    const reached = new Set<number>();
    const cold = new Set<number>();
    this.#reach(CATALOG, reached, cold);
    for (const frame of this.#live) {
      if (!reached.has(frame)) throw new Error(`The page in frame ${frame} was lost`);
      this.#assertUnchanged(frame, 'was changed outside any operation');
    }
    for (const word of this.#cold.keys()) if (!cold.has(word)) throw new Error('A page that was evicted was lost');
  }

  /** Calls back with each page that a swip leads to, in memory while it lasts, parents first. Nothing is disturbed. */
  walk(location: SwipLocation, visit: (frame: number, offsetInParent: number, parent: number) => void): void {
    const { relocate, evict } = this;
    this.relocate = this.evict = 0;
    this.#mend();
    this.#walk(location.frame, location.offset, visit);
    this.relocate = relocate;
    this.evict = evict;
  }

  /** Tells the store that a test has changed a page behind its back. */
  acceptBytes(frame: number): void {
    this.#remember(frame);
  }

  /** Evicts what can be evicted: afterwards all pages but the catalog's are cold. */
  evictAll(): void {
    for (let before = -1; before !== this.#live.length; ) {
      before = this.#live.length;
      for (const frame of [...this.#live]) this.#tryEvict(frame);
    }
  }

  #walk(parent: number, offset: number, visit: (frame: number, offset: number, parent: number) => void): void {
    if (this.#word(parent, offset) === SWIP_NULL) return;
    const frame = this.#resolve(parent, offset);
    visit(frame, offset, parent);
    for (const swip of this.#swips(frame)) this.#walk(frame, swip, visit);
  }

  #reach(frame: number, reached: Set<number>, cold: Set<number>): void {
    reached.add(frame);
    for (const offset of this.#swips(frame)) {
      const word = this.#word(frame, offset);
      if (word === SWIP_NULL) continue;
      const isHot = (word & SWIP_TAG_MASK) === SWIP_HOT;
      if (!isHot) this.#reachCold(word, cold);
      else if (this.#parents[word >>> 2] === frame && !reached.has(word >>> 2)) this.#reach(word >>> 2, reached, cold);
      else throw new Error(`Frame ${frame} has a swip that is none at ${offset}`);
    }
  }

  #reachCold(word: number, cold: Set<number>): void {
    const bytes = this.#cold.get(word);
    if (bytes === undefined || cold.has(word)) throw new Error('A swip names a page that is not there, or one twice');
    cold.add(word);
    for (const below of coldSwips(bytes)) this.#reachCold(below, cold);
  }

  #releaseBelow(parent: number, offset: number, timestamp: number, left: { pages: number }): boolean {
    if (this.#word(parent, offset) === SWIP_NULL) return true;
    if (left.pages === 0) return false;
    const frame = this.#resolve(parent, offset);
    this.latch(frame);
    this.modify(frame, timestamp);
    for (const swip of this.#swips(frame)) {
      if (!this.#releaseBelow(frame, swip, timestamp, left)) {
        this.unlatch(frame);
        return false;
      }
    }
    if (left.pages-- <= 0) {
      this.unlatch(frame);
      return false;
    }
    this.unlink(parent, offset);
    this.free(frame);
    return true;
  }

  // ── Hostility ───────────────────────────────────────────────────────────────────────────────────────────────

  #chance(): number {
    this.#random = (this.#random + 0x6d2b79f5) | 0;
    let t = Math.imul(this.#random ^ (this.#random >>> 15), 1 | this.#random);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  }

  #disturb(): void {
    this.#mend();
    if (this.relocate > 0 && this.#chance() < this.relocate) this.#tryRelocate(this.#anyPage());
    if (this.evict > 0 && this.#chance() < this.evict) this.#tryEvict(this.#anyPage());
  }

  #interfere(frame: number): void {
    if (this.interfere === 0 || this.#chance() >= this.interfere) return;
    this.counts.interferences++;
    this.#touch(frame);
  }

  #tear(frame: number): void {
    if (this.#torn !== null || this.#states[frame] !== LIVE || frame === CATALOG) return;
    const bytes = this.#bytes(frame);
    this.#torn = { frame, bytes: bytes.slice() };
    this.counts.tears++;
    const everywhere = this.#chance() < 0.3;
    const changes = everywhere ? bytes.length : 1 + Math.floor(this.#chance() * 40);
    const reach = this.#chance() < 0.5 ? 96 : bytes.length;
    for (let i = 0; i < changes; i++) {
      bytes[everywhere ? i : Math.floor(this.#chance() * reach)] = this.#chance() < 0.3 ? 0xff : this.#chance() * 256;
    }
    this.#touch(frame);
  }

  /** The other thread is done: whoever looks at the version sees it. */
  #mend(asked = NOWHERE): void {
    if (this.#torn === null || (asked !== NOWHERE && asked !== this.#torn.frame)) return;
    const { frame, bytes } = this.#torn;
    this.#torn = null;
    this.#bytes(frame).set(bytes);
  }

  #anyPage(): number {
    return this.#live[Math.floor(this.#chance() * this.#live.length)]!;
  }

  #mayMove(frame: number): boolean {
    return this.#parents[frame] !== NOWHERE && this.#pins[frame] === 0 && this.#latched[frame] === 0;
  }

  #tryRelocate(frame: number): void {
    if (!this.#mayMove(frame)) return;
    const parent = this.#parents[frame]!;
    const offset = this.#swipTo(parent, frame);
    const sizeClass = this.#classes[frame]!;
    const target = this.#take(sizeClass);
    const bytes = this.#bytes(frame).slice();
    this.#enter(target, sizeClass);
    this.segmentOf(target).u8.set(bytes, this.baseOf(target));
    for (const swip of this.#swips(target)) {
      const word = this.#word(target, swip);
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) this.#parents[word >>> 2] = target;
    }
    if (this.#watch) this.#shadows.set(target, bytes);
    this.#parents[frame] = NOWHERE;
    this.#release(frame);
    this.#swizzle(parent, offset, target);
    this.#touch(parent);
    this.#touch(target);
    this.counts.relocations++;
  }

  #tryEvict(frame: number): void {
    if (this.#states[frame] !== LIVE || !this.#mayMove(frame)) return;
    for (const offset of this.#swips(frame)) if ((this.#word(frame, offset) & SWIP_TAG_MASK) === SWIP_HOT) return;
    const parent = this.#parents[frame]!;
    const offset = this.#swipTo(parent, frame);
    // Any unit that is aligned to the size of the page will do for a name.
    const folded = foldAddress(this.#nextAddress++ * 2 ** this.maxSizeClass, this.#classes[frame]!);
    const word = ((folded << 2) | SWIP_COLD) >>> 0;
    this.#cold.set(word, this.#bytes(frame).slice());
    this.#setSwip(parent, offset, word);
    this.#parents[frame] = NOWHERE;
    this.#release(frame);
    this.#touch(parent);
    this.counts.evictions++;
  }

  // ── Frames and swips ────────────────────────────────────────────────────────────────────────────────────────

  #resolve(parent: number, offset: number): number {
    const word = this.#word(parent, offset);
    const tag = word & SWIP_TAG_MASK;
    if (tag === SWIP_HOT && word >>> 2 < this.#frames && this.#parents[word >>> 2] === parent) return word >>> 2;
    const bytes = tag === SWIP_COLD ? this.#cold.get(word) : undefined;
    if (bytes === undefined)
      throw new PagewrightError('PW_CORRUPT_PAGE', `There is no swip at ${offset} of frame ${parent}.`);
    if (this.failLoads) throw new PagewrightError('PW_IO', 'This load was told to fail.');
    const frame = this.#take(sizeClassOf(word >>> 2));
    this.#enter(frame, sizeClassOf(word >>> 2));
    this.segmentOf(frame).u8.set(bytes, this.baseOf(frame));
    if (this.#watch) this.#shadows.set(frame, bytes);
    this.#cold.delete(word);
    this.#swizzle(parent, offset, frame);
    this.counts.loads++;
    return frame;
  }

  #take(sizeClass: number): number {
    const list = this.#free[sizeClass];
    if (list !== undefined && list.length > 0) {
      const at = Math.floor(this.#chance() * list.length);
      const frame = list[at]!;
      list[at] = list[list.length - 1]!;
      list.pop();
      return frame;
    }
    const units = 2 ** sizeClass;
    if (units > UNITS_PER_SEGMENT) throw new Error(`Pages of class ${sizeClass} are larger than a segment`);
    // A page does not reach from one segment into the next.
    const room = UNITS_PER_SEGMENT - (this.#unused % UNITS_PER_SEGMENT);
    const frame = units <= room ? this.#unused : this.#unused + room;
    if (frame + units > this.#frames)
      throw new PagewrightError('PW_POOL_EXHAUSTED', 'The frames of the test store are used up.');
    this.#unused = frame + units;
    return frame;
  }

  #enter(frame: number, sizeClass: number): void {
    this.#states[frame] = LIVE;
    this.#classes[frame] = sizeClass;
    this.#parents[frame] = NOWHERE;
    this.#live.push(frame);
  }

  #setUp(frame: number, sizeClass: number, index: number, kind: number, timestamp: number): void {
    this.#enter(frame, sizeClass);
    if (this.#watch) this.#bytes(frame).fill(RUBBISH);
    const { u8, u16, u32, f64 } = this.segmentOf(frame);
    const base = this.baseOf(frame);
    u16[(base + PAGE_KIND) >>> 1] = kind;
    u8[base + PAGE_CLASS] = sizeClass;
    u8[base + PAGE_CLASS + 1] = 0;
    u32[(base + PAGE_INDEX) >>> 2] = index;
    f64[(base + PAGE_TIMESTAMP) >>> 3] = timestamp;
    u32.fill(0, (base + PAGE_SWIP_OFFSET) >>> 2, (base + PAGE_EPOCH + 8) >>> 2);
    this.#hold(frame);
    this.#modified[frame] = 1;
  }

  #release(frame: number): void {
    if (this.#watch) this.#bytes(frame).fill(RUBBISH);
    const sizeClass = this.#classes[frame]!;
    this.#states[frame] = FREE;
    this.#classes[frame] = 0;
    this.#letGo(frame);
    this.#shadows.delete(frame);
    this.#live.splice(this.#live.lastIndexOf(frame), 1);
    this.#touch(frame);
    let list = this.#free[sizeClass];
    if (list === undefined) this.#free[sizeClass] = list = [];
    list.push(frame);
  }

  #hold(frame: number): void {
    this.#latched[frame] = 1;
    this.#held++;
  }
  #letGo(frame: number): void {
    if (this.#latched[frame]) this.#held--;
    this.#latched[frame] = 0;
    this.#modified[frame] = 0;
  }

  /** Whoever read the page before has to start again. Of a latched page `unlatch` sees to it. */
  #touch(frame: number): void {
    this.#versions[frame] = (this.#versions[frame]! + 4) | 0;
  }

  #addSegments(upTo: number): Segment {
    while (this.#segments.length <= upTo)
      this.#segments.push(new Segment(new SharedArrayBuffer(UNITS_PER_SEGMENT * this.pageSize)));
    return this.#segments[upTo]!;
  }

  #bytes(frame: number): Uint8Array {
    const base = this.baseOf(frame);
    return this.segmentOf(frame).u8.subarray(base, base + this.sizeOf(frame));
  }

  #word(frame: number, offset: number): number {
    return this.segmentOf(frame).u32[(this.baseOf(frame) + offset) >>> 2]!;
  }

  #swizzle(parent: number, offset: number, frame: number): void {
    this.#setSwip(parent, offset, ((frame << 2) | SWIP_HOT) >>> 0);
    this.#parents[frame] = parent;
  }

  #setSwip(frame: number, offset: number, word: number): void {
    const { u32 } = this.segmentOf(frame);
    const at = (this.baseOf(frame) + offset) >>> 2;
    const checksum = (word & SWIP_TAG_MASK) === SWIP_COLD ? word ^ 0x5a5a5a5a : 0;
    u32[at] = word;
    u32[at + 1] = checksum;
    const shadow = this.#shadows.get(frame);
    if (shadow === undefined) return;
    const view = new DataView(shadow.buffer, shadow.byteOffset);
    view.setUint32(offset, word, true);
    view.setUint32(offset + 4, checksum >>> 0, true);
  }

  /** Offsets of the swips of a page. */
  *#swips(frame: number): Generator<number> {
    const { u16, u32 } = this.segmentOf(frame);
    const base = this.baseOf(frame);
    const offset = u32[(base + PAGE_SWIP_OFFSET) >>> 2]!;
    const count = u16[(base + PAGE_SWIP_COUNT) >>> 1]!;
    const stride = u16[(base + PAGE_SWIP_STRIDE) >>> 1]!;
    if (count > 0 && (offset % 8 !== 0 || stride % 8 !== 0 || stride < 8))
      throw new Error('A swip table is not aligned');
    if (count > 0 && offset + (count - 1) * stride + 8 > this.sizeOf(frame))
      throw new Error('A swip table is too long');
    for (let i = 0; i < count; i++) yield offset + i * stride;
  }

  #swipTo(parent: number, frame: number): number {
    const word = ((frame << 2) | SWIP_HOT) >>> 0;
    for (const offset of this.#swips(parent)) if (this.#word(parent, offset) === word) return offset;
    throw new Error(`The swip of frame ${frame} is not in the table of its parent ${parent}`);
  }

  // ── Watching ────────────────────────────────────────────────────────────────────────────────────────────────

  #remember(frame: number): void {
    if (this.#watch) this.#shadows.set(frame, this.#bytes(frame).slice());
  }
  #assertUnchanged(frame: number, what: string): void {
    const shadow = this.#shadows.get(frame);
    if (shadow !== undefined && Buffer.compare(shadow, this.#bytes(frame)) !== 0)
      throw new Error(`The page in frame ${frame} ${what}`);
  }
  #assertLatched(frame: number, what: string): void {
    if (!this.#latched[frame]) throw new Error(`Frame ${frame} is ${what} without its latch`);
  }
  #assertNoLatch(when: string): void {
    if (this.#held > 0) throw new Error(`${this.#held} latches are held at ${when}`);
  }
  #assertChanging(frame: number, call: string): void {
    this.#assertLatched(frame, `changed by ${call}`);
    if (!this.#modified[frame]) throw new Error(`Frame ${frame} is changed by ${call} before modify`);
  }
  #assertInTable(frame: number, offset: number, count: number, stride: number): void {
    if (!this.#watch) return;
    const offsets = new Set(this.#swips(frame));
    for (let i = 0; i < count; i++)
      if (!offsets.has(offset + i * stride))
        throw new Error(`Offset ${offset + i * stride} of frame ${frame} is outside its swip table`);
  }
}

/** The swips of an evicted page, all of which are cold. */
function coldSwips(bytes: Uint8Array): number[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const offset = view.getUint32(PAGE_SWIP_OFFSET, true);
  const stride = view.getUint16(PAGE_SWIP_STRIDE, true);
  const words: number[] = [];
  for (let i = 0; i < view.getUint16(PAGE_SWIP_COUNT, true); i++) {
    const word = view.getUint32(offset + i * stride, true);
    if (word !== SWIP_NULL) words.push(word);
  }
  return words;
}
