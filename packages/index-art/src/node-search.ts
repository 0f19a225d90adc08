/**
 * Finding children of one node. Runs on pages that another thread may be changing, and on damaged ones: the node's fixed part lies within the page, and
 * nothing else is read (M3).
 *
 * In small nodes a slice stands at its first byte and once more at its last, if that is another one. In large ones each of its bytes leads to it.
 */
import type { Segment } from '@pagewright/core';
import {
  kindOf,
  NO_BYTE,
  NODE_KEYS,
  NODE4,
  NODE4_REFERENCES,
  NODE16,
  NODE16_REFERENCES,
  NODE48,
  NODE48_INDEX,
  NODE48_REFERENCES,
  NODE256,
  NODE256_REFERENCES,
  SLICE,
} from './node-layout.js';

const EACH_BYTE = 0x01010101;
const HIGH_BITS = 0x80808080;

/** The reference for a byte, which may lie within a slice; 0 if there is none. */
export function childFor(segment: Segment, at: number, kind: number, byte: number): number {
  const { u8, u16, u32 } = segment;
  if (kind === NODE4) {
    // Unused keys are 0, and their references, too: a key that is 0 comes first.
    const keys = u32[(at + NODE_KEYS) >>> 2]!;
    const references = (at + NODE4_REFERENCES) >>> 1;
    if ((keys & 0xff) === byte) return u16[references]!;
    if (((keys >>> 8) & 0xff) === byte) return u16[references + 1]! || sliceBelow(segment, at, kind, byte);
    if (((keys >>> 16) & 0xff) === byte) return u16[references + 2]! || sliceBelow(segment, at, kind, byte);
    if (keys >>> 24 === byte) return u16[references + 3]! || sliceBelow(segment, at, kind, byte);
    return sliceBelow(segment, at, kind, byte);
  }
  if (kind === NODE256) return u16[(at + NODE256_REFERENCES + 2 * byte) >>> 1]!;
  if (kind === NODE16) {
    const pattern = byte * EACH_BYTE;
    const words = (at + NODE_KEYS) >>> 2;
    for (let word = 0; word < 4; word++) {
      // The lowest byte that is zero sets the lowest of these bits (Warren, "Hacker's Delight", 6-1).
      const other = u32[words + word]! ^ pattern;
      const equal = (other - EACH_BYTE) & ~other & HIGH_BITS;
      if (equal === 0) continue;
      const place = word * 4 + ((31 - Math.clz32(equal & -equal)) >>> 3);
      return u16[((at + NODE16_REFERENCES) >>> 1) + place]! || sliceBelow(segment, at, kind, byte);
    }
    return sliceBelow(segment, at, kind, byte);
  }
  const place = u8[at + NODE48_INDEX + byte]!;
  return place === 0 || place > 48 ? 0 : u16[((at + NODE48_REFERENCES) >>> 1) + place - 1]!;
}

/** The slice within which a byte lies that does not stand in a small node; 0 if there is none. */
function sliceBelow(segment: Segment, at: number, kind: number, byte: number): number {
  const place = lastPlaceBelow(segment, at, kind, byte);
  return place >= 0 && isWithin(segment, at, kind, place) ? referenceAtPlace(segment, at, kind, place) : 0;
}

/** Whether a slice goes on from a place of a small node to the next one. */
function isWithin(segment: Segment, at: number, kind: number, place: number): boolean {
  const reference = referenceAtPlace(segment, at, kind, place);
  if (kindOf(reference) !== SLICE || place + 1 >= placesOf(kind)) return false;
  return referenceAtPlace(segment, at, kind, place + 1) === reference;
}

function placesOf(kind: number): number {
  return kind === NODE4 ? 4 : 16;
}

/** The place of the last child of a small node whose byte is at most this one; -1 if there is none. */
function lastPlaceBelow(segment: Segment, at: number, kind: number, byte: number): number {
  const { u8, u16 } = segment;
  const places = placesOf(kind);
  const references = (at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1;
  let place = 0;
  while (place < places && u16[references + place] !== 0 && u8[at + NODE_KEYS + place]! <= byte) place++;
  return place - 1;
}

function referenceAtPlace(segment: Segment, at: number, kind: number, place: number): number {
  return segment.u16[((at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES)) >>> 1) + place]!;
}

