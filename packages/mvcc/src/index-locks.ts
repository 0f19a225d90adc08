/**
 * Locks of indexes. A commit has those of the indexes that it writes, shared; an operation of the catalog (creation, clear, drop) has that of its
 * index alone, and all such operations exclude one another.
 *
 * Sharing costs no word that other threads write: each thread has a row, as in the gate. Who wants an index alone says so, and waits until no row
 * shows it. Must hold: both write first and look afterwards, so that one of them sees the other. They are taken before locks of keys, in
 * order of their words: whoever waits for one has only lower ones.
 */
import { MOST_THREADS } from '@pagewright/core';
import type { Sharing } from './sharing.js';

/** Words: an index has one by its number. Two indexes with the same one are locked together. */
const WORDS = 64;
const FREE = 0;
/** Above the words, after which an index has one: held by whatever changes the catalog. */
const CATALOG = WORDS;
/** Where the rows begin. */
const ROWS = 2 * WORDS;

export class IndexLocks {
  readonly #words: Int32Array;
  readonly #wanted = new Uint8Array(WORDS);
  /** Those that this thread has, shared. */
  readonly #held: number[] = [];

  static bytes(): number {
    return (ROWS + MOST_THREADS * WORDS) * 4;
  }

  constructor(
    readonly memory: SharedArrayBuffer,
    private readonly sharing: Sharing,
  ) {
    this.#words = new Int32Array(memory);
  }

  /** The index is among those that {@link takeShared} will lock. */
  want(index: number): void {
    this.#wanted[index % WORDS] = 1;
  }

  /** Errors, and then none is taken: `PW_THREAD_LOST`, `PW_ENGINE_FAILED`, `PW_CLOSED`. */
  takeShared(): void {
    try {
      for (let at = 0; at < WORDS; at++) if (this.#wanted[at] !== 0) this.#share(at);
    } catch (error) {
      this.giveShared();
      throw error;
    } finally {
      this.#wanted.fill(0);
    }
  }

  /** The same for that index alone. */
  shareOne(index: number): void {
    this.#share(index % WORDS);
  }

  giveShared(): void {
    for (let at = this.#held.pop(); at !== undefined; at = this.#held.pop()) this.#leave(at);
  }

  /** Waits until no other thread writes the index, or changes the catalog. Errors, and then it is not taken: as above. */
  takeAlone(index: number): void {
    this.#exclude(CATALOG);
    try {
      const at = index % WORDS;
      this.#exclude(at);
      try {
        // Said first that it is wanted: who comes after this count sees that.
        const { slots } = this.sharing.threads;
        for (let slot = 0; slot < slots; slot++) this.#awaitRow(ROWS + slot * WORDS + at);
      } catch (error) {
        this.#admit(at);
        throw error;
      }
    } catch (error) {
      this.#admit(CATALOG);
      throw error;
    }
  }

  giveAlone(index: number): void {
    this.#admit(index % WORDS);
    this.#admit(CATALOG);
  }

  #share(at: number): void {
    const words = this.#words;
    const own = ROWS + this.sharing.threads.slot * WORDS + at;
    for (let times = 1; ; times++) {
      Atomics.store(words, own, 1);
      const owner = Atomics.load(words, at);
      if (owner === FREE) break;
      Atomics.store(words, own, 0);
      Atomics.notify(words, own);
      this.sharing.pause(words, at, owner, times, true);
    }
    this.#held.push(at);
  }

  #leave(at: number): void {
    const words = this.#words;
    const own = ROWS + this.sharing.threads.slot * WORDS + at;
    Atomics.store(words, own, 0);
    if (Atomics.load(words, at) !== FREE) Atomics.notify(words, own);
  }

  #exclude(at: number): void {
    const words = this.#words;
    const mine = this.sharing.threads.slot + 1;
    for (let times = 1; ; times++) {
      const owner = Atomics.compareExchange(words, at, FREE, mine);
      if (owner === FREE) return;
      this.sharing.pause(words, at, owner, times, true);
    }
  }

  #admit(at: number): void {
    Atomics.store(this.#words, at, FREE);
    Atomics.notify(this.#words, at);
  }

  #awaitRow(at: number): void {
    for (let times = 1; Atomics.load(this.#words, at) !== 0; times++)
      this.sharing.pause(this.#words, at, 1, times, true);
  }
}
