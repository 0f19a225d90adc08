/**
 * LeanStore's replacement (ICDE 2018, section III-B): a share of the pages, sampled at random, waits in a queue, first in,
 * first out. A touch takes a page out; what reaches the end untouched leaves.
 *
 * The queue is a ring of links: node 0 is its head, a frame is the node after its number. The head links to the oldest page as the
 * newer one, and to the newest as the older one; so memory of zeros is an empty queue.
 *
 * Must hold: a page is in the queue exactly while it is cool. A node that is not queued links to node 0 as the newer one.
 */
import type { ReplaceableFrames } from '@pagewright/core/contracts';
import type { ProvenPolicy } from './probation.js';

/** At least so many pages wait, however small the pool. */
const SHORTEST_QUEUE = 32;
/** Samples in one call, in which others wait: many find none. What is lacking then is left to the next call. */
const MOST_SAMPLES = 512;
/** A call takes so many for each page that the one before has cooled, and no fewer than that: where hardly any page may be cooled, most are in vain. */
const SAMPLES_A_FIND = 16;
const LEAST_SAMPLES = 48;
const NONE = -1;
const HEAD = 0;

const LENGTH = 0;
const SPARED = 1;
const HEADER_WORDS = 2;

export class Cooling implements ProvenPolicy {
  /** How many pages wait; how many samples fewer than {@link MOST_SAMPLES} the next call takes. */
  readonly #header: Int32Array;
  /** Neighbours in the ring, by node. */
  readonly #newer: Int32Array;
  readonly #older: Int32Array;
  readonly #target: number;

  /** `fraction` of the frames wait. */
  constructor(
    private readonly frames: ReplaceableFrames,
    state: SharedArrayBuffer,
    fraction: number,
  ) {
    const nodes = frames.count + 1;
    this.#header = new Int32Array(state, 0, HEADER_WORDS);
    this.#newer = new Int32Array(state, 4 * HEADER_WORDS, nodes);
    this.#older = new Int32Array(state, 4 * (HEADER_WORDS + nodes), nodes);
    this.#target = Math.max(SHORTEST_QUEUE, Math.floor(frames.count * fraction));
  }

  static stateBytes(frames: number): number {
    return 4 * (HEADER_WORDS + 2 * (frames + 1));
  }

  /** What is hot is found by sampling: nothing is kept of it. */
  entered(): void {}

  rewarmed(frame: number): void {
    this.#remove(frame + 1);
  }

  left(frame: number): void {
    this.#remove(frame + 1);
  }

  moved(from: number, to: number): void {
    if (!this.#isQueued(from + 1)) return;
    const newer = this.#newer[from + 1] as number;
    const older = this.#older[from + 1] as number;
    this.#newer[from + 1] = HEAD;
    this.#join(older, to + 1);
    this.#join(to + 1, newer);
  }

  prepare(): void {
    let cooled = 0;
    let tries = MOST_SAMPLES - (this.#header[SPARED] as number);
    for (; this.#length < this.#target && tries > 0; tries--) {
      const frame = this.frames.sample();
      if (frame === NONE || this.#isQueued(frame + 1)) continue;
      // First the queue: whoever touches the page as soon as it is cool finds it there, and takes it out.
      this.#push(frame + 1);
      if (this.frames.cool(frame)) cooled++;
      else this.#remove(frame + 1);
    }
    // A call that had enough says nothing of how hard pages are to find.
    const next = tries > 0 ? MOST_SAMPLES : Math.max(LEAST_SAMPLES, SAMPLES_A_FIND * cooled);
    this.#header[SPARED] = Math.max(0, MOST_SAMPLES - next);
  }

  victims(batch: Int32Array): number {
    let count = 0;
    let node = this.#newer[HEAD] as number;
    for (; node !== HEAD && count < batch.length; node = this.#newer[node] as number) {
      if (this.frames.mayLeave(node - 1)) batch[count++] = node - 1;
    }
    return count;
  }

  get #length(): number {
    return this.#header[LENGTH] as number;
  }

  #isQueued(node: number): boolean {
    return this.#newer[node] !== HEAD || this.#older[HEAD] === node;
  }

  #push(node: number): void {
    this.#join(this.#older[HEAD] as number, node);
    this.#join(node, HEAD);
    this.#header[LENGTH] = this.#length + 1;
  }

  #remove(node: number): void {
    if (!this.#isQueued(node)) return;
    this.#join(this.#older[node] as number, this.#newer[node] as number);
    this.#newer[node] = HEAD;
    this.#header[LENGTH] = this.#length - 1;
  }

  /** From now on these two are neighbours. */
  #join(older: number, newer: number): void {
    this.#newer[older] = newer;
    this.#older[newer] = older;
  }
}
