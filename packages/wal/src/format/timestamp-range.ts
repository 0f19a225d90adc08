/** Ranges of timestamps as bytes: first and last of each, rising, and not touching each other. */
import type { TimestampRange } from '@pagewright/core';
import { readU64, writeU64 } from './u64.js';

/** Bytes of one. */
export const RANGE_SIZE = 16;

export function writeRanges(view: DataView, at: number, ranges: readonly TimestampRange[]): void {
  for (const [i, { first, last }] of ranges.entries()) {
    writeU64(view, at + i * RANGE_SIZE, first);
    writeU64(view, at + i * RANGE_SIZE + 8, last);
  }
}

/** Null if they are not in order. */
export function readRanges(view: DataView, at: number, count: number): TimestampRange[] | null {
  const ranges: TimestampRange[] = [];
  let above = -1;
  for (let i = 0; i < count; i++) {
    const first = readU64(view, at + i * RANGE_SIZE);
    const last = readU64(view, at + i * RANGE_SIZE + 8);
    if (first <= above || last < first || last > Number.MAX_SAFE_INTEGER) return null;
    ranges.push({ first, last });
    above = last + 1;
  }
  return ranges;
}
