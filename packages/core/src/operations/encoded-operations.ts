/**
 * The operations of one large transaction, encoded one after the other in memory of their own: a million of them are a few objects, lie in
 * the order in which they are gone through, and are in the log with one copy.
 */

import type { LogOperation, LogOperations } from '../contracts/log.js';
import { invariant } from '../errors.js';
import { copyRange } from './copy-range.js';
import { OperationPlace } from './operation-encoding.js';

/** What follows the operations, so that they can be copied in whole words: zeros. */
const PADDING = 8;
/** Bytes that lie before the operations, where a log may put what its record begins with: then it need not copy them. */
export const OPERATIONS_HEADROOM = 64;

export class EncodedOperations implements LogOperations {
  /** How many there are. */
  length = 0;
  /** Bytes that they have. */
  size = 0;
  #bytes = new Uint8Array(0);
  #view = new DataView(this.#bytes.buffer);
  #starts = new Uint32Array(0);

  /** The operations, from the beginning on, and zeros behind them up to a multiple of eight bytes. Begins {@link OPERATIONS_HEADROOM} bytes into its memory. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** The same memory. */
  get view(): DataView {
    return this.#view;
  }

  /** Forgets all, and makes room for so many operations that have so many bytes, as `operationSize` counts them. Memory is used again if there is enough. */
  begin(count: number, size: number): this {
    if (this.#bytes.length < size + PADDING) {
      // Not zeroed: all that is read has been written before.
      const { buffer } = Buffer.allocUnsafeSlow(OPERATIONS_HEADROOM + size + PADDING);
      this.#bytes = new Uint8Array(buffer, OPERATIONS_HEADROOM);
      this.#view = new DataView(buffer, OPERATIONS_HEADROOM);
    }
    if (this.#starts.length < count) this.#starts = new Uint32Array(count);
    this.#bytes.fill(0, size, size + PADDING);
    this.length = 0;
    this.size = 0;
    return this;
  }

  /** The next operation: what lies there is one, encoded. */
  append(from: Uint8Array, view: DataView, start: number, end: number): void {
    const at = this.size;
    invariant(at + end - start <= this.#bytes.length - PADDING, 'A transaction has more bytes than were counted');
    this.#starts[this.length++] = at;
    this.size = copyRange(from, view, start, end, this.#bytes, this.#view, at);
  }

  /** Where the operation of that number lies in {@link bytes}. */
  locate(number: number, place: OperationPlace): void {
    const isThere = number < this.length && place.decode(this.#bytes, this.#starts[number]!);
    invariant(isThere, 'An encoded operation is not what was encoded');
  }

  /** Each as an object of its own, with views of {@link bytes}. */
  *[Symbol.iterator](): Generator<LogOperation> {
    const place = new OperationPlace();
    for (let number = 0; number < this.length; number++) {
      this.locate(number, place);
      const { kind, index } = place;
      const key = this.bytes.subarray(place.key, place.value);
      yield { kind, index, key, value: this.bytes.subarray(place.value, place.end) };
    }
  }
}
