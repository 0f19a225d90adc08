/**
 * Keys as strings with one character for each byte: they compare as the bytes do, and a `Map` finds them. Only code
 * that meets concurrent work needs them; a plain put while no snapshot is open makes none.
 */

/** The key's bytes as characters U+0000 to U+00FF. */
export function keyText(key: Uint8Array): string {
  return Buffer.prototype.latin1Slice.call(key, 0, key.length);
}

/** Negative, zero or positive, as the first key sorts before, with or after the second. */
export function compareKeys(a: Uint8Array, b: Uint8Array): number {
  const shared = Math.min(a.length, b.length);
  for (let i = 0; i < shared; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}
