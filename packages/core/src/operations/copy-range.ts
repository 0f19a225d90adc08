/** Copying some bytes from one private memory to another, wherever they begin. */

/** Up to this size a loop over words copies faster than a view and a call of `set`. */
const SHORT = 256;

/** Copies the bytes from `start` to `end`. Each memory is given as bytes and as a view, both of the same. Returns the offset behind what was copied. */
export function copyRange(
  from: Uint8Array,
  fromView: DataView,
  start: number,
  end: number,
  to: Uint8Array,
  toView: DataView,
  at: number,
): number {
  const length = end - start;
  if (length > SHORT) {
    to.set(from.subarray(start, end), at);
  } else {
    const words = length & ~3;
    for (let i = 0; i < words; i += 4) toView.setInt32(at + i, fromView.getInt32(start + i, true), true);
    for (let i = words; i < length; i++) to[at + i] = from[start + i]!;
  }
  return at + length;
}
