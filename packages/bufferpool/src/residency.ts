/**
 * Which pages are in memory: gives out frames, and brings pages in and swizzles them. Everything here is synchronous and
 * leaves no latch behind. Where nothing else is said the caller has the pool latch.
 */
import {
  invariant,
  PagewrightError,
  POINT,
  type ReplacementPolicyType,
  SWIP_COLD,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_NULL,
  SWIP_TAG_MASK,
  schedulePoint,
  sizeClassOf,
  unitOf,
} from '@pagewright/core/contracts';
import type { CheckpointBatch } from './checkpoint-batch.js';
import { Cooler, type CoolerMemory } from './cooler.js';
import { MISSES, READS, RESIDENT, REWARMED } from './counters.js';
import { tellRead } from './diagnostics.js';
import { Eviction } from './eviction.js';
import { exhausted, othersTransfer } from './exhaustion.js';
import {
  ADDRESS,
  CHECKSUM,
  NO_FRAME,
  PARENT,
  READER,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_HOT,
  STATE_LOADING,
} from './frames.js';
import { readSwipTable, type SwipTable, sizeClassOnPage } from './page-image.js';
import type { PageProviderSignal } from './page-provider-signal.js';
import { Placement, type PoolParts } from './placement.js';
import { Regions } from './regions.js';

/** Frames that allocations under latches may take when nothing can be evicted meanwhile. */
const RESERVE_FRACTION = 0.02;
const SMALLEST_RESERVE = 8;
/** A scan is a long one from so many pages on, in frames of the pool: what is shorter is kept as all else is. */
const LONG_SCAN_FRACTION = 1 / 16;
const SHORTEST_LONG_SCAN = 8;
/** The page provider is woken when so many frames are left above the reserve, if that is no more than there are in it. */
const LONGEST_LEAD = 64;
/** It evicts until there are so many times as many. */
const HIGH_WATER = 3;
/** How often a frame is asked for while other threads may give one back, and how long is waited in between. */
const MOST_ATTEMPTS = 2000;
/** The same while other threads have pages on their way to the file or from it. */
const MOST_ATTEMPTS_BESIDE_TRANSFERS = 60_000;
export const BETWEEN_ATTEMPTS_MS = 1;
/** So often it is looked whether threads have ended that read into frames. */
const ATTEMPTS_BEFORE_RECLAIM = 100;

/** What {@link Residency.provide} answers if enough frames are free. */
export const ENOUGH = -1;

export class Residency {
  readonly cooler: Cooler;
  readonly eviction: Eviction;
  readonly regions: Regions;
  /** Pages that the scan has gone through for which this thread brings pages in and touches them now. */
  scanned = 0;
  readonly #longScan: number;
  /** What this thread's checkpoint has on its way to the file. */
  checkpointBatch: CheckpointBatch | null = null;
  readonly #reserve: number;
  readonly #lead: number;
  /** Frames into which this thread reads. */
  #loading = 0;
  /** Nobody ever changes it: it is waited for in vain. */
  readonly #nothing = new Int32Array(new SharedArrayBuffer(4));
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(
    private readonly parts: PoolParts,
    replacement: ReplacementPolicyType,
    memory: CoolerMemory,
    private readonly provider: PageProviderSignal,
  ) {
    const placement = new Placement(parts);
    this.cooler = new Cooler(parts, placement, replacement, memory);
    this.eviction = new Eviction(parts, placement, this.cooler);
    this.regions = new Regions(parts, placement, this.eviction, this.cooler);
    this.#reserve = Math.max(SMALLEST_RESERVE, Math.floor(parts.frames.count * RESERVE_FRACTION));
    this.#longScan = Math.max(SHORTEST_LONG_SCAN, Math.floor(parts.frames.count * LONG_SCAN_FRACTION));
    this.#lead = Math.min(this.#reserve, LONGEST_LEAD);
  }

  /** Whether what this thread brings in and touches now is for a scan that has gone through more than it may push out others for. */
  get isInLongScan(): boolean {
    return this.scanned >= this.#longScan;
  }

  /** The largest class of pages that can be brought in. */
  get largestClass(): number {
    return this.parts.blocks.maxClass;
  }

