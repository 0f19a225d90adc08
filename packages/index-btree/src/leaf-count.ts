/**
 * How many entries of a leaf a cursor passes that counts. The leaf is read in place, and may be torn or damaged: what is read is
 * bounded (M3), and means something once the leaf was validated.
 */
import { type EntryCount, type Segment, TAG_VALUE } from '@pagewright/core';
import { compareKeys } from './key-order.js';
import { LEAF_SLOT_SIZE, leafSlot, tagAt } from './leaf-layout.js';
import { copyFence } from './node-keys.js';
import { countOf, NO_FENCE } from './node-layout.js';
import { DAMAGED, findSlot } from './search.js';

/** Where a cursor stands. */
export interface CursorPlace {
  /** Null: at the very beginning, or the very end. */
  readonly key: Uint8Array | null;
  readonly exclusive: boolean;
  readonly reverse: boolean;
  /** The leaf's lower fence, of this length, which is below 0 if there is none. Read only if `reverse`. */
  readonly lowerFence: Uint8Array;
  readonly lowerFenceLength: number;
}

export class LeafCount {
  /** Entries of the leaf. */
  entries = 0;
  /** The end of what is counted lies in this leaf. */
  isLast = false;
  /** The leaf's upper fence, and its length or {@link NO_FENCE}. */
  readonly fence: Uint8Array;
  fenceLength = 0;

  constructor(private readonly pageSize: number) {
    this.fence = new Uint8Array(pageSize >>> 2);
  }

  /** Fills in what is to be counted; false if the leaf cannot be right. */
  measure(segment: Segment, base: number, place: CursorPlace, into: EntryCount): boolean {
    const { pageSize } = this;
    this.entries = countOf(segment, base);
    this.fenceLength = copyFence(segment, base, pageSize, this.fence);
    if (leafSlot(0, this.entries) > pageSize || this.fenceLength < 0) return false;
    const { reverse } = place;
    into.count = into.values = 0;
    this.isLast = isBeyond(into.end, place);
    // What lies on the other side of where the cursor stands may not be looked for in this leaf.
    if (this.isLast) return true;
    const here =
      place.key === null
        ? reverse
          ? this.entries
          : 0
        : this.#edge(segment, base, place.key, place.exclusive === reverse);
    this.isLast = into.end !== null && this.#isWithin(into.end, place);
    const there = this.isLast
      ? this.#edge(segment, base, into.end as Uint8Array, into.inclusive === reverse)
      : reverse
        ? 0
        : this.entries;
    if (here < 0 || there < 0) return false;
    const from = reverse ? there : here;
    const to = reverse ? here : there;
    into.count = Math.max(0, to - from);
    let values = 0;
    for (let slot = leafSlot(base, from), left = into.count; left > 0; left--, slot += LEAF_SLOT_SIZE)
      if (tagAt(segment, slot) === TAG_VALUE) values++;
    into.values = values;
    return true;
  }

  /** How many entries are below a key, or, unless it is `below` that counts, at it as well; -1 if the leaf is damaged. */
  #edge(segment: Segment, base: number, key: Uint8Array, below: boolean): number {
    const found = findSlot(segment, base, this.pageSize, LEAF_SLOT_SIZE, key);
    if (found === DAMAGED) return -1;
    if (found < 0) return ~found;
    return below ? found : found + 1;
  }

  #isWithin(end: Uint8Array, { reverse, lowerFence, lowerFenceLength }: CursorPlace): boolean {
    if (reverse) return lowerFenceLength < 0 || compareKeys(end, end.length, lowerFence, lowerFenceLength) >= 0;
    return this.fenceLength === NO_FENCE || compareKeys(end, end.length, this.fence, this.fenceLength) < 0;
  }
}

/** Whether the range ends before the cursor's place. */
function isBeyond(end: Uint8Array | null, { key, reverse }: CursorPlace): boolean {
  if (end === null || key === null) return false;
  const order = compareKeys(end, end.length, key, key.length);
  return reverse ? order > 0 : order < 0;
}
