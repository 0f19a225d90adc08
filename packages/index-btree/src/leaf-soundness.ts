/**
 * Whether the parts of a leaf lie within it. Asked of a latched leaf before it is changed: what is written there is found
 * by offsets that stand in the page, and a page whose checksum is right may have been damaged before it got that.
 */
import { type Segment, SWIP_SIZE } from '@pagewright/core';
import { isOnOwnPage, keyOffsetAt, LEAF_SLOT_SIZE, leafSlot, valueFieldAt } from './leaf-layout.js';
import { boundsFit, keyFits } from './node-keys.js';
import { countOf, heapStartOf, swipCount, swipTableOffset } from './node-layout.js';

/** Whether slots, heap, prefix, fence and table of swips of a leaf are where they can be. */
export function isSoundLeaf(segment: Segment, base: number, pageSize: number): boolean {
  const heap = heapStartOf(segment, base);
  return (
    leafSlot(0, countOf(segment, base)) <= heap &&
    heap <= pageSize &&
    hasSoundTable(segment, base, pageSize) &&
    boundsFit(segment, base, pageSize)
  );
}

/** Whether key and value of an entry lie within the leaf, or its swip within the table. `index` is that of a slot in the leaf. */
export function isSoundEntry(segment: Segment, base: number, pageSize: number, index: number): boolean {
  const slot = leafSlot(base, index);
  const offset = keyOffsetAt(segment, slot);
  const value = valueFieldAt(segment, slot);
  if (!keyFits(segment, base, pageSize, LEAF_SLOT_SIZE, index)) return false;
  if (isOnOwnPage(segment, slot)) return value < swipCount(segment, base) && hasSoundTable(segment, base, pageSize);
  return value <= offset && ((offset - value) & 7) === 0 && offset <= pageSize;
}

/** The table is a block of the heap. */
function hasSoundTable(segment: Segment, base: number, pageSize: number): boolean {
  const swips = swipCount(segment, base);
  const table = swipTableOffset(segment, base);
  return (
    swips === 0 || (table >= heapStartOf(segment, base) && (table & 7) === 0 && table + swips * SWIP_SIZE <= pageSize)
  );
}
