/**
 * The children of one inner page, or of two neighbours, as one list in private memory. Each child comes with the bound
 * above it: its separator, or the fence of its page if it is the last one there. So two pages are joined, or one is cut
 * in two, without any separator that needs special care.
 */
import type { PageStore } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { childOffset, INNER_CHILD, INNER_SLOT_SIZE, innerSlot } from './inner-layout.js';
import { commonLength } from './key-order.js';
import type { NodeBounds } from './node-bounds.js';
import type { NodeEntries } from './node-entries.js';
import { setHints } from './node-hints.js';
import { boundsFit, copyFence, copyKey, keyFits, keyLength } from './node-keys.js';
import {
  countOf,
  fenceLengthOf,
  guaranteedOf,
  heapEnd,
  levelOf,
  NO_FENCE,
  NODE_COUNT,
  NODE_HEADER_SIZE,
  prefixLengthOf,
  setHeap,
  setSwipTable,
} from './node-layout.js';
import { beginNode, boundsSize, restLength, writeKey } from './node-writer.js';
import type { Workspace } from './workspace.js';

/** Blocks of an inner page's heap begin anywhere. */
export const INNER_ALIGNMENT = 1;

export class InnerEntries implements NodeEntries {
  /** All children, and how many of them are of the left page. */
  count = 0;
  leftCount = 0;
  readonly #pageSize: number;

  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly workspace: Workspace,
    private readonly leftImage: number,
    private readonly rightImage: number,
  ) {
    this.#pageSize = pages.pageSize;
  }

  /** Copies latched pages; `right` is -1 if there is one only. Errors: `PW_CORRUPT_PAGE`. */
  load(left: number, right: number): void {
    this.leftCount = this.#copy(left, this.leftImage);
    this.count = this.leftCount + (right < 0 ? 0 : this.#copy(right, this.rightImage));
  }

  leftFence(into: Uint8Array): number {
    return copyFence(this.workspace.images, this.leftImage, this.#pageSize, into);
  }
  rightFence(into: Uint8Array): number {
    return copyFence(this.workspace.images, this.rightImage, this.#pageSize, into);
  }
  get leftGuaranteed(): number {
    return guaranteedOf(this.workspace.images, this.leftImage);
  }
  get level(): number {
    return levelOf(this.workspace.images, this.leftImage);
  }

  /** Length of the bound above a child, or NO_FENCE. */
  boundLength(index: number): number {
    const image = this.#imageOf(index);
    const slot = this.#slotIndex(index);
    const { images } = this.workspace;
    if (slot === countOf(images, image)) return fenceLengthOf(images, image);
    return keyLength(images, image, INNER_SLOT_SIZE, slot);
  }

  /** Copies the bound above a child; its length, or NO_FENCE. */
  copyBound(index: number, into: Uint8Array): number {
    const image = this.#imageOf(index);
    const slot = this.#slotIndex(index);
    const { images } = this.workspace;
    if (slot === countOf(images, image)) return copyFence(images, image, this.#pageSize, into);
    return copyKey(images, image, this.#pageSize, INNER_SLOT_SIZE, slot, into);
  }

  weight(index: number): number {
    const { images } = this.workspace;
    const length = this.boundLength(index);
    const rest = length === NO_FENCE ? 0 : restLength(length, prefixLengthOf(images, this.#imageOf(index)));
    return INNER_SLOT_SIZE + rest;
  }

  separatorLength(cut: number): number {
    return this.boundLength(cut - 1);
  }

  separator(cut: number, into: Uint8Array): number {
    return this.copyBound(cut - 1, into);
  }

  /** The prefix that a page with these children gets: what its first and its last separator share. */
  prefixFor(from: number, to: number, bounds: NodeBounds): number {
    if (to - from < 3) return bounds.guaranteed;
    const { keyA, keyB } = this.workspace;
    return commonLength(keyA, this.copyBound(from, keyA), keyB, this.copyBound(to - 2, keyB));
  }

  /** Bytes of a page with the children `from` to `to`, of which there is at least one. */
  size(from: number, to: number, prefix: number, bounds: NodeBounds): number {
    let bytes = NODE_HEADER_SIZE + (to - from) * INNER_SLOT_SIZE + boundsSize(prefix, bounds, INNER_ALIGNMENT);
    for (let i = from; i < to - 1; i++) bytes += restLength(this.boundLength(i), prefix);
    return bytes;
  }

  /** Writes a page with the children `from` to `to`, all of whose swips are null as yet. */
  write(frame: number, from: number, to: number, prefix: number, bounds: NodeBounds): void {
    const { keyA } = this.workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const prefixKey = to - from < 2 ? bounds.fence : keyA;
    if (to - from >= 2) this.copyBound(from, keyA);
    let heap = beginNode(
      segment,
      base,
      heapEnd(this.#pageSize),
      this.level,
      prefixKey,
      prefix,
      bounds,
      INNER_ALIGNMENT,
    );
    const top = heap + boundsSize(prefix, bounds, INNER_ALIGNMENT);
    segment.u32.fill(0, innerSlot(base, 0) >>> 2, innerSlot(base, to - from) >>> 2);
    setSwipTable(segment, base, childOffset(0), to - from, INNER_SLOT_SIZE);
    for (let i = from; i < to - 1; i++) {
      const length = this.copyBound(i, keyA);
      heap -= restLength(length, prefix);
      writeKey(segment, base, innerSlot(base, i - from), keyA, length, prefix, heap);
    }
    segment.u16[(base + NODE_COUNT) >>> 1] = to - from - 1;
    setHints(segment, base, INNER_SLOT_SIZE, 0, 0);
    setHeap(segment, base, heap, top - heap);
  }

  /** Puts the swips back that the page itself had before it was written. The list was loaded after the last call that could change them. */
  restoreSwips(frame: number, from: number, to: number, wasLeft: boolean): void {
    const { images } = this.workspace;
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    for (let i = from; i < to; i++) {
      if (i < this.leftCount !== wasLeft) continue;
      const old = (innerSlot(this.#imageOf(i), this.#slotIndex(i)) + INNER_CHILD) >>> 2;
      const at = (innerSlot(base, i - from) + INNER_CHILD) >>> 2;
      segment.u32[at] = images.u32[old]!;
      segment.u32[at + 1] = images.u32[old + 1]!;
    }
  }

  /**
   * Moves the swips of the children `from` to `to`, all of one page, from that page (which still has them where it had
   * them) to a page that was written with the children from `first` on.
   */
  moveSwips(giver: number, receiver: number, from: number, to: number, first: number): void {
    if (from >= to) return;
    const offset = childOffset(this.#slotIndex(from));
    this.pages.moveSwips(giver, offset, receiver, childOffset(from - first), to - from, INNER_SLOT_SIZE);
  }

  #imageOf(index: number): number {
    return index < this.leftCount ? this.leftImage : this.rightImage;
  }
  #slotIndex(index: number): number {
    return index < this.leftCount ? index : index - this.leftCount;
  }

  #copy(frame: number, image: number): number {
    const { images } = this.workspace;
    this.workspace.copyPage(this.pages.segmentOf(frame), this.pages.baseOf(frame), image);
    const count = countOf(images, image);
    const fits = innerSlot(0, count + 1) <= this.#pageSize && boundsFit(images, image, this.#pageSize);
    if (!fits) throw this.#damaged(frame);
    for (let i = 0; i < count; i++)
      if (!keyFits(images, image, this.#pageSize, INNER_SLOT_SIZE, i)) throw this.#damaged(frame);
    return count + 1;
  }

  #damaged(frame: number): Error {
    return damagedPage(this.number, frame, 'a slot of an inner page points outside it');
  }
}
