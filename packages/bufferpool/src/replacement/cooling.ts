/**
 * LeanStore's replacement (ICDE 2018, section III-B): a share of the pages, sampled at random, waits in a queue, first in,
 * first out. A touch takes a page out; what reaches the end untouched leaves.
 *
 * Must hold: a page is in the queue exactly while it is cool.
 */
import type { ReplaceableFrames, ReplacementPolicy } from '@pagewright/core';

/** At least so many pages wait, however small the pool. */
const SHORTEST_QUEUE = 32;
/** Samples for each page that should wait; many find none. */
const SAMPLES = 4;
const NONE = -1;
/** Of `newer`: the frame is not in the queue. */
const NOT_QUEUED = -2;

export class Cooling implements ReplacementPolicy {
  /** Neighbours in the queue, by frame. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  readonly #target: number;
  #newest = NONE;
  #oldest = NONE;
  #length = 0;

  /** `fraction` of the frames wait. */
  constructor(
    private readonly frames: ReplaceableFrames,
    fraction: number,
  ) {
    const links = (): Int32Array => new Int32Array(new SharedArrayBuffer(frames.count * 4));
    this.#newer = links().fill(NOT_QUEUED);
    this.#older = links();
    this.#target = Math.max(SHORTEST_QUEUE, Math.floor(frames.count * fraction));
  }

  /** What is hot is found by sampling: nothing is kept of it. */
  entered(): void {}

  rewarmed(frame: number): void {
    this.#remove(frame);
  }

  left(frame: number): void {
    this.#remove(frame);
  }

  moved(from: number, to: number): void {
    const newer = this.#newer[from] as number;
    if (newer === NOT_QUEUED) return;
    const older = this.#older[from] as number;
    this.#newer[from] = NOT_QUEUED;
    this.#newer[to] = newer;
    this.#older[to] = older;
    this.#tellNeighbours(newer, to, to, older);
  }

  prepare(): void {
    for (let tries = this.#target * SAMPLES; this.#length < this.#target && tries > 0; tries--) {
      const frame = this.frames.sample();
      if (frame === NONE || this.#newer[frame] !== NOT_QUEUED) continue;
      // First the queue: whoever touches the page as soon as it is cool finds it there, and takes it out.
      this.#push(frame);
      if (!this.frames.cool(frame)) this.#remove(frame);
    }
  }

  victims(batch: Int32Array): number {
    let count = 0;
    for (let frame = this.#oldest; frame !== NONE && count < batch.length; frame = this.#newer[frame] as number) {
      if (this.frames.mayLeave(frame)) batch[count++] = frame;
    }
    return count;
  }

  #push(frame: number): void {
    this.#newer[frame] = NONE;
    this.#older[frame] = this.#newest;
    this.#tellNeighbours(NONE, frame, frame, this.#newest);
    this.#length++;
  }

  #remove(frame: number): void {
    const newer = this.#newer[frame] as number;
    if (newer === NOT_QUEUED) return;
    const older = this.#older[frame] as number;
    this.#tellNeighbours(newer, older, newer, older);
    this.#newer[frame] = NOT_QUEUED;
    this.#length--;
  }

  /** Between `newer` and `older` something has changed: who stands next to each of them now. */
  #tellNeighbours(newer: number, nextOlder: number, nextNewer: number, older: number): void {
    if (newer === NONE) this.#newest = nextOlder;
    else this.#older[newer] = nextOlder;
    if (older === NONE) this.#oldest = nextNewer;
    else this.#newer[older] = nextNewer;
  }
}
