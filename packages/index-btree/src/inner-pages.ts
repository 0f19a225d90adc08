/**
 * Changes of one inner page whose latch is held and which was `modify`ed: a child comes beside another one, goes, or the
 * separator between two is another. What may not fit is asked first.
 */
import { type PageStore, SWIP_NULL } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { INNER_ALIGNMENT, type InnerEntries } from './inner-entries.js';
import { childOffset, INNER_CHILD, INNER_SLOT_SIZE, innerSlot } from './inner-layout.js';
import { commonLength } from './key-order.js';
import type { NodeBounds } from './node-bounds.js';
import { setHints } from './node-hints.js';
import { boundsFit, copyFence, copyKey, isPrefixCheck, sharedBySlots, sharedWithPrefix } from './node-keys.js';
import {
  countOf,
  guaranteedOf,
  heapEnd,
  heapStartOf,
  heapUsedOf,
  NO_FENCE,
  NODE_COUNT,
  NODE_HEADER_SIZE,
  noteInsert,
  prefixLengthOf,
  setHeap,
  setSwipTable,
} from './node-layout.js';
import { beginNode, restLength, restoreRun, writeKey } from './node-writer.js';
import type { Workspace } from './workspace.js';

/** Few keys are worth it: all searches come by the root, which may have few for long. */
const FIRST_PREFIX_CHECK = 2;

