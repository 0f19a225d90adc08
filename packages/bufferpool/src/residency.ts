/**
 * Which pages are in memory: gives out frames, brings pages in and swizzles them, and evicts what has cooled
 * (LeanStore, ICDE 2018). Everything here is synchronous and leaves no latch behind.
 *
 * Must hold: P1 a page leaves after its children. P2 an address replaces a frame in a swip only when the write of the
 * page has completed. A page that is latched or pinned stays where it is.
 */
import { PagewrightError, SWIP_COLD, SWIP_COOL, SWIP_HOT, SWIP_TAG_MASK, sizeClassOf } from '@pagewright/core';
import type { Arena } from './arena.js';
import type { BuddyAllocator } from './buddy.js';
import { CoolingQueue } from './cooling.js';
import type { Epochs, StagedImage } from './epochs.js';
import {
  ADDRESS,
  CHECKSUM,
  type FrameTable,
  NO_FRAME,
  PARENT,
  PINS,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_COOL,
  STATE_FREE,
  STATE_HOT,
  STATE_LOADING,
} from './frames.js';
import type { Latches } from './latches.js';
import type { PageFile } from './page-file.js';
import { readSwipTable, type SwipTable, sizeClassOnPage } from './page-image.js';

/** So many pages leave together: their images are written as one batch. */
const EVICTION_BATCH = 32;
/** Frames that allocations under latches may take when nothing can be evicted meanwhile. */
const RESERVE_FRACTION = 0.02;
const SMALLEST_RESERVE = 8;
const SAMPLES = 16;

export interface ResidencyCounters {
  pageReads: number;
  pageWrites: number;
  evictions: number;
  cooled: number;
  rewarmed: number;
  relocations: number;
}

