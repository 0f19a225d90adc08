/**
 * Which units of the page file hold content of the open epoch, and which of the closed one (C4): a bit for each in shared
 * memory that grows. The bits of the two lie word by word side by side, and which is whose is said by one word, so that
 * closing an epoch moves nothing.
 *
 * | words | |
 * | --- | --- |
 * | 0 | which bits are the open epoch's: 0 or 1 |
 * | 1, 2 | units in each |
 * | from 4 | for each 32 units a word of bits 0 and a word of bits 1, lowest unit first |
 *
 * Must hold: a unit was born in at most one of the two. Memory of zeros is no births. Calls come one at a time, from any
 * thread.
 */
import { invariant } from '@pagewright/core/contracts';

export type Epoch = 'open' | 'closed';

const OPEN = 0;
const COUNTS = 1;
const HEADER = 4;
/** Memory grows by so much at least, in bytes. */
const GROWTH = 64 * 1024;

export class Births {
  /** Fixed in length, and made anew when the memory has grown: a view that follows its length makes code 30 times slower. */
  #words: Int32Array;

  constructor(private readonly memory: SharedArrayBuffer) {
    this.#words = viewOf(memory);
  }

  get bytes(): number {
    return this.memory.byteLength;
  }

  /** Memory for so many units at most. What there are no births in is address space alone. */
  static memory(capacity: number): SharedArrayBuffer {
    return new SharedArrayBuffer(HEADER * 4, { maxByteLength: bytesOf(capacity) });
  }

  /** These units now hold content of the epoch. */
  add(first: number, count: number, epoch: Epoch): void {
    this.#reserve(first + count);
    this.#fill(first, count, this.#halfOf(epoch), true);
  }

  /** Whether the units were born in the epoch; then they are so no longer. */
  remove(first: number, count: number, epoch: Epoch): boolean {
    const half = this.#halfOf(epoch);
    const words = this.#seen();
    const at = HEADER + (first >>> 5) * 2 + half;
    if (at >= words.length || ((words[at] as number) & (1 << (first & 31))) === 0) return false;
    this.#fill(first, count, half, false);
    return true;
  }

  /** What was born in the open epoch was now born in the closed one, and nothing in the open one yet. */
  close(): void {
    this.settle();
    this.#words[OPEN] = 1 - (this.#words[OPEN] as number);
  }

  /** What was born in the closed epoch is of neither any more. */
  settle(): void {
    const half = this.#halfOf('closed');
    const words = this.#seen();
    if (words[COUNTS + half] === 0) return;
    // What is zero is left alone: memory that was never touched stays with the system.
    for (let at = HEADER + half; at < words.length; at += 2) if (words[at] !== 0) words[at] = 0;
    words[COUNTS + half] = 0;
  }

  /** Clears in a map of units, lowest bit first and a multiple of four bytes, those that were born in the open epoch. */
  clearOpen(map: Uint8Array): void {
    const half = this.#halfOf('open');
    const words = this.#seen();
    if (words[COUNTS + half] === 0) return;
    const bits = new Int32Array(map.buffer, map.byteOffset, map.byteLength >>> 2);
    for (let word = 0, at = HEADER + half; word < bits.length && at < words.length; word++, at += 2) {
      if (words[at] !== 0) bits[word] = (bits[word] as number) & ~(words[at] as number);
    }
  }

  #halfOf(epoch: Epoch): number {
    const open = this.#words[OPEN] as number;
    return epoch === 'open' ? open : 1 - open;
  }

  #fill(first: number, count: number, half: number, born: boolean): void {
    const words = this.#words;
    const end = first + count;
    for (let unit = first; unit < end; ) {
      const bit = unit & 31;
      const run = Math.min(32 - bit, end - unit);
      const mask = run === 32 ? -1 : ((1 << run) - 1) << bit;
      const at = HEADER + (unit >>> 5) * 2 + half;
      const before = words[at] as number;
      invariant((before & mask) === (born ? 0 : mask), 'An extent is born twice, or is not what was born');
      words[at] = before ^ mask;
      unit += run;
    }
    const counts = COUNTS + half;
    words[counts] = (words[counts] as number) + (born ? count : -count);
  }

  #reserve(units: number): void {
    const bytes = bytesOf(units);
    if (bytes > this.memory.byteLength) {
      this.memory.grow(Math.min(bytes + GROWTH, this.memory.maxByteLength));
    }
    this.#seen();
  }

  /** The words as far as there are any; another thread may have made them more. */
  #seen(): Int32Array {
    if (this.#words.byteLength !== this.memory.byteLength) this.#words = viewOf(this.memory);
    return this.#words;
  }
}

function bytesOf(units: number): number {
  return (HEADER + Math.ceil(units / 32) * 2) * 4;
}

function viewOf(memory: SharedArrayBuffer): Int32Array {
  return new Int32Array(memory, 0, memory.byteLength >>> 2);
}
