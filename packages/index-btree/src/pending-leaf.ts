/**
 * The leaf that a bulk load is filling: its entries in private memory, one behind the other, until it is known how many of them
 * it takes. Its page is written once, when the key behind it is there to make a fence of.
 *
 * Must hold: what was taken in fits on a page together with any fence that can follow.
 */
import { type Segment, TAG_VALUE } from '@pagewright/core';
import { LEAF_ALIGNMENT } from './leaf-entries.js';
import { LEAF_PLACE, LEAF_SLOT_SIZE, LEAF_TAG, LEAF_VALUE, leafSlot, PLACE_INLINE } from './leaf-layout.js';
import type { NodeBounds } from './node-bounds.js';
import { setHints } from './node-hints.js';
import {
  align8,
  HEAD_BYTES,
  headOf,
  NODE_COUNT,
  NODE_HEADER_SIZE,
  SLOT_KEY_OFFSET,
  SLOT_SUFFIX_LENGTH,
  setHeap,
  setRun,
} from './node-layout.js';
import { beginNode, boundsSize, restLength } from './node-writer.js';

/** Whole keys and values may take more than the page will: keys that share much of it have that only once there. */
const PAGES_AT_FIRST = 2;
/** Up to this a loop is faster than a native call. */
const LONGEST_LOOP = 32;

export class PendingLeaf {
  count = 0;
  /** Bytes that all keys share; of a single one all. */
  #prefix = 0;
  /** Bytes of header, slots and blocks, with that prefix. */
  #used = NODE_HEADER_SIZE;
  #bytes: Uint8Array;
  #words: Uint32Array;
  #end = 0;
  readonly #valueAt: Int32Array;
  readonly #valueLength: Int32Array;
  readonly #keyAt: Int32Array;
  readonly #keyLength: Int32Array;

  constructor(
    private readonly pageSize: number,
    /** Bytes of a page that entries may take, with all that belongs to them: more only those of one that is alone. */
    private readonly most: number,
  ) {
    const slots = Math.ceil(pageSize / LEAF_SLOT_SIZE);
    this.#bytes = new Uint8Array(PAGES_AT_FIRST * pageSize);
    this.#words = new Uint32Array(this.#bytes.buffer);
    this.#valueAt = new Int32Array(slots);
    this.#valueLength = new Int32Array(slots);
    this.#keyAt = new Int32Array(slots);
    this.#keyLength = new Int32Array(slots);
  }

  /** Takes a copy of an entry whose key is above all others, and which is not larger than what a leaf holds; false if there is no room. */
  add(key: Uint8Array, value: Uint8Array): boolean {
    const { count } = this;
    const { length } = key;
    let prefix = length;
    let used = NODE_HEADER_SIZE + LEAF_SLOT_SIZE + blockSize(value.length, length, prefix);
    if (count > 0) {
      prefix = this.#sharedWithFirst(key);
      used = prefix === this.#prefix && count > 1 ? this.#used : this.#usedWith(prefix);
      used += LEAF_SLOT_SIZE + blockSize(value.length, length, prefix);
      // The fence will be a beginning of the next key, and share no more with this one than there is of it.
      const fence = Math.min(length + 1, this.pageSize >>> 2);
      if (used + align8(prefix + fence) > this.most) return false;
    }
    this.#prefix = prefix;
    this.#used = used;
    this.#copy(key, value);
    return true;
  }

