/** Ranges as Level asks for them, as bounds on keys of the index. A bound need not be a key that there can be: it may be longer than any. */
import { isPagewrightError, type KeyRange } from 'pagewright';
import { copyOfKey, storedKey } from './stored-bytes.js';
import type { Encoded } from './view-bytes.js';

/** What abstract-level hands to an implementation: `gte` and `lte` win over `gt` and `lt`. */
export interface EncodedRange {
  readonly gt?: Encoded | undefined;
  readonly gte?: Encoded | undefined;
  readonly lt?: Encoded | undefined;
  readonly lte?: Encoded | undefined;
}

/** Keys as Level has them. */
export interface Bounds {
  readonly lower: Uint8Array | null;
  readonly lowerExclusive: boolean;
  readonly upper: Uint8Array | null;
  readonly upperExclusive: boolean;
}

/** Errors: `LEVEL_INVALID_KEY`. */
export function boundsOf({ gt, gte, lt, lte }: EncodedRange): Bounds {
  const lower = gte ?? gt;
  const upper = lte ?? lt;
  return {
    lower: lower === undefined ? null : copyOfKey(lower),
    lowerExclusive: gte === undefined,
    upper: upper === undefined ? null : copyOfKey(upper),
    upperExclusive: lte === undefined,
  };
}

/** Whether all keys are within. */
export function areOpen({ lower, upper }: Bounds): boolean {
  return lower === null && upper === null;
}

export function isWithin(key: Uint8Array, bounds: Bounds): boolean {
  const { lower, lowerExclusive, upper, upperExclusive } = bounds;
  const above = lower === null ? 1 : Buffer.compare(key, lower);
  const below = upper === null ? -1 : Buffer.compare(key, upper);
  return (above > 0 || (above === 0 && !lowerExclusive)) && (below < 0 || (below === 0 && !upperExclusive));
}

/** The bounds from a key on that is within them. */
export function boundsFrom(key: Uint8Array, bounds: Bounds, reverse: boolean): Bounds {
  return reverse ? { ...bounds, upper: key, upperExclusive: false } : { ...bounds, lower: key, lowerExclusive: false };
}

/** Opens a range of the index within the bounds. What `open` throws is passed on, but that a bound is longer than any key can be. */
export function openWithin<Opened>(bounds: Bounds, open: (range: KeyRange<Uint8Array>) => Opened): Opened {
  try {
    return open(keyRange(bounds, Number.POSITIVE_INFINITY));
  } catch (error) {
    if (!isPagewrightError(error, 'PW_KEY_TOO_LARGE')) throw error;
    return open(keyRange(bounds, error.details.limit as number));
  }
}

function keyRange(bounds: Bounds, maxKeySize: number): KeyRange<Uint8Array> {
  const { lower, lowerExclusive, upper, upperExclusive } = bounds;
  return {
    ...(lower === null ? {} : lowerBound(storedKey(lower), lowerExclusive, maxKeySize)),
    ...(upper === null ? {} : upperBound(storedKey(upper), upperExclusive, maxKeySize)),
  };
}

// No key lies between the longest one that a bound begins with and the bound itself.

function lowerBound(bound: Uint8Array, exclusive: boolean, maxKeySize: number): KeyRange<Uint8Array> {
  if (bound.length > maxKeySize) return { gt: bound.subarray(0, maxKeySize) };
  return exclusive ? { gt: bound } : { gte: bound };
}

function upperBound(bound: Uint8Array, exclusive: boolean, maxKeySize: number): KeyRange<Uint8Array> {
  if (bound.length > maxKeySize) return { lte: bound.subarray(0, maxKeySize) };
  return exclusive ? { lt: bound } : { lte: bound };
}
