/**
 * Writing a node from its beginning: header, prefix and fence first, then slot by slot. The page is latched and was
 * `modify`ed; its entries were copied away before, and their sizes added up, so that all fits.
 */
import type { Segment } from '@pagewright/core';
import { fenceBytes, type NodeBounds } from './node-bounds.js';
import {
  HEAD_BYTES,
  headOf,
  lastInsertOf,
  NO_FENCE,
  NODE_COUNT,
  NODE_FENCE_LENGTH,
  NODE_FENCE_OFFSET,
  NODE_GUARANTEED,
  NODE_HEADER_SIZE,
  NODE_HEAP_START,
  NODE_HEAP_USED,
  NODE_LEVEL,
  NODE_PREFIX_LENGTH,
  NODE_PREFIX_OFFSET,
  runOf,
  SLOT_KEY_OFFSET,
  SLOT_SUFFIX_LENGTH,
  setRun,
  setSwipTable,
} from './node-layout.js';

/** Bytes that prefix and fence take on a page. In leaves blocks of the heap are aligned to eight bytes, in inner pages to one. */
export function boundsSize(prefix: number, bounds: NodeBounds, alignment: number): number {
  return (prefix + fenceBytes(bounds) + alignment - 1) & -alignment;
}

/** Writes the header of a node without keys or swips, and its prefix and fence, which end at `end`: the end of the heap, or of what is free of it. Returns where they begin. */
export function beginNode(
  segment: Segment,
  base: number,
  end: number,
  level: number,
  prefixKey: Uint8Array,
  prefix: number,
  bounds: NodeBounds,
  alignment: number,
): number {
  const { u8, u16, u32 } = segment;
  const size = boundsSize(prefix, bounds, alignment);
  const start = end - size;
  const fence = fenceBytes(bounds);
  u32.fill(0, (base + NODE_COUNT) >>> 2, (base + NODE_HEADER_SIZE) >>> 2);
  setSwipTable(segment, base, 0, 0, 0);
  u16[(base + NODE_PREFIX_LENGTH) >>> 1] = prefix;
  u16[(base + NODE_PREFIX_OFFSET) >>> 1] = start;
  u16[(base + NODE_GUARANTEED) >>> 1] = bounds.guaranteed;
  u16[(base + NODE_FENCE_LENGTH) >>> 1] = bounds.fenceLength;
  u16[(base + NODE_FENCE_OFFSET) >>> 1] = bounds.fenceLength === NO_FENCE ? 0 : start + prefix;
  u8[base + NODE_LEVEL] = level;
  u32[(base + NODE_HEAP_START) >>> 2] = start;
  u32[(base + NODE_HEAP_USED) >>> 2] = size;
  for (let i = 0; i < prefix; i++) u8[base + start + i] = prefixKey[i]!;
  for (let i = 0; i < fence; i++) u8[base + start + prefix + i] = bounds.fence[i]!;
  return start;
}

/** Bytes of a key that go to the heap. */
export function restLength(length: number, prefix: number): number {
  const rest = length - prefix - HEAD_BYTES;
  return Math.max(rest, 0);
}

/** Writes a key: head, offset and length into the slot (a position in the segment), the rest of it to `offset` of the page. */
export function writeKey(
  segment: Segment,
  base: number,
  slot: number,
  key: Uint8Array,
  length: number,
  prefix: number,
  offset: number,
): void {
  const { u8 } = segment;
  segment.u32[slot >>> 2] = headOf(key, length, prefix);
  segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1] = offset;
  segment.u16[(slot + SLOT_SUFFIX_LENGTH) >>> 1] = length - prefix;
  const rest = restLength(length, prefix);
  const from = prefix + HEAD_BYTES;
  for (let i = 0; i < rest; i++) u8[base + offset + i] = key[from + i]!;
}

/** Keeps the run of inserts across a rewrite of the page. */
export function restoreRun(segment: Segment, base: number, from: Segment, fromBase: number): void {
  setRun(segment, base, runOf(from, fromBase), lastInsertOf(from, fromBase));
}
