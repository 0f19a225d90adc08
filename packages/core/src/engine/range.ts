/** What a range is asked for with, checked once, and made into bounds of bytes. */
import type { ScanBounds } from '../contracts/concurrency.js';
import { describe } from '../encodings/encoding.js';
import { PagewrightError } from '../errors.js';
import type { EngineSnapshot } from './snapshot.js';

/** From which key to which. */
export interface KeyRange<Key> {
  /** Only keys above this one. Not together with `gte`. */
  readonly gt?: Key | undefined;
  /** Only this key and those above it. */
  readonly gte?: Key | undefined;
  /** Only keys below this one. Not together with `lte`. */
  readonly lt?: Key | undefined;
  /** Only this key and those below it. */
  readonly lte?: Key | undefined;
}

export interface RangeOptions<Key> extends KeyRange<Key> {
  /** From the last key to the first. Default: false. */
  readonly reverse?: boolean | undefined;
  /** At most so many entries. Default: no limit. */
  readonly limit?: number | undefined;
  /** Read what was there when the snapshot was taken. Without one, each batch of entries is read as it is when the range reaches it. */
  readonly snapshot?: EngineSnapshot | undefined;
}

/** Of a range in a transaction, whose snapshot is the transaction's. */
export type TransactionRangeOptions<Key> = Omit<RangeOptions<Key>, 'snapshot'>;

export interface CheckedRange {
  readonly bounds: ScanBounds;
  readonly limit: number;
  readonly snapshot: EngineSnapshot | null;
}

const KNOWN = new Set(['gt', 'gte', 'lt', 'lte', 'reverse', 'limit', 'snapshot']);

/** Errors: `PW_ARGUMENT`, and those of encoding a key. */
export function checkRange<Key>(
  options: RangeOptions<Key>,
  encodeBound: (key: Key) => Uint8Array,
  wantsValues: boolean,
): CheckedRange {
  if (typeof options !== 'object' || options === null)
    throw argument('The options of a range are an object.', { options });
  for (const name of Object.keys(options)) {
    if (!KNOWN.has(name)) {
      throw argument(`A range has no option '${name}'. There are: ${[...KNOWN].join(', ')}.`, { option: name });
    }
  }
  const { gt, gte, lt, lte, reverse = false, limit = Number.POSITIVE_INFINITY, snapshot } = options;
  if (gt !== undefined && gte !== undefined) throw argument('A range takes gt or gte, not both.', { gt, gte });
  if (lt !== undefined && lte !== undefined) throw argument('A range takes lt or lte, not both.', { lt, lte });
  if (typeof reverse !== 'boolean')
    throw argument(`The option reverse is true or false, not ${describe(reverse)}.`, { reverse });
  if (limit !== Number.POSITIVE_INFINITY && (!Number.isInteger(limit) || limit < 0)) {
    throw argument(`The option limit is a whole number from 0 on, not ${describe(limit)}.`, { limit });
  }
  // Null is a key like others in some encodings.
  const lower = gt !== undefined ? gt : gte;
  const upper = lt !== undefined ? lt : lte;
  const lowerKey = lower === undefined ? null : encodeBound(lower);
  const upperKey = upper === undefined ? null : encodeBound(upper);
  const bounds = {
    // Every key is above the empty one.
    lower: lowerKey?.length === 0 ? null : lowerKey,
    lowerExclusive: gt !== undefined,
    upper: upperKey?.length === 0 ? null : upperKey,
    upperExclusive: lt !== undefined,
    reverse,
    wantsValues,
    limit,
    mayPack: true,
  };
  return { bounds, limit: upperKey?.length === 0 ? 0 : limit, snapshot: snapshot ?? null };
}

/** The same where nothing but keys can be given. Errors: as of {@link checkRange}. */
export function checkKeyRange<Key>(range: KeyRange<Key>, encodeBound: (key: Key) => Uint8Array): CheckedRange {
  for (const name of ['reverse', 'limit', 'snapshot']) {
    if (Object.hasOwn(Object(range), name)) {
      throw argument(`An estimate has no option '${name}': it is about all of a range, as it is now.`, {
        option: name,
      });
    }
  }
  return checkRange(range, encodeBound, false);
}

/** The first key above this one that there may be; null if there is none. */
export function keyAfter(key: Uint8Array, maxKeySize: number): Uint8Array | null {
  if (key.length < maxKeySize) {
    const longer = new Uint8Array(key.length + 1);
    longer.set(key);
    return longer;
  }
  let end = key.length;
  while (end > 0 && key[end - 1] === 0xff) end--;
  if (end === 0) return null;
  const after = key.slice(0, end);
  after[end - 1] = after[end - 1]! + 1;
  return after;
}

export function argument(message: string, details: Record<string, unknown>): PagewrightError {
  return new PagewrightError('PW_ARGUMENT', message, { details });
}
