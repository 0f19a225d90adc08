/**
 * Changes of one leaf whose latch is held: entries come, change and go while there is room. A leaf is rewritten when its
 * heap has holes, when a key comes that does not share its prefix, or when a longer prefix is there to be cut off.
 *
 * Must hold: whatever can throw is done before the first byte changes, and `modify` comes before that.
 */
import { type LargeValues, type PageStore, SWIP_SIZE } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { fingerprintOf } from './fingerprint.js';
import { commonLength } from './key-order.js';
import { LEAF_ALIGNMENT, type LeafEntries } from './leaf-entries.js';
import {
  blockSizeAt,
  heapStartWithout,
  isOnOwnPage,
  keyOffsetAt,
  LEAF_SLOT_SIZE,
  LEAF_TAG,
  LEAF_VALUE,
  leafSlot,
  PLACE_INLINE,
  PLACE_OWN_PAGE,
  setPlace,
  suffixLengthAt,
  swipOffset,
  valueFieldAt,
} from './leaf-layout.js';
import { isSoundEntry, isSoundLeaf, mayGo } from './leaf-soundness.js';
import { bytesForSwip, freeSwip, growSwips } from './leaf-swips.js';
import type { NodeBounds } from './node-bounds.js';
import { setHints } from './node-hints.js';
import { copyFence, copyKey, isPrefixCheck, sharedBySlots, sharedWithPrefix } from './node-keys.js';
import {
  align8,
  countOf,
  fenceLengthOf,
  guaranteedOf,
  HEAD_BYTES,
  headOf,
  heapEnd,
  heapStartOf,
  heapUsedOf,
  lastInsertOf,
  NO_FENCE,
  NODE_COUNT,
  NODE_FENCE_LENGTH,
  NODE_FENCE_OFFSET,
  NODE_GUARANTEED,
  NODE_HEADER_SIZE,
  NODE_PREFIX_OFFSET,
  noteInsert,
  prefixLengthOf,
  runOf,
  SLOT_KEY_OFFSET,
  setHeap,
} from './node-layout.js';
import { beginNode, restLength, restoreRun, writeKey } from './node-writer.js';
import { DAMAGED, findSlot } from './search.js';
import type { Workspace } from './workspace.js';

/** With fewer entries there is little to search, and a longer prefix is not looked for. */
const FIRST_PREFIX_CHECK = 8;

export class LeafPages {
  readonly #pageSize: number;
  /** Key and value together beyond this go to two pages. */
  readonly #largestInline: number;
  /** Whether the last {@link put} has inserted an entry. */
  hasInserted = false;
  /** Set by {@link #plan}: the leaf must be rewritten, with this prefix, before the entry goes in. */
  #rewrite = false;
  #prefix = 0;
  /** Of the leaf that is being rewritten. */
  readonly #bounds: { readonly fence: Uint8Array; fenceLength: number; guaranteed: number };

  constructor(
    private readonly pages: PageStore,
    private readonly number: number,
    private readonly workspace: Workspace,
    private readonly entries: LeafEntries,
    private readonly values: LargeValues,
  ) {
    this.#pageSize = pages.pageSize;
    this.#largestInline = pages.pageSize >>> 2;
    this.#bounds = { fence: workspace.leftFence, fenceLength: NO_FENCE, guaranteed: 0 };
  }

