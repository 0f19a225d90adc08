/**
 * Eviction, after LeanStore (ICDE 2018, section III): how pages leave. Which leave is for the replacement policy to say.
 *
 * Must hold: P1 a page leaves after its children. P2 an address replaces a frame in a swip only when the write of the page
 * has completed. A policy is not trusted with that: what it hands out is checked before it is touched. The caller has the
 * pool latch, which is given back only while pages are written.
 */
import { invariant, POINT, SWIP_COLD, schedulePoint } from '@pagewright/core/contracts';
import type { StagedImage } from './closed-epoch.js';
import type { Cooler } from './cooler.js';
import { EVICTED_AHEAD, EVICTIONS, RESIDENT, WRITES, WRITTEN_AHEAD } from './counters.js';
import { tellEviction } from './diagnostics.js';
import { ADDRESS, CHECKSUM, PARENT, RESIDENT_CHILDREN, SIZE_CLASS } from './frames.js';
import type { Placement, PoolParts } from './placement.js';

/** So many pages leave together: their images are written as one batch. */
const EVICTION_BATCH = 32;
/** And so many where nobody waits for it. */
const BATCH_AHEAD = 128;
/** After so many pages of such a batch others are let in. */
const PAGES_AT_A_TIME = 8;

export class Eviction {
  readonly #victims = new Int32Array(BATCH_AHEAD);
  /** Whether what is evicted now is evicted ahead, by the page provider. */
  #ahead = false;

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
    return this.evict(this.#choose(EVICTION_BATCH));
  }

  /** The same for the page provider, which lets others in meanwhile. So many pages at most. */
  evictAhead(most: number): number {
    this.#ahead = true;
    try {
      this.#prepare();
      this.parts.poolLatch.letIn();
      return this.evict(this.#choose(Math.min(most, BATCH_AHEAD)));
    } finally {
      this.#ahead = false;
    }
  }

  #choose(most: number): number[] {
    const count = this.cooler.policy.victims(this.#victims.subarray(0, most));
    invariant(count >= 0 && count <= most, `The replacement policy "${this.cooler.name}" handed out ${count} pages`);
    const batch: number[] = [];
    for (let at = 0; at < count; at++) {
      const frame = this.#victims[at] as number;
      const mayLeave = frame >= 0 && frame < this.parts.frames.count && this.placement.isEvictable(frame);
      invariant(
        mayLeave && !batch.includes(frame),
        `The replacement policy "${this.cooler.name}" handed out frame ${frame}, which may not leave`,
      );
      // It may have been latched since the policy looked.
      if (this.placement.mayLeave(frame, false)) batch.push(frame);
    }
    return batch;
  }

  /**
   * Writes what is dirty of these pages as one batch, then turns their swips cold; how many. Pages that another thread has
   * latched, or is at work above, stay.
   */
  evict(batch: readonly number[]): number {
    const { epochs, file } = this.parts;
    const written = this.#clean(batch.filter((frame) => epochs.isDirty(frame)));
    schedulePoint(POINT.evictionWritten);
    let left = 0;
    for (const [at, frame] of batch.entries()) {
      if (this.#leave(frame)) left++;
      this.#letIn(at);
    }
    tellEviction(file, left, written);
    return left;
  }

  #prepare(): void {
    this.cooler.policy.prepare();
    schedulePoint(POINT.pageCooled);
  }

  /** Writes dirty pages, as far as nobody else has their latches; how many are clean now. */
  #clean(dirty: readonly number[]): number {
    const staged = this.#stage(dirty);
    if (staged.length === 0) return 0;
    const { epochs, frames, counters, poolLatch } = this.parts;
    const checksums: number[] = [];
    try {
      this.#write(staged, checksums);
    } catch (error) {
      // Without the latch, because a thread was lost or the pool closed, nothing may be touched, and nothing matters.
      if (poolLatch.isOwn) for (const image of staged) epochs.withdraw(image);
      throw error;
    }
    let written = 0;
    for (const [at, image] of staged.entries()) {
      const sizeClass = frames.get(image.frame, SIZE_CLASS);
      if (!epochs.settleEvicted(image.frame, image, checksums[at] as number)) continue;
      counters.addOf(WRITES, sizeClass);
      if (this.#ahead) counters.add(WRITTEN_AHEAD);
      written++;
    }
    return written;
  }

  /** P4: copies pages under their latches. From then on whoever changes one says so, and its copy does not count. */
  #stage(dirty: readonly number[]): StagedImage[] {
    const { epochs } = this.parts;
    const staged: StagedImage[] = [];
    try {
      for (const [at, frame] of dirty.entries()) {
        this.#stageOne(frame, staged);
        this.#letIn(at);
      }
    } catch (error) {
      for (const image of staged) epochs.withdraw(image);
      throw error;
    }
    return staged;
  }

  /** Since the page was chosen others may have been let in, and the frame may have another page, or none. */
  #stageOne(frame: number, staged: StagedImage[]): void {
    const { epochs, latches } = this.parts;
    if (!epochs.isDirty(frame) || !this.placement.isEvictable(frame) || !latches.tryLatch(frame)) return;
    try {
      staged.push(epochs.stageForEviction(frame));
    } finally {
      latches.unlatch(frame);
    }
  }

  #letIn(at: number): void {
    if (this.#ahead && (at + 1) % PAGES_AT_A_TIME === 0) this.parts.poolLatch.letIn();
  }

  /** Without the pool latch: other threads go on meanwhile, and may change, move or give up what is being written. */
  #write(staged: readonly StagedImage[], checksums: number[]): void {
    const { epochs, file, poolLatch } = this.parts;
    const depth = poolLatch.suspend();
    try {
      schedulePoint(POINT.evictionStaged);
      for (const image of staged) checksums.push(epochs.sealForEviction(image.frame, image));
      file.writeImagesSync(staged);
    } finally {
      poolLatch.resume(depth);
    }
  }

  /** Turns the swip of a clean page cold and frees its frame; whether it could. The frame may have another page by now. */
  #leave(frame: number): boolean {
    const { arena, epochs, frames, translation, latches, blocks, counters } = this.parts;
    if (epochs.isDirty(frame) || !this.placement.isEvictable(frame) || !latches.tryLatch(frame)) return false;
    const parent = frames.get(frame, PARENT);
    const own = latches.isOwn(parent);
    if (!own && !latches.tryLatch(parent)) {
      latches.unlatch(frame);
      return false;
    }
    const at = this.placement.findSwip(parent, frame);
    const words = arena.segmentOf(parent).u32;
    words[at] = ((frames.get(frame, ADDRESS) << 2) | SWIP_COLD) >>> 0;
    words[at + 1] = frames.get(frame, CHECKSUM);
    frames.add(parent, RESIDENT_CHILDREN, -1);
    this.cooler.leaves(frame);
    translation.leave(frame);
    const sizeClass = frames.get(frame, SIZE_CLASS);
    frames.clear(frame, sizeClass);
    blocks.free(frame, sizeClass);
    counters.addOf(EVICTIONS, sizeClass);
    if (this.#ahead) counters.add(EVICTED_AHEAD);
    counters.addOf(RESIDENT, sizeClass, -1);
    latches.unlatch(frame);
    if (!own) latches.unlatch(parent);
    schedulePoint(POINT.pageEvicted);
    return true;
  }
}