  /** Length of the shortest separator between the last key and this one, which is a beginning of it. */
  separatorLength(key: Uint8Array): number {
    const at = this.#keyAt[this.count - 1]!;
    const end = Math.min(this.#keyLength[this.count - 1]!, key.length);
    let i = 0;
    while (i < end && this.#bytes[at + i] === key[i]) i++;
    return i + 1;
  }

  /** Copies the last key; its length. */
  copyLast(into: Uint8Array): number {
    const at = this.#keyAt[this.count - 1]!;
    const length = this.#keyLength[this.count - 1]!;
    into.set(this.#bytes.subarray(at, at + length));
    return length;
  }

  /** Writes the leaf to a page that is new, or was `modify`ed, and forgets the entries. */
  write(segment: Segment, base: number, bounds: NodeBounds): void {
    const { count } = this;
    // Without a second key to share it with, it is what the fences guarantee; without any, they have it.
    const prefix = count < 2 ? bounds.guaranteed : this.#prefix;
    const first = count === 0 ? bounds.fence : this.#bytes.subarray(this.#keyAt[0]!);
    let heap = beginNode(segment, base, this.pageSize, 0, first, prefix, bounds, LEAF_ALIGNMENT);
    const top = heap + boundsSize(prefix, bounds, LEAF_ALIGNMENT);
    heap = this.#writeEntries(segment, base, heap, prefix);
    segment.u16[(base + NODE_COUNT) >>> 1] = count;
    setHints(segment, base, LEAF_SLOT_SIZE, 0, 0);
    setHeap(segment, base, heap, top - heap);
    // What is appended later goes on with what was loaded.
    if (count > 0) setRun(segment, base, count - 1, count - 1);
    // What is left of the page goes to the file as well: nothing that was in memory before may.
    segment.u8.fill(0, leafSlot(base, count), base + heap);
    this.count = 0;
    this.#end = 0;
    this.#used = NODE_HEADER_SIZE;
  }

  #sharedWithFirst(key: Uint8Array): number {
    const bytes = this.#bytes;
    const at = this.#keyAt[0]!;
    // Keys rise: what the last one did not share with the first, this one does not either.
    const end = Math.min(this.#prefix, key.length);
    let i = 0;
    while (i < end && bytes[at + i] === key[i]) i++;
    return i;
  }

  /** Bytes of header, slots and blocks if keys share so much. */
  #usedWith(prefix: number): number {
    let used = NODE_HEADER_SIZE + this.count * LEAF_SLOT_SIZE;
    for (let i = 0; i < this.count; i++) used += blockSize(this.#valueLength[i]!, this.#keyLength[i]!, prefix);
    return used;
  }

  /** Appends value and key, each from a place divisible by eight. */
  #copy(key: Uint8Array, value: Uint8Array): void {
    const keyAt = this.#end + align8(value.length);
    const end = keyAt + align8(key.length);
    if (end > this.#bytes.length) this.#grow(end);
    copyIn(this.#bytes, this.#end, value);
    copyIn(this.#bytes, keyAt, key);
    const at = this.count++;
    this.#valueAt[at] = this.#end;
    this.#valueLength[at] = value.length;
    this.#keyAt[at] = keyAt;
    this.#keyLength[at] = key.length;
    this.#end = end;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(2 ** Math.ceil(Math.log2(needed)));
    larger.set(this.#bytes);
    this.#bytes = larger;
    this.#words = new Uint32Array(larger.buffer);
  }

  /** Writes slots and blocks, the first entry highest; where the heap begins then. */
  #writeEntries({ u8, u16, u32 }: Segment, base: number, top: number, prefix: number): number {
    const bytes = this.#bytes;
    const words = this.#words;
    const valueAt = this.#valueAt;
    const valueLength = this.#valueLength;
    const keyAt = this.#keyAt;
    const keyLength = this.#keyLength;
    let heap = top;
    let slot = leafSlot(base, 0);
    for (let i = 0; i < this.count; i++, slot += LEAF_SLOT_SIZE) {
      const value = valueLength[i]!;
      const key = keyAt[i]!;
      const end = key + keyLength[i]!;
      const rest = key + prefix + HEAD_BYTES;
      heap -= blockSize(value, end - key, prefix);
      // By words: what is behind a value there belongs to its own block, or is written afterwards.
      const from = valueAt[i]!;
      let write = (base + heap) >>> 2;
      for (let read = from >>> 2, last = (from + value + 3) >>> 2; read < last; ) u32[write++] = words[read++]!;
      let at = base + heap + value;
      for (let read = rest; read < end; ) u8[at++] = bytes[read++]!;
      u32[slot >>> 2] = headOf(bytes, end, key + prefix);
      u16[(slot + SLOT_KEY_OFFSET) >>> 1] = heap + value;
      u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1] = end - key - prefix;
      u16[(slot + LEAF_VALUE) >>> 1] = value;
      u8[slot + LEAF_TAG] = TAG_VALUE;
      u8[slot + LEAF_PLACE] = PLACE_INLINE;
    }
    return heap;
  }
}

function blockSize(value: number, key: number, prefix: number): number {
  return align8(value + restLength(key, prefix));
}

function copyIn(target: Uint8Array, at: number, bytes: Uint8Array): void {
  const { length } = bytes;
  if (length > LONGEST_LOOP) target.set(bytes, at);
  else for (let i = 0; i < length; i++) target[at + i] = bytes[i]!;
}
