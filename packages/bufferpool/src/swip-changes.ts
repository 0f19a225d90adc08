/**
 * Pages get and lose their places in the tree: a swip that names them, a parent that knows how many of its children are in memory. What
 * calls it holds the latches of the pages concerned, and has marked them dirty; the pool latch is taken here.
 */
import { invariant, SWIP_COLD, SWIP_COOL, SWIP_HOT, SWIP_NULL, SWIP_TAG_MASK } from '@pagewright/core/contracts';
import { NO_FRAME, PARENT, PINS, RESIDENT_CHILDREN } from './frames.js';
import type { PoolParts } from './placement.js';
import type { Residency } from './residency.js';

export class SwipChanges {
  constructor(
    private readonly parts: PoolParts,
    private readonly residency: Residency,
  ) {}

  /** See `PageStore.link`. */
  link(parent: number, offset: number, child: number): void {
    const { arena, frames, poolLatch } = this.parts;
    const at = (arena.baseOf(parent) + offset) >>> 2;
    invariant(frames.get(child, PARENT) === NO_FRAME, 'A page is linked into the tree twice');
    // What stood here would be reached by nothing any more, and never be given up.
    invariant(arena.segmentOf(parent).u32[at] === SWIP_NULL, 'A page is linked where another one is');
    poolLatch.take();
    this.residency.swizzle(parent, offset, child);
    poolLatch.give();
  }

  /** See `PageStore.unlink`. */
  unlink(parent: number, offset: number): number {
    const { arena, poolLatch } = this.parts;
    const { u32 } = arena.segmentOf(parent);
    const at = (arena.baseOf(parent) + offset) >>> 2;
    if (u32[at] === SWIP_NULL) return NO_FRAME;
    const frame = this.residency.resolve(parent, offset);
    poolLatch.take();
    this.#cut(parent, frame, u32, at);
    poolLatch.give();
    return frame;
  }

  /** See `PageStore.free`; the page is latched still when it returns. */
  free(frame: number): void {
    const { epochs, frames, poolLatch } = this.parts;
    invariant(frames.get(frame, PARENT) === NO_FRAME, 'A page is freed that still has its place in the tree');
    invariant(frames.get(frame, RESIDENT_CHILDREN) === 0, 'A page is freed that still has children');
    invariant(frames.get(frame, PINS) === 0, 'A pinned page is freed');
    poolLatch.holding(() => {
      epochs.pageFreed(frame);
      this.residency.release(frame);
    });
  }

  /** See `PageStore.discard`. */
  discard(parent: number, offset: number): void {
    const { arena, epochs, frames, latches, poolLatch } = this.parts;
    const { u32 } = arena.segmentOf(parent);
    const at = (arena.baseOf(parent) + offset) >>> 2;
    // The parent's latch keeps the swip as it is, but for its being cool or hot.
    const word = u32[at] as number;
    if (word === SWIP_NULL) return;
    const isCold = (word & SWIP_TAG_MASK) === SWIP_COLD;
    const frame = isCold ? NO_FRAME : poolLatch.holding(() => this.residency.frameNamedBy(parent, offset, word));
    if (frame !== NO_FRAME) latches.latch(frame);
    try {
      poolLatch.take();
      if (frame === NO_FRAME) {
        epochs.extentFreed(word >>> 2);
        u32[at] = SWIP_NULL;
        u32[at + 1] = 0;
      } else {
        invariant(frames.get(frame, RESIDENT_CHILDREN) === 0, 'A page is given up that still has children');
        invariant(frames.get(frame, PINS) === 0, 'A pinned page is given up');
        // First what can fail: the page keeps its place then.
        epochs.pageFreed(frame);
        this.#cut(parent, frame, u32, at);
        this.residency.release(frame);
      }
    } finally {
      poolLatch.give();
      if (frame !== NO_FRAME) latches.unlatch(frame);
    }
  }

  /** See `PageStore.moveSwips`. */
  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    const { arena, frames, poolLatch, translation } = this.parts;
    const source = arena.segmentOf(from).u32;
    const target = arena.segmentOf(to).u32;
    let sourceAt = (arena.baseOf(from) + fromOffset) >>> 2;
    let targetAt = (arena.baseOf(to) + toOffset) >>> 2;
    const step = stride >>> 2;
    let resident = 0;
    poolLatch.take();
    for (let left = count; left > 0; left--, sourceAt += step, targetAt += step) {
      const word = source[sourceAt] as number;
      const tag = word & SWIP_TAG_MASK;
      target[targetAt] = word;
      target[targetAt + 1] = source[sourceAt + 1] as number;
      source[sourceAt] = SWIP_NULL;
      source[sourceAt + 1] = 0;
      if (tag === SWIP_HOT || tag === SWIP_COOL) {
        frames.set(translation.frameOf(word >>> 2), PARENT, to);
        resident++;
      }
    }
    frames.add(from, RESIDENT_CHILDREN, -resident);
    frames.add(to, RESIDENT_CHILDREN, resident);
    poolLatch.give();
  }

  /** The page loses its place: its swip becomes null. */
  #cut(parent: number, frame: number, words: Uint32Array, at: number): void {
    const { frames } = this.parts;
    this.residency.cooler.rewarm(frame);
    frames.set(frame, PARENT, NO_FRAME);
    frames.add(parent, RESIDENT_CHILDREN, -1);
    words[at] = SWIP_NULL;
    words[at + 1] = 0;
  }
}
