/**
 * Room in the page file that threads have made sure of and not used yet (C6). What is free in the file counts for one of them alone, so
 * whoever makes sure of more counts what all others have claimed as in use.
 *
 * Must hold: claims are made under the pool latch, by who has seen the sum of all. What a thread has claimed lapses with its slot.
 */
import { MOST_THREADS, type Threads } from '@pagewright/core/contracts';

/** Rows that were ever used: those above are empty. */
const ROWS = 0;
/** For each slot of a thread: its tag, and the pages that it has claimed. */
const FIRST_ROW = 2;
const ROW_WORDS = 2;

export class SpaceClaims {
  readonly #words: Int32Array;
  readonly #own: number;
  readonly #tag: number;

  /** Zeros: nobody has claimed anything. */
  static bytes(): number {
    return (FIRST_ROW + ROW_WORDS * MOST_THREADS) * 4;
  }

  constructor(
    memory: SharedArrayBuffer,
    private readonly threads: Threads,
  ) {
    this.#words = new Int32Array(memory);
    this.#own = FIRST_ROW + ROW_WORDS * threads.slot;
    this.#tag = threads.tag;
  }

  /** Pages that threads which are there have claimed. The caller has the pool latch. */
  get pages(): number {
    const words = this.#words;
    const end = FIRST_ROW + ROW_WORDS * (words[ROWS] as number);
    let pages = 0;
    for (let at = FIRST_ROW; at < end; at += ROW_WORDS) {
      const claimed = Atomics.load(words, at + 1);
      if (claimed > 0 && this.threads.isPresent(words[at] as number)) pages += claimed;
    }
    return pages;
  }

  /** The calling thread claims so many more. It has the pool latch. */
  add(pages: number): void {
    const words = this.#words;
    if (words[this.#own] !== this.#tag) {
      // A thread before it may have ended with something claimed.
      Atomics.store(words, this.#own + 1, 0);
      words[this.#own] = this.#tag;
      words[ROWS] = Math.max(words[ROWS] as number, this.threads.slot + 1);
    }
    Atomics.add(words, this.#own + 1, pages);
  }

  /** The calling thread needs so many of those that it has claimed no more. Takes no latch. */
  give(pages: number): void {
    if (this.#words[this.#own] === this.#tag) Atomics.sub(this.#words, this.#own + 1, pages);
  }
}
