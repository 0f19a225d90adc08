/**
 * Packs the entries of a page for a batch: keys one behind the other, and values as well, each in memory that batches share. A page has as many entries as nodes
 * have left there, which may be few; so readers are not given a copy of it.
 *
 * Must hold: memory that a batch was given is never written again. Copies were validated, and may be damaged all the same (M3).
 */
import { markAsUntransferable } from 'node:worker_threads';
import { type EntryBatch, PackedKeyMemory, Segment } from '@pagewright/core';
import { isOnOwnPage, LEAF_SUFFIX, offsetOf, suffixLengthAt, tagAt, valueFieldAt, valueOffset } from './node-layout.js';
import type { PageScan } from './page-scan.js';

/** The entry was packed. */
export const PACKED = 1;
/** It was not: its value is on a page of its own, or there is no room for what a sound page has. */
export const NOT_PACKED = 2;
/** It lies outside the page. */
export const OUTSIDE = 3;

/** Pages whose values fit into one piece of memory. */
const PAGES_A_SLAB = 2;
/** Bytes of a key are copied so many at a time, and then some that are not part of it. */
const WORD = 4;
/** Values up to this are copied faster by words than by a native call. */
const LARGEST_BY_WORDS = 512;

export class PagePacker {
  readonly #keys = new PackedKeyMemory();
  /** Behind the keys of the batch. */
  #end = 0;
  #values = new Segment(new ArrayBuffer(0));
  /** Bytes of it that are in use. */
  #used = 0;

  constructor(private readonly pageSize: number) {}

  /** Begins to pack entries of a page into an empty batch. */
  begin(batch: EntryBatch): void {
    this.#end = this.#keys.free;
    if (!batch.wantsValues || this.#used + this.pageSize <= this.#values.u8.length) return;
    const memory = new ArrayBuffer(PAGES_A_SLAB * this.pageSize);
    markAsUntransferable(memory);
    this.#values = new Segment(memory);
    this.#used = 0;
  }

  /** Packs the entry at which the scan of a page stands, which lies in the image of it at 0. */
  add(batch: EntryBatch, scan: PageScan, image: Segment): number {
    const { pageSize } = this;
    const { count, packed, wantsValues } = batch;
    const { starts, ends } = packed.keys;
    const leaf = offsetOf(scan.reference);
    const suffix = suffixLengthAt(image, leaf);
    const field = valueFieldAt(image, leaf);
    if (isOnOwnPage(field)) return NOT_PACKED;
    const value = leaf + valueOffset(suffix, field);
    if (value + field > pageSize || scan.pathLength + suffix > scan.path.length) return OUTSIDE;
    if (wantsValues) {
      if (this.#used + field > this.#values.u8.length) return NOT_PACKED;
      packed.valueStarts[count] = this.#used;
      packed.valueLengths[count] = field;
      this.#copyValue(image, value, field);
    }
    const memory = this.#keys;
    const length = scan.pathLength + suffix;
    if (this.#end + length + WORD > memory.bytes.length)
      this.#end = memory.moveOn(packed, count, this.#end, length + WORD);
    starts[count] = this.#end;
    this.#copyKey(scan, image, leaf + LEAF_SUFFIX, suffix);
    ends[count] = this.#end;
    batch.tags[count] = tagAt(image, leaf);
    batch.count = count + 1;
    return PACKED;
  }

  /** The batch has what was packed. */
  finish(batch: EntryBatch): void {
    if (batch.count === 0) return;
    const memory = this.#keys;
    memory.free = this.#end;
    batch.packed.keys.begin(memory.bytes, batch.count);
    if (batch.wantsValues) batch.packed.values = this.#values.u8.buffer as ArrayBuffer;
    batch.isPacked = true;
  }

  #copyKey({ pathLength, pathWords }: PageScan, image: Segment, from: number, suffix: number): void {
    const { bytes, view } = this.#keys;
    const { u8 } = image;
    let to = this.#end;
    for (let i = 0; i < pathLength; i += WORD) view.setInt32(to + i, pathWords[i >>> 2]!, true);
    to += pathLength;
    for (let i = 0; i < suffix; i++) bytes[to + i] = u8[from + i]!;
    this.#end = to + suffix;
  }

  /** Values begin at a multiple of four, here as in the page. */
  #copyValue(image: Segment, start: number, length: number): void {
    const { u8, u32 } = this.#values;
    const at = this.#used;
    if (length > LARGEST_BY_WORDS) {
      u8.set(image.u8.subarray(start, start + length), at);
    } else {
      const source = image.u32;
      const end = (start + length + WORD - 1) >>> 2;
      for (let from = start >>> 2, to = at >>> 2; from < end; ) u32[to++] = source[from++]!;
    }
    this.#used = (at + length + WORD - 1) & -WORD;
  }
}
