/** What is checked of leaves and inner pages alike: header, bounds, prefix, order and heads of keys, and the heap. */
import { PAGE_SWIP_STRIDE } from '@pagewright/core';
import { type CheckedPage, ChildBounds } from './checked-page.js';
import { commonLength, compareKeys } from './key-order.js';
import { HINTS, hintSpacing, LEAST_SPACING } from './node-hints.js';
import { copyFence, copyKey, copyPrefix, keyFits } from './node-keys.js';
import {
  countOf,
  guaranteedOf,
  HEAD_BYTES,
  heapEnd,
  heapStartOf,
  heapUsedOf,
  levelOf,
  NO_FENCE,
  NODE_FENCE_OFFSET,
  NODE_HEADER_SIZE,
  NODE_HINTS,
  NODE_PREFIX_OFFSET,
  SLOT_SUFFIX_LENGTH,
  swipCount,
  swipTableOffset,
} from './node-layout.js';

/** Stretches of the heap that are in use, to be held against each other. */
export class HeapBlocks {
  readonly #blocks: { readonly start: number; readonly size: number; readonly what: string }[] = [];

  /** Nothing is noted for a block of no bytes. */
  add(start: number, size: number, what: string): void {
    if (size > 0) this.#blocks.push({ start, size, what });
  }

  check({ segment, pageSize, report }: CheckedPage): void {
    const from = heapStartOf(segment, 0);
    const to = heapEnd(pageSize);
    let used = 0;
    let end = from;
    let before = 'the beginning of the heap';
    for (const block of this.#blocks.sort((a, b) => a.start - b.start)) {
      if (block.start < end) report(`The ${block.what} at ${block.start} overlaps ${before}`);
      used += block.size;
      end = Math.max(end, block.start + block.size);
      before = `the ${block.what} at ${block.start}`;
    }
    if (end > to) report(`The heap goes beyond its end: ${before}`);
    if (used !== heapUsedOf(segment, 0))
      report(`The heap has ${used} bytes in use, the header says ${heapUsedOf(segment, 0)}`);
  }
}

/** Checks the header; false if what follows cannot be looked at. */
export function checkHeader(page: CheckedPage, slotSize: number, slots: number, swipStride: number): boolean {
  const { segment, pageSize, bounds, report } = page;
  const slotsEnd = NODE_HEADER_SIZE + slots * slotSize;
  const start = heapStartOf(segment, 0);
  if (slotsEnd > start || start > heapEnd(pageSize)) {
    report(`${slots} slots and a heap from ${start} on do not fit into ${pageSize} bytes`);
    return false;
  }
  if (bounds instanceof ChildBounds && levelOf(segment, 0) !== bounds.level) {
    report(`The page is on level ${levelOf(segment, 0)} instead of ${bounds.level}`);
  }
  const swips = swipCount(segment, 0);
  const stride = segment.u16[PAGE_SWIP_STRIDE >>> 1]!;
  const offset = swipTableOffset(segment, 0);
  const fits =
    offset >= NODE_HEADER_SIZE && (offset & 7) === 0 && offset + swips * swipStride - swipStride + 8 <= pageSize;
  if (swips > 0 && (stride !== swipStride || !fits)) {
    report(`A table of ${swips} swips at ${offset}, ${stride} bytes apart, cannot be`);
    return false;
  }
  return true;
}

