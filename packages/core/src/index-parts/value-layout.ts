/**
 * A page that holds one value: behind the header of all pages the length of the value (u32), four bytes 0, the value.
 */
export const VALUE_LENGTH = 32;
export const VALUE_RESERVED = 36;
export const VALUE_HEADER_SIZE = 40;

/** The smallest size class whose pages hold a value of this length. */
export function sizeClassFor(length: number, pageSize: number): number {
  let sizeClass = 0;
  for (let size = pageSize; size < length + VALUE_HEADER_SIZE; size *= 2) sizeClass++;
  return sizeClass;
}
