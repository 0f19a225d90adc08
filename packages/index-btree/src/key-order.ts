/** The order of keys: by bytes, as `memcmp` compares them, a key before those that it is the beginning of. */

/** Below 0, 0 or above 0. */
export function compareKeys(a: Uint8Array, aLength: number, b: Uint8Array, bLength: number): number {
  const end = Math.min(aLength, bLength);
  for (let i = 0; i < end; i++) {
    const difference = a[i]! - b[i]!;
    if (difference !== 0) return difference;
  }
  return aLength - bLength;
}

/** How many bytes two keys have in common at their beginning. */
export function commonLength(a: Uint8Array, aLength: number, b: Uint8Array, bLength: number): number {
  const end = Math.min(aLength, bLength);
  let i = 0;
  while (i < end && a[i] === b[i]) i++;
  return i;
}

/**
 * Length of the shortest separator of two keys, which is a beginning of the upper one: above `lower`, at most `upper`
 * (Bayer and Unterauer, "Prefix B-trees", 1977).
 */
export function separatorLength(
  lower: Uint8Array,
  lowerLength: number,
  upper: Uint8Array,
  upperLength: number,
): number {
  return commonLength(lower, lowerLength, upper, upperLength) + 1;
}
