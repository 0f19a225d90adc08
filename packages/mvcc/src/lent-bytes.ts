/** Bytes from somewhere in a memory, as an array of their own that is lent: the next ones of the same length are put into it. A view for each would be garbage at once. */
import { copyRange } from '@pagewright/core';

/** Longer ones are views. */
const LONGEST = 256;

interface Lent {
  readonly bytes: Uint8Array;
  readonly view: DataView;
}

export class LentBytes {
  readonly #byLength: (Lent | undefined)[] = [];

  /** The bytes from `start` to `end`, until it is asked for others. */
  of(bytes: Uint8Array, view: DataView, start: number, end: number): Uint8Array {
    const length = end - start;
    if (length > LONGEST) return bytes.subarray(start, end);
    let lent = this.#byLength[length];
    if (lent === undefined) {
      const array = new Uint8Array(length);
      lent = { bytes: array, view: new DataView(array.buffer) };
      this.#byLength[length] = lent;
    }
    copyRange(bytes, view, start, end, lent.bytes, lent.view, 0);
    return lent.bytes;
  }
}
