/**
 * What leaves and inner pages have in common: a header, slots that grow up from it in order of key, and a heap that
 * grows down from the end of the page. `docs/format/btree.md` describes the same for people.
 *
 * Must hold: every key of a page begins with its prefix; a slot keeps the next four bytes of the key as one word, so
 * that words compare as keys do; what is left of the key is in the heap.
 */
import { PAGE_SWIP_COUNT, PAGE_SWIP_OFFSET, PAGE_SWIP_STRIDE, type Segment } from '@pagewright/core';

/** Page kinds of this index. 0 is a page that nobody has formatted. */
export const KIND_LEAF = 1;
export const KIND_INNER = 2;
export const KIND_VALUE = 3;

/**
 * Header of a node, behind the header that all pages have:
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 32 | u16 | number of keys |
 * | 34 | u16 | length of the prefix that all keys of the page share |
 * | 36 | u16 | its offset |
 * | 38 | u16 | how many bytes of it the fences guarantee: a search that was led here need not compare them |
 * | 40 | u16 | length of the upper fence, or {@link NO_FENCE} |
 * | 42 | u16 | its offset |
 * | 44 | u8 | level: 0 is a leaf, an inner page is one above its children |
 * | 45 | u8 | reserved, 0 |
 * | 46 | i16 | run: how many inserts in a row went each behind (above 0) or before (below 0) the last one |
 * | 48 | u32 | lowest byte of the heap |
 * | 52 | u32 | bytes of the heap that are in use |
 * | 56 | u16 | slot of the last insert |
 * | 58 | | reserved, 0 |
 * | 64 | 16 u32 | hints (`node-hints.ts`) |
 */
export const NODE_COUNT = 32;
export const NODE_PREFIX_LENGTH = 34;
export const NODE_PREFIX_OFFSET = 36;
export const NODE_GUARANTEED = 38;
export const NODE_FENCE_LENGTH = 40;
export const NODE_FENCE_OFFSET = 42;
export const NODE_LEVEL = 44;
export const NODE_RUN = 46;
export const NODE_HEAP_START = 48;
export const NODE_HEAP_USED = 52;
export const NODE_LAST_INSERT = 56;
export const NODE_HINTS = 64;
export const NODE_HEADER_SIZE = 128;

/** Length of the upper fence of the last page of a level: nothing bounds its keys. */
export const NO_FENCE = 0xffff;

/** The beginning of every slot: head u32, offset of the rest of the key u16, length of the key without the prefix u16. */
export const SLOT_HEAD = 0;
export const SLOT_KEY_OFFSET = 4;
export const SLOT_SUFFIX_LENGTH = 6;
/** Bytes of a key that the head holds, the first one highest; zeros stand for bytes beyond the end of a short key. */
export const HEAD_BYTES = 4;

/**
 * Where the heap ends. In pages of 64 KiB the last eight bytes stay unused, so that the end of what is in the heap is a
 * number of 16 bits as well.
 */
export function heapEnd(pageSize: number): number {
  return Math.min(pageSize, 0x10000 - 8);
}

export function countOf(segment: Segment, base: number): number {
  return segment.u16[(base + NODE_COUNT) >>> 1]!;
}
export function prefixLengthOf(segment: Segment, base: number): number {
  return segment.u16[(base + NODE_PREFIX_LENGTH) >>> 1]!;
}
export function guaranteedOf(segment: Segment, base: number): number {
  return segment.u16[(base + NODE_GUARANTEED) >>> 1]!;
}
export function fenceLengthOf(segment: Segment, base: number): number {
  return segment.u16[(base + NODE_FENCE_LENGTH) >>> 1]!;
}
export function levelOf(segment: Segment, base: number): number {
  return segment.u8[base + NODE_LEVEL]!;
}
export function heapStartOf(segment: Segment, base: number): number {
  return segment.u32[(base + NODE_HEAP_START) >>> 2]!;
}
export function heapUsedOf(segment: Segment, base: number): number {
  return segment.u32[(base + NODE_HEAP_USED) >>> 2]!;
}
export function setHeap(segment: Segment, base: number, start: number, used: number): void {
  segment.u32[(base + NODE_HEAP_START) >>> 2] = start;
  segment.u32[(base + NODE_HEAP_USED) >>> 2] = used;
}

/** The page's swip table: its offset, and its entries, null ones included. */
export function swipTableOffset(segment: Segment, base: number): number {
  return segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2]!;
}
export function swipCount(segment: Segment, base: number): number {
  return segment.u16[(base + PAGE_SWIP_COUNT) >>> 1]!;
}
export function setSwipTable(segment: Segment, base: number, offset: number, count: number, stride: number): void {
  segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] = offset;
  segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] = count;
  segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] = stride;
}

/** How many inserts in a row went upwards (above 0) or downwards (below 0), and where the last one went. */
export function runOf(segment: Segment, base: number): number {
  return (segment.u16[(base + NODE_RUN) >>> 1]! << 16) >> 16;
}
export function lastInsertOf(segment: Segment, base: number): number {
  return segment.u16[(base + NODE_LAST_INSERT) >>> 1]!;
}

export function setRun(segment: Segment, base: number, run: number, lastInsert: number): void {
  segment.u16[(base + NODE_RUN) >>> 1] = run & 0xffff;
  segment.u16[(base + NODE_LAST_INSERT) >>> 1] = lastInsert;
}

const LONGEST_RUN = 0x7fff;

/** Notes an insert at a slot, before the keys from there on moved up. */
export function noteInsert(segment: Segment, base: number, slot: number): void {
  const run = runOf(segment, base);
  const last = lastInsertOf(segment, base);
  let next = 0;
  if (countOf(segment, base) > 0) {
    if (slot === last + 1) next = Math.min(Math.max(run, 0) + 1, LONGEST_RUN);
    else if (slot === last) next = Math.max(Math.min(run, 0) - 1, -LONGEST_RUN);
  }
  setRun(segment, base, next, slot);
}

/** The head of a key: its four bytes from `from` on, as one unsigned word that compares as they do. */
export function headOf(key: Uint8Array, length: number, from: number): number {
  const rest = length - from;
  if (rest >= HEAD_BYTES) {
    return ((key[from]! << 24) | (key[from + 1]! << 16) | (key[from + 2]! << 8) | key[from + 3]!) >>> 0;
  }
  let head = 0;
  for (let i = 0; i < rest; i++) head |= key[from + i]! << (24 - 8 * i);
  return head >>> 0;
}

/** Rounds up to a multiple of eight. */
export function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}
