/**
 * CLOCK with two hands, as the pagers of 4.3BSD and SVR4 have it. A cool swip is its reference bit: the front hand goes
 * around and cools pages, the back hand follows at a distance and takes those that nobody has touched since. Unlike sampling it
 * comes to each page once a round, in the order of frames.
 *
 * Must hold: the back hand never passes the front hand, and the front hand never comes around to the back hand.
 */
import type { ReplaceableFrames } from '@pagewright/core/contracts';
import type { ProvenPolicy } from './probation.js';

/** At least so many pages are between the hands, however small the pool. */
const FEWEST_CANDIDATES = 32;
/** Frames that the front hand goes past in one call, in which others wait. What is lacking then is left to the next call. */
const MOST_PASSED = 4096;

/** No page begins in this frame. Of all states the one that zeros are. */
const ABSENT = 0;
/** In use, as far as is known: the front hand has to come by. */
const IN_USE = 1;
/** Cooled by the front hand, and not touched since. */
const CANDIDATE = 2;

// Words of the header:
/** The frame that the back hand looks at next. */
const BACK = 0;
/** By how many frames the front hand is ahead of it. */
const SPREAD = 1;
const CANDIDATES = 2;
const HEADER_WORDS = 3;

export class Clock implements ProvenPolicy {
  readonly #header: Int32Array;
  readonly #states: Uint8Array;
  readonly #target: number;

  /** `fraction` of the frames are between the hands, as candidates. */
  constructor(
    private readonly frames: ReplaceableFrames,
    state: SharedArrayBuffer,
    fraction: number,
  ) {
    this.#header = new Int32Array(state, 0, HEADER_WORDS);
    this.#states = new Uint8Array(state, HEADER_WORDS * 4, frames.count);
    this.#target = Math.max(FEWEST_CANDIDATES, Math.floor(frames.count * fraction));
  }

  static stateBytes(frames: number): number {
    return HEADER_WORDS * 4 + frames;
  }

  entered(frame: number): void {
    this.#set(frame, IN_USE);
  }

  rewarmed(frame: number): void {
    this.#set(frame, IN_USE);
  }

  left(frame: number): void {
    this.#set(frame, ABSENT);
  }

  /** Where it is now the back hand may be past it already: it gets a second chance. */
  moved(from: number, to: number): void {
    this.#set(from, ABSENT);
    this.#set(to, IN_USE);
  }

  prepare(): void {
    const { count } = this.frames;
    for (
      let left = MOST_PASSED;
      left > 0 && this.#get(CANDIDATES) < this.#target && this.#get(SPREAD) < count;
      left--
    ) {
      const frame = (this.#get(BACK) + this.#get(SPREAD)) % count;
      this.#add(SPREAD, 1);
      if (this.#states[frame] !== IN_USE) continue;
      // Before it is cool: whoever touches it as soon as it is finds it so, and says that it is in use.
      this.#set(frame, CANDIDATE);
      if (!this.frames.cool(frame)) this.#set(frame, IN_USE);
    }
  }

  victims(batch: Int32Array): number {
    const { count } = this.frames;
    let found = 0;
    for (; found < batch.length && this.#get(SPREAD) > 0; this.#add(SPREAD, -1)) {
      const frame = this.#get(BACK);
      this.#header[BACK] = (frame + 1) % count;
      if (this.#states[frame] !== CANDIDATE) continue;
      // One that may not leave now waits for the next round; so does a victim, should it stay after all.
      this.#set(frame, IN_USE);
      if (this.frames.mayLeave(frame)) batch[found++] = frame;
    }
    return found;
  }

  #set(frame: number, state: number): void {
    if (this.#states[frame] === CANDIDATE) this.#add(CANDIDATES, -1);
    if (state === CANDIDATE) this.#add(CANDIDATES, 1);
    this.#states[frame] = state;
  }

  #get(word: number): number {
    return this.#header[word] as number;
  }

  #add(word: number, count: number): void {
    this.#header[word] = this.#get(word) + count;
  }
}
