/**
 * References, leaves and the four kinds of nodes (Leis, Kemper and Neumann, "The Adaptive Radix Tree", ICDE 2013, §III), as they lie in the heap
 * of a page. `docs/format/art.md` describes the same for people.
 *
 * A reference is 16 bits: blocks are aligned to eight bytes, so the three low bits say what is there, and it is known before it is read.
 *
 * A node begins with a word: length of its prefix (u16), reference to the leaf of the key that ends behind the prefix (u16). Then:
 *
 * | kind | | |
 * | --- | --- | --- |
 * | Node4 | 4 key bytes in order, zeros behind them | 4 references |
 * | Node16 | 16 key bytes in order, zeros behind them | 16 references |
 * | Node48 | number of references (u16), 2 bytes 0, for each byte 0 or one more than the place of its reference | 48 references |
 * | Node256 | number of bytes with a reference (u16), 2 bytes 0 | 256 references |
 *
 * and the prefix. A child that is a slice stands at each of its bytes in large nodes, at its first and its last one in small nodes. A leaf: length of the suffix (u16), length of the value or, with the highest bit set, the number of the swip of its
 * page (u16), tag (u8), suffix, value.
 */
import type { Segment } from '@pagewright/core';

/** Low bits of a reference. */
export const REFERENCE_KIND = 7;
/** What is left of it is an offset in the page or, of a link, eight times the number of a swip. */
export const REFERENCE_OFFSET = 0xfff8;
export const LEAF = 1;
/** A page with the subtree. */
export const LINK = 2;
/** A page whose root is a part of this node: it has the children for a range of bytes. */
export const SLICE = 3;
export const NODE4 = 4;
export const NODE16 = 5;
export const NODE48 = 6;
export const NODE256 = 7;

export const NODE_TERMINATOR = 2;
/** Of the small nodes. */
export const NODE_KEYS = 4;
export const NODE4_REFERENCES = 8;
export const NODE16_REFERENCES = 20;
/** Of the large nodes. */
export const NODE_COUNT = 4;
export const NODE48_INDEX = 8;
export const NODE48_REFERENCES = 264;
export const NODE256_REFERENCES = 8;

export const NODE4_SIZE = 16;
export const NODE16_SIZE = 52;
export const NODE48_SIZE = 360;
export const NODE256_SIZE = 520;

const LEAF_VALUE = 2;
const LEAF_TAG = 4;
export const LEAF_SUFFIX = 5;
export const LEAST_LEAF = 8;
/** Set in the value field of a leaf: it is the number of a swip. */
export const OWN_PAGE = 0x8000;
/** Values beyond this are copied natively, and aligned to eight bytes for that; smaller ones to four. */
const LARGEST_BY_WORDS = 512;

/** Answer of a search: there is no such byte. */
export const NO_BYTE = 256;

export function kindOf(reference: number): number {
  return reference & REFERENCE_KIND;
}
export function offsetOf(reference: number): number {
  return reference & REFERENCE_OFFSET;
}
export function isNode(reference: number): boolean {
  return (reference & REFERENCE_KIND) >= NODE4;
}
/** Whether it leads to another page. */
export function isOutside(reference: number): boolean {
  const kind = reference & REFERENCE_KIND;
  return kind === LINK || kind === SLICE;
}
/** The number of the swip of a link. */
export function swipOf(reference: number): number {
  return reference >>> 3;
}
export function linkTo(swip: number, kind: number): number {
  return (swip << 3) | kind;
}

export function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}

// ── Leaves ────────────────────────────────────────────────────────────────────────────────────────────────────
// Positions are those of a leaf or node in its segment, which are multiples of eight.

export function suffixLengthAt(segment: Segment, at: number): number {
  return segment.u16[at >>> 1]!;
}
export function valueFieldAt(segment: Segment, at: number): number {
  return segment.u16[(at + LEAF_VALUE) >>> 1]!;
}
export function tagAt(segment: Segment, at: number): number {
  return segment.u8[at + LEAF_TAG]!;
}
export function setTag(segment: Segment, at: number, tag: number): void {
  segment.u8[at + LEAF_TAG] = tag;
}
export function setLeaf(segment: Segment, at: number, suffixLength: number, valueField: number): void {
  segment.u16[at >>> 1] = suffixLength;
  segment.u16[(at + LEAF_VALUE) >>> 1] = valueField;
}
export function isOnOwnPage(valueField: number): boolean {
  return (valueField & OWN_PAGE) !== 0;
}
export function swipOfValue(valueField: number): number {
  return valueField & ~OWN_PAGE;
}

/** Where in a leaf its value begins. */
export function valueOffset(suffixLength: number, valueLength: number): number {
  const end = LEAF_SUFFIX + suffixLength;
  return valueLength > LARGEST_BY_WORDS ? (end + 7) & ~7 : (end + 3) & ~3;
}

/** Bytes of a leaf. */
export function leafSize(suffixLength: number, valueField: number): number {
  if (isOnOwnPage(valueField)) return align8(LEAF_SUFFIX + suffixLength);
  return align8(valueOffset(suffixLength, valueField) + valueField);
}

// ── Nodes ─────────────────────────────────────────────────────────────────────────────────────────────────────

export function prefixLengthAt(segment: Segment, at: number): number {
  return segment.u16[at >>> 1]!;
}
export function terminatorAt(segment: Segment, at: number): number {
  return segment.u16[(at + NODE_TERMINATOR) >>> 1]!;
}

/** Bytes of a node before its prefix. */
export function fixedSize(kind: number): number {
  if (kind === NODE4) return NODE4_SIZE;
  if (kind === NODE16) return NODE16_SIZE;
  return kind === NODE48 ? NODE48_SIZE : NODE256_SIZE;
}

export function nodeSize(kind: number, prefixLength: number): number {
  return align8(fixedSize(kind) + prefixLength);
}

/** The smallest kind for so many children, which take so many places in a small node. */
export function kindFor(places: number, count: number): number {
  if (places <= 4) return NODE4;
  if (places <= 16) return NODE16;
  return count <= 48 ? NODE48 : NODE256;
}

/** How many references a node of the kind has room for. */
export function capacityOf(kind: number): number {
  if (kind === NODE4) return 4;
  if (kind === NODE16) return 16;
  return kind === NODE48 ? 48 : 256;
}

/** Bytes of the block that a reference leads to, which is no link. */
export function blockSize(segment: Segment, at: number, kind: number): number {
  if (kind === LEAF) return leafSize(suffixLengthAt(segment, at), valueFieldAt(segment, at));
  return nodeSize(kind, prefixLengthAt(segment, at));
}
