/**
 * What an encoding is: how values of one type become bytes and come back. Entries sort by the bytes of their keys, so
 * the encoding of the keys is also the order of an index.
 */
import type { PackedBytes } from '../contracts/packed-entries.js';
import { PagewrightError } from '../errors.js';

/** Values of `T` as bytes. */
export interface Encoding<T> {
  /** Kept in the catalog: an index is opened with the encodings that it was made with. */
  readonly name: string;
  /**
   * The bytes of a value, which are the caller's alone: no later change to the value changes them.
   *
   * @throws PW_ENCODING for a value that would not come back as it is. Three encodings take some that do not: `json` keeps
   * to the rules of `JSON.stringify` (dates come back as strings, NaN and infinities as null; undefined properties, and what
   * else has no JSON, are dropped), `msgpack` drops undefined properties and makes -0 a 0, and `u64` gives a bigint for a number
   */
  encode(value: T): Uint8Array;
  /**
   * Optional: the same bytes, or null, in memory that the next call uses again. For look-ups, which need a key only while they run.
   */
  borrow?(value: T): Uint8Array | null;
  /**
   * The value of bytes. These are given away: the value may be a view of them.
   *
   * @throws PW_ENCODING for bytes that `encode` does not make
   */
  decode(bytes: Uint8Array): T;
  /**
   * Optional: the same for bytes that stand among others, without an array of their own. The value may be a view of them.
   *
   * @throws PW_ENCODING as `decode` does
   */
  decodePacked?(packed: PackedBytes, at: number): T;
}

/** The error for a value that an encoding does not take. `why` says what is wrong, `advice` what to do. */
export function cannotEncode(encoding: string, why: string, advice: string, cause?: unknown): PagewrightError {
  return new PagewrightError('PW_ENCODING', `Cannot encode as ${encoding}: ${why}. ${advice}`, {
    cause,
    details: { encoding },
  });
}

/** The error for bytes that an encoding did not make. */
export function cannotDecode(encoding: string, why: string, bytes: Uint8Array, cause?: unknown): PagewrightError {
  return new PagewrightError(
    'PW_ENCODING',
    `Cannot decode as ${encoding}: ${why}. These ${bytes.length} bytes were written with another encoding; open the index with that one.`,
    { cause, details: { encoding, length: bytes.length } },
  );
}

/**
 * Errors: `PW_ENCODING` for bytes whose memory is gone: it was transferred to another thread, or made shorter. These have no length, as bytes of which there
 * are none, and what tells the two apart is that looking into them throws. Only what has no length has to be looked at.
 */
export function assertThere(encoding: string, bytes: Uint8Array): void {
  try {
    Uint8Array.prototype.at.call(bytes, 0);
  } catch (error) {
    throw cannotEncode(
      encoding,
      `the memory of ${describe(bytes)} is gone`,
      'Give it before its buffer is transferred or made shorter, or give a copy.',
      error,
    );
  }
}

/** A value as an error message shows it: what it is, and no more of it than fits a line. */
export function describe(value: unknown): string {
  switch (typeof value) {
    case 'string':
      return `the string ${JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value)}`;
    case 'number':
    case 'boolean':
      return `the ${typeof value} ${Object.is(value, -0) ? '-0' : String(value)}`;
    case 'bigint':
      return `the bigint ${value < 2n ** 128n && value > -(2n ** 128n) ? value : 'of more than 128 bits'}`;
    case 'object':
      return value === null ? 'null' : `a value of class ${className(value)}`;
    case 'undefined':
      return 'undefined';
    default:
      return `a ${typeof value}`;
  }
}

function className(value: object): string {
  const made: unknown = value.constructor;
  return typeof made === 'function' && made.name !== '' ? made.name : 'unknown';
}
