/**
 * Writes that are under way, each of its own stretch of the stream, by whichever thread: what one has claimed no other begins to
 * write. They end in any order; what is durable is what lies before the first that has not ended.
 *
 * A claim binds nobody: who cannot wait for it writes the same bytes to the same places itself, and what is durable then passes it by.
 *
 * Must hold: all of it is read and changed by who has the log latch.
 */
import type { LogPosition } from '@pagewright/core';
import type { Place } from '../format/place.js';

/** Writes of all threads together that may be under way. */
export const MOST_CLAIMS = 64;

const FIRST = 0;
const COUNT = 1;
const ENTRIES = 2;
/** Of an entry: where the stretch ends, as a position, as a place and as a timestamp, and whether the write is over. */
const END = 0;
const SEGMENT = 1;
const OFFSET = 2;
const TIMESTAMP = 3;
const IS_OVER = 4;
const ENTRY = 5;

/** The end of what one write brings to the device. */
export interface Reach {
  readonly end: LogPosition;
  readonly place: Place;
  /** Of the last transaction before. */
  readonly timestamp: number;
}

export class Claims {
  readonly #numbers: Float64Array;

  static bytes(): number {
    return (ENTRIES + MOST_CLAIMS * ENTRY) * 8;
  }

  constructor(memory: SharedArrayBuffer) {
    this.#numbers = new Float64Array(memory);
  }

  get isFull(): boolean {
    return this.#count === MOST_CLAIMS;
  }

  /** Where the last claim ends; 0 if there is none. */
  get end(): LogPosition {
    return this.#count === 0 ? 0 : (this.#numbers[this.#at(this.#first + this.#count - 1) + END] as number);
  }

  /** Claims what follows the last claim. Returns its number. */
  add({ end, place, timestamp }: Reach): number {
    const number = this.#first + this.#count;
    const at = this.#at(number);
    this.#numbers.set([end, place.segment, place.offset, timestamp, 0], at);
    this.#numbers[COUNT] = this.#count + 1;
    return number;
  }

  /** The write is over, and what it wrote is durable. What that makes durable of all; null if an earlier one is still under way. */
  settle(number: number): Reach | null {
    if (number < this.#first) return null; // passed by
    this.#numbers[this.#at(number) + IS_OVER] = 1;
    let reach: Reach | null = null;
    while (this.#count > 0 && this.#numbers[this.#at(this.#first) + IS_OVER] === 1) {
      reach = this.#reachAt(this.#at(this.#first));
      this.#drop();
    }
    return reach;
  }

  /** All up to a position is durable, whoever wrote it. */
  passBy(durable: LogPosition): void {
    while (this.#count > 0 && (this.#numbers[this.#at(this.#first) + END] as number) <= durable) this.#drop();
  }

  get #first(): number {
    return this.#numbers[FIRST] as number;
  }

  get #count(): number {
    return this.#numbers[COUNT] as number;
  }

  #at(number: number): number {
    return ENTRIES + (number % MOST_CLAIMS) * ENTRY;
  }

  #reachAt(at: number): Reach {
    const number = (field: number): number => this.#numbers[at + field] as number;
    return {
      end: number(END),
      place: { segment: number(SEGMENT), offset: number(OFFSET) },
      timestamp: number(TIMESTAMP),
    };
  }

  #drop(): void {
    this.#numbers[FIRST] = this.#first + 1;
    this.#numbers[COUNT] = this.#count - 1;
  }
}
