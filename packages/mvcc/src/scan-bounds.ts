/** Where a scan begins, and what lies beyond its end. */
import type { Cursor, Index, ScanBounds } from '@pagewright/core';
import { compareKeys } from './key-text.js';

/** A cursor at the beginning of the range. */
export function cursorAt(tree: Index, bounds: ScanBounds): Cursor {
  const { lower, lowerExclusive, upper, upperExclusive, reverse, limit = Number.POSITIVE_INFINITY } = bounds;
  const cursor = tree.cursor();
  const end = reverse ? lower : upper;
  if (reverse) cursor.seek(upper, { exclusive: upper !== null && upperExclusive, reverse, end, limit });
  else cursor.seek(lower, { exclusive: lower !== null && lowerExclusive, reverse, end, limit });
  return cursor;
}

export function isBeyondEnd(key: Uint8Array, bounds: ScanBounds): boolean {
  const { lower, lowerExclusive, upper, upperExclusive, reverse } = bounds;
  const bound = reverse ? lower : upper;
  if (bound === null) return false;
  const order = compareKeys(key, bound);
  if (order === 0) return reverse ? lowerExclusive : upperExclusive;
  return reverse ? order < 0 : order > 0;
}
