/**
 * A latch for what several threads share and change in moments: one word of shared memory, taken by compare-exchange,
 * waited for in `Atomics.wait`, always with a time-out.
 *
 * Must hold: it is held for microseconds, and for no wait, transfer or `await`. It may be taken again by the thread that has it.
 * M6: that a thread has it is shown in its slot before it is taken, and until after it was given back.
 */
import type { Held, Threads } from './threads.js';

const FREE = 0;
/** Beside the owner, 1 + its slot. */
const WAITERS = 1 << 16;
const SPINS = 100;
const WAIT_MS = 5;
/** So many waits in vain, and the threads are looked at: the one that has the latch may be gone. */
const WAITS_BEFORE_SWEEP = 100;

export class SharedLatch {
  protected depth = 0;
  protected readonly shown: Int32Array;
  protected readonly shownAt: number;
  readonly #word: Int32Array;
  readonly #mine: number;

  /** Zeros are a latch that nobody has. */
  static bytes(): number {
    return 64;
  }

  /** `held` is what a slot shows of who has it: each latch of a store has its own. */
  constructor(
    memory: SharedArrayBuffer,
    protected readonly threads: Threads,
    held: Held,
  ) {
    this.#word = new Int32Array(memory, 0, SharedLatch.bytes() >>> 2);
    this.#mine = threads.slot + 1;
    this.shown = threads.words;
    this.shownAt = threads.at(held);
  }

  /** Errors: `PW_THREAD_LOST`, `PW_CLOSED`; then it is not taken. */
  take(): void {
    if (this.depth++ > 0) return;
    Atomics.store(this.shown, this.shownAt, 1);
    let isTaken = Atomics.compareExchange(this.#word, 0, FREE, this.#mine) === FREE;
    try {
      if (!isTaken) this.#wait();
      isTaken = true;
      // Shown first, then asked: either it is seen here that the store was closed, or who closes it sees this thread, and waits.
      this.threads.assertMayGoOn();
    } catch (error) {
      this.depth = 0;
      if (isTaken) this.release();
      else Atomics.store(this.shown, this.shownAt, 0);
      throw error;
    }
  }

  give(): void {
    // It may be gone: taking it back after a transfer fails when a thread was lost, or the store closed.
    if (this.depth === 0 || --this.depth > 0) return;
    this.release();
  }

  /** Runs a step while the calling thread has it. */
  holding<Result>(step: () => Result): Result {
    this.take();
    try {
      return step();
    } finally {
      this.give();
    }
  }

  get isOwn(): boolean {
    return this.depth > 0;
  }

  /** Whether another thread waits for it. */
  protected get isWanted(): boolean {
    return (Atomics.load(this.#word, 0) & WAITERS) !== 0;
  }

  protected release(): void {
    const before = Atomics.exchange(this.#word, 0, FREE);
    if ((before & WAITERS) !== 0) Atomics.notify(this.#word, 0, 1);
    Atomics.store(this.shown, this.shownAt, 0);
  }

  #wait(): void {
    for (let spin = 0; spin < SPINS; spin++) {
      if (Atomics.load(this.#word, 0) === FREE && Atomics.compareExchange(this.#word, 0, FREE, this.#mine) === FREE)
        return;
    }
    for (let waits = 1; ; waits++) {
      // Others may sleep beside this thread: whoever takes it after waiting says that somebody waits.
      const word = Atomics.load(this.#word, 0);
      if (word === FREE) {
        if (Atomics.compareExchange(this.#word, 0, FREE, this.#mine | WAITERS) === FREE) return;
        continue;
      }
      const waiting = word | WAITERS;
      if (word !== waiting && Atomics.compareExchange(this.#word, 0, word, waiting) !== word) continue;
      Atomics.wait(this.#word, 0, waiting, WAIT_MS);
      if (waits % WAITS_BEFORE_SWEEP === 0) this.threads.sweepWhileBlocked();
      this.threads.assertMayGoOn();
    }
  }
}
