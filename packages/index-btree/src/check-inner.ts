/** Checking an inner page: its separators, and that each child is there and gets its bounds. */
import { type PageBounds, SWIP_NULL } from '@pagewright/core';
import { checkBounds, checkHeader, checkHints, checkKeys, HeapBlocks, restOf } from './check-node.js';
import { type CheckedPage, ChildBounds } from './checked-page.js';
import { INNER_ALIGNMENT } from './inner-entries.js';
import { childOffset, INNER_SLOT_SIZE, innerSlot } from './inner-layout.js';
import { countOf, KIND_INNER, KIND_LEAF, levelOf, SLOT_KEY_OFFSET, swipCount, swipTableOffset } from './node-layout.js';

export function checkInner(page: CheckedPage): ReadonlyMap<number, PageBounds> {
  const { segment, bounds, report } = page;
  const children = new Map<number, PageBounds>();
  const count = countOf(segment, 0);
  const level = levelOf(segment, 0);
  if (level === 0) report('An inner page is on level 0');
  if (!checkHeader(page, INNER_SLOT_SIZE, count + 1, INNER_SLOT_SIZE)) return children;
  if (swipCount(segment, 0) !== count + 1 || swipTableOffset(segment, 0) !== childOffset(0)) {
    report(`The table of swips is not that of ${count + 1} children`);
  }
  const blocks = new HeapBlocks();
  checkBounds(page, blocks, INNER_ALIGNMENT);
  const separators = checkKeys(page, INNER_SLOT_SIZE, true);
  checkHints(page, INNER_SLOT_SIZE);
  for (let i = 0; i < count; i++) {
    const slot = innerSlot(0, i);
    blocks.add(segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1]!, restOf(page, slot), `separator ${i}`);
  }
  blocks.check(page);
  for (let i = 0; i <= count; i++) {
    if (segment.u32[childOffset(i) >>> 2] === SWIP_NULL) {
      report(`Child ${i} is missing`);
      continue;
    }
    const lower = i === 0 ? bounds.lower : (separators[i - 1] ?? null);
    const upper = i === count ? bounds.upper : (separators[i] ?? null);
    children.set(childOffset(i), new ChildBounds(lower, upper, level === 1 ? KIND_LEAF : KIND_INNER, level - 1));
  }
  return children;
}
