/**
 * The table of swips of a latched leaf: a block of its heap, which grows when a value gets a page of its own and no null
 * swip is left. Within one page swips may be copied like other bytes.
 */
import { type Segment, SWIP_NULL, SWIP_SIZE } from '@pagewright/core';
import { swipOffset } from './leaf-layout.js';
import { heapStartOf, heapUsedOf, setHeap, setSwipTable, swipCount, swipTableOffset } from './node-layout.js';

/** The number of a null swip, or -1. */
export function freeSwip(segment: Segment, base: number): number {
  const count = swipCount(segment, base);
  for (let i = 0; i < count; i++) {
    if (segment.u32[(base + swipOffset(segment, base, i)) >>> 2] === SWIP_NULL) return i;
  }
  return -1;
}

/** Bytes of the heap that one more swip takes: none, or a larger table. The old one becomes a hole. */
export function bytesForSwip(segment: Segment, base: number): number {
  return freeSwip(segment, base) >= 0 ? 0 : larger(swipCount(segment, base)) * SWIP_SIZE;
}

/** Makes sure that there is a null swip. The leaf was `modify`ed, and has the bytes for it. */
export function growSwips(segment: Segment, base: number): void {
  if (freeSwip(segment, base) >= 0) return;
  const count = swipCount(segment, base);
  const room = larger(count);
  const start = heapStartOf(segment, base) - room * SWIP_SIZE;
  const at = (base + start) >>> 2;
  const old = (base + swipTableOffset(segment, base)) >>> 2;
  segment.u32.fill(0, at, at + room * (SWIP_SIZE / 4));
  segment.u32.copyWithin(at, old, old + count * (SWIP_SIZE / 4));
  setSwipTable(segment, base, start, room, SWIP_SIZE);
  setHeap(segment, base, start, heapUsedOf(segment, base) + (room - count) * SWIP_SIZE);
}

function larger(swips: number): number {
  return swips + Math.max(2, swips >>> 1);
}