/** Checks prefix, fence and what they guarantee, and notes where they are. */
export function checkBounds(page: CheckedPage, blocks: HeapBlocks, alignment: number): void {
  const { segment, pageSize, bounds, report } = page;
  const longest = pageSize >>> 2;
  const prefix = new Uint8Array(longest);
  const fence = new Uint8Array(longest);
  const prefixLength = copyPrefix(segment, 0, pageSize, prefix);
  const fenceLength = copyFence(segment, 0, pageSize, fence);
  const guaranteed = guaranteedOf(segment, 0);
  if (prefixLength < 0 || fenceLength < 0) {
    report('Prefix or fence lie outside the page');
    return;
  }
  const fenceSize = fenceLength === NO_FENCE ? 0 : fenceLength;
  const at = segment.u16[NODE_PREFIX_OFFSET >>> 1]!;
  if (fenceSize > 0 && segment.u16[NODE_FENCE_OFFSET >>> 1] !== at + prefixLength) {
    report('The fence does not follow the prefix');
  }
  blocks.add(at, (prefixLength + fenceSize + alignment - 1) & -alignment, 'prefix with the fence');
  const isFence =
    bounds.upper === null
      ? fenceLength === NO_FENCE
      : fenceLength !== NO_FENCE && compareKeys(fence, fenceLength, bounds.upper, bounds.upper.length) === 0;
  if (!isFence) report('The upper fence is not the bound that the parent sets');
  if (guaranteed > prefixLength) report(`${guaranteed} bytes of a prefix of ${prefixLength} are guaranteed`);
  const { lower, upper } = bounds;
  const shared = lower === null || upper === null ? 0 : commonLength(lower, lower.length, upper, upper.length);
  if (guaranteed > shared) report(`${guaranteed} bytes of the prefix are guaranteed, but the fences share ${shared}`);
  const begins = upper === null ? 0 : commonLength(prefix, prefixLength, upper, upper.length);
  if (guaranteed <= shared && guaranteed > begins) report('The prefix does not begin as the fences do');
}

/** Checks that keys rise, lie between the bounds, and that their heads are well formed. Returns the keys, null for one outside the page. */
export function checkKeys(page: CheckedPage, slotSize: number, lowerIsOpen: boolean): (Uint8Array | null)[] {
  const { segment, pageSize, bounds, report } = page;
  const into = new Uint8Array(pageSize >>> 2);
  const keys: (Uint8Array | null)[] = [];
  let before: Uint8Array | null = null;
  for (let i = 0; i < countOf(segment, 0); i++) {
    const length = keyFits(segment, 0, pageSize, slotSize, i) ? copyKey(segment, 0, pageSize, slotSize, i, into) : -1;
    const key: Uint8Array | null = length < 0 ? null : into.slice(0, length);
    keys.push(key);
    if (key === null) {
      report(`Key ${i} lies outside the page, or is too long`);
      continue;
    }
    if (length === 0) report(`Key ${i} is empty`);
    if (!headIsFilled(page, slotSize, i)) report(`The head of key ${i} has bytes beyond the end of the key`);
    if (before !== null && compareKeys(before, before.length, key, length) >= 0)
      report(`Key ${i} is not above the one before`);
    before = key;
    const aboveLower = bounds.lower === null ? 1 : compareKeys(key, length, bounds.lower, bounds.lower.length);
    if (aboveLower < 0 || (lowerIsOpen && aboveLower === 0)) report(`Key ${i} is below the page's lower bound`);
    if (bounds.upper !== null && compareKeys(key, length, bounds.upper, bounds.upper.length) >= 0)
      report(`Key ${i} is not below the page's upper bound`);
  }
  return keys;
}

/** Checks that the hints are the heads that they stand for: a search that goes by others misses keys. Slots lie within the page. */
export function checkHints({ segment, report }: CheckedPage, slotSize: number): void {
  const spacing = hintSpacing(countOf(segment, 0));
  if (spacing < LEAST_SPACING) return;
  for (let i = 0; i < HINTS; i++) {
    const index = (i + 1) * spacing;
    const head = segment.u32[(NODE_HEADER_SIZE + index * slotSize) >>> 2];
    if (segment.u32[(NODE_HINTS >>> 2) + i] !== head) report(`Hint ${i} is not the head of key ${index}`);
  }
}

/** Notes where the rest of a key is. */
export function restOf(page: CheckedPage, slot: number): number {
  return Math.max(0, page.segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1]! - HEAD_BYTES);
}

function headIsFilled({ segment }: CheckedPage, slotSize: number, index: number): boolean {
  const slot = NODE_HEADER_SIZE + index * slotSize;
  const suffix = segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1]!;
  const head = segment.u32[slot >>> 2]!;
  return suffix >= HEAD_BYTES || head % 2 ** (8 * (HEAD_BYTES - suffix)) === 0;
}