export class Residency {
  readonly counters: ResidencyCounters = {
    pageReads: 0,
    pageWrites: 0,
    evictions: 0,
    cooled: 0,
    rewarmed: 0,
    relocations: 0,
  };
  readonly cooling: CoolingQueue;
  readonly #reserve: number;
  readonly #coolTarget: number;
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };
  /** State of xorshift32: sampling needs no better randomness, and the same run samples the same frames. */
  #random = 0x9e3779b9;

  constructor(
    private readonly arena: Arena,
    private readonly frames: FrameTable,
    private readonly latches: Latches,
    private readonly blocks: BuddyAllocator,
    private readonly epochs: Epochs,
    private readonly file: PageFile,
    coolingFraction: number,
  ) {
    this.cooling = new CoolingQueue(frames);
    this.#reserve = Math.max(SMALLEST_RESERVE, Math.floor(frames.count * RESERVE_FRACTION));
    this.#coolTarget = Math.max(EVICTION_BATCH, Math.floor(frames.count * coolingFraction));
  }

  // ── Frames ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** A frame for a page of this class, its entry set up, its latch held by nobody. Errors: `PW_POOL_EXHAUSTED`, and those of writing. */
  acquire(sizeClass: number, state: number): number {
    if (this.blocks.freeUnits - 2 ** sizeClass < this.#reserve) this.#evictUpTo(this.#reserve + 2 ** sizeClass);
    let frame = this.blocks.allocate(sizeClass);
    if (frame < 0) frame = sizeClass === 0 ? this.#evictForOne() : this.#clearRegion(sizeClass);
    if (frame < 0) throw this.#exhausted(sizeClass);
    this.frames.initialize(frame, sizeClass, state);
    return frame;
  }

  /** Gives a frame back. Its page is in no swip. */
  release(frame: number): void {
    const sizeClass = this.frames.get(frame, SIZE_CLASS);
    this.frames.clear(frame, sizeClass);
    this.blocks.free(frame, sizeClass);
  }

  // ── Swizzling ───────────────────────────────────────────────────────────────────────────────────────────────

  /** The page that a swip of a latched page names, brought in if it is cold and made hot if it is cool. */
  resolve(parent: number, offset: number): number {
    const segment = this.arena.segmentOf(parent);
    const at = (this.arena.baseOf(parent) + offset) >>> 2;
    const word = segment.u32[at] as number;
    const tag = word & SWIP_TAG_MASK;
    if (tag === SWIP_HOT || tag === SWIP_COOL) {
      const frame = word >>> 2;
      if (frame >= this.frames.count || this.frames.get(frame, PARENT) !== parent) throw this.#notASwip(parent, offset);
      if (tag === SWIP_COOL) this.#rewarm(frame, segment.u32, at);
      return frame;
    }
    if (tag !== SWIP_COLD || word >>> 2 === 0) throw this.#notASwip(parent, offset);
    const address = word >>> 2;
    const frame = this.acquire(this.#boundedClass(address, parent, offset), STATE_LOADING);
    try {
      const bytes = this.arena.view(frame, sizeClassOf(address));
      this.counters.pageReads++;
      this.file.io.readSync(bytes, this.file.offsetOf(address));
      this.admit(frame, bytes, address, segment.u32[at + 1] as number);
    } catch (error) {
      this.release(frame);
      throw error;
    }
    this.swizzle(parent, offset, frame);
    return frame;
  }

  /** Checks a page that was read into a frame, and notes where it came from. */
  admit(frame: number, bytes: Uint8Array, address: number, checksum: number): void {
    this.file.verify(bytes, address, checksum);
    const segment = this.arena.segmentOf(frame);
    const base = this.arena.baseOf(frame);
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
    this.frames.set(frame, ADDRESS, address);
    this.frames.set(frame, CHECKSUM, checksum);
  }

  /** Puts the frame into the swip of a latched page. */
  swizzle(parent: number, offset: number, frame: number): void {
    const segment = this.arena.segmentOf(parent);
    const at = (this.arena.baseOf(parent) + offset) >>> 2;
    this.frames.set(frame, STATE, STATE_HOT);
    this.frames.set(frame, PARENT, parent);
    this.frames.add(parent, RESIDENT_CHILDREN, 1);
    segment.u32[at] = (frame << 2) | SWIP_HOT;
    segment.u32[at + 1] = 0;
  }

  /** Takes a page out of the cooling queue, because its swip is about to go or it was touched. */
  heat(frame: number): void {
    if (this.frames.get(frame, STATE) !== STATE_COOL) return;
    this.cooling.remove(frame);
    this.frames.set(frame, STATE, STATE_HOT);
  }

  #rewarm(frame: number, words: Uint32Array, at: number): void {
    this.heat(frame);
    words[at] = (frame << 2) | SWIP_HOT;
    this.counters.rewarmed++;
  }

  // ── Eviction ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Evicts until so many blocks are free, as far as that goes without looking at every frame. */
  #evictUpTo(free: number): void {
    this.#coolSome();
    while (this.blocks.freeUnits < free) {
      if (this.#evictBatch() === 0) return;
      this.#coolSome();
    }
  }

  /** Frees at least one block, looking at every frame if need be, or answers -1. */
  #evictForOne(): number {
    for (let pass = 0; pass < 2; pass++) {
      this.#evictUpTo(1);
      const frame = this.blocks.allocate(0);
      if (frame >= 0) return frame;
      // Children of latched pages are spared as long as possible: whoever holds the latch is at work there.
      for (let candidate = 0; candidate < this.frames.count; candidate++) {
        if (this.#mayLeave(candidate, pass === 1) && this.#evict([candidate]) > 0) {
          const freed = this.blocks.allocate(0);
          if (freed >= 0) return freed;
        }
      }
    }
    return -1;
  }

  /** Moves sampled pages into the cooling queue until it is as long as it should be. */
  #coolSome(): void {
    for (let tries = this.#coolTarget * 4; this.cooling.length < this.#coolTarget && tries > 0; tries--) {
      const frame = this.#sample();
      if (frame !== NO_FRAME) this.#cool(frame);
    }
  }

  /** A random hot page without resident children, or `NO_FRAME`. From an inner page it goes down to one of its children. */
  #sample(): number {
    let frame = this.frames.headOf(this.#nextRandom() % this.frames.count);
    for (let depth = 0; frame !== NO_FRAME && depth < SAMPLES; depth++) {
      if (this.frames.get(frame, STATE) !== STATE_HOT) return NO_FRAME;
      if (this.frames.get(frame, RESIDENT_CHILDREN) === 0) return this.#mayLeave(frame, false) ? frame : NO_FRAME;
      frame = this.#randomChild(frame);
    }
    return NO_FRAME;
  }

  #randomChild(frame: number): number {
    const segment = this.arena.segmentOf(frame);
    const base = this.arena.baseOf(frame);
    const table = this.#table;
    readSwipTable(segment, base, this.arena.pageSize << this.frames.get(frame, SIZE_CLASS), table);
    let index = this.#nextRandom() % table.count;
    for (let left = table.count; left > 0; left--) {
      const word = segment.u32[(base + table.offset + index * table.stride) >>> 2] as number;
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) return word >>> 2;
      index = index + 1 === table.count ? 0 : index + 1;
    }
    return NO_FRAME;
  }

  #nextRandom(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
  }

  #cool(frame: number): void {
    const parent = this.frames.get(frame, PARENT);
    if (!this.latches.tryLatch(parent)) return;
    const at = this.#findSwip(parent, frame);
    this.arena.segmentOf(parent).u32[at] = (frame << 2) | SWIP_COOL;
    this.frames.set(frame, STATE, STATE_COOL);
    this.cooling.push(frame);
    this.counters.cooled++;
    this.latches.unlatch(parent);
  }

  /** Whether the page may be evicted now. Children of pages that this thread has latched only if asked. */
  #mayLeave(frame: number, ofLatched: boolean): boolean {
    const state = this.frames.get(frame, STATE);
    if (state !== STATE_HOT && state !== STATE_COOL) return false;
    const parent = this.frames.get(frame, PARENT);
    return (
      parent !== NO_FRAME &&
      this.frames.get(frame, RESIDENT_CHILDREN) === 0 &&
      this.frames.get(frame, PINS) === 0 &&
      !this.latches.isHeld(frame) &&
      (!this.latches.isHeld(parent) || (ofLatched && this.latches.isOwn(parent))) &&
      !this.epochs.isBeingWritten(frame)
    );
  }

  /** Evicts pages from the end of the cooling queue; how many. */
  #evictBatch(): number {
    const batch: number[] = [];
    let frame = this.cooling.oldest;
    while (frame !== NO_FRAME && batch.length < EVICTION_BATCH) {
      if (this.#mayLeave(frame, false)) batch.push(frame);
      frame = this.cooling.newerThan(frame);
    }
    return this.#evict(batch);
  }

  /** Writes what is dirty of these pages as one batch, then turns their swips cold; how many. */
  #evict(batch: readonly number[]): number {
    this.#clean(batch.filter((frame) => this.epochs.isDirty(frame)));
    for (const frame of batch) this.#leave(frame);
    return batch.length;
  }

  #clean(dirty: readonly number[]): void {
    if (dirty.length === 0) return;
    const staged: StagedImage[] = [];
    const checksums: number[] = [];
    try {
      for (const frame of dirty) {
        const image = this.epochs.stageForEviction(frame);
        staged.push(image);
        checksums.push(this.epochs.sealForEviction(frame, image));
      }
      this.file.io.submitSync(staged.map((image) => this.file.write(image.address, image.image.bytes)));
    } catch (error) {
      for (const image of staged) this.epochs.withdraw(image);
      throw error;
    }
    for (const [index, frame] of dirty.entries()) {
      this.epochs.settleEvicted(frame, staged[index] as StagedImage, checksums[index] as number);
    }
    this.counters.pageWrites += dirty.length;
  }

  /** Turns the swip of a clean page cold and frees its frame. */
  #leave(frame: number): void {
    const parent = this.frames.get(frame, PARENT);
    const own = this.latches.isOwn(parent);
    if (!own) this.latches.latch(parent);
    this.latches.latch(frame);
    const at = this.#findSwip(parent, frame);
    const words = this.arena.segmentOf(parent).u32;
    words[at] = ((this.frames.get(frame, ADDRESS) << 2) | SWIP_COLD) >>> 0;
    words[at + 1] = this.frames.get(frame, CHECKSUM);
    this.frames.add(parent, RESIDENT_CHILDREN, -1);
    this.heat(frame);
    this.release(frame);
    this.counters.evictions++;
    this.latches.unlatch(frame);
    if (!own) this.latches.unlatch(parent);
  }

  /** Index of the word of the parent's swip that names the frame. */
  #findSwip(parent: number, frame: number): number {
    const segment = this.arena.segmentOf(parent);
    const base = this.arena.baseOf(parent);
    const table = this.#table;
    readSwipTable(segment, base, this.arena.pageSize << this.frames.get(parent, SIZE_CLASS), table);
    const step = table.stride >>> 2;
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += step) {
      const word = segment.u32[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (word >>> 2 === frame && (tag === SWIP_HOT || tag === SWIP_COOL)) return at;
    }
    throw new PagewrightError(
      'PW_INTERNAL',
      `The page in frame ${frame} is not in the swip table of its parent. An index wrote over it.`,
    );
  }

  // ── Room for large pages ────────────────────────────────────────────────────────────────────────────────────

  /** Makes an aligned run of blocks free, by evicting what is in it and moving what must stay; its first block, or -1. */
  #clearRegion(sizeClass: number): number {
    const size = 2 ** sizeClass;
    const regions = Math.floor(this.frames.count / size);
    const first = this.#nextRandom() % regions;
    // As with single frames, children of pages that this thread has latched are spared as long as possible.
    for (const ofLatched of [false, true]) {
      for (let step = 0; step < regions; step++) {
        const region = ((first + step) % regions) * size;
        if (this.#isMovable(region, size, ofLatched) && this.#clear(region, sizeClass, ofLatched)) return region;
      }
    }
    return -1;
  }

  /** Whether every page that touches the region lies in it and may leave or move. */
  #isMovable(region: number, size: number, ofLatched: boolean): boolean {
    for (let block = region; block < region + size; ) {
      const head = this.frames.headOf(block);
      if (head === NO_FRAME) {
        block++;
        continue;
      }
      const pages = 1 << this.frames.get(head, SIZE_CLASS);
      if (head < region || head + pages > region + size || !this.#mayMove(head, ofLatched)) return false;
      block = head + pages;
    }
    return true;
  }

  #mayMove(frame: number, ofLatched: boolean): boolean {
    const state = this.frames.get(frame, STATE);
    const parent = this.frames.get(frame, PARENT);
    return (
      (state === STATE_HOT || state === STATE_COOL) &&
      parent !== NO_FRAME &&
      this.frames.get(frame, PINS) === 0 &&
      !this.latches.isHeld(frame) &&
      (!this.latches.isHeld(parent) || (ofLatched && this.latches.isOwn(parent))) &&
      !this.epochs.isBeingWritten(frame)
    );
  }

  /** Empties the region and takes its blocks. On failure what was taken is given back. */
  #clear(region: number, sizeClass: number, ofLatched: boolean): boolean {
    const size = 2 ** sizeClass;
    const taken = this.blocks.claimWithin(region, sizeClass);
    const giveBack = (): void => {
      for (const [unit, unitClass] of taken) this.blocks.free(unit, unitClass);
    };
    try {
      for (let block = region; block < region + size; block++) {
        const head = this.frames.headOf(block);
        if (head === NO_FRAME) continue;
        // Evicting one page may have changed what holds for the next.
        const stays = !this.#mayMove(head, ofLatched);
        if (!stays && this.#mayLeave(head, ofLatched)) this.#evict([head]);
        else if (stays || !this.#relocate(head, ofLatched)) {
          giveBack();
          return false;
        }
        taken.push(...this.blocks.claimWithin(region, sizeClass));
      }
    } catch (error) {
      giveBack();
      throw error;
    }
    // A page that had to move may have found its place in this very region.
    if (taken.reduce((sum, [, taken]) => sum + 2 ** taken, 0) === size) return true;
    giveBack();
    return false;
  }

  /** Moves a page, which may have resident children, to another frame. */
  #relocate(frame: number, ofLatched: boolean): boolean {
    const sizeClass = this.frames.get(frame, SIZE_CLASS);
    let target = this.blocks.allocate(sizeClass);
    if (target < 0) {
      this.#evictBatch();
      target = this.blocks.allocate(sizeClass);
    }
    if (target < 0 || !this.#mayMove(frame, ofLatched)) {
      if (target >= 0) this.blocks.free(target, sizeClass);
      return false;
    }
    const parent = this.frames.get(frame, PARENT);
    const own = this.latches.isOwn(parent);
    if (!own) this.latches.latch(parent);
    this.latches.latch(frame);
    this.latches.latch(target);
    const at = this.#findSwip(parent, frame);
    const words = this.arena.segmentOf(parent).u32;
    words[at] = ((target << 2) | ((words[at] as number) & SWIP_TAG_MASK)) >>> 0;
    this.arena.view(target, sizeClass).set(this.arena.view(frame, sizeClass));
    this.frames.transfer(frame, target);
    if (this.frames.get(target, STATE) === STATE_COOL) this.cooling.relink(target);
    this.epochs.pageMoved(target);
    this.#adoptChildren(target);
    this.frames.clear(frame, sizeClass);
    this.blocks.free(frame, sizeClass);
    this.counters.relocations++;
    this.latches.unlatch(target);
    this.latches.unlatch(frame);
    if (!own) this.latches.unlatch(parent);
    return true;
  }

  #adoptChildren(frame: number): void {
    if (this.frames.get(frame, RESIDENT_CHILDREN) === 0) return;
    const segment = this.arena.segmentOf(frame);
    const base = this.arena.baseOf(frame);
    const table = this.#table;
    readSwipTable(segment, base, this.arena.pageSize << this.frames.get(frame, SIZE_CLASS), table);
    const step = table.stride >>> 2;
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += step) {
      const word = segment.u32[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (tag === SWIP_HOT || tag === SWIP_COOL) this.frames.set(word >>> 2, PARENT, frame);
    }
  }

  // ── What is wrong ───────────────────────────────────────────────────────────────────────────────────────────

  #boundedClass(address: number, parent: number, offset: number): number {
    const sizeClass = sizeClassOf(address);
    if (sizeClass > this.blocks.maxClass) {
      throw new PagewrightError(
        'PW_POOL_EXHAUSTED',
        `A page of ${this.arena.pageSize << sizeClass} bytes does not fit into a pool of ${this.frames.count * this.arena.pageSize} bytes. Open the store with more memory.`,
        {
          details: {
            pageBytes: this.arena.pageSize << sizeClass,
            memory: this.frames.count * this.arena.pageSize,
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
      `The page at byte ${this.file.offsetOf(address)} of ${this.file.io.path} has a header that cannot be, though its checksum is right: it was written so.`,
      { details: { path: this.file.io.path, offset: this.file.offsetOf(address) } },
    );
  }

  #notASwip(parent: number, offset: number): PagewrightError {
    return new PagewrightError(
      'PW_CORRUPT_PAGE',
      `There is no swip at offset ${offset} of the page in frame ${parent} of ${this.file.io.path}: the index that owns it has written over it.`,
      { details: { path: this.file.io.path, frame: parent, offset } },
    );
  }

  #exhausted(sizeClass: number): PagewrightError {
    const by = {
      free: 0,
      loading: 0,
      pinned: 0,
      latched: 0,
      withChildren: 0,
      placeless: 0,
      beingWritten: 0,
      evictable: 0,
    };
    for (let frame = 0; frame < this.frames.count; ) {
      const state = this.frames.get(frame, STATE);
      if (state === STATE_FREE) by.free++;
      else if (state === STATE_LOADING) by.loading++;
      else if (this.frames.get(frame, PINS) > 0) by.pinned++;
      else if (this.latches.isHeld(frame)) by.latched++;
      else if (this.frames.get(frame, PARENT) === NO_FRAME) by.placeless++;
      else if (this.frames.get(frame, RESIDENT_CHILDREN) > 0) by.withChildren++;
      else if (this.epochs.isBeingWritten(frame)) by.beingWritten++;
      else by.evictable++;
      frame += state === STATE_FREE ? 1 : 1 << this.frames.get(frame, SIZE_CLASS);
    }
    return new PagewrightError(
      'PW_POOL_EXHAUSTED',
      `No frame for a page of ${this.arena.pageSize << sizeClass} bytes can be made free in a pool of ${this.frames.count} frames. Give the pool more memory, or use fewer large values at a time.`,
      { details: { frames: this.frames.count, pageBytes: this.arena.pageSize << sizeClass, heldBy: by } },
    );
  }
}
