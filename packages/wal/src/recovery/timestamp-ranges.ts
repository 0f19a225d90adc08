/** Rising timestamps, kept as ranges: memory goes by the gaps between them, not by their number. */
import type { TimestampRange } from '@pagewright/core';

export class TimestampRanges {
  readonly #ranges: { first: number; last: number }[] = [];
  #count = 0;

  get ranges(): readonly TimestampRange[] {
    return this.#ranges;
  }

  /** How many timestamps there are. */
  get count(): number {
    return this.#count;
  }

  /** Adds one that is above all others. */
  add(timestamp: number): void {
    const newest = this.#ranges.at(-1);
    this.#count++;
    if (newest !== undefined && newest.last + 1 === timestamp) newest.last = timestamp;
    else this.#ranges.push({ first: timestamp, last: timestamp });
  }
}

/** Goes through timestamps that were kept as ranges, one after the other. */
export class RangeCursor {
  readonly #ranges: readonly TimestampRange[];
  #index = 0;
  #next: number;

  constructor(ranges: readonly TimestampRange[]) {
    this.#ranges = ranges;
    this.#next = ranges[0]?.first ?? Number.POSITIVE_INFINITY;
  }

  /** The next timestamp; infinity when all were passed. */
  get next(): number {
    return this.#next;
  }

  advance(): void {
    const range = this.#ranges[this.#index];
    if (range !== undefined && this.#next < range.last) this.#next++;
    else this.#next = this.#ranges[++this.#index]?.first ?? Number.POSITIVE_INFINITY;
  }
}

/** The part of a range that lies in some of the others, in order. */
export function intersection({ first, last }: TimestampRange, others: readonly TimestampRange[]): TimestampRange[] {
  return others
    .map((other) => ({ first: Math.max(first, other.first), last: Math.min(last, other.last) }))
    .filter((common) => common.first <= common.last);
}
