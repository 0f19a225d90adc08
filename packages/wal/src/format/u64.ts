/**
 * Unsigned 64-bit integers, little-endian, as two words: timestamps and offsets are JavaScript numbers, and a `BigInt`
 * would be allocated for each. Values are integers from 0 to 2^53 - 1.
 */

const TWO_TO_32 = 4_294_967_296;

export function writeU64(view: DataView, at: number, value: number): void {
  view.setUint32(at, value >>> 0, true); // ToUint32 is modulo 2^32
  view.setUint32(at + 4, Math.floor(value / TWO_TO_32), true);
}

export function readU64(view: DataView, at: number): number {
  return view.getUint32(at + 4, true) * TWO_TO_32 + view.getUint32(at, true);
}
