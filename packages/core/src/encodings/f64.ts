/**
 * Numbers in eight bytes that sort as numbers: IEEE 754, the highest byte first, with the sign inverted, and all bits of
 * negative numbers, which otherwise sort the wrong way round. -0 comes directly before 0 and is another key.
 */
import { copyOf } from './byte-slab.js';
import { cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** All numbers but NaN, which has no place in the order. */
export const f64: Encoding<number> = {
  name: 'f64',

  encode(value) {
    if (typeof value !== 'number' || Number.isNaN(value)) {
      throw cannotEncode(
        'f64',
        `${describe(value)} has no place in the order of numbers`,
        'Give a number that is not NaN.',
      );
    }
    write(value);
    return copyOf(scratchBytes);
  },

  borrow(value) {
    if (typeof value !== 'number' || Number.isNaN(value)) return null;
    write(value);
    return scratchBytes;
  },

  decode(bytes) {
    if (bytes.length !== 8) throw cannotDecode('f64', 'an f64 has eight bytes', bytes);
    scratchBytes.set(bytes);
    const value = read();
    if (Number.isNaN(value)) throw cannotDecode('f64', 'the bytes are those of NaN', bytes);
    return value;
  },

  decodePacked(packed, at) {
    const start = packed.starts[at]!;
    if (packed.ends[at]! - start !== 8) return f64.decode(packed.viewAt(at));
    for (let i = 0; i < 8; i++) scratchBytes[i] = packed.bytes[start + i]!;
    const value = read();
    return Number.isNaN(value) ? f64.decode(packed.viewAt(at)) : value;
  },
};

/** The number whose bytes are in the scratch; NaN for bytes that no key has. */
function read(): number {
  const high = scratch.getUint32(0);
  if (high >>> 31 === 1) {
    scratch.setUint32(0, high & 0x7fffffff);
  } else {
    scratch.setUint32(0, ~high);
    scratch.setUint32(4, ~scratch.getUint32(4));
  }
  return scratch.getFloat64(0);
}

function write(value: number): void {
  scratch.setFloat64(0, value);
  const high = scratch.getUint32(0);
  if (high >>> 31 === 1) {
    scratch.setUint32(0, ~high);
    scratch.setUint32(4, ~scratch.getUint32(4));
  } else {
    scratch.setUint32(0, high | 0x80000000);
  }
}