  /** A frame for a page of this class, its entry set up, its latch held by nobody. Errors: `PW_POOL_EXHAUSTED`, and those of writing. */
  acquire(sizeClass: number, state: number): number {
    for (let attempt = 0; ; attempt++) {
      const frame = this.tryAcquire(sizeClass, state);
      if (frame !== NO_FRAME) return frame;
      // What this thread writes without blocking would not be known to be in the file before its event loop turns.
      if (this.checkpointBatch?.finish()) continue;
      this.#checkPatience(sizeClass, attempt);
      this.#letOthersGoOn();
    }
  }

  /** The same, or `NO_FRAME` if none can be had now. Waits for no other thread. */
  tryAcquire(sizeClass: number, state: number, isScanned = this.isInLongScan): number {
    const { blocks, poolLatch } = this.parts;
    invariant(poolLatch.isOwn, 'A frame is given out without the pool latch');
    if (blocks.freeUnits - 2 ** sizeClass < this.#reserve) this.eviction.evictUpTo(this.#reserve + 2 ** sizeClass);
    let frame = blocks.allocate(sizeClass);
    if (frame < 0) frame = sizeClass === 0 ? this.eviction.evictForOne() : this.regions.clearRegion(sizeClass);
    if (frame < 0) return NO_FRAME;
    this.#enter(frame, sizeClass, state, isScanned);
    return frame;
  }

  /** The same for who asks with the event loop turning in between: transfers of this thread end meanwhile, however long they take. */
  checkPatienceOfLoop(sizeClass: number, attempts: number): void {
    const hasTransfers = this.#loading > 0 || this.checkpointBatch?.isUnderWay === true;
    if (!hasTransfers) this.#checkPatience(sizeClass, attempts);
    else if (attempts % ATTEMPTS_BEFORE_RECLAIM === 0) this.reclaim();
  }

  /**
   * Whoever found no frame so often may ask again, some {@link BETWEEN_ATTEMPTS_MS} later: other threads hold latches for moments, and
   * frames while they read or write. What they hold for longer will not come free. Errors: `PW_POOL_EXHAUSTED`.
   */
  #checkPatience(sizeClass: number, attempts: number): void {
    if (this.#isAlone) throw exhausted(this.parts, sizeClass);
    if (attempts % ATTEMPTS_BEFORE_RECLAIM !== 0) return;
    const isWorthIt = attempts < MOST_ATTEMPTS_BESIDE_TRANSFERS && othersTransfer(this.parts);
    if (attempts >= MOST_ATTEMPTS && !isWorthIt) throw exhausted(this.parts, sizeClass);
    this.reclaim();
  }

  /** Gives back the frames into which threads read that have ended. Takes the pool latch. */
  reclaim(): void {
    const { frames, poolLatch, threads } = this.parts;
    if (!threads.hasEndedReader) return;
    poolLatch.holding(() =>
      threads.reclaim((slot) => {
        for (let frame = 0; frame < frames.count; frame++) {
          const isIts = frames.get(frame, STATE) === STATE_LOADING && frames.get(frame, READER) === slot + 1;
          if (isIts) this.#release(frame);
        }
      }),
    );
  }

  /** A frame for a page of this class that can be had at once, and is not needed for allocations under latches; else -1. */
  acquireSpare(sizeClass: number, state: number): number {
    if (this.parts.blocks.freeUnits - 2 ** sizeClass < this.#reserve) return NO_FRAME;
    const frame = this.parts.blocks.allocate(sizeClass);
    if (frame < 0) return NO_FRAME;
    this.#enter(frame, sizeClass, state, this.isInLongScan);
    return frame;
  }

  #enter(frame: number, sizeClass: number, state: number, isScanned: boolean): void {
    const { counters, frames, threads } = this.parts;
    if (state === STATE_LOADING) this.#addReads(1);
    frames.initialize(frame, sizeClass, state);
    if (state === STATE_LOADING) frames.set(frame, READER, threads.slot + 1);
    this.cooler.policy.entered(frame, sizeClass, isScanned);
    counters.addOf(RESIDENT, sizeClass);
    if (this.isBelowLowWater) this.provider.want();
  }

  /** Fewer frames are free than a page provider would leave so. */
  get isBelowLowWater(): boolean {
    return this.parts.blocks.freeUnits < this.#reserve + this.#lead;
  }

  /** For the page provider: evicts one batch, unless enough are free; how many pages, or `ENOUGH`. Takes the pool latch. Errors: those of writing. */
  provide(): number {
    const { blocks, poolLatch } = this.parts;
    return poolLatch.holding(() => {
      const lacking = this.#reserve + HIGH_WATER * this.#lead - blocks.freeUnits;
      return lacking > 0 ? this.eviction.evictAhead(lacking) : ENOUGH;
    });
  }

  /** Evicts one batch at most, so that there may be so many blocks to spare. Errors: those of writing. */
  makeSpare(blocks: number): void {
    const wanted = this.#reserve + blocks;
    if (this.parts.blocks.freeUnits < wanted) this.eviction.evictUpTo(wanted, 1);
  }

  /**
   * Evicts ahead of a miss, before the parent of the missing page is latched. Under the latch its other children would be
   * spared, and in a tree with one inner page these are all there are: then the policy would have no say. Takes the pool latch.
   */
  keepRoom(): void {
    if (this.parts.blocks.freeUnits > this.#reserve) return;
    this.parts.poolLatch.holding(() => {
      if (this.parts.blocks.freeUnits <= this.#reserve) this.eviction.evictUpTo(this.#reserve + 1);
    });
  }

  /** No other thread has the pool open that could give a frame back. */
  get #isAlone(): boolean {
    return this.parts.threads.count === (this.provider.sleeps ? 2 : 1);
  }

  #letOthersGoOn(): void {
    const depth = this.parts.poolLatch.suspend();
    try {
      Atomics.wait(this.#nothing, 0, 0, BETWEEN_ATTEMPTS_MS);
    } finally {
      this.parts.poolLatch.resume(depth);
    }
  }

  /** Gives a frame back. Its page is in no swip. If it was being read, then by the calling thread. */
  release(frame: number): void {
    invariant(this.parts.poolLatch.isOwn, 'A frame is given back without the pool latch');
    if (this.parts.frames.get(frame, STATE) === STATE_LOADING) this.#addReads(-1);
    this.#release(frame);
  }

  #addReads(difference: number): void {
    this.#loading += difference;
    this.parts.threads.addReads(difference);
  }

  #release(frame: number): void {
    const sizeClass = this.parts.frames.get(frame, SIZE_CLASS);
    this.cooler.leaves(frame);
    if (this.parts.frames.nameOf(frame) !== 0) this.parts.translation.leave(frame);
    this.parts.frames.clear(frame, sizeClass);
    this.parts.blocks.free(frame, sizeClass);
    this.parts.counters.addOf(RESIDENT, sizeClass, -1);
  }

