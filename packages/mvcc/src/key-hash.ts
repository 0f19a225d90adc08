/** A number for an index and a key: keys that are locked together, or looked for together, have the same one. */

const SEED = 0x9e3779b1;
const PRIME = 0x01000193;

/** 32 bits, as a signed number. FNV-1a, with its bits mixed at the end, because the lowest ones choose. */
export function hashOf(index: number, key: Uint8Array): number {
  let hash = Math.imul(index + 1, SEED);
  for (let i = 0; i < key.length; i++) hash = Math.imul(hash ^ key[i]!, PRIME);
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return hash ^ (hash >>> 13);
}
