/**
 * The pool latch: one at a time does what is off the hit path, such as giving out frames, swizzling, cooling, eviction,
 * marking pages dirty, and the space of the file. A hit takes no latch at all, and no read or write of a page is waited for
 * while it is held, so it is held for microseconds.
 *
 * Must hold: who has the pool latch waits for no other latch; latches of pages are tried only. Who holds latches of pages
 * may wait for the pool latch. It may be taken again by the thread that has it.
 */
import { invariant, SharedLatch, type Threads } from '@pagewright/core/contracts';

/** So long who lets others in stays out: a thread that sleeps takes about as long to wake up. */
const LET_IN_MS = 0.05;

export class PoolLatch extends SharedLatch {
  readonly #transfersAt: number;
  /** Nobody ever changes it: it is waited for in vain. */
  readonly #nothing = new Int32Array(new SharedArrayBuffer(4));

  constructor(memory: SharedArrayBuffer, threads: Threads) {
    super(memory, threads, 'poolLatch');
    this.#transfersAt = threads.at('transfers');
  }

  /** Gives it back, however often it was taken, for a transfer. Returns what {@link resume} takes. */
  suspend(): number {
    const { depth } = this;
    invariant(depth > 0, 'The pool latch is given back for a transfer by who does not have it');
    this.depth = 0;
    Atomics.store(this.shown, this.#transfersAt, 1);
    this.release();
    return depth;
  }

  /** Errors: `PW_THREAD_LOST`, `PW_CLOSED`; then it is not taken. */
  resume(depth: number): void {
    try {
      this.take();
      this.depth = depth;
    } finally {
      Atomics.store(this.shown, this.#transfersAt, 0);
    }
  }

  /** If others wait for it, it is theirs for a moment: what it guards may be another thing afterwards. Errors: `PW_THREAD_LOST`. */
  letIn(): void {
    if (!this.isWanted) return;
    const depth = this.suspend();
    Atomics.wait(this.#nothing, 0, 0, LET_IN_MS);
    this.resume(depth);
  }
}
