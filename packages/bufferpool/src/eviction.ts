/**
 * Eviction, after LeanStore (ICDE 2018, section III): how pages leave. Which leave is for the replacement policy to say.
 *
 * Must hold: P1 a page leaves after its children. P2 an address replaces a frame in a swip only when the write of the page
 * has completed. A policy is not trusted with that: what it hands out is checked before it is touched.
 */
import { invariant, POINT, SWIP_COLD, schedulePoint } from '@pagewright/core';
import type { Cooler } from './cooler.js';
import type { StagedImage } from './epochs.js';
import { ADDRESS, CHECKSUM, PARENT, RESIDENT_CHILDREN, SIZE_CLASS } from './frames.js';
import type { Placement, PoolParts } from './placement.js';

/** So many pages leave together: their images are written as one batch. */
const EVICTION_BATCH = 32;

export class Eviction {
  evictions = 0;
  pageWrites = 0;
  readonly #victims = new Int32Array(EVICTION_BATCH);

  constructor(
    private readonly parts: PoolParts,
    private readonly placement: Placement,
    private readonly cooler: Cooler,
  ) {}

  /** Evicts until so many blocks are free, as far as that goes without looking at every frame, and with so many batches. */
  evictUpTo(free: number, batches = Number.POSITIVE_INFINITY): void {
    this.#prepare();
    for (let left = batches; this.parts.blocks.freeUnits < free && left > 0; left--) {
      if (this.evictBatch() === 0) return;
      this.#prepare();
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

  /** Evicts what the policy hands out, as one batch; how many. */
  evictBatch(): number {
    const count = this.cooler.policy.victims(this.#victims);
    invariant(count >= 0 && count <= EVICTION_BATCH, `The replacement policy handed out ${count} pages`);
    const batch: number[] = [];
    for (let at = 0; at < count; at++) {
      const frame = this.#victims[at] as number;
      const mayLeave = frame >= 0 && frame < this.parts.frames.count && this.placement.mayLeave(frame, false);
      invariant(
        mayLeave && !batch.includes(frame),
        `The replacement policy handed out frame ${frame}, which may not leave`,
      );
      batch.push(frame);
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

  #prepare(): void {
    this.cooler.policy.prepare();
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
    this.cooler.leaves(frame);
    const sizeClass = this.parts.frames.get(frame, SIZE_CLASS);
    this.parts.frames.clear(frame, sizeClass);
    this.parts.blocks.free(frame, sizeClass);
    this.evictions++;
    this.parts.latches.unlatch(frame);
    if (!own) this.parts.latches.unlatch(parent);
    schedulePoint(POINT.pageEvicted);
  }
}
