/**
 * A page store with a handful of pages, for fuzzing what reads them. Between the pages lie bytes that belong to none, and
 * two rigs have the same pages in another order and with other bytes between them: code that reads outside a page finds
 * something else in each. Every call counts as a step, so that a loop without end runs out of steps.
 *
 * Pages are never evicted, so nothing here waits or restarts. A swip names its page by address and by a checksum that
 * stays the same whatever becomes of the page: damage to pages has passed the checksum, damage to swips has not.
 */
import {
  type BackupResult,
  type CheckpointResult,
  type CompactResult,
  foldAddress,
  NO_LOG,
  PAGE_CLASS,
  PAGE_HEADER_SIZE,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  type PageStore,
  type PageStoreStats,
  PagewrightError,
  Segment,
  type StoreState,
  SWIP_COLD,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  type SwipList,
  type SwipLocation,
  Threads,
  type VerifyProgress,
} from '@pagewright/core';

/** The byte between pages, in the rigs of the first and the second layout. */
const FILLERS = [0x5a, 0xa5] as const;
/** What is in pages that nobody has written to, in both. */
const UNUSED = 0xdb;
const PAGE_SIZE = 4096;
const NOWHERE = -1;
/** Frames by size class: enough for the trees, and for a change that splits every level, as often as a target makes one. */
const FRAMES = [60, 8, 3] as const;

/** All bytes of a rig, and which of its frames are in use, to go back to. */
export interface RigState {
  readonly bytes: Buffer;
  readonly free: readonly (readonly number[])[];
  readonly parents: Int32Array;
}

export class PageRig implements PageStore {
  readonly pageSize = PAGE_SIZE;
  readonly maxSizeClass = FRAMES.length - 1;
  readonly threads = Threads.alone();
  readonly root: SwipLocation = { frame: 0, offset: PAGE_HEADER_SIZE };
  faulting = false;
  scanned = 0;
  /** Steps that are left. */
  steps = Number.POSITIVE_INFINITY;
  readonly #segment: Segment;
  readonly #bytes: Buffer;
  readonly #bases: number[] = [];
  readonly #classes: number[] = [];
  readonly #parents: Int32Array;
  #free: number[][];
  readonly #held = new Set<number>();
  readonly #versions = new Map<number, number>();
  readonly #modified = new Set<number>();

  constructor(layout: 0 | 1) {
    for (const [sizeClass, count] of FRAMES.entries()) {
      for (let i = 0; i < count; i++) this.#classes.push(sizeClass);
    }
    const frames = this.#classes.map((_, frame) => frame);
    // The largest first, or last: in the two layouts nothing lies where it lies in the other.
    let next = PAGE_SIZE;
    for (const frame of layout === 0 ? frames : [...frames].reverse()) {
      const size = this.sizeOf(frame);
      const base = Math.ceil(next / size) * size;
      this.#bases[frame] = base;
      next = base + size + PAGE_SIZE;
    }
    this.#segment = new Segment(new SharedArrayBuffer(next));
    this.#segment.u8.fill(FILLERS[layout]);
    this.#bytes = Buffer.from(this.#segment.buffer);
    for (const frame of frames) this.bytesOf(frame).fill(UNUSED);
    this.#parents = new Int32Array(frames.length).fill(NOWHERE);
    this.#free = FRAMES.map((_, sizeClass) =>
      frames.filter((frame) => frame > 0 && this.#classes[frame] === sizeClass).reverse(),
    );
    this.#format(0, 0, 0, 0);
    this.#segment.u32.fill(0, (this.#bases[0]! + PAGE_HEADER_SIZE) >>> 2, (this.#bases[0]! + PAGE_SIZE) >>> 2);
    this.#segment.u32[(this.#bases[0]! + PAGE_SWIP_OFFSET) >>> 2] = PAGE_HEADER_SIZE;
    this.#segment.u16[(this.#bases[0]! + PAGE_SWIP_COUNT) >>> 1] = 1;
    this.#segment.u16[(this.#bases[0]! + PAGE_SWIP_STRIDE) >>> 1] = 8;
  }

  // ── What fuzzers do ─────────────────────────────────────────────────────────────────────────────────────────

  get frames(): number {
    return this.#classes.length;
  }

