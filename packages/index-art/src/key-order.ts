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

/** Writes the first key above all that begin with these bytes; its length, 0 if there is none. */
export function keyBehind(prefix: Uint8Array, length: number, into: Uint8Array): number {
  let end = length;
  while (end > 0 && prefix[end - 1] === 0xff) end--;
  for (let i = 0; i < end; i++) into[i] = prefix[i]!;
  if (end > 0) into[end - 1] = into[end - 1]! + 1;
  return end;
}
