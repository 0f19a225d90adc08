/**
 * Locks of keys, for the time of a commit: words of shared memory, each for the keys of one hash (a *stripe*). A commit takes all that it needs in
 * order of stripe, each once, and gives them back together.
 *
 * Must hold: who waits for one has only lower ones, and neither the gate nor a latch; so nobody waits in a circle. That a thread has any is
 * shown in its slot as 'commit' (M6).
 */
import type { Sharing } from './sharing.js';

/** So many that commits of several threads seldom meet by chance, and so few that a set of them is a few words. */
const STRIPES = 1024;
const SET_WORDS = STRIPES >>> 5;

const FREE = 0;
/** Beside the owner, 1 + its slot. */
const WAITERS = 1 << 16;

export class KeyLocks {
  readonly #words: Int32Array;
  /** The stripes that are to be taken, or that this thread has: a bit for each. */
  readonly #wanted = new Int32Array(SET_WORDS);
  readonly #held = new Uint16Array(STRIPES);
  #heldCount = 0;

  static bytes(): number {
    return STRIPES * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly sharing: Sharing,
  ) {
    this.#words = new Int32Array(memory);
  }

  /** The key of that hash is among those that {@link takeAll} will lock. */
  want(hash: number): void {
    const stripe = hash & (STRIPES - 1);
    this.#wanted[stripe >>> 5]! |= 1 << (stripe & 31);
  }

  /** Takes what is wanted. Errors, and then none is taken: `PW_THREAD_LOST`, `PW_ENGINE_FAILED`, `PW_CLOSED`. */
  takeAll(): void {
    try {
      for (let word = 0; word < SET_WORDS; word++) {
        let bits = this.#wanted[word]!;
        while (bits !== 0) {
          const lowest = 31 - Math.clz32(bits & -bits);
          bits &= bits - 1;
          this.#take((word << 5) | lowest);
        }
      }
    } catch (error) {
      this.giveAll();
      throw error;
    } finally {
      this.#wanted.fill(0);
    }
  }

  /** The same for the key of that hash alone. */
  takeOne(hash: number): void {
    this.#take(hash & (STRIPES - 1));
  }

  giveAll(): void {
    const words = this.#words;
    while (this.#heldCount > 0) {
      const stripe = this.#held[--this.#heldCount]!;
      const before = Atomics.exchange(words, stripe, FREE);
      if ((before & WAITERS) !== 0) Atomics.notify(words, stripe, 1);
    }
  }

  #take(stripe: number): void {
    const words = this.#words;
    const mine = this.sharing.threads.slot + 1;
    let asks = mine;
    for (let times = 1; ; times++) {
      const word = Atomics.load(words, stripe);
      if (word === FREE) {
        if (Atomics.compareExchange(words, stripe, FREE, asks) === FREE) break;
        continue;
      }
      // Others may sleep beside this thread: whoever takes it after waiting says that somebody waits.
      const waiting = word | WAITERS;
      if (word !== waiting && Atomics.compareExchange(words, stripe, word, waiting) !== word) continue;
      asks = mine | WAITERS;
      this.sharing.pause(words, stripe, waiting, times, true);
    }
    this.#held[this.#heldCount++] = stripe;
  }
}
