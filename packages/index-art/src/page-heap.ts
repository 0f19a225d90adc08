/** Blocks and swips of one page whose latch is held: taking and giving back room. Nothing here moves what is there. */
import { type Segment, SWIP_SIZE } from '@pagewright/core';
import {
  depthOf,
  HEAP_START,
  heapEndOf,
  heapUsedOf,
  isNullSwip,
  setHeapEnd,
  setHeapUsed,
  setSwipCount,
  swipCountOf,
  swipOffset,
} from './page-layout.js';

/** Bytes between the heap and the table of swips. */
export function gapOf(segment: Segment, base: number, pageSize: number): number {
  return pageSize - SWIP_SIZE * swipCountOf(segment, base) - heapEndOf(segment, base);
}

/** The same if there were no holes, neither in the heap nor in the table. Goes through the table. */
export function freeBytes(segment: Segment, base: number, pageSize: number): number {
  return pageSize - SWIP_SIZE * livingSwips(segment, base, pageSize) - HEAP_START - heapUsedOf(segment, base);
}

/** How many swips are not null. */
export function livingSwips(segment: Segment, base: number, pageSize: number): number {
  let living = 0;
  for (let number = swipCountOf(segment, base) - 1; number >= 0; number--)
    if (!isNullSwip(segment, base, swipOffset(pageSize, number))) living++;
  return living;
}

/** Bytes that heap and swips can have in a page. */
export function capacityOfPage(pageSize: number): number {
  return pageSize - HEAP_START;
}

/** Whether heap and table of swips are where they can be. Asked of a latched page before it is changed. */
export function isSoundPage(segment: Segment, base: number, pageSize: number): boolean {
  const end = heapEndOf(segment, base);
  return (
    end >= HEAP_START &&
    end + SWIP_SIZE * swipCountOf(segment, base) <= pageSize &&
    heapUsedOf(segment, base) <= end - HEAP_START &&
    depthOf(segment, base) <= pageSize >>> 2
  );
}

/** A block behind all others, for which there is room; its offset. */
export function takeBlock(segment: Segment, base: number, size: number): number {
  const offset = heapEndOf(segment, base);
  setHeapEnd(segment, base, offset + size);
  setHeapUsed(segment, base, heapUsedOf(segment, base) + size);
  return offset;
}

/** Gives back a block, or what is left of one that became smaller. */
export function giveBlock(segment: Segment, base: number, offset: number, before: number, after = 0): void {
  if (before === after) return;
  setHeapUsed(segment, base, heapUsedOf(segment, base) - before + after);
  if (offset + before === heapEndOf(segment, base)) setHeapEnd(segment, base, offset + after);
}

/** Bytes that one more swip takes: none, if the table has a null one. */
export function bytesForSwip(segment: Segment, base: number, pageSize: number): number {
  return nullSwip(segment, base, pageSize) < swipCountOf(segment, base) ? 0 : SWIP_SIZE;
}

/** The number of a null swip, for which there is room. */
export function takeSwip(segment: Segment, base: number, pageSize: number): number {
  const number = nullSwip(segment, base, pageSize);
  if (number === swipCountOf(segment, base)) extendSwips(segment, base, pageSize, number + 1);
  return number;
}

/** The table has so many swips from now on, those that are new being null. There is room for them. */
export function extendSwips(segment: Segment, base: number, pageSize: number, count: number): void {
  for (let number = swipCountOf(segment, base); number < count; number++) {
    const at = (base + swipOffset(pageSize, number)) >>> 2;
    segment.u32[at] = 0;
    segment.u32[at + 1] = 0;
  }
  setSwipCount(segment, base, pageSize, count);
}

/** The first null swip from a number on, or the number of swips if there is none. */
export function nullSwip(segment: Segment, base: number, pageSize: number, from = 0): number {
  const count = swipCountOf(segment, base);
  let number = from;
  while (number < count && !isNullSwip(segment, base, swipOffset(pageSize, number))) number++;
  return number;
}
