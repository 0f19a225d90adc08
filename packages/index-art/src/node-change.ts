/** Changes of one node in its place, and of what a leaf or node has in front. The page is latched and `modify`ed, and what is changed was bounded. */
import type { Segment } from '@pagewright/core';
import {
  blockSize,
  fixedSize,
  isOnOwnPage,
  LEAF_SUFFIX,
  leafSize,
  NODE_COUNT,
  NODE_KEYS,
  NODE_TERMINATOR,
  NODE4,
  NODE4_REFERENCES,
  NODE16,
  NODE16_REFERENCES,
  NODE48,
  NODE48_INDEX,
  NODE48_REFERENCES,
  NODE256_REFERENCES,
  nodeSize,
  prefixLengthAt,
  setLeaf,
  suffixLengthAt,
  valueFieldAt,
  valueOffset,
} from './node-layout.js';
import { giveBlock } from './page-heap.js';

/** How many references a node has; of the largest kind how many bytes lead to one. */
export function childCount(segment: Segment, at: number, kind: number): number {
  const { u16 } = segment;
  if (kind === NODE4 || kind === NODE16) {
    const places = kind === NODE4 ? 4 : 16;
    const references = (at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1;
    let count = 0;
    while (count < places && u16[references + count] !== 0) count++;
    return count;
  }
  return u16[(at + NODE_COUNT) >>> 1]!;
}

/** Whether a node must grow before it gets another child. */
export function isFull(segment: Segment, at: number, kind: number): boolean {
  if (kind === NODE4) return segment.u16[(at + NODE4_REFERENCES + 6) >>> 1] !== 0;
  if (kind === NODE16) return segment.u16[(at + NODE16_REFERENCES + 30) >>> 1] !== 0;
  return kind === NODE48 && segment.u16[(at + NODE_COUNT) >>> 1]! >= 48;
}

/** Adds a child to a node that has room for it, and none for the byte. */
export function addChild(segment: Segment, at: number, kind: number, byte: number, reference: number): void {
  const { u8, u16 } = segment;
  if (kind === NODE4 || kind === NODE16) {
    const references = (at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1;
    let place = childCount(segment, at, kind);
    for (; place > 0 && u8[at + NODE_KEYS + place - 1]! > byte; place--) {
      u8[at + NODE_KEYS + place] = u8[at + NODE_KEYS + place - 1]!;
      u16[references + place] = u16[references + place - 1]!;
    }
    u8[at + NODE_KEYS + place] = byte;
    u16[references + place] = reference;
    return;
  }
  const count = (at + NODE_COUNT) >>> 1;
  u16[count] = u16[count]! + 1;
  if (kind === NODE48) {
    const references = (at + NODE48_REFERENCES) >>> 1;
    let place = 0;
    while (place < 47 && u16[references + place] !== 0) place++;
    u16[references + place] = reference;
    u8[at + NODE48_INDEX + byte] = place + 1;
  } else {
    u16[(at + NODE256_REFERENCES + 2 * byte) >>> 1] = reference;
  }
}

/** Takes away the child for a byte, which is no slice. */
export function removeChild(segment: Segment, at: number, kind: number, byte: number): void {
  const { u8, u16 } = segment;
  if (kind === NODE4 || kind === NODE16) {
    const references = (at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1;
    const last = childCount(segment, at, kind) - 1;
    let place = 0;
    while (place < last && u8[at + NODE_KEYS + place] !== byte) place++;
    for (; place < last; place++) {
      u8[at + NODE_KEYS + place] = u8[at + NODE_KEYS + place + 1]!;
      u16[references + place] = u16[references + place + 1]!;
    }
    u8[at + NODE_KEYS + last] = 0;
    u16[references + last] = 0;
    return;
  }
  const count = (at + NODE_COUNT) >>> 1;
  u16[count] = u16[count]! - 1;
  if (kind === NODE48) {
    u16[((at + NODE48_REFERENCES) >>> 1) + u8[at + NODE48_INDEX + byte]! - 1] = 0;
    u8[at + NODE48_INDEX + byte] = 0;
  } else {
    u16[(at + NODE256_REFERENCES + 2 * byte) >>> 1] = 0;
  }
}

export function setTerminator(segment: Segment, at: number, reference: number): void {
  segment.u16[(at + NODE_TERMINATOR) >>> 1] = reference;
}

/** Cuts so many bytes off the suffix of a leaf, in front. */
export function trimLeaf(segment: Segment, base: number, offset: number, bytes: number): void {
  const { u8 } = segment;
  const at = base + offset;
  const suffix = suffixLengthAt(segment, at);
  const field = valueFieldAt(segment, at);
  const before = leafSize(suffix, field);
  const rest = suffix - bytes;
  u8.copyWithin(at + LEAF_SUFFIX, at + LEAF_SUFFIX + bytes, at + LEAF_SUFFIX + suffix);
  if (!isOnOwnPage(field)) {
    const from = at + valueOffset(suffix, field);
    u8.copyWithin(at + valueOffset(rest, field), from, from + field);
  }
  setLeaf(segment, at, rest, field);
  giveBlock(segment, base, offset, before, leafSize(rest, field));
}

/** Cuts so many bytes off the prefix of a node, in front. */
export function trimNode(segment: Segment, base: number, offset: number, kind: number, bytes: number): void {
  const { u8, u16 } = segment;
  const at = base + offset;
  const prefix = prefixLengthAt(segment, at);
  const before = blockSize(segment, at, kind);
  const from = at + fixedSize(kind);
  u8.copyWithin(from, from + bytes, from + prefix);
  u16[at >>> 1] = prefix - bytes;
  giveBlock(segment, base, offset, before, nodeSize(kind, prefix - bytes));
}
