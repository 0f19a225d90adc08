/**
 * Packs the entries of a leaf for a batch: keys one behind the other, values where they are in a copy of the page, which goes to the
 * reader with them. So no value is copied a second time, and none needs an array before it is asked for.
 *
 * Must hold: memory that a batch was given is never written again. Copies were validated, and may be damaged all the same (M3).
 */
import { markAsUntransferable } from 'node:worker_threads';
import { type EntryBatch, PackedKeyMemory, Segment, unfilled } from '@pagewright/core';
import { isOnOwnPage, LEAF_TAG, leafSlot } from './leaf-layout.js';
import { HEAD_BYTES, NODE_PREFIX_OFFSET, prefixLengthOf } from './node-layout.js';
import { DAMAGED } from './search.js';

/** Bytes of a key are copied so many at a time, and then some that are not part of it. */
const WORD = 4;

export class LeafPacker {
  /** For the copy of a page; null when it was given away. */
  #image: Segment<ArrayBuffer> | null = null;
  readonly #keys = new PackedKeyMemory();
  /** The prefix of the leaf. */
  readonly #prefix: Uint8Array;
  readonly #prefixWords: Int32Array;

  constructor(private readonly pageSize: number) {
    this.#prefix = new Uint8Array(pageSize >>> 2);
    this.#prefixWords = new Int32Array(this.#prefix.buffer);
  }

  /** Private memory for a copy of a page, at 0. The same until a batch was given it. */
  get image(): Segment<ArrayBuffer> {
    if (this.#image === null) {
      // All of it is written by the copy.
      const { buffer } = unfilled(this.pageSize);
      markAsUntransferable(buffer);
      this.#image = new Segment(buffer);
    }
    return this.#image;
  }

  /**
   * Packs entries from the slot `index` on, up to `end` and without it, as many as the batch takes and their values are in the leaf: the slot that comes
   * next, or {@link DAMAGED}. With values, the leaf is in {@link image}.
   */
  pack(leaf: Segment, base: number, index: number, end: number, step: number, batch: EntryBatch): number {
    const { pageSize } = this;
    const { u8, u32 } = leaf;
    const { tags, limit, wantsValues, packed } = batch;
    const { valueStarts, valueLengths } = packed;
    const { starts, ends } = packed.keys;
    const prefix = this.#takePrefix(leaf, base);
    if (prefix < 0) return DAMAGED;
    const prefixWords = this.#prefixWords;
    const memory = this.#keys;
    let { bytes: keys, view, free: at } = memory;
    let count = 0;
    for (; index !== end && count < limit; index += step) {
      const slot = leafSlot(base, index);
      if (isOnOwnPage(leaf, slot)) break;
      const head = u32[slot >>> 2]!;
      const offsetAndSuffix = u32[(slot >>> 2) + 1]!;
      const value = u32[(slot >>> 2) + 2]! & 0xffff;
      const offset = offsetAndSuffix & 0xffff;
      const suffix = offsetAndSuffix >>> 16;
      const start = offset - value;
      const rest = suffix > HEAD_BYTES ? suffix - HEAD_BYTES : 0;
      if (prefix + suffix > pageSize >>> 2 || start < 0 || offset + rest > pageSize) return DAMAGED;
      if (at + prefix + HEAD_BYTES + rest + WORD > keys.length) {
        at = memory.moveOn(packed, count, at, prefix + HEAD_BYTES + rest + WORD);
        ({ bytes: keys, view } = memory);
      }
      starts[count] = at;
      for (let i = 0, to = at; i < prefix; i += WORD, to += WORD) view.setInt32(to, prefixWords[i >>> 2]!, true);
      at += prefix;
      view.setUint32(at, head);
      at += HEAD_BYTES;
      const from = base + offset;
      for (let i = 0; i < rest; i++) keys[at + i] = u8[from + i]!;
      at += suffix - HEAD_BYTES;
      ends[count] = at;
      tags[count] = u8[slot + LEAF_TAG]!;
      valueStarts[count] = start;
      valueLengths[count] = value;
      count++;
    }
    batch.count = count;
    if (count === 0) return index;
    memory.free = at;
    packed.keys.begin(keys, count);
    if (wantsValues) {
      packed.values = this.image.buffer;
      this.#image = null;
    }
    return index;
  }

  /** Length of the prefix of a leaf, which is noted; below 0 if it cannot be one. */
  #takePrefix(leaf: Segment, base: number): number {
    const length = prefixLengthOf(leaf, base);
    const from = leaf.u16[(base + NODE_PREFIX_OFFSET) >>> 1]!;
    if (length > this.#prefix.length || from + length > this.pageSize) return -1;
    for (let i = 0; i < length; i++) this.#prefix[i] = leaf.u8[base + from + i]!;
    return length;
  }
}
