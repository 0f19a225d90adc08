/**
 * A page of nodes: what stands between the header of all pages and the nodes, and the table of swips at its end.
 * `docs/format/art.md` describes the same for people.
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 32 | u16 | reference to the root of the subtree; 0: there is nothing on the page |
 * | 34 | u16 | depth: bytes of the keys that stand above the page |
 * | 36 | u16 | end of the heap, in units of eight bytes |
 * | 38 | u16 | units of the heap that are in use; the rest of it are holes |
 * | 40 | u16 | entries |
 * | 42 | u16 | 1: the page is a slice, its root is a part of the node above it; else 0 |
 * | 44 | u32 | 0 |
 * | 48 | | heap; behind it free bytes, and the table of swips, which ends where the page does |
 */
import {
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  PAGE_TIMESTAMP,
  type Segment,
  SWIP_NULL,
  SWIP_SIZE,
} from '@pagewright/core';

/** Kinds of pages: one with nodes, and one with a single value. */
export const KIND_NODES = 1;
export const KIND_VALUE = 3;

export const ROOT_REFERENCE = 32;
export const PAGE_DEPTH = 34;
export const HEAP_END = 36;
export const HEAP_USED = 38;
export const PAGE_ENTRIES = 40;
export const PAGE_SLICE = 42;
const PAGE_RESERVED = 44;
export const HEAP_START = 48;

/** The heap is counted, and its blocks are aligned, in units of so many bytes. */
export const UNIT = 8;

export function rootOf(segment: Segment, base: number): number {
  return segment.u16[(base + ROOT_REFERENCE) >>> 1]!;
}
export function depthOf(segment: Segment, base: number): number {
  return segment.u16[(base + PAGE_DEPTH) >>> 1]!;
}
export function setDepth(segment: Segment, base: number, depth: number): void {
  segment.u16[(base + PAGE_DEPTH) >>> 1] = depth;
}
/** Offset behind the last block. */
export function heapEndOf(segment: Segment, base: number): number {
  return segment.u16[(base + HEAP_END) >>> 1]! * UNIT;
}
export function setHeapEnd(segment: Segment, base: number, end: number): void {
  segment.u16[(base + HEAP_END) >>> 1] = end / UNIT;
}
/** Bytes of the heap in use. */
export function heapUsedOf(segment: Segment, base: number): number {
  return segment.u16[(base + HEAP_USED) >>> 1]! * UNIT;
}
export function setHeapUsed(segment: Segment, base: number, used: number): void {
  segment.u16[(base + HEAP_USED) >>> 1] = used / UNIT;
}
export function entriesOf(segment: Segment, base: number): number {
  return segment.u16[(base + PAGE_ENTRIES) >>> 1]!;
}
export function addEntries(segment: Segment, base: number, more: number): void {
  segment.u16[(base + PAGE_ENTRIES) >>> 1] = entriesOf(segment, base) + more;
}
export function isSlice(segment: Segment, base: number): boolean {
  return segment.u16[(base + PAGE_SLICE) >>> 1] === 1;
}
export function setSlice(segment: Segment, base: number, slice: boolean): void {
  segment.u16[(base + PAGE_SLICE) >>> 1] = slice ? 1 : 0;
}

/** Writes what stands before the heap of an empty page with room for so many swips. */
export function formatPage(
  segment: Segment,
  base: number,
  pageSize: number,
  depth: number,
  slice: boolean,
  swips: number,
): void {
  const { u16, u32 } = segment;
  u16[(base + ROOT_REFERENCE) >>> 1] = 0;
  setDepth(segment, base, depth);
  setHeapEnd(segment, base, HEAP_START);
  setHeapUsed(segment, base, 0);
  u16[(base + PAGE_ENTRIES) >>> 1] = 0;
  setSlice(segment, base, slice);
  u32[(base + PAGE_RESERVED) >>> 2] = 0;
  // The whole page goes to the file: nothing that was in memory before may.
  u32.fill(0, (base + HEAP_START) >>> 2, (base + pageSize) >>> 2);
  setSwipCount(segment, base, pageSize, swips);
}

// ── Swips ─────────────────────────────────────────────────────────────────────────────────────────────────────

export function swipCountOf(segment: Segment, base: number): number {
  return segment.u16[(base + PAGE_SWIP_COUNT) >>> 1]!;
}

/** Swips are counted from the end of the page: what has a number keeps it while the table grows and shrinks. */
export function swipOffset(pageSize: number, number: number): number {
  return pageSize - SWIP_SIZE * (number + 1);
}

/** The table of the page has so many swips from now on; those that it did not have before are written by the caller. */
export function setSwipCount(segment: Segment, base: number, pageSize: number, count: number): void {
  segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] = count === 0 ? 0 : pageSize - SWIP_SIZE * count;
  segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] = count;
  segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] = count === 0 ? 0 : SWIP_SIZE;
}

export function isNullSwip(segment: Segment, base: number, offset: number): boolean {
  return segment.u32[(base + offset) >>> 2] === SWIP_NULL;
}

/** The stamp of a page (X1). */
export function stampOf(segment: Segment, base: number): number {
  return segment.f64[(base + PAGE_TIMESTAMP) >>> 3]!;
}
