/**
 * Hints of a node: the heads of sixteen slots, evenly apart, in the cache line behind the header. A search reads them first
 * and is left with a seventeenth of the slots, which are one or two cache lines (LeanStore has them; Graefe's "poor
 * man's normalized keys" are the heads).
 *
 * Must hold: whoever changes slots or their number calls {@link setHints}. What a search makes of torn ones stays within
 * the slots that there are.
 */
import type { Segment } from '@pagewright/core';
import { countOf, NODE_HEADER_SIZE, NODE_HINTS } from './node-layout.js';

export const HINTS = 16;
/** With fewer slots from hint to hint, hints tell nothing that the slots do not tell as fast. */
export const LEAST_SPACING = 2;

/** How many slots lie from one hint to the next in a node with so many keys: hint i is the head of slot (i + 1) times as many. */
export function hintSpacing(count: number): number {
  return (count / (HINTS + 1)) | 0;
}

/** Brings the hints of a node up to date after slots from `from` on have changed, of which there were `before`. */
export function setHints(segment: Segment, base: number, slotSize: number, from: number, before: number): void {
  const spacing = hintSpacing(countOf(segment, base));
  if (spacing < LEAST_SPACING) return;
  const { u32 } = segment;
  const hints = (base + NODE_HINTS) >>> 2;
  const step = (spacing * slotSize) >>> 2;
  const isSame = hintSpacing(before) === spacing;
  const first = isSame ? Math.max(0, Math.ceil(from / spacing) - 1) : 0;
  let slot = ((base + NODE_HEADER_SIZE) >>> 2) + (first + 1) * step;
  for (let i = first; i < HINTS; i++, slot += step) u32[hints + i] = u32[slot]!;
}
