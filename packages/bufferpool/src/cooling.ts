/**
 * The cooling queue: pages that were sampled as candidates for eviction wait here, first in, first out. A touch makes a
 * page hot again and takes it out; what reaches the end untouched is evicted (LeanStore, ICDE 2018, section III-B). The
 * links are in the frame table.
 */
import { type FrameTable, NEXT, NO_FRAME, PREVIOUS } from './frames.js';

export class CoolingQueue {
  #newest = NO_FRAME;
  #oldest = NO_FRAME;
  #length = 0;

  constructor(private readonly frames: FrameTable) {}

  get length(): number {
    return this.#length;
  }

  /** The frame that has waited longest, or `NO_FRAME`. */
  get oldest(): number {
    return this.#oldest;
  }

  /** The frame that came next after this one. */
  newerThan(frame: number): number {
    return this.frames.get(frame, PREVIOUS);
  }

  push(frame: number): void {
    this.frames.set(frame, PREVIOUS, NO_FRAME);
    this.frames.set(frame, NEXT, this.#newest);
    if (this.#newest === NO_FRAME) this.#oldest = frame;
    else this.frames.set(this.#newest, PREVIOUS, frame);
    this.#newest = frame;
    this.#length++;
  }

  remove(frame: number): void {
    const newer = this.frames.get(frame, PREVIOUS);
    const older = this.frames.get(frame, NEXT);
    if (newer === NO_FRAME) this.#newest = older;
    else this.frames.set(newer, NEXT, older);
    if (older === NO_FRAME) this.#oldest = newer;
    else this.frames.set(older, PREVIOUS, newer);
    this.frames.set(frame, NEXT, NO_FRAME);
    this.frames.set(frame, PREVIOUS, NO_FRAME);
    this.#length--;
  }

  /** The page has moved to another frame, and the links with it. */
  relink(to: number): void {
    const newer = this.frames.get(to, PREVIOUS);
    const older = this.frames.get(to, NEXT);
    if (newer === NO_FRAME) this.#newest = to;
    else this.frames.set(newer, NEXT, to);
    if (older === NO_FRAME) this.#oldest = to;
    else this.frames.set(older, PREVIOUS, to);
  }
}
