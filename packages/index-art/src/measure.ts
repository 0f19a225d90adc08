/**
 * How much each subtree of a page takes: bytes, swips and entries. It is also what tells, before a page is rewritten or divided, that its nodes can be
 * gone through: within the heap, each once, keys not longer than keys may be.
 *
 * A page may be a chain of thousands of nodes, so this keeps a stack of its own.
 */
import type { Segment } from '@pagewright/core';
import {
  blockSize,
  fixedSize,
  isOnOwnPage,
  isOutside,
  kindOf,
  LEAF,
  LEAST_LEAF,
  NO_BYTE,
  NODE4,
  NODE48,
  NODE48_INDEX,
  offsetOf,
  prefixLengthAt,
  SLICE,
  suffixLengthAt,
  swipOf,
  swipOfValue,
  terminatorAt,
  valueFieldAt,
} from './node-layout.js';
import { byteFrom, childFor, sliceEnd } from './node-search.js';
import { isSoundPage, livingSwips } from './page-heap.js';
import { depthOf, entriesOf, HEAP_START, heapEndOf, heapUsedOf, rootOf, swipCountOf } from './page-layout.js';

/** What a reference to another page takes: its swip. */
export const LINK_WEIGHT = 8;
const NO_ROOT = -1;

export class Measure {
  /** By the offset of a block in units: what it and all below it take. */
  readonly bytes: Int32Array;
  readonly swips: Int32Array;
  readonly entries: Int32Array;

  readonly #longestKey: number;
  readonly #references: Uint16Array;
  readonly #next: Uint16Array;
  readonly #depths: Uint16Array;
  #level = NO_ROOT;
  /** Blocks that may still come: there cannot be more than fit into the heap. */
  #left = 0;

  constructor(private readonly pageSize: number) {
    const units = pageSize >>> 3;
    this.bytes = new Int32Array(units);
    this.swips = new Int32Array(units);
    this.entries = new Int32Array(units);
    this.#longestKey = pageSize >>> 2;
    this.#references = new Uint16Array(this.#longestKey + 2);
    this.#next = new Uint16Array(this.#longestKey + 2);
    this.#depths = new Uint16Array(this.#longestKey + 2);
  }

  /** Bytes and swips of what a reference leads to, in bytes of a page. */
  weight(reference: number): number {
    if (isOutside(reference)) return LINK_WEIGHT;
    const unit = offsetOf(reference) >>> 3;
    return this.bytes[unit]! + LINK_WEIGHT * this.swips[unit]!;
  }

  /** Measures a page that is latched or a copy. False: it is damaged. */
  measure(segment: Segment, base: number): boolean {
    if (!isSoundPage(segment, base, this.pageSize)) return false;
    const root = rootOf(segment, base);
    const living = livingSwips(segment, base, this.pageSize);
    if (root === 0) return heapUsedOf(segment, base) === 0 && entriesOf(segment, base) === 0 && living === 0;
    if (isOutside(root)) return false;
    this.#level = NO_ROOT;
    this.#left = heapEndOf(segment, base) >>> 3;
    if (!this.#enter(segment, base, root, depthOf(segment, base))) return false;
    while (this.#level >= 0) if (!this.#step(segment, base)) return false;
    const unit = offsetOf(root) >>> 3;
    const isUsed = this.bytes[unit] === heapUsedOf(segment, base) && this.swips[unit] === living;
    return isUsed && this.entries[unit] === entriesOf(segment, base);
  }

  /** Goes on at the node where it is: into its next child, or back. */
  #step(segment: Segment, base: number): boolean {
    const level = this.#level;
    const reference = this.#references[level]!;
    const at = base + offsetOf(reference);
    const kind = kindOf(reference);
    const byte = byteFrom(segment, at, kind, this.#next[level]!);
    if (byte === NO_BYTE) {
      this.#level--;
      if (this.#level >= 0) this.#add(reference);
      return true;
    }
    const child = childFor(segment, at, kind, byte);
    const last = kindOf(child) === SLICE ? sliceEnd(segment, at, kind, byte) : byte;
    this.#next[level] = last + 1;
    if (!isOutside(child)) return this.#enter(segment, base, child, this.#depths[level]! + 1);
    const unit = offsetOf(reference) >>> 3;
    this.swips[unit] = this.swips[unit]! + 1;
    return swipOf(child) < swipCountOf(segment, base);
  }

  /** Takes what a child has to the node where it is. */
  #add(child: number): void {
    const from = offsetOf(child) >>> 3;
    const to = offsetOf(this.#references[this.#level]!) >>> 3;
    this.bytes[to] = this.bytes[to]! + this.bytes[from]!;
    this.swips[to] = this.swips[to]! + this.swips[from]!;
    this.entries[to] = this.entries[to]! + this.entries[from]!;
  }

  /** Looks at a block in the page, behind so many bytes of a key. */
  #enter(segment: Segment, base: number, reference: number, depth: number): boolean {
    const kind = kindOf(reference);
    const offset = offsetOf(reference);
    const end = heapEndOf(segment, base);
    const at = base + offset;
    if (this.#left-- <= 0 || offset < HEAP_START || offset + LEAST_LEAF > end) return false;
    if (kind === LEAF) {
      if (!this.#leaf(segment, base, reference, depth)) return false;
      if (this.#level >= 0) this.#add(reference);
      return true;
    }
    if (kind < NODE4 || offset + fixedSize(kind) > end) return false;
    const below = depth + prefixLengthAt(segment, at);
    const size = blockSize(segment, at, kind);
    if (offset + size > end || below > this.#longestKey) return false;
    if (kind === NODE48 && !hasSoundIndex(segment, at)) return false;
    const unit = offset >>> 3;
    this.bytes[unit] = size;
    this.swips[unit] = this.entries[unit] = 0;
    this.#level++;
    this.#references[this.#level] = reference;
    this.#next[this.#level] = 0;
    this.#depths[this.#level] = below;
    const terminator = terminatorAt(segment, at);
    return terminator === 0 || (kindOf(terminator) === LEAF && this.#enter(segment, base, terminator, below));
  }

  #leaf(segment: Segment, base: number, reference: number, depth: number): boolean {
    const offset = offsetOf(reference);
    const at = base + offset;
    const field = valueFieldAt(segment, at);
    const size = blockSize(segment, at, LEAF);
    if (offset + size > heapEndOf(segment, base)) return false;
    const length = depth + suffixLengthAt(segment, at);
    if (length > this.#longestKey || length === 0) return false;
    const hasSwip = isOnOwnPage(field);
    if (hasSwip && swipOfValue(field) >= swipCountOf(segment, base)) return false;
    const unit = offset >>> 3;
    this.bytes[unit] = size;
    this.swips[unit] = hasSwip ? 1 : 0;
    this.entries[unit] = 1;
    return true;
  }
}

function hasSoundIndex({ u8 }: Segment, at: number): boolean {
  for (let byte = 0; byte < 256; byte++) if (u8[at + NODE48_INDEX + byte]! > 48) return false;
  return true;
}
