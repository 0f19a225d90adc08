/**
 * Values that say which write they come from, and in which every byte counts: a value that was put together from two, or
 * has a wrong byte anywhere, has a label that no write has.
 */

/** Bytes that a value has at least: the number of its write. */
const LEAST_SIZE = 4;

/** The value that write `number` puts, with `size` bytes or a few more. */
export function makeValue(number: number, size: number): Uint8Array {
  const bytes = new Uint8Array(Math.max(size, LEAST_SIZE));
  for (let at = LEAST_SIZE; at < bytes.length; at++) bytes[at] = byteAt(number, at);
  new DataView(bytes.buffer).setUint32(0, number, true);
  return bytes;
}

/** Its label. */
export function labelOf(value: Uint8Array): string {
  if (value.length < LEAST_SIZE) return `only ${value.length} bytes`;
  const number = new DataView(value.buffer, value.byteOffset).getUint32(0, true);
  for (let at = LEAST_SIZE; at < value.length; at++) {
    if (value[at] !== byteAt(number, at)) return `write ${number}, wrong from byte ${at} on`;
  }
  return `write ${number}, ${value.length} bytes`;
}

function byteAt(number: number, at: number): number {
  return (Math.imul(number, 31) + at * 7 + (at >>> 8)) & 0xff;
}
