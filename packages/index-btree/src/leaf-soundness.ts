/**
 * Whether the parts of a leaf lie within it. Asked of a latched leaf before it is changed: what is written there is found
 * by offsets that stand in the page, and a page whose checksum is right may have been damaged before it got that.
 */
import { type Segment, SWIP_SIZE } from '@pagewright/core';
import { heapStartWithout, isOnOwnPage, keyOffsetAt, LEAF_SLOT_SIZE, leafSlot, valueFieldAt } from './leaf-layout.js';
import { boundsFit, keyFits } from './node-keys.js';
import { countOf, heapStartOf, swipCount, swipTableOffset } from './node-layout.js';

/** Whether slots, heap, prefix, fence and table of swips of a leaf are where they can be. */
export function isSoundLeaf(segment: Segment, base: number, pageSize: number): boolean {
  const heap = heapStartOf(segment, base);
  return (
    leafSlot(0, countOf(segment, base)) <= heap &&
    heap <= pageSize &&
    hasSoundTable(segment, base, pageSize, heap) &&
    boundsFit(segment, base, pageSize)
  );
}

/** Whether key and value of an entry lie within the leaf, or its swip within the table. `index` is that of a slot in the leaf. */
export function isSoundEntry(segment: Segment, base: number, pageSize: number, index: number): boolean {
  const slot = leafSlot(base, index);
  const offset = keyOffsetAt(segment, slot);
  const value = valueFieldAt(segment, slot);
  if (!keyFits(segment, base, pageSize, LEAF_SLOT_SIZE, index)) return false;
  if (isOnOwnPage(segment, slot))
    return value < swipCount(segment, base) && hasSoundTable(segment, base, pageSize, heapStartOf(segment, base));
  return value <= offset && ((offset - value) & 7) === 0 && offset <= pageSize;
}

/** Whether a sound leaf is one still when a sound entry of it is gone: what is behind the heap then was not part of the entry. */
export function mayGo(segment: Segment, base: number, pageSize: number, index: number): boolean {
  // Without a table the entry is one whose value is in the heap, and that ends within the page.
  if (swipCount(segment, base) === 0) return true;
  const heap = heapStartWithout(segment, base, leafSlot(base, index));
  return heap <= pageSize && hasSoundTable(segment, base, pageSize, heap);
}

/** The table is a block of a heap that begins there. */
function hasSoundTable(segment: Segment, base: number, pageSize: number, heap: number): boolean {
  const swips = swipCount(segment, base);
  const table = swipTableOffset(segment, base);
  return swips === 0 || (table >= heap && (table & 7) === 0 && table + swips * SWIP_SIZE <= pageSize);
}
