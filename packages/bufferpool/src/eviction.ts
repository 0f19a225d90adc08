/**
 * Eviction, after LeanStore (ICDE 2018, section III): how pages leave. Which leave is for the replacement policy to say.
 *
 * Must hold: P1 a page leaves after its children. P2 an address replaces a frame in a swip only when the write of the page
 * has completed. A policy is not trusted with that: what it hands out is checked before it is touched. The caller has the
 * pool latch, which is given back only while pages are written.
 */
import { invariant, POINT, SWIP_COLD, schedulePoint } from '@pagewright/core';
import type { Cooler } from './cooler.js';
import { EVICTIONS, RESIDENT, WRITES } from './counters.js';
import { tellEviction } from './diagnostics.js';
import type { StagedImage } from './epochs.js';
import { ADDRESS, CHECKSUM, NO_FRAME, PARENT, RESIDENT_CHILDREN, SIZE_CLASS } from './frames.js';
import type { Placement, PoolParts } from './placement.js';

/** So many pages leave together: their images are written as one batch. */
const EVICTION_BATCH = 32;

export class Eviction {
  readonly #victims = new Int32Array(EVICTION_BATCH);

  constructor(
    private readonly parts: PoolParts,
    private readonly placement: Placement,
    private readonly cooler: Cooler,
  ) {}

  /** Evicts until so many blocks are free, as far as that goes without looking at every frame. */
  evictUpTo(free: number): void {
    this.#prepare();
    while (this.parts.blocks.freeUnits < free) {
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
      const mayLeave = frame >= 0 && frame < this.parts.frames.count && this.placement.isEvictable(frame);
      invariant(
        mayLeave && !batch.includes(frame),
        `The replacement policy handed out frame ${frame}, which may not leave`,
      );
      // It may have been latched since the policy looked.
      if (this.placement.mayLeave(frame, false)) batch.push(frame);
    }
    return this.evict(batch);
  }

  /**
   * Writes what is dirty of these pages as one batch, then turns their swips cold; how many. Pages that another thread has
   * latched, or is at work above, stay.
   */
  evict(batch: readonly number[]): number {
    const { latches, epochs, file } = this.parts;
    // From here on nobody changes them: the pool latch is given back while they are written.
    const held = batch.filter((frame) => latches.tryLatch(frame));
    const dirty = held.filter((frame) => epochs.isDirty(frame));
    let left = 0;
    try {
      this.#clean(dirty);
      schedulePoint(POINT.evictionWritten);
    } catch (error) {
      for (const frame of held) latches.unlatch(frame);
      throw error;
    }
    for (const frame of held) if (this.#leave(frame)) left++;
    tellEviction(file, left, dirty.length);
    return left;
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
      this.#write(staged);
    } catch (error) {
      for (const image of staged) this.parts.epochs.withdraw(image);
      throw error;
    }
    for (const [index, frame] of dirty.entries()) {
      this.parts.counters.addOf(WRITES, this.parts.frames.get(frame, SIZE_CLASS));
      this.parts.epochs.settleEvicted(frame, staged[index] as StagedImage, checksums[index] as number);
    }
  }

  /** Without the pool latch: other threads go on meanwhile. */
  #write(staged: readonly StagedImage[]): void {
    const { file, poolLatch } = this.parts;
    const depth = poolLatch.suspend();
    try {
      file.io.submitSync(staged.map((image) => file.write(image.address, image.image.bytes)));
    } finally {
      poolLatch.resume(depth);
    }
  }

  /** Turns the swip of a clean page, which is latched, cold and frees its frame; or leaves it, unlatched. */
  #leave(frame: number): boolean {
    const { arena, frames, latches, blocks, counters } = this.parts;
    const parent = frames.get(frame, PARENT);
    const own = parent !== NO_FRAME && latches.isOwn(parent);
    if (!this.placement.mayLeaveLatched(frame) || !(own || latches.tryLatch(parent))) {
      latches.unlatch(frame);
      return false;
    }
    const at = this.placement.findSwip(parent, frame);
    const words = arena.segmentOf(parent).u32;
    words[at] = ((frames.get(frame, ADDRESS) << 2) | SWIP_COLD) >>> 0;
    words[at + 1] = frames.get(frame, CHECKSUM);
    frames.add(parent, RESIDENT_CHILDREN, -1);
    this.cooler.leaves(frame);
    const sizeClass = frames.get(frame, SIZE_CLASS);
    frames.clear(frame, sizeClass);
    blocks.free(frame, sizeClass);
    counters.addOf(EVICTIONS, sizeClass);
    counters.addOf(RESIDENT, sizeClass, -1);
    latches.unlatch(frame);
    if (!own) latches.unlatch(parent);
    schedulePoint(POINT.pageEvicted);
    return true;
  }
}
