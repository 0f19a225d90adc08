/**
 * What the pool counts, in shared memory: a row for each thread, so that no count waits for another thread, or needs an atomic
 * operation. Whoever wants to know adds up the rows, while they change: what it gets is right for some instant during the
 * adding, for each counter by itself.
 *
 * Must hold: a row is written by one thread at a time. What goes up and down (`COOL_PAGES`, `RESIDENT`) may go up in one row
 * and down in another; only the sum means anything.
 */
import { LARGEST_PAGE, MIN_PAGE_SIZE } from '@pagewright/core/contracts';

/** Pages that the page provider evicted, and how many of them it wrote. */
export const EVICTED_AHEAD = 0;
export const WRITTEN_AHEAD = 1;

// By size class:
/** Times that `child` found the page in memory, and its swip hot. */
export const HITS = 2;
/** Times that what was read of a page, or what `child` was asked by, had changed. */
export const RESTARTS = 3;
/** Times that a thread waited for the page's latch. */
export const LATCH_WAITS = 4;
/** Times that a page was wanted and was not in memory. */
export const MISSES = 5;
/** Pages that were read. Less than the misses where some waited for one read, more where pages were read ahead. */
export const READS = 6;
export const EVICTIONS = 7;
/** Images of pages that were written, by eviction or for a checkpoint. */
export const WRITES = 8;
/** Pages that are in memory now. */
export const RESIDENT = 9;
/** Pages that were cooled. */
export const COOLED = 10;
/** Pages that were touched while they were cool. */
export const REWARMED = 11;
/** Pages that are cool now. */
export const COOL_PAGES = 12;
/** Pages that went to another frame, to make room for larger ones. */
export const RELOCATIONS = 13;

/** Size classes that there can be. */
export const SIZE_CLASSES = Math.log2(LARGEST_PAGE / MIN_PAGE_SIZE) + 1;
/** Counters of one class are so many words from those of the next. */
const CLASS_STEP = 12;
/** Before the rows: how many of them were ever used, as 32 bits. */
const ROWS = 0;
const HEADER_WORDS = 8;
/** Whole cache lines, so that rows of two threads are never in one. */
const ROW_WORDS = Math.ceil((HITS + CLASS_STEP * SIZE_CLASSES) / 8) * 8;

export class Counters {
  /** This thread's row: what counts on a hit path indexes it directly. Float64, because a count of hits outgrows 32 bits within the hour. */
  readonly row: Float64Array;
  readonly #header: Int32Array;
  readonly #rows: Float64Array;

  /** Over memory of `bytes`, which was zeros in the beginning. `thread` is the number of the row that is this thread's. */
  constructor(memory: SharedArrayBuffer, thread: number) {
    this.#header = new Int32Array(memory, 0, 2 * HEADER_WORDS);
    this.#rows = new Float64Array(memory, 8 * HEADER_WORDS);
    this.row = this.#rows.subarray(thread * ROW_WORDS, (thread + 1) * ROW_WORDS);
    for (let rows = this.#rowsUsed; rows <= thread; rows = this.#rowsUsed) {
      Atomics.compareExchange(this.#header, ROWS, rows, thread + 1);
    }
  }

  /** For so many threads. */
  static bytes(threads: number): number {
    return (HEADER_WORDS + threads * ROW_WORDS) * 8;
  }

  /** Of rows that were used: the others were never touched. */
  get bytes(): number {
    return (HEADER_WORDS + this.#rowsUsed * ROW_WORDS) * 8;
  }

  add(counter: number, by = 1): void {
    this.row[counter] = (this.row[counter] as number) + by;
  }

  /** A class that cannot be is in a damaged swip. It is not counted; who follows the swip is told. */
  addOf(counter: number, sizeClass: number, by = 1): void {
    if (sizeClass < SIZE_CLASSES) this.add(counter + sizeClass * CLASS_STEP, by);
  }

  total(counter: number): number {
    let sum = 0;
    const end = this.#rowsUsed * ROW_WORDS;
    for (let at = counter; at < end; at += ROW_WORDS) sum += this.#rows[at] as number;
    return sum;
  }

  totalOf(counter: number, sizeClass: number): number {
    return this.total(counter + sizeClass * CLASS_STEP);
  }

  /** Of all size classes together. */
  totalOfAll(counter: number): number {
    let sum = 0;
    for (let sizeClass = 0; sizeClass < SIZE_CLASSES; sizeClass++) sum += this.totalOf(counter, sizeClass);
    return sum;
  }

  /** The same in frames, of a counter of pages. */
  framesOfAll(counter: number): number {
    let sum = 0;
    for (let sizeClass = 0; sizeClass < SIZE_CLASSES; sizeClass++)
      sum += this.totalOf(counter, sizeClass) * 2 ** sizeClass;
    return sum;
  }
  get #rowsUsed(): number {
    return Atomics.load(this.#header, ROWS);
  }
}
