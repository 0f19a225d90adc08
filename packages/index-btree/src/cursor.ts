/**
 * Going through the entries either way. A cursor holds nothing between calls but a key: each batch descends to the leaf
 * where that key is, copies the leaf, and reads the copy once it was validated. A few entries are read where they are, and
 * count once that was validated. The fences say where the next leaf is.
 */
import {
  assertBatchLimit,
  type Cursor,
  copyOf,
  type EntryBatch,
  type EntryCount,
  PAGE_TIMESTAMP,
  type PageStore,
  POINT,
  RESTART,
  type SeekOptions,
  type Segment,
  schedulePoint,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { BELOW_KEY, type Descent, LEAF_LEVEL, MOST_RESTARTS, TO_FIRST, TO_KEY, TO_LAST } from './descent.js';
import { compareKeys } from './key-order.js';
import type { CursorPlace } from './leaf-count.js';
import { isOnOwnPage, keyOffsetAt, LEAF_SLOT_SIZE, leafSlot, swipOffset, tagAt, valueFieldAt } from './leaf-layout.js';
import { copyFence, copyKey } from './node-keys.js';
import { countOf, NO_FENCE } from './node-layout.js';
import { ReadAhead } from './read-ahead.js';
import { DAMAGED, findSlot } from './search.js';
import type { TreeParts } from './tree-parts.js';
import { copyPage } from './workspace.js';

/** A batch ends when its values have more bytes together. */
const BATCH_BYTES = 1024 * 1024;
/** A batch that takes so much of a leaf, one part of so many, gets the copy of it. */
const LEAST_SHARE = 2;
/** So few entries are read in place: a copy of their leaf would take longer than they do. */
const MOST_IN_PLACE = 32;
/** No entry could be copied: start again. */
const AGAIN = -3;

export class BtreeCursor implements Cursor {
  readonly #parts: TreeParts;
  readonly #pages: PageStore;
  readonly #descent: Descent;
  readonly #readAhead: ReadAhead;
  /** Where to go on: at this key, or behind it; null is the first or the last entry of all. */
  #key: Uint8Array | null = null;
  #exclusive = false;
  #reverse = false;
  #ended = false;
  /** Nothing beyond it is wanted; null: all there is. */
  #end: Uint8Array | null = null;
  /** The leaf where the cursor is, or its copy, while it makes a batch of it; whether entries are packed, and whether it is a copy. */
  #image: Segment;
  #imageBase = 0;
  #packs = false;
  #isCopied = false;
  /** Nothing that is wanted lies behind this leaf. */
  #endsHere = false;

  constructor(parts: TreeParts) {
    this.#parts = parts;
    this.#pages = parts.context.pages;
    this.#descent = parts.descent;
    this.#readAhead = new ReadAhead(parts);
    this.#image = parts.workspace.images;
  }

  seek(key: Uint8Array | null, options: SeekOptions): void {
    const { exclusive = false, reverse = false, end = null, limit = Number.POSITIVE_INFINITY } = options;
    this.#key = key === null ? null : copyOf(key);
    this.#exclusive = exclusive;
    this.#reverse = reverse;
    this.#end = end === null ? null : copyOf(end);
    this.#ended = false;
    this.#readAhead.begin({ reverse, end: this.#end, limit });
  }

  next(batch: EntryBatch): boolean {
    batch.count = 0;
    assertBatchLimit(batch.limit);
    if (this.#ended) return false;
    this.#pages.scanned = this.#readAhead.gonePast;
    try {
      return this.#next(batch);
    } finally {
      this.#pages.scanned = 0;
    }
  }

  #next(batch: EntryBatch): boolean {
    schedulePoint(POINT.cursorBatch);
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.#descent.descend(this.#key, this.#mode(), LEAF_LEVEL, this.#reverse, this.#readAhead);
      if (frame === RESTART) continue;
      const { version } = this.#descent;
      this.#copy(frame, batch);
      if (this.#isCopied) schedulePoint(POINT.cursorCopied);
      if (!this.#pages.validate(frame, version)) continue;
      this.#readAhead.reached();
      if (this.#fillOptimistically(batch, frame, version)) return batch.count > 0 || !this.#ended;
    }
    const frame = this.#descent.descendLatched(this.#key, this.#mode(), LEAF_LEVEL, false, this.#reverse);
    try {
      this.#copy(frame, batch);
      this.#fill(batch, frame, 0, true);
      return batch.count > 0 || !this.#ended;
    } finally {
      this.#pages.unlatch(frame);
    }
  }

  count(into: EntryCount): boolean {
    into.count = into.values = into.timestamp = 0;
    into.isTooNew = into.hasValues = false;
    if (this.#ended) return false;
    this.#pages.scanned = this.#readAhead.gonePast;
    try {
      return this.#count(into);
    } finally {
      this.#pages.scanned = 0;
    }
  }

  #count(into: EntryCount): boolean {
    schedulePoint(POINT.cursorBatch);
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.#descent.descend(this.#key, this.#mode(), LEAF_LEVEL, this.#reverse, this.#readAhead);
      if (frame === RESTART) continue;
      const { version } = this.#descent;
      const isSound = this.#measure(frame, into);
      schedulePoint(POINT.cursorCopied);
      if (!this.#pages.validate(frame, version)) continue;
      this.#readAhead.reached();
      return this.#pass(frame, isSound, into);
    }
    const frame = this.#descent.descendLatched(this.#key, this.#mode(), LEAF_LEVEL, false, this.#reverse);
    try {
      return this.#pass(frame, this.#measure(frame, into), into);
    } finally {
      this.#pages.unlatch(frame);
    }
  }

  #mode(): number {
    if (this.#key === null) return this.#reverse ? TO_LAST : TO_FIRST;
    return this.#reverse && this.#exclusive ? BELOW_KEY : TO_KEY;
  }

  /** Copies a leaf to where its entries can stay, if the batch will take most of them packed; not at all, if it takes few. */
  #copy(frame: number, batch: EntryBatch): void {
    const { packer, thirdImage, images } = this.#parts.workspace;
    const segment = this.#pages.segmentOf(frame);
    const base = this.#pages.baseOf(frame);
    const entries = countOf(segment, base);
    const stays = batch.mayPack && batch.wantsValues && batch.limit * LEAST_SHARE >= entries;
    this.#packs = batch.mayPack && (stays || !batch.wantsValues);
    this.#isCopied = this.#packs || batch.limit > MOST_IN_PLACE;
    if (!this.#isCopied) {
      this.#image = segment;
      this.#imageBase = base;
      return;
    }
    this.#image = stays ? packer.image : images;
    this.#imageBase = stays ? 0 : thirdImage;
    copyPage(segment, base, this.#image, this.#imageBase, this.#pages.pageSize);
  }

  /** As {@link #fill}, of a leaf that others may be changing: what looks like damage may be a change under way. */
  #fillOptimistically(batch: EntryBatch, leaf: number, version: number): boolean {
    try {
      return this.#fill(batch, leaf, version, false);
    } catch (error) {
      if (this.#isCopied || this.#pages.validate(leaf, version)) throw error;
      return false;
    } finally {
      this.#image = this.#parts.workspace.images;
    }
  }

  /** Makes a batch of a leaf or its copy, and goes past its entries. False: start again, nothing has changed. */
  #fill(batch: EntryBatch, leaf: number, version: number, isLatched: boolean): boolean {
    const { pageSize } = this.#pages;
    const { keyA } = this.#parts.workspace;
    const image = this.#image;
    const base = this.#imageBase;
    const count = countOf(image, base);
    batch.count = 0;
    if (leafSlot(0, count) > pageSize) throw this.#damaged(leaf);
    const first = this.#firstIndex(leaf, count);
    const edge = this.#reverse ? -1 : count;
    const end = this.#endIndex(leaf, first, edge);
    let next = first;
    if (this.#packs) next = this.#pack(batch, leaf, first, end);
    if (next === first) next = this.#unpacked(batch, leaf, version, isLatched, first, end);
    if (next === AGAIN) return false;
    batch.timestamp = image.f64[(base + PAGE_TIMESTAMP) >>> 3]!;
    // Where to go on: behind the last entry, or at the next leaf.
    let length = NO_FENCE;
    if (next !== end) length = this.#copyKey(leaf, next + (this.#reverse ? 1 : -1), keyA);
    else if (!this.#endsHere && !this.#reverse) length = copyFence(image, base, pageSize, keyA);
    if (length < 0 && length !== NO_FENCE) throw this.#damaged(leaf);
    if (!this.#isCopied && !isLatched) {
      schedulePoint(POINT.cursorCopied);
      if (!this.#pages.validate(leaf, version)) return false;
    }
    this.#readAhead.took(batch.count);
    if (next !== end) this.#goOn(leaf, keyA.slice(0, length), true);
    else if (this.#endsHere) this.#ended = true;
    else {
      if (this.#reverse) this.#goBelowLeaf(leaf);
      else if (length === NO_FENCE) this.#ended = true;
      else this.#goOn(leaf, keyA.slice(0, length), false);
      this.#readAhead.passed(count);
    }
    return true;
  }

  /** Packs entries from one on; the one that comes next. */
  #pack(batch: EntryBatch, leaf: number, first: number, end: number): number {
    const { packer } = this.#parts.workspace;
    const step = this.#reverse ? -1 : 1;
    const next = packer.pack(this.#image, this.#imageBase, first, end, step, batch);
    if (next === DAMAGED) throw this.#damaged(leaf);
    batch.isPacked = batch.count > 0;
    return next;
  }

  /** Copies entries from one on, each for itself; the one that comes next, or {@link AGAIN}. */
  #unpacked(batch: EntryBatch, leaf: number, version: number, isLatched: boolean, first: number, end: number): number {
    const { results, keyA } = this.#parts.workspace;
    const step = this.#reverse ? -1 : 1;
    let index = first;
    let bytes = 0;
    for (; index !== end && batch.count < batch.limit && bytes <= BATCH_BYTES; index += step) {
      const length = this.#copyKey(leaf, index, keyA);
      if (batch.wantsValues) {
        const value = this.#value(leaf, version, isLatched, index, batch.count > 0);
        if (value === null) return batch.count === 0 ? AGAIN : index;
        batch.values[batch.count] = value;
        bytes += value.length;
      }
      batch.keys[batch.count] = results.copyOf(keyA, length);
      batch.tags[batch.count] = tagAt(this.#image, leafSlot(this.#imageBase, index));
      batch.count++;
    }
    return index;
  }

  /** Copies a key of a leaf; its length. */
  #copyKey(leaf: number, index: number, into: Uint8Array): number {
    const length = copyKey(this.#image, this.#imageBase, this.#pages.pageSize, LEAF_SLOT_SIZE, index, into);
    if (length < 0) throw this.#damaged(leaf);
    return length;
  }

  /** Looks at what there is to count in a leaf; false if it is damaged. Nothing of it is validated. */
  #measure(frame: number, into: EntryCount): boolean {
    const segment = this.#pages.segmentOf(frame);
    const base = this.#pages.baseOf(frame);
    into.timestamp = segment.f64[(base + PAGE_TIMESTAMP) >>> 3]!;
    into.isTooNew = into.timestamp > into.newest;
    into.hasValues = false;
    if (into.isTooNew) return true;
    const { lowerFence, lowerFenceLength } = this.#descent;
    const place: CursorPlace = {
      key: this.#key,
      exclusive: this.#exclusive,
      reverse: this.#reverse,
      lowerFence,
      lowerFenceLength,
    };
    const isSound = this.#parts.workspace.leafCount.measure(segment, base, place, into);
    into.hasValues = into.deletedOnly && into.values > 0;
    return isSound;
  }

  /** Goes past what was measured. */
  #pass(frame: number, isSound: boolean, into: EntryCount): boolean {
    if (!isSound) throw this.#damaged(frame);
    if (into.isTooNew || into.hasValues) {
      into.count = into.values = into.timestamp = 0;
      return true;
    }
    const { isLast, entries, fence, fenceLength } = this.#parts.workspace.leafCount;
    this.#readAhead.took(into.count);
    if (isLast) this.#ended = true;
    else if (this.#reverse) this.#goBelowLeaf(frame);
    else if (fenceLength === NO_FENCE) this.#ended = true;
    else this.#goOn(frame, fence.slice(0, fenceLength), false);
    this.#readAhead.passed(entries);
    return into.count > 0 || !this.#ended;
  }

  /** The entry to begin with; -1, or the number of entries, if there is none on this side. */
  #firstIndex(leaf: number, count: number): number {
    if (this.#key === null) return this.#reverse ? count - 1 : 0;
    const found = findSlot(this.#image, this.#imageBase, this.#pages.pageSize, LEAF_SLOT_SIZE, this.#key);
    if (found === DAMAGED) throw this.#damaged(leaf);
    if (found < 0) return this.#reverse ? ~found - 1 : ~found;
    if (!this.#exclusive) return found;
    return this.#reverse ? found - 1 : found + 1;
  }

  /** The entry to end before, in the direction of the cursor: the first one beyond what is wanted, or the edge of the leaf. An entry at the end itself may be wanted. */
  #endIndex(leaf: number, first: number, edge: number): number {
    const end = this.#end;
    this.#endsHere = false;
    if (end === null) return edge;
    const order = this.#orderToFence(leaf, end);
    if (order > 0) return edge;
    this.#endsHere = order < 0 || this.#reverse;
    if (first === edge) return edge;
    const found = findSlot(this.#image, this.#imageBase, this.#pages.pageSize, LEAF_SLOT_SIZE, end);
    if (found === DAMAGED) throw this.#damaged(leaf);
    if (this.#reverse) return Math.min(first, (found < 0 ? ~found : found) - 1);
    return Math.max(first, found < 0 ? ~found : found + 1);
  }

  /** Above zero if a key is beyond the fence that the cursor comes to, which bounds all of this leaf; 0 at the fence. A key that is beyond cannot be looked for here. */
  #orderToFence(leaf: number, key: Uint8Array): number {
    if (this.#reverse) {
      const { lowerFence, lowerFenceLength } = this.#descent;
      return lowerFenceLength < 0 ? -1 : compareKeys(lowerFence, lowerFenceLength, key, key.length);
    }
    const { keyB } = this.#parts.workspace;
    const length = copyFence(this.#image, this.#imageBase, this.#pages.pageSize, keyB);
    if (length === NO_FENCE) return -1;
    if (length < 0) throw this.#damaged(leaf);
    return compareKeys(key, key.length, keyB, length);
  }

  /** The value of an entry; null if it is on a page of its own that cannot be read now. */
  #value(leaf: number, version: number, isLatched: boolean, index: number, mayStop: boolean): Uint8Array | null {
    const { values, workspace } = this.#parts;
    const image = this.#image;
    const base = this.#imageBase;
    const slot = leafSlot(base, index);
    const field = valueFieldAt(image, slot);
    if (!isOnOwnPage(image, slot)) {
      const start = keyOffsetAt(image, slot) - field;
      if (start < 0 || start + field > this.#pages.pageSize) throw this.#damaged(leaf);
      workspace.results.copy(image, base + start, field);
      return workspace.results.finish(field);
    }
    const offset = swipOffset(image, base, field);
    if (isLatched) return values.readOfLatched(leaf, offset);
    try {
      return values.read(leaf, offset, version);
    } catch (error) {
      // What is in the batch already is handed out; the next call meets the fault again, with this entry first.
      if (mayStop && (error as { isPageFault?: unknown }).isPageFault === true) return null;
      throw error;
    }
  }

  /** Every step leads on. Where it does not, keys or fences are damaged, and the way could have no end. */
  #goOn(leaf: number, key: Uint8Array, exclusive: boolean): void {
    if (this.#key !== null) {
      const order = compareKeys(key, key.length, this.#key, this.#key.length);
      const isBack = this.#reverse ? order > 0 : order < 0;
      if (isBack || (order === 0 && (this.#exclusive || !exclusive))) throw this.#damaged(leaf);
    }
    this.#key = key;
    this.#exclusive = exclusive;
  }

  /** The leaf before this one ends below its lower fence, which the descent has noted. */
  #goBelowLeaf(leaf: number): void {
    const { lowerFence, lowerFenceLength } = this.#descent;
    if (lowerFenceLength < 0) this.#ended = true;
    else this.#goOn(leaf, lowerFence.slice(0, lowerFenceLength), true);
  }

  #damaged(leaf: number): Error {
    return damagedPage(
      this.#parts.context.number,
      leaf,
      'keys or fences of a leaf lie outside it, or in the wrong order',
    );
  }
}
