/**
 * Tuples and primitives as bytes that sort as the values compare:
 *
 * - types among themselves: null, false, true, numbers, bigints, dates, strings, bytes, arrays;
 * - numbers and bigints by value (-0 directly before 0; a bigint after all numbers), dates by time, strings by code
 *   point, bytes as `Buffer.compare` does;
 * - arrays by their first elements that differ, what is a prefix first: `['a']`, `['a', 1]`, `['a', 1, 0]`, `['b']`.
 *   So `{ gte: ['a'], lt: ['b'] }` has the tuples that begin with 'a' among those that begin with a primitive string.
 *
 * A value is a tag and its content. Content without a length of its own ends with 00, and a zero in it is written as
 * 00 FF; terminators at the very end are left out. A number that is not negative is a double without the zero bytes at
 * its end, so that small whole numbers take two to four bytes. The idea of the format is that of FoundationDB's tuple layer.
 */
import { cannotDecode, type Encoding } from './encoding.js';
import { OrderedReader } from './ordered-reader.js';
import { OrderedWriter } from './ordered-writer.js';

/** What sorts. Arrays may be nested 64 deep, bigints have 1,016 bits, and strings no lone surrogates. */
export type OrderedValue = null | boolean | number | bigint | Date | string | Uint8Array | readonly OrderedValue[];

const writer = new OrderedWriter();
let writing = false;

/** NaN, invalid dates, undefined and other objects are refused. */
export const ordered: Encoding<OrderedValue> = {
  name: 'ordered',

  encode(value) {
    // An array may have getters, and these may encode another value.
    if (writing) return new OrderedWriter().encode(value);
    writing = true;
    try {
      return writer.encode(value);
    } finally {
      writing = false;
    }
  },

  decode(bytes) {
    try {
      return new OrderedReader(bytes).decode();
    } catch (error) {
      throw cannotDecode('ordered', error instanceof Error ? error.message : String(error), bytes, error);
    }
  },
};
