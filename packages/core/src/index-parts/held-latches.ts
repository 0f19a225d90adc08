/** The latches that a change of the tree's structure holds, so that all are given back however it ends. */
import type { PageStore } from '../contracts/pages.js';

export class HeldLatches {
  readonly #frames: number[] = [];

  constructor(private readonly pages: PageStore) {}

  /** Takes charge of a latch that is held. */
  add(frame: number): number {
    this.#frames.push(frame);
    return frame;
  }

  /** Gives one back before the others. */
  release(frame: number): void {
    this.forget(frame);
    this.pages.unlatch(frame);
  }

  /** The page is gone, and its latch with it. */
  forget(frame: number): void {
    const at = this.#frames.indexOf(frame);
    if (at >= 0) this.#frames.splice(at, 1);
  }

  releaseAll(): void {
    for (let frame = this.#frames.pop(); frame !== undefined; frame = this.#frames.pop()) this.pages.unlatch(frame);
  }
}