/**
 * The position in the segment of the reference for a byte: of its own, or of the slice that it lies in; -1 if there is none. For who changes the page.
 */
export function placeFor(segment: Segment, at: number, kind: number, byte: number): number {
  if (kind === NODE256) {
    const position = at + NODE256_REFERENCES + 2 * byte;
    return segment.u16[position >>> 1] === 0 ? -1 : position;
  }
  if (kind === NODE48) {
    const place = segment.u8[at + NODE48_INDEX + byte]!;
    return place === 0 || place > 48 ? -1 : at + NODE48_REFERENCES + 2 * (place - 1);
  }
  const place = lastPlaceBelow(segment, at, kind, byte);
  if (place < 0) return -1;
  const position = at + (kind === NODE4 ? NODE4_REFERENCES : NODE16_REFERENCES) + 2 * place;
  const isOwn = segment.u8[at + NODE_KEYS + place] === byte;
  return isOwn || isWithin(segment, at, kind, place) ? position : -1;
}

/** The first byte from one on at which a child stands; {@link NO_BYTE} if there is none. */
export function byteFrom(segment: Segment, at: number, kind: number, from: number): number {
  const { u8, u16 } = segment;
  if (kind === NODE256) {
    const references = (at + NODE256_REFERENCES) >>> 1;
    let byte = from;
    while (byte < NO_BYTE && u16[references + byte] === 0) byte++;
    return byte;
  }
  if (kind === NODE48) {
    let byte = from;
    while (byte < NO_BYTE && u8[at + NODE48_INDEX + byte] === 0) byte++;
    return byte;
  }
  const place = lastPlaceBelow(segment, at, kind, from - 1) + 1;
  if (place === placesOf(kind) || referenceAtPlace(segment, at, kind, place) === 0) return NO_BYTE;
  return u8[at + NODE_KEYS + place]!;
}

/** The last byte up to one at which a child stands; -1 if there is none. */
export function byteUpTo(segment: Segment, at: number, kind: number, upTo: number): number {
  const { u8, u16 } = segment;
  if (kind === NODE256) {
    const references = (at + NODE256_REFERENCES) >>> 1;
    let byte = upTo;
    while (byte >= 0 && u16[references + byte] === 0) byte--;
    return byte;
  }
  if (kind === NODE48) {
    let byte = upTo;
    while (byte >= 0 && u8[at + NODE48_INDEX + byte] === 0) byte--;
    return byte;
  }
  const place = lastPlaceBelow(segment, at, kind, upTo);
  return place < 0 ? -1 : u8[at + NODE_KEYS + place]!;
}

/** The first byte of the slice that has this one. */
export function sliceStart(segment: Segment, at: number, kind: number, byte: number): number {
  const reference = childFor(segment, at, kind, byte);
  if (kind === NODE4 || kind === NODE16) {
    let place = lastPlaceBelow(segment, at, kind, byte);
    while (place > 0 && referenceAtPlace(segment, at, kind, place - 1) === reference) place--;
    return segment.u8[at + NODE_KEYS + place]!;
  }
  let first = byte;
  while (first > 0 && childFor(segment, at, kind, first - 1) === reference) first--;
  return first;
}

/** The last byte of the slice that has this one. */
export function sliceEnd(segment: Segment, at: number, kind: number, byte: number): number {
  const reference = childFor(segment, at, kind, byte);
  if (kind === NODE4 || kind === NODE16) {
    let place = lastPlaceBelow(segment, at, kind, byte);
    while (place + 1 < placesOf(kind) && referenceAtPlace(segment, at, kind, place + 1) === reference) place++;
    return Math.max(byte, segment.u8[at + NODE_KEYS + place]!);
  }
  let last = byte;
  while (last < 255 && childFor(segment, at, kind, last + 1) === reference) last++;
  return last;
}
