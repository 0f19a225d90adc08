/** Whole numbers from 0 to 2^64 - 1, in eight bytes, the highest first. They sort as numbers. */
import { copyOf } from './byte-slab.js';
import { cannotDecode, cannotEncode, describe, type Encoding } from './encoding.js';

const scratch = new DataView(new ArrayBuffer(8));
const scratchBytes = new Uint8Array(scratch.buffer);

/** Gives bigints, and takes safe integers as well. */
export const u64: Encoding<bigint> = {
  name: 'u64',

  encode(value: bigint | number) {
    if (!write(value)) {
      throw cannotEncode(
        'u64',
        `${describe(value)} is no whole number from 0 to 2^64 - 1`,
        'Give a bigint or a safe integer.',
      );
    }
    return copyOf(scratchBytes);
  },

  borrow(value: bigint | number) {
    return write(value) ? scratchBytes : null;
  },

  decode(bytes) {
    if (bytes.length !== 8) throw cannotDecode('u64', 'a u64 has eight bytes', bytes);
    scratchBytes.set(bytes);
    return scratch.getBigUint64(0);
  },

  decodePacked(packed, at) {
    const start = packed.starts[at]!;
    if (packed.ends[at]! - start !== 8) return u64.decode(packed.viewAt(at));
    for (let i = 0; i < 8; i++) scratchBytes[i] = packed.bytes[start + i]!;
    return scratch.getBigUint64(0);
  },
};

const LIMIT = 2n ** 64n;

/** Whether the value is one that there is room for; then it is in the scratch. */
function write(value: bigint | number): boolean {
  if (typeof value === 'bigint') {
    if (value < 0n || value >= LIMIT) return false;
    scratch.setBigUint64(0, value);
    return true;
  }
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) return false;
  scratch.setUint32(0, value / 2 ** 32);
  scratch.setUint32(4, value >>> 0);
  return true;
}
