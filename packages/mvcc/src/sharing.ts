/**
 * Whether other threads can have what this thread keeps in shared memory, and how it waits for them. Until `share` was called nobody else
 * can, so that nothing need be locked, shown or waited for: what one thread alone pays is a branch here and there.
 *
 * Must hold: `isShared` turns true between two operations, in the thread that shares, and before anybody else has the memory. Every wait is
 * bounded, and sees that the thread waited for was lost (M6), or that a commit of any thread has failed (T6).
 */
import { type ConcurrencyHost, invariant, PagewrightError, SharedLatch, type Threads } from '@pagewright/core';

/** Of the memory: not 0 when a commit has failed between its append and its publication. */
const FAILED = 0;

const SPINS = 200;
const WAIT_MS = 5;
/** So many waits in vain, and the threads are looked at: the one that is waited for may be gone. */
const WAITS_BEFORE_SWEEP = 100;

export class Sharing {
  isShared = false;
  /** What the engine of this thread has failed with. */
  failure: Error | null = null;
  #threads: Threads | null = null;
  readonly #words: Int32Array;

  static bytes(): number {
    return 64;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    /** The surroundings of the thread. */
    readonly host: ConcurrencyHost,
  ) {
    this.#words = new Int32Array(memory);
  }

  get threads(): Threads {
    invariant(this.#threads !== null, 'Threads are asked for, and nothing is shared');
    return this.#threads;
  }

  /** From now on other threads may be at work. */
  share(): void {
    this.#threads = this.host.pages.threads;
    this.isShared = true;
  }

  /** T6: nothing is logged any more, in any thread. Returns the error to throw. */
  fail(error: unknown): Error {
    this.failure = this.host.fail(error);
    // That a thread was lost is known to all, and says more.
    if (!this.isShared || !this.threads.isLost) Atomics.store(this.#words, FAILED, 1);
    return this.failure;
  }

  /** Errors: `PW_ENGINE_FAILED` if a commit of any thread failed after it was logged. */
  assertSound(): void {
    if (this.failure === null && this.isShared && Atomics.load(this.#words, FAILED) !== 0) {
      const elsewhere = new PagewrightError(
        'PW_ENGINE_FAILED',
        'A commit of another thread failed after it was logged. Close the store in all threads and open it again.',
      );
      this.failure = this.host.fail(elsewhere);
    }
    if (this.failure === null) return;
    throw new PagewrightError(
      'PW_ENGINE_FAILED',
      'A commit failed after it was logged. Close the store and open it again.',
      { cause: this.failure },
    );
  }

  /**
   * Waits a moment for another thread to change a word, the `times`-th time, from 1 on. Errors: `PW_THREAD_LOST`, `PW_ENGINE_FAILED`; `PW_CLOSED`
   * only if what is waited for need not come then.
   */
  pause(words: Int32Array, at: number, value: number, times: number, mayBeClosed: boolean): void {
    if (times < SPINS) return;
    Atomics.wait(words, at, value, WAIT_MS);
    if (times % WAITS_BEFORE_SWEEP === 0) this.threads.sweepWhileBlocked();
    if (mayBeClosed) this.threads.assertMayGoOn();
    else if (this.threads.isLost) this.threads.assertWhole();
    this.assertSound();
  }
}

/** A latch that costs nothing while nobody else can have it. */
export class Latch {
  #latch: SharedLatch | null = null;

  static bytes(): number {
    return SharedLatch.bytes();
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly sharing: Sharing,
    private readonly held: 'orderLatch' | 'versionLatch',
  ) {}

  /** May be taken again by who has it. Errors, when it is not taken: `PW_THREAD_LOST`, `PW_CLOSED`. */
  take(): void {
    if (this.sharing.isShared) this.#shared.take();
  }

  give(): void {
    if (this.sharing.isShared) this.#shared.give();
  }

  get #shared(): SharedLatch {
    this.#latch ??= new SharedLatch(this.memory, this.sharing.threads, this.held);
    return this.#latch;
  }
}
