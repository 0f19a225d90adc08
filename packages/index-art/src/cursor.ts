/**
 * Going through the entries either way. A cursor holds nothing between calls but a key: each batch goes from the root to the page where that key
 * leads, copies the page, and reads the copy once it was validated. Where the page is at its end, its path says what comes behind it.
 */
import {
  assertBatchLimit,
  type Cursor,
  copyOf,
  type EntryBatch,
  type EntryCount,
  type PageStore,
  POINT,
  RESTART,
  type SeekOptions,
  schedulePoint,
  TAG_VALUE,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { MOST_RESTARTS } from './descent.js';
import { compareKeys, keyBehind } from './key-order.js';
import {
  isOnOwnPage,
  kindOf,
  offsetOf,
  SLICE,
  suffixLengthAt,
  swipOfValue,
  tagAt,
  valueFieldAt,
  valueOffset,
} from './node-layout.js';
import { stampOf, swipCountOf, swipOffset } from './page-layout.js';
import { NOT_PACKED, OUTSIDE } from './page-packer.js';
import { AT_END, AT_ENTRY, IS_DAMAGED } from './page-scan.js';
import { ReadAhead } from './read-ahead.js';
import type { ScanDescent, ScanPlace } from './scan-descent.js';
import type { TreeParts } from './tree-parts.js';

/** A batch ends when its values have more bytes together. */
const BATCH_BYTES = 1024 * 1024;
/** Stands for the version of a page whose latch this thread holds. */
const LATCHED = -1;
/** No entry could be copied: start again. */
const AGAIN = -1;

export class ArtCursor implements Cursor {
  readonly #parts: TreeParts;
  readonly #pages: PageStore;
  readonly #way: ScanDescent;
  readonly #readAhead: ReadAhead;
  readonly #keyBuffer: Uint8Array;
  #place: ScanPlace = { key: null, exclusive: false, reverse: false };
  /** Nothing beyond it is wanted; null: all there is. */
  #end: Uint8Array | null = null;
  #ended = false;
  /** Nothing that is wanted lies behind the entries that were gone past. */
  #isLast = false;

  constructor(parts: TreeParts) {
    this.#parts = parts;
    this.#pages = parts.context.pages;
    this.#way = parts.scanDescent;
    this.#readAhead = new ReadAhead(parts);
    this.#keyBuffer = parts.workspace.key;
  }

  seek(key: Uint8Array | null, options: SeekOptions): void {
    const { exclusive = false, reverse = false, end = null, limit = Number.POSITIVE_INFINITY } = options;
    this.#end = end === null ? null : copyOf(end);
    this.#place = { key: key === null ? null : copyOf(key), exclusive, reverse };
    this.#ended = false;
    this.#readAhead.begin({ reverse, end: this.#end, limit });
  }

  next(batch: EntryBatch): boolean {
    batch.count = 0;
    batch.timestamp = 0;
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
      const frame = this.#way.descend(this.#place, this.#readAhead);
      if (frame === RESTART || !this.#copy(frame, this.#way.version)) continue;
      if (this.#fill(batch, frame, this.#way.version)) return batch.count > 0 || !this.#ended;
    }
    const frame = this.#way.descendLatched(this.#place);
    try {
      this.#copy(frame, LATCHED);
      this.#fill(batch, frame, LATCHED);
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
      const frame = this.#way.descend(this.#place, this.#readAhead);
      if (frame === RESTART || !this.#copy(frame, this.#way.version)) continue;
      return this.#pass(frame, into);
    }
    const frame = this.#way.descendLatched(this.#place);
    try {
      this.#copy(frame, LATCHED);
      return this.#pass(frame, into);
    } finally {
      this.#pages.unlatch(frame);
    }
  }

  /** Copies the page that was reached, and goes on in the copy. False: it has changed. */
  #copy(frame: number, version: number): boolean {
    const { workspace } = this.#parts;
    workspace.copyPage(this.#pages.segmentOf(frame), this.#pages.baseOf(frame));
    schedulePoint(POINT.cursorCopied);
    if (version !== LATCHED && !this.#pages.validate(frame, version)) return false;
    this.#way.scan.goOnIn(workspace.image, 0);
    if (version !== LATCHED) this.#readAhead.reached();
    return true;
  }

  /** The highest stamp of what was gone past with the page that was copied. */
  #stamp(): number {
    return Math.max(this.#way.passed, stampOf(this.#parts.workspace.image, 0));
  }

  /** Makes a batch of the copy of a page, and goes past its entries. False: start again, nothing has changed. */
  #fill(batch: EntryBatch, frame: number, version: number): boolean {
    const { hasEntry } = this.#way;
    batch.timestamp = this.#stamp();
    this.#isLast = false;
    const side = this.#end === null ? -1 : this.#sideOf(this.#end);
    let at = hasEntry ? AT_ENTRY : AT_END;
    if (hasEntry && batch.mayPack) at = this.#pack(batch, frame, side);
    if (at === AT_ENTRY && batch.count === 0 && !this.#isLast) at = this.#unpacked(batch, frame, version, side);
    if (at === AGAIN) return false;
    if (at === IS_DAMAGED) throw this.#damaged(frame);
    this.#readAhead.took(batch.count);
    if (this.#isLast) this.#ended = true;
    else if (at === AT_END) this.#goBehindPage(frame);
    else if (batch.count > 0) this.#goOn(frame, lastKeyOf(batch), true);
    return true;
  }

  /** Packs entries from the one on where the scan stands; where it stands then. */
  #pack(batch: EntryBatch, frame: number, side: number): number {
    const { scan } = this.#way;
    const { image, packer } = this.#parts.workspace;
    let at = AT_ENTRY;
    packer.begin(batch);
    while (at === AT_ENTRY && batch.count < batch.limit) {
      if (side >= 0 && this.#isBehindEnd(frame)) break;
      const answer = packer.add(batch, scan, image);
      if (answer === OUTSIDE) throw this.#damaged(frame);
      if (answer === NOT_PACKED) break;
      at = scan.advance();
    }
    packer.finish(batch);
    return at;
  }

  /** Copies entries from the one on where the scan stands, each for itself; where it stands then, or {@link AGAIN}. */
  #unpacked(batch: EntryBatch, frame: number, version: number, side: number): number {
    const { scan } = this.#way;
    const { image, results } = this.#parts.workspace;
    const keys = this.#keyBuffer;
    let at = AT_ENTRY;
    let bytes = 0;
    while (at === AT_ENTRY && batch.count < batch.limit && bytes <= BATCH_BYTES) {
      if (side >= 0 && this.#isBehindEnd(frame)) break;
      const leaf = offsetOf(scan.reference);
      const length = scan.copyKey(keys);
      if (length < 0) throw this.#damaged(frame);
      if (batch.wantsValues) {
        const value = this.#value(frame, version, leaf, batch.count > 0);
        if (value === null) return batch.count === 0 ? AGAIN : AT_ENTRY;
        batch.values[batch.count] = value;
        bytes += value.length;
      }
      batch.keys[batch.count] = results.copyOf(keys, length);
      batch.tags[batch.count] = tagAt(image, leaf);
      batch.count++;
      at = scan.advance();
    }
    return at;
  }

  /** Whether the entry where the scan stands lies behind the end: then there is nothing more. */
  #isBehindEnd(frame: number): boolean {
    const length = this.#way.scan.copyKey(this.#keyBuffer);
    if (length < 0) throw this.#damaged(frame);
    this.#isLast = this.#isBeyond(this.#keyBuffer, length, this.#end as Uint8Array, true);
    return this.#isLast;
  }

  /** The value of an entry; null if it is on a page of its own that cannot be read now. */
  #value(frame: number, version: number, leaf: number, mayStop: boolean): Uint8Array | null {
    const { values, workspace } = this.#parts;
    const { image, results, pageSize } = workspace;
    const field = valueFieldAt(image, leaf);
    if (!isOnOwnPage(field)) {
      const start = leaf + valueOffset(suffixLengthAt(image, leaf), field);
      if (start + field > pageSize) throw this.#damaged(frame);
      results.copy(image, start, field);
      return results.finish(field);
    }
    const swip = swipOfValue(field);
    const offset = swip < swipCountOf(image, 0) ? swipOffset(pageSize, swip) : 0;
    if (version === LATCHED) return values.readOfLatched(frame, offset);
    try {
      return values.read(frame, offset, version);
    } catch (error) {
      // What is in the batch already is handed out; the next call meets the fault again, with this entry first.
      if (mayStop && (error as { isPageFault?: unknown }).isPageFault === true) return null;
      throw error;
    }
  }

  /** Goes past the entries of the copy of a page, and counts them. */
  #pass(frame: number, into: EntryCount): boolean {
    const { scan, hasEntry } = this.#way;
    const { image } = this.#parts.workspace;
    const stamp = this.#stamp();
    if (hasEntry && stamp > into.newest) {
      into.isTooNew = true;
      return true;
    }
    const keys = this.#keyBuffer;
    const side = into.end === null ? -1 : this.#sideOf(into.end);
    let at = hasEntry ? AT_ENTRY : AT_END;
    let isLast = false;
    let count = 0;
    let values = 0;
    for (; at === AT_ENTRY; at = scan.advance()) {
      if (side >= 0) {
        const length = scan.copyKey(keys);
        if (length < 0) throw this.#damaged(frame);
        isLast = side > 0 || this.#isBeyond(keys, length, into.end as Uint8Array, into.inclusive);
        if (isLast) break;
      }
      count++;
      if (tagAt(image, offsetOf(scan.reference)) === TAG_VALUE) values++;
    }
    if (at === IS_DAMAGED) throw this.#damaged(frame);
    if (into.deletedOnly && values > 0) {
      into.hasValues = true;
      return true;
    }
    into.count = count;
    into.values = values;
    into.timestamp = stamp;
    this.#readAhead.took(count);
    if (isLast) this.#ended = true;
    else if (at === AT_END) this.#goBehindPage(frame);
    else this.#goToLink(frame);
    return into.count > 0 || !this.#ended;
  }

  /** On which side of the end all lies that is on the page: -1 in front of it, 1 beyond it, 0 either. */
  #sideOf(end: Uint8Array): number {
    const side = this.#way.scan.sideOf(end, this.#way.depth);
    return Math.sign(this.#place.reverse ? -side : side);
  }

  #isBeyond(key: Uint8Array, length: number, end: Uint8Array, inclusive: boolean): boolean {
    const order = compareKeys(key, length, end, end.length);
    return order === 0 ? !inclusive : order > 0 !== this.#place.reverse;
  }

  /** Every step leads on. Where it does not, pages are damaged, and the way could have no end. */
  #goOn(frame: number, key: Uint8Array, exclusive: boolean): void {
    const { key: before, exclusive: wasExclusive, reverse } = this.#place;
    if (before !== null) {
      const order = compareKeys(key, key.length, before, before.length);
      const isBack = reverse ? order > 0 : order < 0;
      if (isBack || (order === 0 && (wasExclusive || !exclusive))) throw this.#damaged(frame);
    }
    this.#place = { key, exclusive, reverse };
  }

  /** Goes on with the page to which the link leads where the scan stands. */
  #goToLink(frame: number): void {
    const { scan } = this.#way;
    const isSlice = kindOf(scan.reference) === SLICE;
    const length = scan.pathLength + (isSlice ? 1 : 0);
    const { reverse } = this.#place;
    if (isSlice) scan.path[scan.pathLength] = reverse ? scan.last : scan.first;
    if (!reverse) {
      this.#goOn(frame, scan.path.slice(0, length), false);
      return;
    }
    // There were entries behind it.
    const behind = keyBehind(scan.path, length, this.#keyBuffer);
    if (behind === 0) throw this.#damaged(frame);
    this.#goOn(frame, this.#keyBuffer.slice(0, behind), true);
  }

  /** Goes on behind all that a page can have, which its path tells. */
  #goBehindPage(frame: number): void {
    this.#readAhead.passed();
    const { scan, ordinal, depth, isSlice, first, last } = this.#way;
    const { reverse } = this.#place;
    if (ordinal === 0) {
      this.#ended = true;
      return;
    }
    const { path } = scan;
    if (isSlice) path[depth] = reverse ? first : last;
    const length = isSlice ? depth + 1 : depth;
    if (reverse) {
      this.#goOn(frame, path.slice(0, length), true);
      return;
    }
    const behind = keyBehind(path, length, this.#keyBuffer);
    if (behind === 0) this.#ended = true;
    else this.#goOn(frame, this.#keyBuffer.slice(0, behind), false);
  }

  #damaged(frame: number): Error {
    return damagedPage(this.#parts.context.number, frame, 'its nodes lie outside it, or lead back');
  }
}

/** A copy of the last key of a batch that has one. */
function lastKeyOf({ keys, packed, isPacked, count }: EntryBatch): Uint8Array {
  const { bytes, starts, ends } = packed.keys;
  return isPacked ? bytes.slice(starts[count - 1], ends[count - 1]) : copyOf(keys[count - 1]!);
}
