/**
 * Reading whole keys, prefixes and fences out of a node. As in the search, the page may be torn or damaged: lengths and
 * offsets are bounded before use (M3), and -1 says that they cannot be right.
 */
import type { Segment } from '@pagewright/core';
import { commonLength } from './key-order.js';
import {
  fenceLengthOf,
  guaranteedOf,
  HEAD_BYTES,
  NO_FENCE,
  NODE_FENCE_OFFSET,
  NODE_HEADER_SIZE,
  NODE_PREFIX_OFFSET,
  prefixLengthOf,
  SLOT_KEY_OFFSET,
  SLOT_SUFFIX_LENGTH,
} from './node-layout.js';

/** Length of the key in a slot. */
export function keyLength(segment: Segment, base: number, slotSize: number, index: number): number {
  const slot = base + NODE_HEADER_SIZE + index * slotSize;
  return prefixLengthOf(segment, base) + segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1]!;
}

/** Whether the key in a slot lies within the page, and is not longer than keys can be. */
export function keyFits(segment: Segment, base: number, pageSize: number, slotSize: number, index: number): boolean {
  const slot = base + NODE_HEADER_SIZE + index * slotSize;
  const suffix = segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1]!;
  const end = segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1]! + suffix - HEAD_BYTES;
  return prefixLengthOf(segment, base) + suffix <= pageSize >>> 2 && (suffix <= HEAD_BYTES || end <= pageSize);
}

/** Whether prefix and fence of a page lie within it, and no more of the prefix is guaranteed than there is. */
export function boundsFit(segment: Segment, base: number, pageSize: number): boolean {
  const prefix = prefixLengthOf(segment, base);
  const fence = fenceLengthOf(segment, base);
  const longest = pageSize >>> 2;
  if (guaranteedOf(segment, base) > prefix) return false;
  if (prefix > longest || segment.u16[(base + NODE_PREFIX_OFFSET) >>> 1]! + prefix > pageSize) return false;
  return fence === NO_FENCE || (fence <= longest && segment.u16[(base + NODE_FENCE_OFFSET) >>> 1]! + fence <= pageSize);
}

/** Copies the key in a slot; its length, or -1. `index` is below what fits into a page. */
export function copyKey(
  segment: Segment,
  base: number,
  pageSize: number,
  slotSize: number,
  index: number,
  into: Uint8Array,
): number {
  const slot = base + NODE_HEADER_SIZE + index * slotSize;
  if (slot + slotSize > base + pageSize) return -1;
  const { u8 } = segment;
  const suffix = segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1]!;
  const prefix = copyPrefix(segment, base, pageSize, into);
  const length = prefix + suffix;
  if (prefix < 0 || length > into.length) return -1;
  const head = segment.u32[slot >>> 2]!;
  const inHead = Math.min(suffix, HEAD_BYTES);
  for (let i = 0; i < inHead; i++) into[prefix + i] = head >>> (24 - 8 * i);
  if (suffix > HEAD_BYTES) {
    const offset = segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1]!;
    const rest = suffix - HEAD_BYTES;
    if (offset + rest > pageSize) return -1;
    const to = prefix + HEAD_BYTES;
    for (let i = 0; i < rest; i++) into[to + i] = u8[base + offset + i]!;
  }
  return length;
}

/** Copies the prefix of the page; its length, or -1. */
export function copyPrefix(segment: Segment, base: number, pageSize: number, into: Uint8Array): number {
  const length = prefixLengthOf(segment, base);
  const offset = segment.u16[(base + NODE_PREFIX_OFFSET) >>> 1]!;
  if (length > into.length || offset + length > pageSize) return -1;
  for (let i = 0; i < length; i++) into[i] = segment.u8[base + offset + i]!;
  return length;
}

/** Copies the upper fence; its length, {@link NO_FENCE}, or -1. */
export function copyFence(segment: Segment, base: number, pageSize: number, into: Uint8Array): number {
  const length = fenceLengthOf(segment, base);
  if (length === NO_FENCE) return NO_FENCE;
  const offset = segment.u16[(base + NODE_FENCE_OFFSET) >>> 1]!;
  if (length > into.length || offset + length > pageSize) return -1;
  for (let i = 0; i < length; i++) into[i] = segment.u8[base + offset + i]!;
  return length;
}

/** How many bytes of the page's prefix a key begins with. The page is latched and sound. */
export function sharedWithPrefix(segment: Segment, base: number, key: Uint8Array, length: number): number {
  const prefix = prefixLengthOf(segment, base);
  const offset = base + segment.u16[(base + NODE_PREFIX_OFFSET) >>> 1]!;
  const end = Math.min(prefix, length);
  let i = 0;
  while (i < end && key[i] === segment.u8[offset + i]) i++;
  return i;
}

/** Whether a longer prefix is looked for with so many keys: when there are 2, 8, 32, 128 …, but not below `first`. Often enough, and seldom. */
export function isPrefixCheck(count: number, first: number): boolean {
  return count >= first && (count & (count - 1)) === 0 && (Math.clz32(count) & 1) === 0;
}

/** How many bytes two keys of a page have in common at their beginning; -1 if the page is damaged. */
export function sharedBySlots(
  segment: Segment,
  base: number,
  pageSize: number,
  slotSize: number,
  first: number,
  second: number,
  scratch: { readonly keyA: Uint8Array; readonly keyB: Uint8Array },
): number {
  const a = copyKey(segment, base, pageSize, slotSize, first, scratch.keyA);
  const b = copyKey(segment, base, pageSize, slotSize, second, scratch.keyB);
  return a < 0 || b < 0 ? -1 : commonLength(scratch.keyA, a, scratch.keyB, b);
}