export class InnerPages {
  readonly #pageSize: number;
  /** Set by {@link fits}: the page must be rewritten, with this prefix, before the separator goes in. */
  #rewrite = false;
  #prefix = 0;

  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly workspace: Workspace,
    private readonly entries: InnerEntries,
  ) {
    this.#pageSize = pages.pageSize;
  }

  /** Writes a page without fences or separators, its one child null, to a new page. */
  format(frame: number, level: number): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const bounds: NodeBounds = { fence: this.workspace.keyA, fenceLength: NO_FENCE, guaranteed: 0 };
    beginNode(segment, base, heapEnd(this.#pageSize), level, bounds.fence, 0, bounds, INNER_ALIGNMENT);
    segment.u32.fill(0, innerSlot(base, 0) >>> 2, innerSlot(base, 1) >>> 2);
    setSwipTable(segment, base, childOffset(0), 1, INNER_SLOT_SIZE);
  }

  /** Bytes in use, header and slots included; what compaction would give back is not. */
  usedBytes(frame: number): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    return NODE_HEADER_SIZE + (countOf(segment, base) + 1) * INNER_SLOT_SIZE + heapUsedOf(segment, base);
  }

  /** Whether one more separator fits. Changes nothing. Errors: `PW_CORRUPT_PAGE`. */
  fits(frame: number, key: Uint8Array, length: number): boolean {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const count = countOf(segment, base);
    const prefix = prefixLengthOf(segment, base);
    this.#rewrite = false;
    const heap = heapStartOf(segment, base);
    if (
      heap > this.#pageSize ||
      NODE_HEADER_SIZE + (count + 1) * INNER_SLOT_SIZE > heap ||
      !boundsFit(segment, base, this.#pageSize)
    )
      throw damagedPage(this.number, frame, 'the header of an inner page cannot be right');
    const room = heapStartOf(segment, base) - NODE_HEADER_SIZE - (count + 2) * INNER_SLOT_SIZE;
    const shares = sharedWithPrefix(segment, base, key, length) === prefix;
    const fits = shares && restLength(length, prefix) <= room;
    if (fits && !isPrefixCheck(count, FIRST_PREFIX_CHECK)) return true;
    this.#prefix = this.#bestPrefix(frame, count, key, length);
    if (fits && this.#prefix <= prefix) return true;
    this.entries.load(frame, -1);
    const size = this.entries.size(0, this.entries.count, this.#prefix, this.#boundsOf(frame));
    this.#rewrite = size + INNER_SLOT_SIZE + restLength(length, this.#prefix) <= heapEnd(this.#pageSize);
    return this.#rewrite || fits;
  }

  /** Puts a new page, which has no place yet, behind the child at `index`, and the separator between them. It {@link fits}. */
  insert(frame: number, index: number, key: Uint8Array, length: number, child: number): void {
    this.#openSlot(frame, index, key, length);
    const segment = this.pages.segmentOf(frame);
    const at = (innerSlot(this.pages.baseOf(frame), index + 1) + INNER_CHILD) >>> 2;
    segment.u32[at] = SWIP_NULL;
    segment.u32[at + 1] = 0;
    this.pages.link(frame, childOffset(index + 1), child);
  }

  /** Takes the child behind the one at `index` out, whose swip is null, and the separator between them. */
  remove(frame: number, index: number): void {
    const { u32 } = this.pages.segmentOf(frame);
    const at = (innerSlot(this.pages.baseOf(frame), index) + INNER_CHILD) >>> 2;
    u32.copyWithin(at + INNER_SLOT_SIZE / 4, at, at + 2);
    this.#closeSlot(frame, index);
  }

  /** Puts another separator between the child at `index` and the next one. One more {@link fits}. */
  replace(frame: number, index: number, key: Uint8Array, length: number): void {
    this.#openSlot(frame, index, key, length);
    this.#closeSlot(frame, index + 1);
  }

  /** Copies the separator behind the child at `index`; its length. Errors: `PW_CORRUPT_PAGE`. */
  copySeparator(frame: number, index: number, into: Uint8Array): number {
    const segment = this.pages.segmentOf(frame);
    const length = copyKey(segment, this.pages.baseOf(frame), this.#pageSize, INNER_SLOT_SIZE, index, into);
    if (length < 0) throw damagedPage(this.number, frame, 'a separator lies outside it');
    return length;
  }

  /** Two slots for the child at `index`: the first with the separator, the second with what was in the slot. */
  #openSlot(frame: number, index: number, key: Uint8Array, length: number): void {
    if (!this.fits(frame, key, length)) throw damagedPage(this.number, frame, 'a separator that fitted does not');
    if (this.#rewrite) this.#rewritePage(frame);
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const count = countOf(segment, base);
    const prefix = prefixLengthOf(segment, base);
    const rest = restLength(length, prefix);
    const offset = heapStartOf(segment, base) - rest;
    const slot = innerSlot(base, index);
    noteInsert(segment, base, index);
    segment.u32.copyWithin((slot + INNER_SLOT_SIZE) >>> 2, slot >>> 2, innerSlot(base, count + 1) >>> 2);
    writeKey(segment, base, slot, key, length, prefix, offset);
    setHeap(segment, base, offset, heapUsedOf(segment, base) + rest);
    segment.u16[(base + NODE_COUNT) >>> 1] = count + 1;
    setHints(segment, base, INNER_SLOT_SIZE, index, count);
    setSwipTable(segment, base, childOffset(0), count + 2, INNER_SLOT_SIZE);
  }

  /** The slot at `index`, separator and child, is no more. */
  #closeSlot(frame: number, index: number): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const count = countOf(segment, base);
    const slot = innerSlot(base, index);
    const rest = restLength(this.copySeparator(frame, index, this.workspace.keyA), prefixLengthOf(segment, base));
    segment.u32.copyWithin(slot >>> 2, (slot + INNER_SLOT_SIZE) >>> 2, innerSlot(base, count + 1) >>> 2);
    setHeap(segment, base, heapStartOf(segment, base), heapUsedOf(segment, base) - rest);
    segment.u16[(base + NODE_COUNT) >>> 1] = count - 1;
    setHints(segment, base, INNER_SLOT_SIZE, index, count);
    setSwipTable(segment, base, childOffset(0), count, INNER_SLOT_SIZE);
  }

  #rewritePage(frame: number): void {
    const { entries, workspace } = this;
    entries.load(frame, -1);
    entries.write(frame, 0, entries.count, this.#prefix, this.#boundsOf(frame));
    entries.restoreSwips(frame, 0, entries.count, true);
    restoreRun(this.pages.segmentOf(frame), this.pages.baseOf(frame), workspace.images, workspace.thirdImage);
  }

  /** The longest prefix of all separators of the page and of this one. */
  #bestPrefix(frame: number, count: number, key: Uint8Array, length: number): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    if (count === 0) return guaranteedOf(segment, base);
    const { keyA } = this.workspace;
    const ofKeys = sharedBySlots(segment, base, this.#pageSize, INNER_SLOT_SIZE, 0, count - 1, this.workspace);
    if (ofKeys < 0) throw damagedPage(this.number, frame, 'a separator lies outside it');
    return Math.min(ofKeys, commonLength(keyA, this.copySeparator(frame, 0, keyA), key, length));
  }

  #boundsOf(frame: number): NodeBounds {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const fence = this.workspace.leftFence;
    const fenceLength = copyFence(segment, base, this.#pageSize, fence);
    return { fence, fenceLength, guaranteed: guaranteedOf(segment, base) };
  }
}
