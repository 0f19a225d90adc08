/**
 * Fingerprints of keys: seven bits of a hash of all their bytes. Where the heads of many keys of a leaf are equal, as those of paths are, a look-up compares one
 * key or two instead of one at each step of a search, each of which is on a cache line of its own (Oukid et al., "FPTree", SIGMOD 2016, have them for memory that is slow to
 * reach).
 */

const FACTOR_A = 0x9e3779b1;
const FACTOR_B = 0x85ebca77;

/** From 1 to 127. It is part of the format: the same on all machines, and never another one. */
export function fingerprintOf(key: Uint8Array, length: number): number {
  let a = length;
  let b = FACTOR_B;
  let i = 0;
  // Two chains of multiplications, which the processor does side by side.
  for (; i + 8 <= length; i += 8) {
    a = Math.imul(a ^ (key[i]! | (key[i + 1]! << 8) | (key[i + 2]! << 16) | (key[i + 3]! << 24)), FACTOR_A);
    b = Math.imul(b ^ (key[i + 4]! | (key[i + 5]! << 8) | (key[i + 6]! << 16) | (key[i + 7]! << 24)), FACTOR_A);
    a ^= a >>> 15;
    b ^= b >>> 15;
  }
  for (; i < length; i++) a = Math.imul(a ^ key[i]!, FACTOR_A) ^ (a >>> 15);
  const hash = Math.imul(a ^ Math.imul(b ^ (b >>> 13), FACTOR_B), FACTOR_A) >>> 0;
  // Its highest bits, which depend on all others; 0 means that there is none.
  return hash >>> 25 || 1;
}
