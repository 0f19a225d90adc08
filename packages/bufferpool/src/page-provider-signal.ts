/**
 * The words by which threads and the page provider speak: it says whether it sleeps, they wake it, and the owner of the pool
 * stops it. In shared memory; memory of zeros says that there is no provider.
 *
 * Must hold: no wake-up is lost. Who wants frames has taken some before it looks whether the provider sleeps; the provider
 * says that it sleeps before it looks once more how many are free.
 */
/** One of the states below. */
const STATE = 0;
/** 1 once a thread has found too few frames free, and no provider. */
const WANTED = 1;
/** 1 + the slot of the provider's thread, while it has the pool open. */
const SLOT = 2;
/** What the provider's thread holds for itself, in KiB. */
const THREAD_KIB = 3;
const WORDS = 16;

const ABSENT = 0;
const SLEEPING = 1;
const WORKING = 2;
const STOPPING = 3;

/** So long the provider sleeps at most, before it looks whether the pool is still whole. */
const LONGEST_SLEEP_MS = 1000;

export class PageProviderSignal {
  /** Called in the thread that asks first, which may hold latches: it is to start a provider later. */
  onWanted: (() => void) | null = null;
  readonly #words: Int32Array;

  static bytes(): number {
    return WORDS * 4;
  }

  constructor(memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
  }

  // ── For whoever takes frames ────────────────────────────────────────────────────────────────────────────────

  /** Fewer frames are free than should be: wakes the provider. Where there is none, its owner will know that one is wanted. */
  want(): void {
    const state = Atomics.load(this.#words, STATE);
    if (state === SLEEPING) {
      if (Atomics.compareExchange(this.#words, STATE, SLEEPING, WORKING) === SLEEPING)
        Atomics.notify(this.#words, STATE);
    } else if (state === ABSENT && !this.isWanted) {
      Atomics.store(this.#words, WANTED, 1);
      this.onWanted?.();
    }
  }

  get isWanted(): boolean {
    return Atomics.load(this.#words, WANTED) === 1;
  }

  /** The provider has the pool open, and does nothing. */
  get sleeps(): boolean {
    return Atomics.load(this.#words, STATE) === SLEEPING;
  }

  // ── For the provider ────────────────────────────────────────────────────────────────────────────────────────

  /** The provider is there; false if it was told to stop already. */
  begin(slot: number): boolean {
    Atomics.store(this.#words, SLOT, 1 + slot);
    return Atomics.compareExchange(this.#words, STATE, ABSENT, WORKING) === ABSENT;
  }

  /** What its thread holds for itself, in bytes. */
  holds(bytes: number): void {
    Atomics.store(this.#words, THREAD_KIB, Math.ceil(bytes / 1024));
  }

  /** Nothing is to be done. From now on it is woken. */
  sleep(): void {
    Atomics.compareExchange(this.#words, STATE, WORKING, SLEEPING);
  }

  /** Sleeps until it is woken, though not for ever; whether it was. Not if it was woken since {@link sleep}. */
  waitUntilWanted(): boolean {
    Atomics.wait(this.#words, STATE, SLEEPING, LONGEST_SLEEP_MS);
    return !this.sleeps;
  }

  get isStopping(): boolean {
    return Atomics.load(this.#words, STATE) === STOPPING;
  }

  /** The provider holds nothing any more, and is about to close the pool. */
  end(): void {
    Atomics.compareExchange(this.#words, STATE, SLEEPING, ABSENT);
    Atomics.compareExchange(this.#words, STATE, WORKING, ABSENT);
    Atomics.store(this.#words, SLOT, 0);
  }

  // ── For the owner ───────────────────────────────────────────────────────────────────────────────────────────

  /** Tells the provider to stop, now or when it begins. */
  stop(): void {
    Atomics.store(this.#words, STATE, STOPPING);
    Atomics.notify(this.#words, STATE);
  }

  /** What the provider's thread said last that it holds; nothing once it is gone. In bytes. */
  get threadBytes(): number {
    return Atomics.load(this.#words, THREAD_KIB) * 1024;
  }

  /** The provider's thread is no more. The slot that it left as it was, or -1 if it had ended as it should. */
  gone(): number {
    const slot = Atomics.exchange(this.#words, SLOT, 0) - 1;
    Atomics.store(this.#words, THREAD_KIB, 0);
    Atomics.store(this.#words, STATE, ABSENT);
    return slot;
  }
}
