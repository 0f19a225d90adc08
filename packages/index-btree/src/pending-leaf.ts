/**
 * The leaf that a bulk load is filling, in private memory and in the form that it will have on its page, until it is known how many entries it
 * takes. Its page is written once, in one piece, when the key behind it is there to make a fence of.
 *
 * What all keys share is known only at the end. Entries are written without a prefix as long as that of the leaf before, which is right for most; where
 * it is not, they are written anew, once.
 *
 * Must hold: what was taken in fits on a page together with any fence that can follow.
 */
import { PAGE_HEADER_SIZE, Segment, TAG_VALUE } from '@pagewright/core';
import { fingerprintOf } from './fingerprint.js';
import { LEAF_ALIGNMENT } from './leaf-entries.js';
import {
  keyOffsetAt,
  LEAF_SLOT_SIZE,
  LEAF_TAG,
  LEAF_VALUE,
  leafSlot,
  PLACE_INLINE,
  setPlace,
  suffixLengthAt,
  valueFieldAt,
} from './leaf-layout.js';
import type { NodeBounds } from './node-bounds.js';
import { setHints } from './node-hints.js';
import {
  align8,
  HEAD_BYTES,
  headOf,
  heapEnd,
  NODE_COUNT,
  NODE_HEADER_SIZE,
  SLOT_HEAD,
  SLOT_KEY_OFFSET,
  SLOT_SUFFIX_LENGTH,
  setHeap,
  setRun,
  setSwipTable,
} from './node-layout.js';
import { beginNode, restLength } from './node-writer.js';

/** Up to this a loop is faster than a native call. */
const LONGEST_LOOP = 32;

export class PendingLeaf {
  count = 0;
  /** The leaf, and memory to write it anew in. */
  #leaf: Segment<ArrayBuffer>;
  #spare: Segment<ArrayBuffer>;
  /** Lowest byte of its heap, which has no holes. */
  #heap: number;
  /** Bytes that the entries are written without; and what all keys share, of a single one all: no less. */
  #prefix = 0;
  #shared = 0;
  /** What the keys of the leaf before shared. */
  #expected = 0;
  readonly #first: Uint8Array;
  readonly #key: Uint8Array;
  readonly #heapEnd: number;

  constructor(
    private readonly pageSize: number,
    /** Bytes of a page that entries may take, with all that belongs to them: more only those of one that is alone. */
    private readonly most: number,
  ) {
    this.#leaf = new Segment(new ArrayBuffer(pageSize));
    this.#spare = new Segment(new ArrayBuffer(pageSize));
    this.#heapEnd = heapEnd(pageSize);
    this.#heap = this.#heapEnd;
    this.#first = new Uint8Array(pageSize >>> 2);
    this.#key = new Uint8Array(pageSize >>> 2);
  }

