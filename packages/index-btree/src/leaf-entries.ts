/**
 * The entries of one leaf, or of two neighbours, as one list in private memory, from which leaves are written anew. All
 * changes of a leaf's shape are made of this: compaction, splits, merges.
 */
import { type PageStore, type Segment, SWIP_SIZE } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { commonLength } from './key-order.js';
import {
  isOnOwnPage,
  keyOffsetAt,
  LEAF_PLACE,
  LEAF_SLOT_SIZE,
  LEAF_TAG,
  LEAF_VALUE,
  leafSlot,
  suffixLengthAt,
  swipOffset,
  tagAt,
  valueFieldAt,
} from './leaf-layout.js';
import { isSoundEntry } from './leaf-soundness.js';
import type { NodeBounds } from './node-bounds.js';
import type { NodeEntries } from './node-entries.js';
import { setHints } from './node-hints.js';
import { boundsFit, copyFence, copyKey, keyLength } from './node-keys.js';
import {
  align8,
  countOf,
  guaranteedOf,
  heapEnd,
  NODE_COUNT,
  NODE_HEADER_SIZE,
  prefixLengthOf,
  SLOT_KEY_OFFSET,
  SLOT_SUFFIX_LENGTH,
  setHeap,
  setSwipTable,
} from './node-layout.js';
import { beginNode, boundsSize, restLength, writeKey } from './node-writer.js';
import type { Workspace } from './workspace.js';

/** Blocks of a leaf's heap begin at multiples of eight. */
export const LEAF_ALIGNMENT = 8;

export class LeafEntries implements NodeEntries {
  /** All entries, and how many of them are of the left leaf. */
  count = 0;
  leftCount = 0;
  readonly #pageSize: number;

