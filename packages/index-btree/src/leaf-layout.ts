/**
 * A leaf: entries in order of key. The value stands in the heap right before the rest of its key, from a place divisible
 * by eight; a value on a page of its own is named by a swip in a table in the heap, which only leaves with such values have.
 *
 * A slot has twelve bytes:
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 0 | u32 | head |
 * | 4 | u16 | offset of the rest of the key; the value ends here |
 * | 6 | u16 | length of the key without the prefix |
 * | 8 | u16 | length of the value, or the number of its swip in the table |
 * | 10 | u8 | tag |
 * | 11 | u8 | lowest bit: 1 if the value has a page of its own, else 0; above it the key's fingerprint (`fingerprint.ts`), or 0 |
 */
import { type Segment, SWIP_SIZE } from '@pagewright/core';
import {
  align8,
  HEAD_BYTES,
  heapStartOf,
  NODE_HEADER_SIZE,
  SLOT_KEY_OFFSET,
  SLOT_SUFFIX_LENGTH,
  swipTableOffset,
} from './node-layout.js';

export const LEAF_SLOT_SIZE = 12;
export const LEAF_VALUE = 8;
export const LEAF_TAG = 10;
/** Where the value is, and the key's fingerprint. */
export const LEAF_PLACE = 11;
export const PLACE_INLINE = 0;
export const PLACE_OWN_PAGE = 1;

/** Position of a slot in its segment, in bytes. */
export function leafSlot(base: number, index: number): number {
  return base + NODE_HEADER_SIZE + index * LEAF_SLOT_SIZE;
}
export function keyOffsetAt(segment: Segment, slot: number): number {
  return segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1]!;
}
export function suffixLengthAt(segment: Segment, slot: number): number {
  return segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1]!;
}
/** Length of the value, or number of its swip. */
export function valueFieldAt(segment: Segment, slot: number): number {
  return segment.u16[(slot + LEAF_VALUE) >>> 1]!;
}
export function tagAt(segment: Segment, slot: number): number {
  return segment.u8[slot + LEAF_TAG]!;
}
export function isOnOwnPage(segment: Segment, slot: number): boolean {
  return (segment.u8[slot + LEAF_PLACE]! & PLACE_OWN_PAGE) !== 0;
}
/** The fingerprint of the key of a slot; 0 if it is not known. */
export function fingerprintAt(segment: Segment, slot: number): number {
  return segment.u8[slot + LEAF_PLACE]! >>> 1;
}
/** Notes where the value of a new entry is, and what its key's fingerprint is. */
export function setPlace(segment: Segment, slot: number, place: number, fingerprint: number): void {
  segment.u8[slot + LEAF_PLACE] = place | (fingerprint << 1);
}

/** Offset of a swip of the table in the page. */
export function swipOffset(segment: Segment, base: number, number: number): number {
  return swipTableOffset(segment, base) + number * SWIP_SIZE;
}

/** Bytes of the value that are in the heap. */
function inlineLength(segment: Segment, slot: number): number {
  return isOnOwnPage(segment, slot) ? 0 : valueFieldAt(segment, slot);
}

/** Bytes of the heap that the entry of a slot takes. */
export function blockSizeAt(segment: Segment, slot: number): number {
  return align8(inlineLength(segment, slot) + Math.max(0, suffixLengthAt(segment, slot) - HEAD_BYTES));
}

/** Where the heap begins once the entry of a slot is gone: behind that, if it is the lowest. */
export function heapStartWithout(segment: Segment, base: number, slot: number): number {
  const start = heapStartOf(segment, base);
  const block = blockSizeAt(segment, slot);
  const isLowest = block > 0 && keyOffsetAt(segment, slot) - inlineLength(segment, slot) === start;
  return isLowest ? start + block : start;
}
