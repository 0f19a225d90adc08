/**
 * MessagePack: smaller than JSON, and it keeps bytes, dates and bigints. The library would write some values as others
 * in silence, a `Map` as an empty object for one; these are refused before it sees them.
 */
import { Decoder, Encoder, type ExtData, ExtensionCodec } from '@msgpack/msgpack';
import { isPagewrightError } from '../errors.js';
import { assertThere, cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';
import { isWellFormed } from './utf8.js';

const MOST_DEPTH = 100;

/** Is asked by the library about every value that is not a primitive, before the library encodes it. */
const strict = {
  tryToEncode(value: unknown): ExtData | null {
    if (Array.isArray(value)) {
      for (let i = 0; i < value.length; i++) checkElement(value[i]);
      return null;
    }
    if (value instanceof Uint8Array) {
      if (value.length === 0) assertThere('msgpack', value);
      return null;
    }
    if (value instanceof Date) {
      if (Number.isNaN(value.getTime())) throw refused('an invalid date has no time', 'Give a valid one, or null.');
      return ExtensionCodec.defaultCodec.tryToEncode(value, undefined);
    }
    if (!isPlainObject(value)) {
      throw refused(
        `${describe(value)} would not come back as one`,
        'Give plain objects, arrays, Uint8Arrays, Dates and primitives; convert others.',
      );
    }
    for (const key in value) {
      if (key === '__proto__') throw refused("no object may have a property '__proto__'", 'Give it another name.');
      checkPrimitive(key);
      checkPrimitive(value[key]);
    }
    return null;
  },

  decode(data: Uint8Array, type: number): unknown {
    const value = ExtensionCodec.defaultCodec.decode(data, type, undefined);
    if (!(value instanceof Date) || Number.isNaN(value.getTime()))
      throw new Error(`an extension of type ${type} is no date`);
    return value;
  },
};

// Integers beyond 32 bits are written as doubles and bigints as 64-bit integers, so that each comes back as it was.
const options = { extensionCodec: strict, useBigInt64: true, ignoreUndefined: true, maxDepth: MOST_DEPTH };
const encoder = new Encoder(options);
const decoder = new Decoder(options);

/**
 * Null, booleans, numbers, bigints of 64 bits, strings, Uint8Arrays, Dates, arrays and plain objects of these, at most
 * 100 deep. Properties that are undefined are left out; -0 becomes 0.
 */
export const msgpack: Encoding<unknown> = {
  name: 'msgpack',

  encode(value) {
    checkElement(value);
    try {
      return encoder.encode(value);
    } catch (error) {
      if (isPagewrightError(error)) throw error;
      const why = error instanceof Error ? error.message : String(error);
      throw refused(why, `Values may be nested ${MOST_DEPTH} deep, and not contain themselves.`, error);
    }
  },

  decode(bytes) {
    try {
      return decoder.decode(bytes);
    } catch (error) {
      throw cannotDecode('msgpack', 'the bytes are not one MessagePack value', bytes, error);
    }
  },
};

/** In an array, or alone, undefined would come back as null. */
function checkElement(value: unknown): void {
  if (value === undefined) throw refused('undefined would come back as null', 'Give null, or leave it out.');
  checkPrimitive(value);
}

function checkPrimitive(value: unknown): void {
  if (typeof value === 'string' && !isWellFormed(value)) {
    throw refused(
      `${describe(value)} has a lone surrogate`,
      'Do not cut strings within a pair; give bytes as Uint8Array.',
    );
  }
  if (typeof value === 'bigint' && (value >= 2n ** 64n || value < -(2n ** 63n))) {
    throw refused(`${describe(value)} does not fit in 64 bits`, 'Give it as a string or as bytes.');
  }
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // The prototype of a plain object of another realm, a vm context for one, is another Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function refused(why: string, advice: string, cause?: unknown): Error {
  return cannotEncode('msgpack', why, advice, cause);
}
