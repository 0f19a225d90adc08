/**
 * Finding a key among the slots of a node. Runs on pages that another thread may be changing, and on damaged ones: it
 * ends, and reads nothing outside the page (M3). What it answers counts only once the page was validated.
 */
import type { Segment } from '@pagewright/core';
import { fingerprintOf } from './fingerprint.js';
import { LEAF_PLACE, LEAF_SLOT_SIZE, leafSlot } from './leaf-layout.js';
import { HINTS, hintSpacing, LEAST_SPACING } from './node-hints.js';
import {
  HEAD_BYTES,
  headOf,
  NODE_COUNT,
  NODE_GUARANTEED,
  NODE_HEADER_SIZE,
  NODE_HINTS,
  NODE_PREFIX_LENGTH,
  NODE_PREFIX_OFFSET,
} from './node-layout.js';

/** The bytes cannot be those of a node: they are torn, or the page is damaged. */
export const DAMAGED = -0x40000000;
/** Of an entry that is not there, when no more is asked. */
const ABSENT = -1;
/** Answer of a search by fingerprints: too many keys have the same one. */
const CROWDED = -0x40000001;
/** Keys that are compared for nothing before it is given up: no more than a search takes that goes without. */
const MOST_IN_VAIN = 3;
/** Among fewer slots a search is as fast without fingerprints. */
const LEAST_RUN = 4;
const LEAF_SLOT_WORDS = LEAF_SLOT_SIZE >>> 2;
/** The fingerprint is in the highest bits of the third word of a slot. */
const FINGERPRINT_SHIFT = 8 * (LEAF_PLACE & 3) + 1;

/**
 * The slot of the key, or `~slot` of the first key above it, or {@link DAMAGED}. The key lies within the fences of the
 * page, or is its upper fence: the part of the prefix that they guarantee is not compared.
 *
 * With `isEntry` the page is a leaf, and the slot of the key is all that is wanted: below 0 says that there is none, and not where it would be.
 */
export function findSlot(
  segment: Segment,
  base: number,
  pageSize: number,
  slotSize: number,
  key: Uint8Array,
  isEntry = false,
): number {
  const u8 = segment.u8;
  const u16 = segment.u16;
  const u32 = segment.u32;
  const count = u16[(base + NODE_COUNT) >>> 1]!;
  const prefix = u16[(base + NODE_PREFIX_LENGTH) >>> 1]!;
  const guaranteed = u16[(base + NODE_GUARANTEED) >>> 1]!;
  const length = key.length;
  if (count * slotSize > pageSize - NODE_HEADER_SIZE) return DAMAGED;
  if (prefix > guaranteed || prefix > length) {
    const offset = u16[(base + NODE_PREFIX_OFFSET) >>> 1]!;
    if (offset + prefix > pageSize) return DAMAGED;
    const end = Math.min(prefix, length);
    for (let i = guaranteed; i < end; i++) {
      const difference = key[i]! - u8[base + offset + i]!;
      if (difference !== 0) return difference < 0 ? ~0 : ~count;
    }
    if (length < prefix) return ~0;
  }
  const head = headOf(key, length, prefix);
  const rest = length - prefix;
  const from = prefix + HEAD_BYTES;
  const words = slotSize >>> 2;
  const slots = (base + NODE_HEADER_SIZE) >>> 2;
  let low = 0;
  let high = count;
  const spacing = hintSpacing(count);
  if (spacing >= LEAST_SPACING) {
    const hints = (base + NODE_HINTS) >>> 2;
    const below = hintsBelow(u32, hints, head >>> 1);
    let above = below;
    while (above < HINTS && u32[hints + above]! <= head) above++;
    if (below > 0) low = below * spacing + 1;
    if (above < HINTS) high = (above + 1) * spacing;
  }
  // Bytes behind the head that the keys next to both ends begin with as this one does.
  let sharedBelow = 0;
  let sharedAbove = 0;
  let isTried = false;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const at = slots + middle * words;
    const other = u32[at]!;
    if (other < head) {
      low = middle + 1;
    } else if (other > head) {
      high = middle;
    } else {
      if (isEntry && high - low > LEAST_RUN && !isTried) {
        const found = findInRun(segment, base, pageSize, low, high, head, prefix, key);
        if (found !== CROWDED) return found;
        isTried = true;
      }
      // Keys between two that begin as this one does begin so, too.
      let shared = sharedBelow < sharedAbove ? sharedBelow : sharedAbove;
      const suffix = u32[at + 1]! >>> 16;
      let order = rest - suffix;
      const end = (order < 0 ? rest : suffix) - HEAD_BYTES;
      if (shared < end) {
        const other = u32[at + 1]! & 0xffff;
        if (other + suffix - HEAD_BYTES > pageSize) return DAMAGED;
        let difference = 0;
        while (shared < end) {
          difference = key[from + shared]! - u8[base + other + shared]!;
          if (difference !== 0) break;
          shared++;
        }
        if (difference !== 0) order = difference;
      }
      if (order === 0) return middle;
      if (order > 0) {
        low = middle + 1;
        sharedBelow = shared;
      } else {
        high = middle;
        sharedAbove = shared;
      }
    }
  }
  return ~low;
}

/**
 * The slot of a key among those of a leaf from `low` up to `high`, of which several may have its head; {@link ABSENT}, {@link CROWDED} or {@link DAMAGED}. Slots lie side by side, the
 * rests of keys do not: those alone are compared whose fingerprint is the key's.
 */
function findInRun(
  segment: Segment,
  base: number,
  pageSize: number,
  low: number,
  high: number,
  head: number,
  prefix: number,
  key: Uint8Array,
): number {
  const { u8, u32 } = segment;
  const rest = key.length - prefix;
  const from = prefix + HEAD_BYTES;
  const wanted = fingerprintOf(key, key.length);
  let inVain = 0;
  let at = leafSlot(base, low) >>> 2;
  for (let index = low; index < high; index++, at += LEAF_SLOT_WORDS) {
    const fingerprint = u32[at + 2]! >>> FINGERPRINT_SHIFT;
    if ((fingerprint !== wanted && fingerprint !== 0) || u32[at] !== head) continue;
    const offsetAndSuffix = u32[at + 1]!;
    if (offsetAndSuffix >>> 16 !== rest) continue;
    const end = rest - HEAD_BYTES;
    const other = offsetAndSuffix & 0xffff;
    if (end > 0 && other + end > pageSize) return DAMAGED;
    let shared = 0;
    while (shared < end && key[from + shared] === u8[base + other + shared]) shared++;
    if (shared >= end) return index;
    if (++inVain > MOST_IN_VAIN) return CROWDED;
  }
  return ABSENT;
}

/**
 * How many of the hints are below a head, but for the last bit of both: without that bit the sign of a difference tells,
 * and no branch is mispredicted. Eight of the sixteen are looked at: three, and the four that these leave.
 */
function hintsBelow(u32: Uint32Array, hints: number, head31: number): number {
  let below = isBelow(u32[hints + 3]!, head31) + isBelow(u32[hints + 7]!, head31) + isBelow(u32[hints + 11]!, head31);
  below *= 4;
  const at = hints + below;
  below += isBelow(u32[at]!, head31) + isBelow(u32[at + 1]!, head31);
  return below + isBelow(u32[at + 2]!, head31) + isBelow(u32[at + 3]!, head31);
}

function isBelow(hint: number, head31: number): number {
  return ((hint >>> 1) - head31) >>> 31;
}
