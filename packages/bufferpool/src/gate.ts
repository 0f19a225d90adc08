/**
 * The gate (C1): whoever changes what is on pages holds it, shared, for the whole of a structural change. A checkpoint
 * closes it for an instant, in which no change is under way.
 *
 * Must hold: either a thread that enters sees that the gate is closing, or who closes it sees the thread; both write
 * first and then look.
 */

import { invariant, type Threads } from '@pagewright/core/contracts';

const OPEN = 0;
const CLOSING = 1;
const SPINS = 100;
const WAIT_MS = 5;
const WAITS_BEFORE_SWEEP = 100;

export class Gate {
  readonly #word: Int32Array;
  readonly #shown: Int32Array;
  readonly #shownAt: number;
  #depth = 0;

  static bytes(): number {
    return 64;
  }

  constructor(
    memory: SharedArrayBuffer,
    private readonly threads: Threads,
  ) {
    this.#word = new Int32Array(memory);
    this.#shown = threads.words;
    this.#shownAt = threads.at('gate');
  }

  /** May be entered again by a thread that is in it. Errors: `PW_THREAD_LOST`, `PW_CLOSED`. */
  enter(): void {
    if (this.#depth++ > 0) return;
    for (let waits = 1; ; waits++) {
      Atomics.store(this.#shown, this.#shownAt, 1);
      if (Atomics.load(this.#word, 0) === OPEN) break;
      Atomics.store(this.#shown, this.#shownAt, 0);
      Atomics.notify(this.#shown, this.#shownAt);
      Atomics.wait(this.#word, 0, CLOSING, WAIT_MS);
      if (waits % WAITS_BEFORE_SWEEP === 0) this.threads.sweepWhileBlocked();
      this.#assertWhole();
    }
    this.#assertWhole();
  }

  #assertWhole(): void {
    try {
      this.threads.assertWhole();
    } catch (error) {
      this.#depth = 0;
      Atomics.store(this.#shown, this.#shownAt, 0);
      throw error;
    }
  }

  leave(): void {
    if (--this.#depth > 0) return;
    Atomics.store(this.#shown, this.#shownAt, 0);
    if (Atomics.load(this.#word, 0) === CLOSING) Atomics.notify(this.#shown, this.#shownAt);
  }

  /** Runs a function while no thread is in the gate. The calling thread is not. Errors: `PW_THREAD_LOST`, and those of the function. */
  whileClosed<Result>(instant: () => Result): Result {
    invariant(this.#depth === 0, 'A thread closes the gate that it is in');
    invariant(Atomics.compareExchange(this.#word, 0, OPEN, CLOSING) === OPEN, 'The gate is closed twice');
    try {
      for (let looks = 1, at = this.threads.otherInGate(); at >= 0; at = this.threads.otherInGate(), looks++) {
        const waits = looks - SPINS;
        if (waits > 0) Atomics.wait(this.#shown, at, 1, WAIT_MS);
        if (waits > 0 && waits % WAITS_BEFORE_SWEEP === 0) this.threads.sweep();
        this.threads.assertWhole();
      }
      // M6: a thread that was lost need not have been in the gate.
      this.threads.assertWhole();
      return instant();
    } finally {
      Atomics.store(this.#word, 0, OPEN);
      Atomics.notify(this.#word, 0);
    }
  }
}