  /** `leftImage` and `rightImage` are the places for the copies in the workspace. */
  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly workspace: Workspace,
    private readonly leftImage: number,
    private readonly rightImage: number,
  ) {
    this.#pageSize = pages.pageSize;
  }

  /** Copies latched leaves; `right` is -1 if there is one only. Errors: `PW_CORRUPT_PAGE`. */
  load(left: number, right: number): void {
    this.leftCount = this.#copy(left, this.leftImage);
    this.count = this.leftCount + (right < 0 ? 0 : this.#copy(right, this.rightImage));
  }

  /** The fence of a loaded leaf, copied; its length or NO_FENCE. */
  leftFence(into: Uint8Array): number {
    return copyFence(this.workspace.images, this.leftImage, this.#pageSize, into);
  }
  rightFence(into: Uint8Array): number {
    return copyFence(this.workspace.images, this.rightImage, this.#pageSize, into);
  }
  get leftGuaranteed(): number {
    return guaranteedOf(this.workspace.images, this.leftImage);
  }

  keyLength(index: number): number {
    return keyLength(this.workspace.images, this.#imageOf(index), LEAF_SLOT_SIZE, this.#slotIndex(index));
  }

  copyKey(index: number, into: Uint8Array): number {
    const image = this.#imageOf(index);
    return copyKey(this.workspace.images, image, this.#pageSize, LEAF_SLOT_SIZE, this.#slotIndex(index), into);
  }

  /** How many bytes two keys have in common. */
  common(first: number, second: number): number {
    const { keyA, keyB } = this.workspace;
    return commonLength(keyA, this.copyKey(first, keyA), keyB, this.copyKey(second, keyB));
  }

  /** Bytes in the heap for an entry on a page with a prefix of this length. */
  blockSize(index: number, prefix: number): number {
    const slot = this.#slotOf(index);
    return align8(this.#valueLength(slot) + restLength(this.keyLength(index), prefix));
  }

  weight(index: number): number {
    return LEAF_SLOT_SIZE + this.blockSize(index, this.#prefixOf(index));
  }

  separatorLength(cut: number): number {
    return this.common(cut - 1, cut) + 1;
  }

  separator(cut: number, into: Uint8Array): number {
    const length = this.separatorLength(cut);
    this.copyKey(cut, into);
    return length;
  }

  /** The prefix that a leaf with these entries gets: what the first and the last key share. */
  prefixFor(from: number, to: number, bounds: NodeBounds): number {
    return to - from < 2 ? bounds.guaranteed : this.common(from, to - 1);
  }

  /** Bytes of a leaf with the entries `from` to `to`, header and slots included. */
  size(from: number, to: number, prefix: number, bounds: NodeBounds, spareSwips = 0): number {
    let bytes = NODE_HEADER_SIZE + (to - from) * LEAF_SLOT_SIZE + boundsSize(prefix, bounds, LEAF_ALIGNMENT);
    bytes += (this.ownPages(from, to) + spareSwips) * SWIP_SIZE;
    for (let i = from; i < to; i++) bytes += this.blockSize(i, prefix);
    return bytes;
  }

  /** How many of the entries have their value on a page of its own. */
  ownPages(from: number, to: number): number {
    let pages = 0;
    for (let i = from; i < to; i++) if (isOnOwnPage(this.workspace.images, this.#slotOf(i))) pages++;
    return pages;
  }

  /**
   * Writes a leaf with the entries `from` to `to`. Its swips are numbered in order of key, `spareSwips` null ones come
   * last; those that were on this page before are there again, the others are null until {@link moveSwips}.
   */
  write(frame: number, from: number, to: number, prefix: number, bounds: NodeBounds, spareSwips = 0): void {
    const { images, keyA } = this.workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const prefixKey = from < to ? keyA : bounds.fence;
    if (from < to) this.copyKey(from, keyA);
    let heap = beginNode(segment, base, heapEnd(this.#pageSize), 0, prefixKey, prefix, bounds, LEAF_ALIGNMENT);
    const top = heap + boundsSize(prefix, bounds, LEAF_ALIGNMENT);
    const swips = this.ownPages(from, to) + spareSwips;
    if (swips > 0) {
      heap -= swips * SWIP_SIZE;
      segment.u32.fill(0, (base + heap) >>> 2, (base + heap + swips * SWIP_SIZE) >>> 2);
      setSwipTable(segment, base, heap, swips, SWIP_SIZE);
    }
    let nextSwip = 0;
    for (let i = from; i < to; i++) {
      const source = this.#slotOf(i);
      const own = isOnOwnPage(images, source);
      const block = this.blockSize(i, prefix);
      heap -= block;
      const slot = leafSlot(base, i - from);
      if (this.#prefixOf(i) === prefix) this.#copyEntry(i, segment, base, heap, block, slot);
      else this.#writeEntry(i, segment, base, heap, slot, prefix);
      segment.u16[(slot + LEAF_VALUE) >>> 1] = own ? nextSwip++ : valueFieldAt(images, source);
      segment.u8[slot + LEAF_TAG] = tagAt(images, source);
      segment.u8[slot + LEAF_PLACE] = images.u8[source + LEAF_PLACE]!;
    }
    segment.u16[(base + NODE_COUNT) >>> 1] = to - from;
    setHints(segment, base, LEAF_SLOT_SIZE, 0, 0);
    setHeap(segment, base, heap, top - heap);
  }

  /** Puts the swips back that the page itself had before it was written. The list was loaded after the last call that could change them. */
  restoreSwips(frame: number, from: number, to: number, wasLeft: boolean): void {
    const { images } = this.workspace;
    const image = wasLeft ? this.leftImage : this.rightImage;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    let number = 0;
    for (let i = from; i < to; i++) {
      const source = this.#slotOf(i);
      if (!isOnOwnPage(images, source)) continue;
      if (i < this.leftCount === wasLeft) {
        const old = (image + swipOffset(images, image, valueFieldAt(images, source))) >>> 2;
        const at = (base + swipOffset(segment, base, number)) >>> 2;
        segment.u32[at] = images.u32[old]!;
        segment.u32[at + 1] = images.u32[old + 1]!;
      }
      number++;
    }
  }

  /**
   * Moves the swips of the entries `from` to `to`, all of one leaf, from that leaf (which still has them where it had
   * them) to a leaf that was written with the entries from `first` on.
   */
  moveSwips(giver: number, receiver: number, from: number, to: number, first: number): void {
    const { images } = this.workspace;
    const segment = this.pages.segmentOf(receiver);
    const base = this.pages.baseOf(receiver);
    let number = this.ownPages(first, from);
    for (let i = from; i < to; i++) {
      const source = this.#slotOf(i);
      if (!isOnOwnPage(images, source)) continue;
      const offset = swipOffset(images, this.#imageOf(i), valueFieldAt(images, source));
      this.pages.moveSwips(giver, offset, receiver, swipOffset(segment, base, number), 1, SWIP_SIZE);
      number++;
    }
  }

  #imageOf(index: number): number {
    return index < this.leftCount ? this.leftImage : this.rightImage;
  }
  #slotIndex(index: number): number {
    return index < this.leftCount ? index : index - this.leftCount;
  }
  #slotOf(index: number): number {
    return leafSlot(this.#imageOf(index), this.#slotIndex(index));
  }
  #prefixOf(index: number): number {
    return prefixLengthOf(this.workspace.images, this.#imageOf(index));
  }

  /** An entry of a page with the same prefix is copied as it is: value and rest of the key are one block. */
  #copyEntry(index: number, segment: Segment, base: number, heap: number, block: number, slot: number): void {
    const { images } = this.workspace;
    const source = this.#slotOf(index);
    const value = this.#valueLength(source);
    const from = this.#imageOf(index) + keyOffsetAt(images, source) - value;
    copyWords(images, from, segment, base + heap, block >>> 2);
    segment.u32[slot >>> 2] = images.u32[source >>> 2]!;
    segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1] = heap + value;
    segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1] = suffixLengthAt(images, source);
  }

  #writeEntry(index: number, segment: Segment, base: number, heap: number, slot: number, prefix: number): void {
    const { images, keyA } = this.workspace;
    const source = this.#slotOf(index);
    const value = this.#valueLength(source);
    const from = this.#imageOf(index) + keyOffsetAt(images, source) - value;
    copyWords(images, from, segment, base + heap, (value + 3) >>> 2);
    writeKey(segment, base, slot, keyA, this.copyKey(index, keyA), prefix, heap + value);
  }

  /** Bytes of the value that are in the heap. */
  #valueLength(slot: number): number {
    return isOnOwnPage(this.workspace.images, slot) ? 0 : valueFieldAt(this.workspace.images, slot);
  }

  #copy(frame: number, image: number): number {
    const { images } = this.workspace;
    this.workspace.copyPage(this.pages.segmentOf(frame), this.pages.baseOf(frame), image);
    const count = countOf(images, image);
    const fits = leafSlot(0, count) <= this.#pageSize && boundsFit(images, image, this.#pageSize);
    if (!fits) throw this.#damaged(frame);
    for (let i = 0; i < count; i++) if (!isSoundEntry(images, image, this.#pageSize, i)) throw this.#damaged(frame);
    return count;
  }

  #damaged(frame: number): Error {
    return damagedPage(this.number, frame, 'a slot of a leaf points outside it');
  }
}

/** Copies words between places that are divisible by four. */
function copyWords(source: Segment, from: number, target: Segment, to: number, words: number): void {
  const old = source.u32;
  const fresh = target.u32;
  let read = from >>> 2;
  let write = to >>> 2;
  for (const end = write + words; write < end; ) fresh[write++] = old[read++]!;
}
