/**
 * Memory for keys and values that are handed to users. Small ones are cut from slabs, because a buffer of its own costs
 * more than the copy; no byte is handed out twice. A slab cannot be transferred to another thread: that would take it
 * away from its other owners.
 */
import { markAsUntransferable } from 'node:worker_threads';
import type { Segment } from '../contracts/pages.js';

const SLAB_SIZE = 16 * 1024;
/** Above this a result has a buffer of its own: less than a slab can keep alive is wasted, and one native copy is faster. */
const LARGEST_SLICE = 512;
/** Above this the zeros that a new buffer would be filled with first cost more than asking for memory without them. */
const LARGEST_ZEROED = 4096;
const EMPTY = new Uint8Array(0);

export class ResultSlab {
  /** Asked of one of its views for each result, it would take as long as the result. */
  #memory = new ArrayBuffer(0);
  #bytes = new Uint8Array(this.#memory);
  #words = new Uint32Array(this.#memory);
  #free = 0;

  /**
   * Copies bytes of a page, from a place divisible by four, that were not validated yet. `finish` makes them a result;
   * until then they are not used up, so that a copy that turns out to be torn costs no memory.
   */
  copy(segment: Segment, start: number, length: number): void {
    if (length > LARGEST_SLICE || (start & 3) !== 0) {
      this.#large = unfilled(length);
      this.#large.set(segment.u8.subarray(start, start + length));
      return;
    }
    this.#large = null;
    this.#ensure(length);
    const source = segment.u32;
    const target = this.#words;
    let to = this.#free >>> 2;
    let from = start >>> 2;
    const end = (start + length + 3) >>> 2;
    while (from < end) target[to++] = source[from++]!;
  }

  #large: Uint8Array | null = null;

  /** The result of the last `copy`, with the same length. */
  finish(length: number): Uint8Array {
    if (this.#large !== null) {
      const result = this.#large;
      this.#large = null;
      return result;
    }
    return length === 0 ? EMPTY : this.#cut(length);
  }

  /** A result with the first `length` bytes of a private buffer. */
  copyOf(bytes: Uint8Array, length: number): Uint8Array {
    if (length > LARGEST_SLICE) return bytes.slice(0, length);
    this.#ensure(length);
    const target = this.#bytes;
    const at = this.#free;
    for (let i = 0; i < length; i++) target[at + i] = bytes[i]!;
    return this.#cut(length);
  }

  #cut(length: number): Uint8Array {
    const result = new Uint8Array(this.#memory, this.#free, length);
    this.#free += (length + 7) & ~7;
    return result;
  }

  #ensure(length: number): void {
    if (this.#free + length + 3 <= this.#bytes.length) return;
    this.#memory = new ArrayBuffer(SLAB_SIZE);
    markAsUntransferable(this.#memory);
    this.#bytes = new Uint8Array(this.#memory);
    this.#words = new Uint32Array(this.#memory);
    this.#free = 0;
  }
}

/** A plain array of its own, whose bytes are anything. */
export function unfilled(length: number): Uint8Array<ArrayBuffer> {
  if (length <= LARGEST_ZEROED) return new Uint8Array(length);
  const { buffer } = Buffer.allocUnsafeSlow(length);
  return new Uint8Array(buffer, 0, length);
}