  /**
   * The page that a swip of a latched page names, brought in if it is cold and made hot if it is cool. The latch keeps the
   * swip as it is while the page is read. Takes the pool latch, and is called without it.
   */
  resolve(parent: number, offset: number): number {
    const { arena, file, poolLatch, counters } = this.parts;
    const { u32 } = arena.segmentOf(parent);
    const at = (arena.baseOf(parent) + offset) >>> 2;
    let frame: number;
    poolLatch.take();
    try {
      const word = u32[at] as number;
      if ((word & SWIP_TAG_MASK) !== SWIP_COLD || word >>> 2 === 0) return this.#resident(parent, offset, u32, at);
      const sizeClass = this.#boundedClass(word >>> 2, parent, offset);
      counters.addOf(MISSES, sizeClass);
      frame = this.acquire(sizeClass, STATE_LOADING);
    } finally {
      poolLatch.give();
    }
    const address = (u32[at] as number) >>> 2;
    const bytes = arena.view(frame, sizeClassOf(address));
    try {
      counters.addOf(READS, sizeClassOf(address));
      file.io.readSync(bytes, file.offsetOf(address));
      schedulePoint(POINT.pageRead);
      this.admit(frame, bytes, address, u32[at + 1] as number);
      poolLatch.take();
    } catch (error) {
      poolLatch.holding(() => this.release(frame));
      throw file.whyUnread(error);
    }
    this.swizzle(parent, offset, frame);
    poolLatch.give();
    tellRead(file, address, bytes.length, true);
    return frame;
  }

  /** The frame that a hot or cool swip of a latched page names. Errors: `PW_CORRUPT_PAGE` if it is none. */
  frameNamedBy(parent: number, offset: number, word: number): number {
    const tag = word & SWIP_TAG_MASK;
    const frame = tag === SWIP_HOT || tag === SWIP_COOL ? this.parts.translation.frameOf(word >>> 2) : NO_FRAME;
    if (frame === NO_FRAME || this.parts.frames.get(frame, PARENT) !== parent) throw this.#notASwip(parent, offset);
    return frame;
  }

