/**
 * The pool latch: one at a time does what is off the hit path, such as giving out frames, swizzling, cooling, eviction,
 * marking pages dirty, and the space of the file. A hit takes no latch at all, and no read or write of a page is waited for
 * while it is held, so it is held for microseconds.
 *
 * Must hold: who has the pool latch waits for no other latch; latches of pages are tried only. Who holds latches of pages
 * may wait for the pool latch. It may be taken again by the thread that has it.
 */
import { invariant } from '@pagewright/core';
import type { Threads } from './threads.js';

const FREE = 0;
/** Beside the owner, 1 + its slot. */
const WAITERS = 1 << 16;
const SPINS = 100;
const WAIT_MS = 5;
/** So many waits in vain, and the threads are looked at: the one that has the latch may be gone. */
const WAITS_BEFORE_SWEEP = 100;
/** So long who lets others in stays out: a thread that sleeps takes about as long to wake up. */
const LET_IN_MS = 0.05;

export class PoolLatch {
  readonly #word: Int32Array;
  readonly #mine: number;
  readonly #shown: Int32Array;
  readonly #shownAt: number;
  readonly #transfersAt: number;
  #depth = 0;
  /** Nobody ever changes it: it is waited for in vain. */
  readonly #nothing = new Int32Array(new SharedArrayBuffer(4));

  static bytes(): number {
    return 64;
  }

  constructor(
    memory: SharedArrayBuffer,
    private readonly threads: Threads,
  ) {
    this.#word = new Int32Array(memory);
    this.#mine = threads.slot + 1;
    this.#shown = threads.words;
    this.#shownAt = threads.at('poolLatch');
    this.#transfersAt = threads.at('transfers');
  }

  /** Errors: `PW_THREAD_LOST`, `PW_CLOSED`. */
  take(): void {
    if (this.#depth++ > 0) return;
    Atomics.store(this.#shown, this.#shownAt, 1);
    let isTaken = Atomics.compareExchange(this.#word, 0, FREE, this.#mine) === FREE;
    try {
      if (!isTaken) this.#wait();
      isTaken = true;
      // Shown first, then asked: either it is seen here that the pool was closed, or who closes it sees this thread, and waits.
      this.threads.assertMayGoOn();
    } catch (error) {
      this.#depth = 0;
      if (isTaken) this.#release();
      else Atomics.store(this.#shown, this.#shownAt, 0);
      throw error;
    }
  }

  give(): void {
    // It may be gone: taking it back after a transfer fails when a thread was lost, or the pool closed.
    if (this.#depth === 0 || --this.#depth > 0) return;
    this.#release();
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

  /** Gives it back, however often it was taken, for a transfer. Returns what {@link resume} takes. */
  suspend(): number {
    invariant(this.#depth > 0, 'The pool latch is given back for a transfer by who does not have it');
    const depth = this.#depth;
    invariant(depth > 0, 'The pool latch is given back by a thread that does not have it');
    this.#depth = 0;
    Atomics.store(this.#shown, this.#transfersAt, 1);
    this.#release();
    return depth;
  }

  /** Errors: `PW_THREAD_LOST`, `PW_CLOSED`; then it is not taken. */
  resume(depth: number): void {
    try {
      this.take();
      this.#depth = depth;
    } finally {
      Atomics.store(this.#shown, this.#transfersAt, 0);
    }
  }

  /** If others wait for it, it is theirs for a moment: what it guards may be another thing afterwards. Errors: `PW_THREAD_LOST`. */
  letIn(): void {
    if ((Atomics.load(this.#word, 0) & WAITERS) === 0) return;
    const depth = this.suspend();
    Atomics.wait(this.#nothing, 0, 0, LET_IN_MS);
    this.resume(depth);
  }

  get isOwn(): boolean {
    return this.#depth > 0;
  }

  #release(): void {
    const before = Atomics.exchange(this.#word, 0, FREE);
    if ((before & WAITERS) !== 0) Atomics.notify(this.#word, 0, 1);
    Atomics.store(this.#shown, this.#shownAt, 0);
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
      if (waits % WAITS_BEFORE_SWEEP === 0) this.threads.sweep();
      this.threads.assertMayGoOn();
    }
  }
}