  /** The frames of all pages, the first one excepted, which only holds the root's swip. */
  usedFrames(): number[] {
    const free = new Set(this.#free.flat());
    return this.#classes.map((_, frame) => frame).filter((frame) => frame > 0 && !free.has(frame));
  }

  /** A copy of a page. */
  copyOf(frame: number): Uint8Array {
    return Uint8Array.from(this.bytesOf(frame));
  }

  bytesOf(frame: number): Buffer {
    return this.#bytes.subarray(this.#bases[frame]!, this.#bases[frame]! + this.sizeOf(frame));
  }

  /** What there is now; from here on changes are counted. */
  state(): RigState {
    this.#modified.clear();
    return {
      bytes: Buffer.from(this.#bytes),
      free: this.#free.map((frames) => [...frames]),
      parents: this.#parents.slice(),
    };
  }

  /** Goes back to a state. `frame` is the one whose page was put there by {@link place}. */
  restore(state: RigState, frame: number): void {
    this.#copyBack(state, frame);
    for (const modified of this.#modified) this.#copyBack(state, modified);
    this.#free = state.free.map((frames) => [...frames]);
    this.#parents.set(state.parents);
    this.#held.clear();
    this.#modified.clear();
  }

  /** Goes back to a state after anything at all. */
  restoreAll(state: RigState): void {
    this.#bytes.set(state.bytes);
    for (let frame = 0; frame < this.frames; frame++) this.#countChange(frame);
    this.restore(state, 0);
  }

  place(frame: number, page: Uint8Array): void {
    this.#bytes.set(page, this.#bases[frame]!);
    this.#countChange(frame);
  }

  /** Throws if anything differs from the state but the page in a frame, or if that is not `page` any more. */
  assertUnchanged(state: RigState, frame: number, page: Uint8Array): void {
    const base = this.#bases[frame]!;
    const end = base + this.sizeOf(frame);
    const same =
      this.#bytes.compare(state.bytes, 0, base, 0, base) === 0 &&
      this.#bytes.compare(state.bytes, end, state.bytes.length, end, state.bytes.length) === 0 &&
      this.#bytes.compare(page, 0, page.length, base, end) === 0;
    if (!same) throw new Error('memory was written to by what only reads');
  }

  /** Throws if something was written to that is neither a page that was `modify`ed nor a new one, or if a latch is held. */
  assertNothingElseChanged(state: RigState, damaged: number): void {
    if (this.#held.size > 0) throw new Error(`a latch is held afterwards, of frame ${[...this.#held].join()}`);
    const used = this.#classes
      .map((_, frame) => frame)
      .filter((frame) => this.#modified.has(frame) || frame === damaged)
      .sort((a, b) => this.#bases[a]! - this.#bases[b]!);
    let from = 0;
    for (const frame of [...used, NOWHERE]) {
      const to = frame === NOWHERE ? this.#bytes.length : this.#bases[frame]!;
      if (this.#bytes.compare(state.bytes, from, to, from, to) !== 0)
        throw new Error('memory outside the pages that were latched and modified was written to');
      if (frame !== NOWHERE) from = to + this.sizeOf(frame);
    }
  }

  /** Copies of the pages that were `modify`ed or are new, by frame. */
  changedPages(): Uint8Array[] {
    return [...this.#modified].sort((a, b) => a - b).map((frame) => this.copyOf(frame));
  }

  // ── Life ────────────────────────────────────────────────────────────────────────────────────────────────────

  async open(): Promise<StoreState> {
    const mark = { timestamp: 0, log: NO_LOG };
    return { created: true, storeId: '0'.repeat(32), epoch: 0, mark, usedOlderSlot: false };
  }
  async follow(): Promise<null> {
    return null;
  }
  async checkpoint(): Promise<CheckpointResult> {
    throw unsupported();
  }
  async verify(): Promise<VerifyProgress> {
    throw unsupported();
  }
  share(): unknown {
    throw unsupported();
  }
  async attach(): Promise<void> {}
  async backup(): Promise<BackupResult> {
    throw unsupported();
  }
  async compact(): Promise<CompactResult> {
    throw unsupported();
  }
  async close(): Promise<void> {}
  stats(): PageStoreStats {
    return { ...NOTHING_COUNTED, frames: this.frames };
  }

  // ── Addressing and latches ──────────────────────────────────────────────────────────────────────────────────

  segmentOf(_frame: number): Segment {
    this.#step();
    return this.#segment;
  }
  baseOf(frame: number): number {
    return this.#bases[frame]!;
  }
  sizeOf(frame: number): number {
    return PAGE_SIZE << this.#classes[frame]!;
  }
  readVersion(frame: number): number {
    this.#step();
    return this.#versions.get(frame) ?? 0;
  }
  validate(frame: number, version: number): boolean {
    return (this.#versions.get(frame) ?? 0) === version;
  }
  upgrade(frame: number, version: number): boolean {
    if (!this.validate(frame, version)) return false;
    this.latch(frame);
    return true;
  }
  latch(frame: number): void {
    this.#step();
    // Two swips name the same page. A pool would have read it twice; here there is one of each.
    if (this.#held.has(frame)) throw damaged('a page that is latched is reached once more');
    this.#held.add(frame);
  }
  unlatch(frame: number): number {
    if (!this.#held.delete(frame)) throw new Error(`Frame ${frame} is unlatched and was not latched`);
    return this.#countChange(frame);
  }

  // ── Reaching pages ──────────────────────────────────────────────────────────────────────────────────────────

  child(parent: number, offset: number): number {
    const word = this.#segment.u32[(this.#bases[parent]! + offset) >>> 2]!;
    // As in a pool: the word is bounded, and no more.
    if ((word & SWIP_TAG_MASK) === SWIP_HOT && word >>> 2 < this.frames) return word >>> 2;
    return this.#resolve(parent, offset);
  }
  childOfLatched(parent: number, offset: number): number {
    const frame = this.#resolve(parent, offset);
    if (this.#parents[frame] !== parent) throw damaged('a swip names a page that another page has');
    return frame;
  }
  async loadFault(): Promise<void> {}
  /** Pages are all there. That swips lie within their pages is the caller's to know. */
  prefetch(swips: SwipList): number {
    this.#step();
    for (let at = 0; at < swips.count; at++) {
      const offset = swips.offsets[at]!;
      if (offset < PAGE_HEADER_SIZE || offset + SWIP_SIZE > this.sizeOf(swips.parents[at]!))
        throw new Error(`A swip outside its page is asked for ahead: at ${offset} of frame ${swips.parents[at]}`);
    }
    return swips.count;
  }

  enterGate(): void {}
  leaveGate(): void {}

  // ── Changing pages ──────────────────────────────────────────────────────────────────────────────────────────

  modify(frame: number, timestamp: number): void {
    this.#step();
    if (!this.#held.has(frame)) throw new Error(`Frame ${frame} is modified without its latch`);
    this.#modified.add(frame);
    const at = (this.#bases[frame]! + PAGE_TIMESTAMP) >>> 3;
    if (timestamp > this.#segment.f64[at]!) this.#segment.f64[at] = timestamp;
  }
  allocate(index: number, kind: number, sizeClass: number, timestamp: number): number {
    this.#step();
    const frame = this.#free[sizeClass]?.pop();
    if (frame === undefined) throw new PagewrightError('PW_POOL_EXHAUSTED', 'The rig has no more pages.');
    this.#held.add(frame);
    this.#modified.add(frame);
    this.#format(frame, index, kind, timestamp);
    this.#parents[frame] = NOWHERE;
    return frame;
  }
  link(parent: number, offset: number, child: number): void {
    this.#step();
    const { u32 } = this.#segment;
    const at = (this.#bases[parent]! + offset) >>> 2;
    if (u32[at] !== SWIP_NULL) throw new PagewrightError('PW_INTERNAL', 'A page is linked where another one is');
    u32[at] = ((this.#addressOf(child) << 2) | SWIP_COLD) >>> 0;
    u32[at + 1] = checksumOf(child);
    this.#parents[child] = parent;
  }
  unlink(parent: number, offset: number): number {
    const at = (this.#bases[parent]! + offset) >>> 2;
    if (this.#segment.u32[at] === SWIP_NULL) return NOWHERE;
    const frame = this.childOfLatched(parent, offset);
    this.#cut(at, frame);
    return frame;
  }
  free(frame: number): void {
    this.#step();
    this.#free[this.#classes[frame]!]!.push(frame);
    this.#modified.add(frame);
    this.unlatch(frame);
  }
  discard(parent: number, offset: number): void {
    this.#step();
    const { u32 } = this.#segment;
    const at = (this.#bases[parent]! + offset) >>> 2;
    // As in a pool: whatever it names is given up, and the words become null. That this is a swip is the caller's to know.
    if (u32[at] === SWIP_NULL) return;
    const frame = this.#frameOf(u32[at]!, u32[at + 1]!);
    if (frame !== NOWHERE && this.#parents[frame] === parent) {
      this.#parents[frame] = NOWHERE;
      this.#free[this.#classes[frame]!]!.push(frame);
      this.#modified.add(frame);
    }
    u32[at] = SWIP_NULL;
    u32[at + 1] = 0;
  }
  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    this.#step();
    const { u32 } = this.#segment;
    for (let i = 0; i < count; i++) {
      const source = (this.#bases[from]! + fromOffset + i * stride) >>> 2;
      const target = (this.#bases[to]! + toOffset + i * stride) >>> 2;
      const frame = this.#frameOf(u32[source]!, u32[source + 1]!);
      if (frame !== NOWHERE && this.#parents[frame] === from) this.#parents[frame] = to;
      u32[target] = u32[source]!;
      u32[target + 1] = u32[source + 1]!;
      u32[source] = SWIP_NULL;
      u32[source + 1] = 0;
    }
  }
  releaseTree(): boolean {
    throw unsupported();
  }
  secureSpace(): void {}
  giveSpace(): void {}
  pin(): void {}
  unpin(): void {}

  // ── Swips ───────────────────────────────────────────────────────────────────────────────────────────────────

  #resolve(parent: number, offset: number): number {
    this.#step();
    const at = (this.#bases[parent]! + offset) >>> 2;
    const frame = this.#frameOf(this.#segment.u32[at]!, this.#segment.u32[at + 1]!);
    if (frame === NOWHERE) throw damaged('a swip names no page, or one with another checksum');
    return frame;
  }

  #frameOf(word: number, checksum: number): number {
    if ((word & SWIP_TAG_MASK) !== SWIP_COLD) return NOWHERE;
    const address = word >>> 2;
    const frame = Math.floor(address / 16) - 1;
    return frame > 0 && frame < this.frames && this.#addressOf(frame) === address && checksumOf(frame) === checksum
      ? frame
      : NOWHERE;
  }

  /** Units of frames lie eight apart, which is a multiple of the largest page. */
  #addressOf(frame: number): number {
    return foldAddress((frame + 1) * 8, this.#classes[frame]!);
  }

  #cut(at: number, frame: number): void {
    this.#parents[frame] = NOWHERE;
    this.#segment.u32[at] = SWIP_NULL;
    this.#segment.u32[at + 1] = 0;
  }

  #copyBack(state: RigState, frame: number): void {
    const base = this.#bases[frame]!;
    state.bytes.copy(this.#bytes, base, base, base + this.sizeOf(frame));
    this.#countChange(frame);
  }

  /** Nobody else is there; but what an index keeps in mind of a page between two calls may be changed by its own, and by who puts other bytes there. Its version. */
  #countChange(frame: number): number {
    const version = (this.#versions.get(frame) ?? 0) + 1;
    this.#versions.set(frame, version);
    return version;
  }

  #format(frame: number, index: number, kind: number, timestamp: number): void {
    const base = this.#bases[frame]!;
    this.#segment.u8.fill(0, base, base + PAGE_HEADER_SIZE);
    this.#segment.u16[(base + PAGE_KIND) >>> 1] = kind;
    this.#segment.u8[base + PAGE_CLASS] = this.#classes[frame]!;
    this.#segment.u32[(base + PAGE_INDEX) >>> 2] = index;
    this.#segment.f64[(base + PAGE_TIMESTAMP) >>> 3] = timestamp;
  }

  #step(): void {
    if (--this.steps < 0) throw new Error('it takes more steps than it may: it goes round and round');
  }
}

const NOTHING_COUNTED: Omit<PageStoreStats, 'frames'> = {
  pageSize: PAGE_SIZE,
  memoryBytes: 0,
  freeFrames: 0,
  coolFrames: 0,
  dirtyFrames: 0,
  hits: 0,
  misses: 0,
  pageReads: 0,
  pageWrites: 0,
  pageWritesAhead: 0,
  evictionsAhead: 0,
  evictions: 0,
  cooled: 0,
  rewarmed: 0,
  relocations: 0,
  restarts: 0,
  latchWaits: 0,
  bySizeClass: [],
  checkpoints: 0,
  fileBytes: 0,
  freeFileBytes: 0,
  retainedFileBytes: 0,
  readers: 0,
  pinnedEpoch: null,
};

function checksumOf(frame: number): number {
  return Math.imul(frame + 1, 0x9e3779b1) >>> 0;
}

function damaged(what: string): PagewrightError {
  return new PagewrightError('PW_CORRUPT_PAGE', `The rig has found damage: ${what}.`);
}

function unsupported(): PagewrightError {
  return new PagewrightError('PW_UNSUPPORTED', 'The rig of the fuzzer has no such thing.');
}
