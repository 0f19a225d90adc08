/**
 * The turn as threads have it: which of them may write, and which have asked for it. A thread has it for whoever writes there; what those of one thread do
 * among themselves is in `writer-line.ts`.
 *
 * Must hold: it is given on under the latch, to the thread that asked first of those that are there; so while it is free nobody waits. That a thread has it is
 * not shown in its slot (M6): whoever ends between two commits leaves nothing by half, and its turn lapses. In the midst of a commit its slot shows that.
 */
import { MOST_THREADS, SharedLatch, type Threads } from '@pagewright/core';

/** Whose it is: 0, or the tag of the thread; below 0 while that one is in the midst of a single commit, and will give it on without any wait. */
const OWNER = 0;
/** So many have asked. */
const ASKED = 1;
/** For each slot of a thread: when it asked, as {@link ASKED} was then; 0: it did not. And its tag. */
const PLACES = 16;
const PLACE_WORDS = 2;

/** So long one sleeps before it looks whether the thread with the turn is there. */
const LOOK_MS = 100;

export class SharedTurn {
  readonly #words: Int32Array;
  readonly #latch: SharedLatch;
  readonly #tag: number;
  readonly #place: number;

  static bytes(): number {
    return (PLACES + PLACE_WORDS * MOST_THREADS) * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    latch: SharedArrayBuffer,
    private readonly threads: Threads,
  ) {
    this.#words = new Int32Array(memory);
    this.#latch = new SharedLatch(latch, threads, 'turnLatch');
    this.#tag = threads.tag;
    this.#place = PLACES + PLACE_WORDS * threads.slot;
  }

  /** As {@link OWNER} has it. */
  get owner(): number {
    return Atomics.load(this.#words, OWNER);
  }

  get isMine(): boolean {
    return Math.abs(this.owner) === this.#tag;
  }

  /** Whether a transaction of another thread has it, or a thread that was given it and has not come to use it. */
  get isKept(): boolean {
    return this.owner > 0 && !this.isMine;
  }

  /** Takes it if it is free; whether it is this thread's then. Errors of all that follows: `PW_THREAD_LOST`, `PW_CLOSED`. */
  take(): boolean {
    return this.#latch.holding(() => this.#take());
  }

  /** The same, and asks for it if not. */
  ask(): boolean {
    return this.#latch.holding(() => {
      if (this.#take()) return true;
      this.#register();
      return false;
    });
  }

  /** It is this thread's, for a single commit or for a transaction. */
  use(isMoment: boolean): void {
    Atomics.store(this.#words, OWNER, isMoment ? -this.#tag : this.#tag);
  }

  /** Gives it on. */
  give(): void {
    this.#latch.holding(() => {
      if (this.isMine) this.#passOn();
    });
  }

  /** It is not wanted here any more. */
  withdraw(): void {
    this.#latch.holding(() => {
      this.#words[this.#place] = 0;
      if (this.isMine) this.#passOn();
    });
  }

  /** Takes it from a thread that has ended, though nobody has noticed yet; whether it is this thread's then. */
  takeFromEnded(): boolean {
    this.#lookAround();
    return this.take();
  }

  /** Blocks until another one has it than this, or for so long at most. */
  waitNow(owner: number, milliseconds: number): void {
    if (Atomics.wait(this.#words, OWNER, owner, Math.min(milliseconds, LOOK_MS)) === 'timed-out') {
      this.threads.whileBlocked?.();
      this.#lookAround();
    }
  }

  /** The same without blocking, for a while. */
  async wait(owner: number): Promise<void> {
    const waiting = Atomics.waitAsync(this.#words, OWNER, owner, LOOK_MS);
    if (waiting.async && (await waiting.value) === 'timed-out') this.#lookAround();
  }

  #take(): boolean {
    const { owner } = this;
    if (Math.abs(owner) === this.#tag) return true;
    if (owner !== 0 && this.threads.isPresent(Math.abs(owner))) return false;
    // Of a thread that has ended: those who have asked come first.
    if (owner !== 0) this.#passOn();
    if (this.owner === 0) this.#assign(this.#tag);
    return this.isMine;
  }

  #register(): void {
    // What another thread has left in this slot counts for nothing.
    if (this.#words[this.#place] !== 0 && this.#words[this.#place + 1] === this.#tag) return;
    const number = (this.#words[ASKED]! + 1) | 0 || 1;
    this.#words[ASKED] = number;
    this.#words[this.#place] = number;
    this.#words[this.#place + 1] = this.#tag;
  }

  #passOn(): void {
    const words = this.#words;
    const now = words[ASKED]!;
    let longest = -1;
    let next = 0;
    const end = PLACES + PLACE_WORDS * this.threads.slots;
    for (let at = PLACES; at < end; at += PLACE_WORDS) {
      if (words[at] === 0 || !this.threads.isPresent(words[at + 1]!)) continue;
      const waits = (now - words[at]!) >>> 0;
      if (waits <= longest) continue;
      longest = waits;
      next = at;
    }
    this.#assign(next === 0 ? 0 : words[next + 1]!);
    if (next !== 0) words[next] = 0;
  }

  #assign(tag: number): void {
    if (tag === this.#tag) this.#words[this.#place] = 0;
    Atomics.store(this.#words, OWNER, tag);
    Atomics.notify(this.#words, OWNER);
  }

  #lookAround(): void {
    this.threads.sweep();
    this.threads.assertMayGoOn();
  }
}