  /** Writes an empty leaf without fences to a new page. */
  format(frame: number): void {
    const bounds: NodeBounds = { fence: this.workspace.keyA, fenceLength: NO_FENCE, guaranteed: 0 };
    const segment = this.pages.segmentOf(frame);
    beginNode(segment, this.pages.baseOf(frame), heapEnd(this.#pageSize), 0, bounds.fence, 0, bounds, LEAF_ALIGNMENT);
  }

  /** Bytes in use, header and slots included; what compaction would give back is not. */
  usedBytes(frame: number): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    return NODE_HEADER_SIZE + countOf(segment, base) * LEAF_SLOT_SIZE + heapUsedOf(segment, base);
  }

  /** Inserts or replaces; false if there is no room, and nothing has changed. Errors: those of `allocate`. */
  put(frame: number, key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): boolean {
    const found = this.#findInRun(frame, key) ?? this.find(frame, key);
    this.hasInserted = found < 0;
    if (key.length + value.length > this.#largestInline) {
      return this.#putLarge(frame, found, key, tag, value, timestamp);
    }
    if (found >= 0 && this.#replaceInPlace(frame, found, tag, value, timestamp)) return true;
    if (!this.#plan(frame, found, key, value.length, false)) return false;
    this.pages.modify(frame, timestamp);
    const slot = this.#makeSlot(frame, found, key, value.length, false);
    const segment = this.pages.segmentOf(frame);
    segment.u16[(slot + LEAF_VALUE) >>> 1] = value.length;
    segment.u8[slot + LEAF_TAG] = tag;
    setPlace(segment, slot, PLACE_INLINE, fingerprintOf(key, key.length));
    copyIn(segment.u8, this.pages.baseOf(frame) + keyOffsetAt(segment, slot) - value.length, value);
    return true;
  }

  /** Removes the entry; false if there is none. */
  remove(frame: number, key: Uint8Array, timestamp: number): boolean {
    const found = this.find(frame, key);
    if (found < 0) return false;
    this.pages.modify(frame, timestamp);
    this.#removeSlot(frame, found);
    return true;
  }

  /** The slot of a key, or `~slot` of the first key above it. Errors: `PW_CORRUPT_PAGE`. */
  find(frame: number, key: Uint8Array): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const found = findSlot(segment, base, this.#pageSize, LEAF_SLOT_SIZE, key);
    if (found === DAMAGED || !isSoundLeaf(segment, base, this.#pageSize)) {
      throw damagedPage(this.number, frame, 'the header of a leaf cannot be right');
    }
    if (found >= 0 && !isSoundEntry(segment, base, this.#pageSize, found)) {
      throw damagedPage(this.number, frame, 'a slot of a leaf points outside it');
    }
    if (found >= 0 && !mayGo(segment, base, this.#pageSize, found)) {
      throw damagedPage(this.number, frame, 'an entry of a leaf overlaps what lies behind it');
    }
    return found;
  }

  /** Where a key that goes on with the run of inserts belongs, if the heads around it tell; else null. Errors: `PW_CORRUPT_PAGE`. */
  #findInRun(frame: number, key: Uint8Array): number | null {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    if (runOf(segment, base) <= 0) return null;
    if (!isSoundLeaf(segment, base, this.#pageSize)) return null;
    const count = countOf(segment, base);
    const at = lastInsertOf(segment, base) + 1;
    const prefix = prefixLengthOf(segment, base);
    if (at > count || sharedWithPrefix(segment, base, key, key.length) < prefix) return null;
    const head = headOf(key, key.length, prefix);
    if (segment.u32[leafSlot(base, at - 1) >>> 2]! >= head) return null;
    return at === count || head < segment.u32[leafSlot(base, at) >>> 2]! ? ~at : null;
  }

  #putLarge(frame: number, found: number, key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): boolean {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const replacesPage = found >= 0 && isOnOwnPage(segment, leafSlot(base, found));
    if (!replacesPage && !this.#plan(frame, found, key, 0, true)) return false;
    const page = this.values.store(value, timestamp);
    let offset: number;
    try {
      this.pages.modify(frame, timestamp);
      const slot = replacesPage ? leafSlot(base, found) : this.#makeSlot(frame, found, key, 0, true);
      const number = replacesPage ? valueFieldAt(segment, slot) : freeSwip(segment, base);
      offset = swipOffset(segment, base, number);
      if (replacesPage) this.pages.discard(frame, offset);
      segment.u16[(slot + LEAF_VALUE) >>> 1] = number;
      setPlace(segment, slot, PLACE_OWN_PAGE, fingerprintOf(key, key.length));
      segment.u8[slot + LEAF_TAG] = tag;
    } catch (error) {
      this.pages.free(page);
      throw error;
    }
    this.pages.link(frame, offset, page);
    this.pages.unlatch(page);
    return true;
  }

  /** Puts a value into the block of the one before, if it fits there. */
  #replaceInPlace(frame: number, index: number, tag: number, value: Uint8Array, timestamp: number): boolean {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const slot = leafSlot(base, index);
    if (isOnOwnPage(segment, slot)) return false;
    const old = valueFieldAt(segment, slot);
    const keyOffset = keyOffsetAt(segment, slot);
    const rest = Math.max(0, suffixLengthAt(segment, slot) - HEAD_BYTES);
    const spare = align8(old + rest) - align8(value.length + rest);
    const start = keyOffset - old;
    if (spare < 0 || start < 0 || keyOffset + rest > this.#pageSize) return false;
    this.pages.modify(frame, timestamp);
    if (value.length !== old) {
      segment.u8.copyWithin(base + start + value.length, base + keyOffset, base + keyOffset + rest);
      segment.u16[(slot + SLOT_KEY_OFFSET) >>> 1] = start + value.length;
      segment.u16[(slot + LEAF_VALUE) >>> 1] = value.length;
      setHeap(segment, base, heapStartOf(segment, base), heapUsedOf(segment, base) - spare);
    }
    segment.u8[slot + LEAF_TAG] = tag;
    copyIn(segment.u8, base + start, value);
    return true;
  }

  /**
   * Whether an entry fits, a former one with its key being gone, and whether the leaf must be rewritten for it. `inline`
   * is what its value takes in the heap.
   */
  #plan(frame: number, found: number, key: Uint8Array, inline: number, needsSwip: boolean): boolean {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const count = countOf(segment, base);
    const prefix = prefixLengthOf(segment, base);
    const shares = sharedWithPrefix(segment, base, key, key.length) === prefix;
    this.#rewrite = false;
    this.#prefix = prefix;
    const slots = found < 0 ? count + 1 : count;
    const room = heapStartOf(segment, base) - NODE_HEADER_SIZE - slots * LEAF_SLOT_SIZE;
    const needed = align8(inline + restLength(key.length, prefix)) + (needsSwip ? bytesForSwip(segment, base) : 0);
    const fits = shares && needed <= room;
    if (fits && !(found < 0 && isPrefixCheck(count, FIRST_PREFIX_CHECK))) return true;
    const best = this.#bestPrefix(frame, count, key);
    if (fits && best <= prefix) return true;
    this.entries.load(frame, -1);
    const bounds = this.#boundsOf(frame);
    let size = this.entries.size(0, count, best, bounds, needsSwip ? 1 : 0);
    size += LEAF_SLOT_SIZE + align8(inline + restLength(key.length, best));
    if (found >= 0) {
      size -= LEAF_SLOT_SIZE + this.entries.blockSize(found, best);
      if (isOnOwnPage(segment, leafSlot(base, found))) size -= SWIP_SIZE;
    }
    this.#prefix = best;
    this.#rewrite = size <= heapEnd(this.#pageSize);
    return this.#rewrite || fits;
  }

  /** Carries out what {@link #plan} found: the position of a slot with the key, for the caller to complete. */
  #makeSlot(frame: number, found: number, key: Uint8Array, inline: number, needsSwip: boolean): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const index = found < 0 ? ~found : found;
    if (found >= 0) this.#removeSlot(frame, found);
    if (this.#rewrite) this.rewrite(frame, this.#prefix, needsSwip ? 1 : 0);
    else if (needsSwip) growSwips(segment, base);
    const count = countOf(segment, base);
    const prefix = prefixLengthOf(segment, base);
    if (found < 0) noteInsert(segment, base, index);
    const block = align8(inline + restLength(key.length, prefix));
    const offset = heapStartOf(segment, base) - block;
    setHeap(segment, base, offset, heapUsedOf(segment, base) + block);
    const slot = leafSlot(base, index);
    segment.u32.copyWithin((slot + LEAF_SLOT_SIZE) >>> 2, slot >>> 2, leafSlot(base, count) >>> 2);
    writeKey(segment, base, slot, key, key.length, prefix, offset + inline);
    segment.u16[(base + NODE_COUNT) >>> 1] = count + 1;
    setHints(segment, base, LEAF_SLOT_SIZE, index, count);
    return slot;
  }

  #removeSlot(frame: number, index: number): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const slot = leafSlot(base, index);
    if (isOnOwnPage(segment, slot)) this.pages.discard(frame, swipOffset(segment, base, valueFieldAt(segment, slot)));
    const used = heapUsedOf(segment, base) - blockSizeAt(segment, slot);
    setHeap(segment, base, heapStartWithout(segment, base, slot), used);
    const count = countOf(segment, base);
    segment.u32.copyWithin(slot >>> 2, (slot + LEAF_SLOT_SIZE) >>> 2, leafSlot(base, count) >>> 2);
    segment.u16[(base + NODE_COUNT) >>> 1] = count - 1;
    setHints(segment, base, LEAF_SLOT_SIZE, index, count);
  }

  /** Writes the leaf anew, without holes. The leaf is `modify`ed, and what results was found to fit. */
  rewrite(frame: number, prefix: number, spareSwips: number): void {
    const { entries, workspace } = this;
    entries.load(frame, -1);
    const bounds = this.#boundsOf(frame);
    // Without a key the prefix is taken from the fence, which has it for as long as it is guaranteed.
    const length = entries.count === 0 ? bounds.guaranteed : prefix;
    entries.write(frame, 0, entries.count, length, bounds, spareSwips);
    entries.restoreSwips(frame, 0, entries.count, true);
    restoreRun(this.pages.segmentOf(frame), this.pages.baseOf(frame), workspace.images, workspace.thirdImage);
  }

  /** Whether there is room for another fence of this length beside what the leaf has. */
  takesFence(frame: number, length: number): boolean {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const size = align8(prefixLengthOf(segment, base) + length);
    return leafSlot(0, countOf(segment, base)) + size <= heapStartOf(segment, base);
  }

  /** Gives the leaf another fence, for which there is room, and the prefix that it has. The leaf is `modify`ed. */
  setFence(frame: number, bounds: NodeBounds): void {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const { u8, u16 } = segment;
    const prefix = prefixLengthOf(segment, base);
    const from = u16[(base + NODE_PREFIX_OFFSET) >>> 1]!;
    const fenceBefore = fenceLengthOf(segment, base);
    const before = align8(prefix + (fenceBefore === NO_FENCE ? 0 : fenceBefore));
    const size = align8(prefix + bounds.fenceLength);
    const start = heapStartOf(segment, base) - size;
    u8.copyWithin(base + start, base + from, base + from + prefix);
    for (let i = 0; i < bounds.fenceLength; i++) u8[base + start + prefix + i] = bounds.fence[i]!;
    u16[(base + NODE_PREFIX_OFFSET) >>> 1] = start;
    u16[(base + NODE_FENCE_OFFSET) >>> 1] = start + prefix;
    u16[(base + NODE_FENCE_LENGTH) >>> 1] = bounds.fenceLength;
    u16[(base + NODE_GUARANTEED) >>> 1] = Math.min(prefix, bounds.guaranteed);
    setHeap(segment, base, start, heapUsedOf(segment, base) - before + size);
  }

  /** The longest prefix of all keys of the leaf and of this one. */
  #bestPrefix(frame: number, count: number, key: Uint8Array): number {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    if (count === 0) return guaranteedOf(segment, base);
    const { keyA } = this.workspace;
    const ofKeys = sharedBySlots(segment, base, this.#pageSize, LEAF_SLOT_SIZE, 0, count - 1, this.workspace);
    const length = copyKey(segment, base, this.#pageSize, LEAF_SLOT_SIZE, 0, keyA);
    if (ofKeys < 0 || length < 0) throw damagedPage(this.number, frame, 'a key lies outside its leaf');
    return Math.min(ofKeys, commonLength(keyA, length, key, key.length));
  }

  #boundsOf(frame: number): NodeBounds {
    const segment = this.pages.segmentOf(frame);
    const base = this.pages.baseOf(frame);
    const bounds = this.#bounds;
    bounds.fenceLength = copyFence(segment, base, this.#pageSize, bounds.fence);
    bounds.guaranteed = guaranteedOf(segment, base);
    return bounds;
  }
}

const LONGEST_LOOP = 64;

/** A loop is faster than a native call where there is little to copy. */
function copyIn(target: Uint8Array, at: number, value: Uint8Array): void {
  const { length } = value;
  if (length > LONGEST_LOOP) target.set(value, at);
  else for (let i = 0; i < length; i++) target[at + i] = value[i]!;
}