  /**
   * Takes a copy of an entry which is not larger than what a leaf holds, and whose key is above all others; false if there is no room. With the key before
   * it shares so many bytes.
   */
  add(key: Uint8Array, value: Uint8Array, sharedWithLast: number): boolean {
    const { count } = this;
    const { length } = key;
    if (count === 0) {
      copyIn(this.#first, 0, key);
      this.#shared = length;
      this.#prefix = Math.min(length, this.#expected);
    } else {
      const shared = Math.min(this.#shared, sharedWithLast);
      const prefix = this.#prefixWith(length, value.length, shared);
      if (prefix < 0) return false;
      if (prefix !== this.#prefix) this.#writeAnew(prefix);
      this.#shared = shared;
    }
    this.#write(key, length, value.length);
    copyIn(this.#leaf.u8, this.#heap, value);
    return true;
  }

  /** How many bytes the last key, of one at least, begins with that this one begins with too. */
  sharedWithLast(key: Uint8Array): number {
    const length = this.copyLast(this.#key);
    const end = Math.min(length, key.length);
    let i = 0;
    while (i < end && this.#key[i] === key[i]) i++;
    return i;
  }

  /** Copies the last key; its length. */
  copyLast(into: Uint8Array): number {
    return this.#copyKey(this.#leaf, this.count - 1, this.#prefix, into);
  }

  /** Writes the leaf to a page that is new, or was `modify`ed, and forgets the entries. */
  write(segment: Segment, base: number, bounds: NodeBounds): void {
    const { count } = this;
    // Without a second key to share it with, it is what the fences guarantee; without any, they have it.
    const prefix = count < 2 ? bounds.guaranteed : this.#shared;
    if (count > 0 && prefix !== this.#prefix) this.#writeAnew(prefix);
    const leaf = this.#leaf;
    const end = this.#heap;
    // What was there before must not go to the file.
    leaf.u8.fill(0, leafSlot(0, count), end);
    const heap = beginNode(leaf, 0, end, 0, count === 0 ? bounds.fence : this.#first, prefix, bounds, LEAF_ALIGNMENT);
    leaf.u16[NODE_COUNT >>> 1] = count;
    setHints(leaf, 0, LEAF_SLOT_SIZE, 0, 0);
    setHeap(leaf, 0, heap, this.#heapEnd - heap);
    // What is appended later goes on with what was loaded.
    if (count > 0) setRun(leaf, 0, count - 1, count - 1);
    setSwipTable(segment, base, 0, 0, 0);
    segment.u8.set(leaf.u8.subarray(PAGE_HEADER_SIZE), base + PAGE_HEADER_SIZE);
    if (count > 1) this.#expected = prefix;
    this.count = 0;
    this.#heap = this.#heapEnd;
  }

  /** The prefix that one more entry is to be written without, and all others; -1 if there is no room for it. */
  #prefixWith(key: number, value: number, shared: number): number {
    // The fence will be a beginning of the next key, and share no more with this one than there is of it.
    const fence = Math.min(key + 1, this.pageSize >>> 2);
    const room = this.most - align8(shared + fence) - LEAF_SLOT_SIZE;
    const prefix = Math.min(this.#prefix, shared);
    if (this.#usedWith(prefix) + blockSize(value, key, prefix) <= room) return prefix;
    if (prefix === shared) return -1;
    return this.#usedWith(shared) + blockSize(value, key, shared) <= room ? shared : -1;
  }

  /** Bytes of header, slots and blocks if entries are written without such a prefix. */
  #usedWith(prefix: number): number {
    const leaf = this.#leaf;
    const { count } = this;
    let used = NODE_HEADER_SIZE + count * LEAF_SLOT_SIZE;
    if (prefix === this.#prefix) return used + this.#heapEnd - this.#heap;
    for (let i = 0; i < count; i++) {
      const slot = leafSlot(0, i);
      used += blockSize(valueFieldAt(leaf, slot), this.#prefix + suffixLengthAt(leaf, slot), prefix);
    }
    return used;
  }

  /** Writes all entries anew, without another prefix, which they have as well. */
  #writeAnew(prefix: number): void {
    const from = this.#leaf;
    const before = this.#prefix;
    const { count } = this;
    this.#leaf = this.#spare;
    this.#spare = from;
    this.#prefix = prefix;
    this.#heap = this.#heapEnd;
    this.count = 0;
    for (let i = 0; i < count; i++) {
      const slot = leafSlot(0, i);
      const value = valueFieldAt(from, slot);
      const start = keyOffsetAt(from, slot) - value;
      const length = this.#copyKey(from, i, before, this.#key);
      this.#write(this.#key, length, value);
      copyIn(this.#leaf.u8, this.#heap, from.u8.subarray(start, start + value));
    }
  }

  /** Writes slot and key of the next entry, and makes room for its value, which is at the lowest byte of the heap then. */
  #write(key: Uint8Array, length: number, value: number): void {
    const { u8, u16, u32 } = this.#leaf;
    const prefix = this.#prefix;
    const block = blockSize(value, length, prefix);
    const heap = this.#heap - block;
    if (block > 0) {
      // Behind the end of the entry.
      u32[(heap + block - LEAF_ALIGNMENT) >>> 2] = 0;
      u32[(heap + block - LEAF_ALIGNMENT + 4) >>> 2] = 0;
    }
    for (let at = heap + value, from = prefix + HEAD_BYTES; from < length; ) u8[at++] = key[from++]!;
    const slot = leafSlot(0, this.count++);
    u32[(slot + SLOT_HEAD) >>> 2] = headOf(key, length, prefix);
    u16[(slot + SLOT_KEY_OFFSET) >>> 1] = heap + value;
    u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1] = length - prefix;
    u16[(slot + LEAF_VALUE) >>> 1] = value;
    u8[slot + LEAF_TAG] = TAG_VALUE;
    setPlace(this.#leaf, slot, PLACE_INLINE, fingerprintOf(key, length));
    this.#heap = heap;
  }

  /** Copies a key of a leaf that is written without a prefix of this length; its own length. */
  #copyKey(leaf: Segment, index: number, prefix: number, into: Uint8Array): number {
    const slot = leafSlot(0, index);
    const suffix = suffixLengthAt(leaf, slot);
    const head = leaf.u32[(slot + SLOT_HEAD) >>> 2]!;
    for (let i = 0; i < prefix; i++) into[i] = this.#first[i]!;
    for (let i = 0; i < Math.min(suffix, HEAD_BYTES); i++) into[prefix + i] = head >>> (24 - 8 * i);
    const rest = keyOffsetAt(leaf, slot) - HEAD_BYTES;
    for (let i = HEAD_BYTES; i < suffix; i++) into[prefix + i] = leaf.u8[rest + i]!;
    return prefix + suffix;
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
