/** Whole numbers from 0 to 2^32 - 1, in four bytes, the highest first. They sort as numbers. */
import { cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';

const lent = new Uint8Array(4);

export const u32: Encoding<number> = {
  name: 'u32',

  encode(value) {
    // The shift makes a u32 of anything; what it leaves alone is one.
    if (typeof value !== 'number' || value >>> 0 !== value) {
      throw cannotEncode(
        'u32',
        `${describe(value)} is no whole number from 0 to ${2 ** 32 - 1}`,
        'Use u64 or f64 for others.',
      );
    }
    return written(value, new Uint8Array(4));
  },

  borrow(value) {
    return typeof value === 'number' && value >>> 0 === value ? written(value, lent) : null;
  },

  decode(bytes) {
    if (bytes.length !== 4) throw cannotDecode('u32', 'a u32 has four bytes', bytes);
    return readAt(bytes, 0);
  },

  decodePacked(packed, at) {
    const start = packed.starts[at]!;
    return packed.ends[at]! - start === 4 ? readAt(packed.bytes, start) : u32.decode(packed.viewAt(at));
  },
};

function readAt(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0;
}

function written(value: number, bytes: Uint8Array): Uint8Array {
  bytes[0] = value >>> 24;
  bytes[1] = value >>> 16;
  bytes[2] = value >>> 8;
  bytes[3] = value;
  return bytes;
}
