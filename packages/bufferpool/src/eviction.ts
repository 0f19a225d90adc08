/**
 * Eviction, after LeanStore (ICDE 2018, section III): sampled pages cool, and what nobody touches while it cools leaves.
 *
 * Must hold: P1 a page leaves after its children. P2 an address replaces a frame in a swip only when the write of the page
 * has completed.
 */
import { POINT, SWIP_COLD, SWIP_COOL, SWIP_HOT, SWIP_TAG_MASK, schedulePoint } from '@pagewright/core';
import { CoolingQueue } from './cooling.js';
import type { StagedImage } from './epochs.js';
import {
  ADDRESS,
  CHECKSUM,
  NO_FRAME,
  PARENT,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_COOL,
  STATE_HOT,
} from './frames.js';
import type { Placement, PoolParts } from './placement.js';

/** So many pages leave together: their images are written as one batch. */
const EVICTION_BATCH = 32;
/** How far sampling goes down from an inner page. */
const DEEPEST_SAMPLE = 16;

export class Eviction {
  readonly cooling: CoolingQueue;
  cooled = 0;
  evictions = 0;
  pageWrites = 0;
  readonly #coolTarget: number;
  /** State of xorshift32: sampling needs no better randomness, and the same run samples the same frames. */
  #random = 0x9e3779b9;

  constructor(
    private readonly parts: PoolParts,
    private readonly placement: Placement,
    coolingFraction: number,
  ) {
    this.cooling = new CoolingQueue(parts.frames);
    this.#coolTarget = Math.max(EVICTION_BATCH, Math.floor(parts.frames.count * coolingFraction));
  }

  /** Evicts until so many blocks are free, as far as that goes without looking at every frame. */
  evictUpTo(free: number): void {
    this.#coolSome();
    while (this.parts.blocks.freeUnits < free) {
      if (this.evictBatch() === 0) return;
      this.#coolSome();
    }
  }

  /** Frees at least one block, looking at every frame if need be, or answers -1. */
  evictForOne(): number {
    for (let pass = 0; pass < 2; pass++) {
      this.evictUpTo(1);
      const frame = this.parts.blocks.allocate(0);
      if (frame >= 0) return frame;
      // Children of latched pages are spared as long as possible: whoever holds the latch is at work there.
      for (let candidate = 0; candidate < this.parts.frames.count; candidate++) {
        if (this.placement.mayLeave(candidate, pass === 1) && this.evict([candidate]) > 0) {
          const freed = this.parts.blocks.allocate(0);
          if (freed >= 0) return freed;
        }
      }
    }
    return -1;
  }

  /** Evicts pages from the end of the cooling queue; how many. */
  evictBatch(): number {
    const batch: number[] = [];
    let frame = this.cooling.oldest;
    while (frame !== NO_FRAME && batch.length < EVICTION_BATCH) {
      if (this.placement.mayLeave(frame, false)) batch.push(frame);
      frame = this.cooling.newerThan(frame);
    }
    return this.evict(batch);
  }

  /** Writes what is dirty of these pages as one batch, then turns their swips cold; how many. */
  evict(batch: readonly number[]): number {
    this.#clean(batch.filter((frame) => this.parts.epochs.isDirty(frame)));
    schedulePoint(POINT.evictionWritten);
    for (const frame of batch) this.#leave(frame);
    return batch.length;
  }

  /** Takes a page out of the cooling queue, because its swip is about to go or it was touched. */
  heat(frame: number): void {
    if (this.parts.frames.get(frame, STATE) !== STATE_COOL) return;
    this.cooling.remove(frame);
    this.parts.frames.set(frame, STATE, STATE_HOT);
  }

  nextRandom(): number {
    let x = this.#random;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.#random = x;
    return x >>> 0;
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
    let frame = this.parts.frames.headOf(this.nextRandom() % this.parts.frames.count);
    for (let depth = 0; frame !== NO_FRAME && depth < DEEPEST_SAMPLE; depth++) {
      if (this.parts.frames.get(frame, STATE) !== STATE_HOT) return NO_FRAME;
      if (this.parts.frames.get(frame, RESIDENT_CHILDREN) === 0)
        return this.placement.mayLeave(frame, false) ? frame : NO_FRAME;
      frame = this.#randomChild(frame);
    }
    return NO_FRAME;
  }

  #randomChild(frame: number): number {
    const segment = this.parts.arena.segmentOf(frame);
    const base = this.parts.arena.baseOf(frame);
    const table = this.placement.swipTableOf(frame);
    let index = this.nextRandom() % table.count;
    for (let left = table.count; left > 0; left--) {
      const word = segment.u32[(base + table.offset + index * table.stride) >>> 2] as number;
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) return word >>> 2;
      index = index + 1 === table.count ? 0 : index + 1;
    }
    return NO_FRAME;
  }

  #cool(frame: number): void {
    const parent = this.parts.frames.get(frame, PARENT);
    schedulePoint(POINT.pageCooling);
    if (!this.parts.latches.tryLatch(parent)) return;
    const at = this.placement.findSwip(parent, frame);
    this.parts.arena.segmentOf(parent).u32[at] = (frame << 2) | SWIP_COOL;
    this.parts.frames.set(frame, STATE, STATE_COOL);
    this.cooling.push(frame);
    this.cooled++;
    this.parts.latches.unlatch(parent);
    schedulePoint(POINT.pageCooled);
  }

  #clean(dirty: readonly number[]): void {
    if (dirty.length === 0) return;
    const staged: StagedImage[] = [];
    const checksums: number[] = [];
    try {
      for (const frame of dirty) {
        const image = this.parts.epochs.stageForEviction(frame);
        staged.push(image);
        checksums.push(this.parts.epochs.sealForEviction(frame, image));
      }
      schedulePoint(POINT.evictionStaged);
      this.parts.file.io.submitSync(staged.map((image) => this.parts.file.write(image.address, image.image.bytes)));
    } catch (error) {
      for (const image of staged) this.parts.epochs.withdraw(image);
      throw error;
    }
    for (const [index, frame] of dirty.entries()) {
      this.parts.epochs.settleEvicted(frame, staged[index] as StagedImage, checksums[index] as number);
    }
    this.pageWrites += dirty.length;
  }

  /** Turns the swip of a clean page cold and frees its frame. */
  #leave(frame: number): void {
    const parent = this.parts.frames.get(frame, PARENT);
    const own = this.parts.latches.isOwn(parent);
    if (!own) this.parts.latches.latch(parent);
    this.parts.latches.latch(frame);
    const at = this.placement.findSwip(parent, frame);
    const words = this.parts.arena.segmentOf(parent).u32;
    words[at] = ((this.parts.frames.get(frame, ADDRESS) << 2) | SWIP_COLD) >>> 0;
    words[at + 1] = this.parts.frames.get(frame, CHECKSUM);
    this.parts.frames.add(parent, RESIDENT_CHILDREN, -1);
    this.heat(frame);
    const sizeClass = this.parts.frames.get(frame, SIZE_CLASS);
    this.parts.frames.clear(frame, sizeClass);
    this.parts.blocks.free(frame, sizeClass);
    this.evictions++;
    this.parts.latches.unlatch(frame);
    if (!own) this.parts.latches.unlatch(parent);
    schedulePoint(POINT.pageEvicted);
  }
}
