/**
 * Fingerprints of keys: seven bits of a hash. Where the heads of many keys of a leaf are equal, as those of paths are, a look-up compares one key or two instead of
 * one at each step of a search, each of which is on a cache line of its own (Oukid et al., "FPTree", SIGMOD 2016, have them for memory that is slow to reach).
 *
 * Of a long key its last bytes and some in its middle are taken: to hash all of a path takes as long as what fingerprints spare. Keys that differ elsewhere have the same
 * fingerprint, which a search finds out.
 */

const FACTOR_A = 0x9e3779b1;
const FACTOR_B = 0x85ebca77;
/** Keys with fewer bytes are hashed whole. */
const LONG = 16;

/** From 1 to 127. It is part of the format: the same on all machines, and never another one. */
export function fingerprintOf(key: Uint8Array, length: number): number {
  let a = length;
  let b = FACTOR_B;
  if (length < LONG) {
    for (let i = 0; i < length; i++) a = Math.imul(a ^ key[i]!, FACTOR_A);
  } else {
    // Two chains of multiplications, which the processor does side by side.
    const end = length - LONG;
    const middle = (length >>> 1) - 4;
    a = Math.imul(a ^ wordAt(key, end), FACTOR_A);
    b = Math.imul(b ^ wordAt(key, end + 4), FACTOR_A);
    a = Math.imul(a ^ wordAt(key, end + 8), FACTOR_A);
    b = Math.imul(b ^ wordAt(key, end + 12), FACTOR_A);
    a = Math.imul(a ^ wordAt(key, middle), FACTOR_A);
    b = Math.imul(b ^ wordAt(key, middle + 4), FACTOR_A);
  }
  const hash = Math.imul(a ^ Math.imul(b ^ (b >>> 13), FACTOR_B), FACTOR_A) >>> 0;
  // Its highest bits, which depend on all others; 0 means that there is none.
  return hash >>> 25 || 1;
}

function wordAt(key: Uint8Array, at: number): number {
  return key[at]! | (key[at + 1]! << 8) | (key[at + 2]! << 16) | (key[at + 3]! << 24);
}
