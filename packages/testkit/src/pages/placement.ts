/**
 * Where pages hang: linking, unlinking, giving up and moving them, as `PageStore` describes it. Must hold: a swip is
 * written only where a null one is, in the table of a page that is latched and marked; a page that is given up has
 * neither a place nor children.
 */
import { SWIP_COLD, SWIP_HOT, SWIP_NULL, SWIP_SIZE, SWIP_TAG_MASK } from '@pagewright/core';
import { type Frames, NOWHERE } from './frames.js';
import type { Residency } from './residency.js';
import { hasSwipAt } from './swip-table.js';
import type { Watch } from './watch.js';

export class Placement {
  constructor(
    private readonly frames: Frames,
    private readonly watch: Watch,
    private readonly residency: Residency,
  ) {}

  link(parent: number, offset: number, child: number): void {
    this.watch.assertChanging(parent, 'link');
    this.#assertInTable(parent, offset, 1, SWIP_SIZE);
    if (this.frames.parents[child] !== NOWHERE) throw new Error(`Frame ${child} is linked twice`);
    if (this.frames.word(parent, offset) !== SWIP_NULL) throw new Error(`A swip of frame ${parent} is written over`);
    this.residency.swizzle(parent, offset, child);
  }

  unlink(parent: number, offset: number): number {
    this.watch.assertChanging(parent, 'unlink');
    if (this.frames.word(parent, offset) === SWIP_NULL) return NOWHERE;
    const frame = this.residency.resolve(parent, offset);
    this.frames.parents[frame] = NOWHERE;
    this.residency.setSwip(parent, offset, SWIP_NULL);
    return frame;
  }

  free(frame: number): void {
    this.watch.assertLatched(frame, 'freed');
    if (this.frames.parents[frame] !== NOWHERE) throw new Error(`Frame ${frame} is freed in its place`);
    for (const offset of this.frames.swips(frame))
      if (this.frames.word(frame, offset) !== SWIP_NULL) throw new Error(`Frame ${frame} is freed with children`);
    this.residency.release(frame);
  }

  discard(parent: number, offset: number): void {
    this.watch.assertChanging(parent, 'discard');
    const word = this.frames.word(parent, offset);
    if (word === SWIP_NULL) return;
    if ((word & SWIP_TAG_MASK) === SWIP_COLD) {
      if (!this.residency.cold.delete(word)) throw new Error(`A swip of frame ${parent} names nothing`);
      this.residency.setSwip(parent, offset, SWIP_NULL);
      return;
    }
    const frame = this.unlink(parent, offset);
    this.watch.hold(frame);
    this.free(frame);
  }

  moveSwips(from: number, fromOffset: number, to: number, toOffset: number, count: number, stride: number): void {
    this.watch.assertChanging(from, 'moveSwips');
    this.watch.assertChanging(to, 'moveSwips');
    if (from === to) throw new Error('moveSwips is called for one page; within it plain copying does');
    this.#assertInTable(from, fromOffset, count, stride);
    this.#assertInTable(to, toOffset, count, stride);
    for (let i = 0; i < count; i++) {
      const word = this.frames.word(from, fromOffset + i * stride);
      if (this.frames.word(to, toOffset + i * stride) !== SWIP_NULL)
        throw new Error(`A swip of frame ${to} is written over by another`);
      this.residency.setSwip(to, toOffset + i * stride, word);
      this.residency.setSwip(from, fromOffset + i * stride, SWIP_NULL);
      if ((word & SWIP_TAG_MASK) === SWIP_HOT) this.frames.parents[word >>> 2] = to;
    }
  }

  /**
   * Gives up all that a swip of a latched page leads to, leaves first; `mark` is called for each page before it changes.
   * The budget of pages that is left; -1 if it did not suffice.
   */
  releaseBelow(parent: number, offset: number, budget: number, mark: (frame: number) => void): number {
    if (this.frames.word(parent, offset) === SWIP_NULL) return budget;
    if (budget === 0) return -1;
    const frame = this.residency.resolve(parent, offset);
    this.watch.hold(frame);
    mark(frame);
    let left = budget;
    for (const swip of this.frames.swips(frame)) {
      left = this.releaseBelow(frame, swip, left, mark);
      if (left < 0) break;
    }
    if (left > 0) {
      this.unlink(parent, offset);
      this.free(frame);
      return left - 1;
    }
    this.watch.endChange(frame);
    this.watch.letGo(frame);
    this.frames.touch(frame);
    return -1;
  }

  /** Calls back with each page that a swip leads to, loaded if need be, parents first. */
  walk(parent: number, offset: number, visit: (frame: number, offsetInParent: number, parent: number) => void): void {
    if (this.frames.word(parent, offset) === SWIP_NULL) return;
    const frame = this.residency.resolve(parent, offset);
    visit(frame, offset, parent);
    for (const swip of this.frames.swips(frame)) this.walk(frame, swip, visit);
  }

  #assertInTable(frame: number, offset: number, count: number, stride: number): void {
    const page = this.frames.bytes(frame);
    for (let i = 0; i < count; i++)
      if (!hasSwipAt(page, offset + i * stride))
        throw new Error(`Offset ${offset + i * stride} of frame ${frame} is outside its swip table`);
  }
}