  #resident(parent: number, offset: number, words: Uint32Array, at: number): number {
    const word = words[at] as number;
    const frame = this.frameNamedBy(parent, offset, word);
    if ((word & SWIP_TAG_MASK) === SWIP_COOL) this.#rewarm(frame, words, at);
    return frame;
  }

  /** Checks a page that was read into a frame, and notes where it came from. Needs no latch: nothing names the frame. */
  admit(frame: number, bytes: Uint8Array, address: number, checksum: number): void {
    this.parts.file.verify(bytes, address, checksum);
    const segment = this.parts.arena.segmentOf(frame);
    const base = this.parts.arena.baseOf(frame);
    const table = this.#table;
    table.offset = table.count = table.stride = 0;
    if (sizeClassOnPage(segment, base) === sizeClassOf(address)) {
      try {
        readSwipTable(segment, base, bytes.length, table);
      } catch {
        table.count = 0;
        throw this.#malformed(address);
      }
    } else throw this.#malformed(address);
    // One that names a frame would be followed as it is, to whatever page is there.
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += table.stride >>> 2) {
      const word = segment.u32[at] as number;
      if (word !== SWIP_NULL && (word & SWIP_TAG_MASK) !== SWIP_COLD) throw this.#malformed(address);
    }
    this.parts.frames.set(frame, ADDRESS, address);
    this.parts.frames.set(frame, CHECKSUM, checksum);
  }

  /** Puts the page of the frame into the swip of a latched page. */
  swizzle(parent: number, offset: number, frame: number): void {
    const segment = this.parts.arena.segmentOf(parent);
    const at = (this.parts.arena.baseOf(parent) + offset) >>> 2;
    if (this.parts.frames.get(frame, STATE) === STATE_LOADING) this.#addReads(-1);
    this.parts.frames.set(frame, STATE, STATE_HOT);
    this.parts.frames.set(frame, PARENT, parent);
    this.parts.frames.add(parent, RESIDENT_CHILDREN, 1);
    segment.u32[at] = ((this.#nameOf(frame) << 2) | SWIP_HOT) >>> 0;
    segment.u32[at + 1] = 0;
    schedulePoint(POINT.swipHot);
  }

  /** A page that was in the tree before has its name still. */
  #nameOf(frame: number): number {
    const { frames, translation } = this.parts;
    return frames.nameOf(frame) || translation.enter(frame, unitOf(frames.get(frame, ADDRESS) >>> 0));
  }

  #rewarm(frame: number, words: Uint32Array, at: number): void {
    words[at] = (((words[at] as number) & ~SWIP_TAG_MASK) | SWIP_HOT) >>> 0;
    this.cooler.rewarm(frame, this.isInLongScan);
    this.parts.counters.addOf(REWARMED, this.parts.frames.get(frame, SIZE_CLASS));
  }

  #boundedClass(address: number, parent: number, offset: number): number {
    const sizeClass = sizeClassOf(address);
    if (sizeClass > this.parts.blocks.maxClass) {
      throw new PagewrightError(
        'PW_POOL_EXHAUSTED',
        `A page of ${this.parts.arena.pageSize << sizeClass} bytes does not fit into a pool of ${this.parts.frames.count * this.parts.arena.pageSize} bytes. Open the store with more memory.`,
        {
          details: {
            pageBytes: this.parts.arena.pageSize << sizeClass,
            memory: this.parts.frames.count * this.parts.arena.pageSize,
            parent,
            offset,
          },
        },
      );
    }
    return sizeClass;
  }

  #malformed(address: number): PagewrightError {
    return new PagewrightError(
      'PW_CORRUPT_PAGE',
      `The page at byte ${this.parts.file.offsetOf(address)} of ${this.parts.file.io.path} has a header or a swip that cannot be, though its checksum is right: it was written so.`,
      { details: { path: this.parts.file.io.path, offset: this.parts.file.offsetOf(address) } },
    );
  }

  #notASwip(parent: number, offset: number): PagewrightError {
    return new PagewrightError(
      'PW_CORRUPT_PAGE',
      `There is no swip at offset ${offset} of the page in frame ${parent} of ${this.parts.file.io.path}: the index that owns it has written over it.`,
      { details: { path: this.parts.file.io.path, frame: parent, offset } },
    );
  }
}
