/**
 * An inner page: children, and the separators between them. A separator is above every key below the child in its slot,
 * and at most as large as every key below the next one. The last slot has a child alone; the page's upper fence bounds it.
 *
 * A slot has sixteen bytes, and the table of swips runs through the slots:
 *
 * | offset | type | |
 * | --- | --- | --- |
 * | 0 | u32 | head |
 * | 4 | u16 | offset of the rest of the separator |
 * | 6 | u16 | length of the separator without the prefix |
 * | 8 | swip | child |
 */
import { NODE_HEADER_SIZE } from './node-layout.js';

export const INNER_SLOT_SIZE = 16;
export const INNER_CHILD = 8;

/** Position of a slot in its segment, in bytes. */
export function innerSlot(base: number, index: number): number {
  return base + NODE_HEADER_SIZE + index * INNER_SLOT_SIZE;
}
/** Offset of the swip of a child in its page. */
export function childOffset(index: number): number {
  return NODE_HEADER_SIZE + INNER_CHILD + index * INNER_SLOT_SIZE;
}
/** The slot whose child's swip is at this offset. */
export function slotOfChild(offset: number): number {
  return (offset - NODE_HEADER_SIZE - INNER_CHILD) / INNER_SLOT_SIZE;
}
