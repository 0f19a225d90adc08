/**
 * The order of commits: which timestamp was taken last, and V, the highest below which all are published.
 *
 * Commits publish in any order. Each marks its timestamp in a ring, and whoever finds the mark of V + 1 there moves V on. Of one thread at most one
 * timestamp is above V, because a commit returns when V has reached it (T1): so the ring, which has more places than there are threads, never
 * runs out, and the mark in a place is always that of a timestamp which V has passed, or of the one to come.
 *
 * V is two words. The upper one changes once in 2^32 commits, and is marked while it does: who reads the upper, the lower, and the upper
 * once more, and finds it the same and not marked, has read V.
 */
import { invariant, MOST_THREADS } from '@pagewright/core';
import type { Sharing } from './sharing.js';

/** Words of the memory. */
const LOW = 0;
/** In a cache line of its own, with what is hardly ever written. */
const HIGH = 16;
const WAITERS = 17;
/** A number of 8 bytes, under the order latch. */
const TAKEN_F64 = 16;
const RING = 48;
const RING_PLACES = 1024;

const CARRYING = 1 << 30;
const TWO_32 = 2 ** 32;

export class Timestamps {
  /** While nothing is shared. */
  #alone = 0;
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  static bytes(): number {
    return (RING + RING_PLACES) * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly sharing: Sharing,
  ) {
    invariant(RING_PLACES > MOST_THREADS, 'More threads than places for timestamps');
    this.#words = new Int32Array(memory);
    this.#numbers = new Float64Array(memory);
  }

  /** V. */
  get visible(): number {
    if (!this.sharing.isShared) return this.#alone;
    const words = this.#words;
    for (let times = 1; ; times++) {
      const high = Atomics.load(words, HIGH);
      const low = Atomics.load(words, LOW);
      if (high < CARRYING && Atomics.load(words, HIGH) === high) return high * TWO_32 + (low >>> 0);
      // It is a matter of three instructions, unless that thread does not run, or is gone.
      this.sharing.pause(words, HIGH, high, times, false);
    }
  }

  /** All commits up to the timestamp are there. Nothing is shared. */
  begin(timestamp: number): void {
    this.#alone = timestamp;
  }

  /** What this thread alone has known is in shared memory from now on. Call it right before that is shared. */
  share(): void {
    const words = this.#words;
    words[HIGH] = Math.floor(this.#alone / TWO_32);
    words[LOW] = this.#alone | 0;
    this.#numbers[TAKEN_F64] = this.#alone;
    // No place has a mark that could be its own.
    for (let place = 0; place < RING_PLACES; place++) words[RING + place] = place + 1;
  }

  /** The last one that was taken. Under the order latch. */
  get taken(): number {
    return this.sharing.isShared ? this.#numbers[TAKEN_F64]! : this.#alone;
  }

  /** The next one is the caller's, who has the order latch, and publishes it, or fails the engine. */
  take(): number {
    if (!this.sharing.isShared) return this.#alone + 1;
    const timestamp = this.#numbers[TAKEN_F64]! + 1;
    this.#numbers[TAKEN_F64] = timestamp;
    return timestamp;
  }

  /** The commit of that timestamp is there. Moves V on as far as can be. */
  publish(timestamp: number): void {
    if (!this.sharing.isShared) {
      this.#alone = timestamp;
      return;
    }
    const words = this.#words;
    // Marked first, looked at afterwards: of two who publish V + 1 and V + 2 one at least sees both marks.
    Atomics.store(words, RING + (timestamp % RING_PLACES), timestamp | 0);
    let hasMoved = false;
    let next = this.visible + 1;
    while (Atomics.load(words, RING + (next % RING_PLACES)) === (next | 0)) {
      const isMine = this.#moveTo(next);
      hasMoved ||= isMine;
      next = isMine ? next + 1 : this.visible + 1;
    }
    if (hasMoved && Atomics.load(words, WAITERS) > 0) Atomics.notify(words, LOW);
  }

  /**
   * Waits until V has reached the timestamp. Those that are taken are appended and installed, and nobody in the midst of that waits for this thread. Errors:
   * `PW_THREAD_LOST`, `PW_ENGINE_FAILED`: it will not come.
   */
  waitFor(timestamp: number): void {
    if (this.visible >= timestamp) return;
    const words = this.#words;
    Atomics.add(words, WAITERS, 1);
    try {
      for (let times = 1; ; times++) {
        const low = Atomics.load(words, LOW);
        if (this.visible >= timestamp) return;
        this.sharing.pause(words, LOW, low, times, false);
      }
    } finally {
      Atomics.sub(words, WAITERS, 1);
    }
  }

  /** One of those who try it at a time succeeds. */
  #moveTo(next: number): boolean {
    const words = this.#words;
    const before = (next - 1) | 0;
    if ((next | 0) !== 0) return Atomics.compareExchange(words, LOW, before, next | 0) === before;
    const high = next / TWO_32 - 1;
    if (Atomics.compareExchange(words, HIGH, high, high | CARRYING) !== high) return false;
    Atomics.store(words, LOW, 0);
    Atomics.store(words, HIGH, high + 1);
    Atomics.notify(words, HIGH);
    return true;
  }
}
