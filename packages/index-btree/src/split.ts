/**
 * Making room: a page is cut in two, and its parent gets a separator and one more child. The parent is split first if the
 * separator does not fit; each call splits one page, and the tree is whole in between.
 *
 * Must hold: pages are allocated, and what could be damaged was read, before the first byte changes (an error leaves the
 * tree as it was). Latches are taken from the top down.
 */
import { HeldLatches, isLeftForLater, PAGE_TIMESTAMP, POINT, SWIP_SIZE, schedulePoint } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { childSlot, LEAF_LEVEL, TO_KEY, TOO_LOW } from './descent.js';
import { childOffset } from './inner-layout.js';
import { separatorLength } from './key-order.js';
import { guaranteedBetween, type NodeBounds } from './node-bounds.js';
import { balancedCut, divide, type NodeEntries, sizeOf } from './node-entries.js';
import { heapEnd, KIND_INNER, KIND_LEAF, lastInsertOf, runOf } from './node-layout.js';
import type { TreeParts } from './tree-parts.js';

/** So many inserts in a row, each right behind or right before the last one, make a run: it goes on where it was. */
const RUN = 8;
const MOST_LEVELS = 64;
/** With so many entries on the left, or one of only two, both pages have room; `#firstFit` says why. */
const SURE_CUT = 2;

export class Splitter {
  readonly #held: HeldLatches;
  /** Pages that an operation allocated and that have no place yet. */
  readonly #fresh: number[] = [];
  #separatorLength = 0;

  constructor(private readonly parts: TreeParts) {
    this.#held = new HeldLatches(parts.context.pages);
  }

  /**
   * Splits the leaf of a key that is about to be put there, or the page on the lowest level that is asked for, or the first above it that must be
   * split before. Errors: those of `allocate`.
   */
  makeRoom(key: Uint8Array, timestamp: number, lowest = LEAF_LEVEL): void {
    for (let level = lowest; level < MOST_LEVELS; level++) {
      if (this.#splitAt(key, level, timestamp)) return;
      schedulePoint(POINT.splitGoesUp);
    }
    throw damagedPage(this.parts.context.number, -1, 'no page on the way to a key can be split');
  }

  /**
   * Splits the leaf of a key, which has room, so that it keeps `cut` of its entries: threads are in each other's way there. It is for
   * the sake of speed alone: where the parent has no room, or something fails that leaves the tree as it was, it is not done.
   */
  separate(key: Uint8Array, cut: number, timestamp: number): void {
    try {
      this.#splitAt(key, LEAF_LEVEL, timestamp, cut);
    } catch (error) {
      if (!isLeftForLater(error)) throw error;
    }
  }

  /** False: the parent must be split before. True: done, or the tree has changed meanwhile. Above 0, `wanted` is where to cut a leaf. */
  #splitAt(key: Uint8Array, level: number, timestamp: number, wanted = 0): boolean {
    const { context, descent, workspace, inners, innerPair, leafPair } = this.parts;
    const { pages, root } = context;
    const page = descent.latchPair(key, level);
    if (page === TOO_LOW) return true;
    const held = this.#held;
    const { parent, slot, atRoot } = descent;
    held.add(parent);
    held.add(page);
    try {
      const entries = level === LEAF_LEVEL ? leafPair : innerPair;
      entries.load(page, -1);
      if (wanted > 0 && entries.count < 2) return true;
      const isAppend = level === LEAF_LEVEL && wanted === 0 && this.#isAppend(page, key);
      const cut = isAppend
        ? entries.count
        : wanted > 0
          ? this.#firstFit(entries, Math.min(wanted, entries.count - 1), page)
          : level === LEAF_LEVEL
            ? this.#leafCut(page, key)
            : this.#innerCut(page, key);
      const { separator } = workspace;
      if (!atRoot && !inners.fits(parent, separator, this.#separatorLength)) return false;
      const stamp = Math.max(timestamp, this.#stampOf(page));
      const kind = level === LEAF_LEVEL ? KIND_LEAF : KIND_INNER;
      const right = this.#allocate(kind, stamp);
      const newRoot = atRoot ? this.#allocate(KIND_INNER, stamp) : -1;
      pages.modify(parent, timestamp);
      pages.modify(page, timestamp);
      // Allocation may have moved or evicted children of the page: its swips are read again, if they are to be moved.
      if (!isAppend) entries.load(page, -1);
      const guaranteed = this.#leftGuaranteed(entries, parent, atRoot ? 0 : slot);
      const left: NodeBounds = { fence: separator, fenceLength: this.#separatorLength, guaranteed };
      const bounds = this.#rightBounds(entries);
      // From here on nothing fails, and what was allocated gets its place.
      this.#fresh.length = 0;
      if (isAppend) {
        this.parts.leaves.setFence(page, left);
        entries.write(right, cut, cut, entries.prefixFor(cut, cut, bounds), bounds);
      } else {
        divide(entries, page, right, cut, left, bounds);
      }
      if (!atRoot) {
        inners.insert(parent, slot, separator, this.#separatorLength, right);
        return true;
      }
      inners.format(newRoot, level + 1);
      pages.moveSwips(parent, root.offset, newRoot, childOffset(0), 1, SWIP_SIZE);
      inners.insert(newRoot, 0, separator, this.#separatorLength, right);
      pages.link(parent, root.offset, newRoot);
      return true;
    } catch (error) {
      for (const frame of this.#fresh.splice(0)) {
        held.forget(frame);
        pages.free(frame);
      }
      throw error;
    } finally {
      held.releaseAll();
    }
  }

  #allocate(kind: number, timestamp: number): number {
    const { pages, number } = this.parts.context;
    const frame = this.#held.add(pages.allocate(number, kind, 0, timestamp));
    this.#fresh.push(frame);
    return frame;
  }

  /** Whether the next insert at `at` goes on with a run of the page, upwards (1) or downwards (-1), or not (0). */
  #runAt(page: number, at: number, mostInserts: number): number {
    const { pages } = this.parts.context;
    const segment = pages.segmentOf(page);
    const base = pages.baseOf(page);
    const last = lastInsertOf(segment, base);
    const run = runOf(segment, base);
    const needed = Math.min(RUN, mostInserts);
    if (at === last + 1 && run >= needed) return 1;
    return at === last && run <= -needed ? -1 : 0;
  }

  /**
   * Whether the key goes on with a run behind the last entry of the leaf, and all entries can stay where they are: all that the leaf gets is another
   * fence. Copies the separator then.
   */
  #isAppend(page: number, key: Uint8Array): boolean {
    const { leafPair, leaves, workspace } = this.parts;
    const { count } = leafPair;
    if (count < 2 || leaves.find(page, key) !== ~count || this.#runAt(page, count, count - 1) <= 0) return false;
    const { separator, keyA } = workspace;
    const before = leafPair.copyKey(count - 1, keyA);
    separator.set(key);
    this.#separatorLength = separatorLength(keyA, before, key, key.length);
    return leaves.takesFence(page, this.#separatorLength);
  }

  /**
   * The number of entries that stay in a leaf; copies the separator. A run of inserts is cut off from what lies ahead of
   * it, so that it goes on in its page; at the end of that it begins a new one, and leaves the page as full as it is.
   */
  #leafCut(page: number, key: Uint8Array): number {
    const { context, leafPair, leaves, workspace } = this.parts;
    const { count } = leafPair;
    const { separator, keyA } = workspace;
    if (count < 2) throw damagedPage(context.number, page, 'a leaf is full with less than two entries');
    const found = leaves.find(page, key);
    const at = ~found;
    const run = found < 0 ? this.#runAt(page, at, count - 1) : 0;
    if ((run > 0 && at === count) || (run < 0 && at > 0 && at < count)) {
      // The new key goes to the right.
      const before = leafPair.copyKey(at - 1, keyA);
      separator.set(key);
      this.#separatorLength = separatorLength(keyA, before, key, key.length);
    } else if ((run > 0 && at > 0) || (run < 0 && at === 0)) {
      const behind = leafPair.copyKey(at, separator);
      this.#separatorLength = separatorLength(key, key.length, separator, behind);
    } else {
      return this.#firstFit(leafPair, balancedCut(leafPair, 1), page);
    }
    if (this.#bothFit(leafPair, at)) return at;
    return this.#firstFit(leafPair, Math.max(1, Math.min(at, count - 1)), page);
  }

  /** The number of children that stay in an inner page; copies the separator. Runs are treated as in leaves. */
  #innerCut(page: number, key: Uint8Array): number {
    const { context, innerPair } = this.parts;
    const { count } = innerPair;
    const { pages } = context;
    if (count < 3) throw damagedPage(context.number, page, 'an inner page is full with less than three children');
    const child = childSlot(pages.segmentOf(page), pages.baseOf(page), pages.pageSize, key, TO_KEY);
    const run = this.#runAt(page, child, count - 2);
    let cut = 0;
    if (run > 0) cut = child < count - 1 ? child + 1 : child;
    else if (run < 0) cut = child > 0 ? child : 1;
    if (cut < 1 || cut >= count) return this.#firstFit(innerPair, balancedCut(innerPair, 1), page);
    return this.#firstFit(innerPair, cut, page);
  }

  /**
   * The highest cut from `wanted` down at which both pages fit, or else the lowest one above; copies the separator. A sound page
   * can always be cut behind its second entry, or its first if there are only two:
   *
   * - The left page may get a longer fence than there was. With one entry or two it fits with any: a key and what stands beside
   *   it take a quarter of a page at most, a fence takes no more, and what a prefix takes no key takes again.
   * - The right page keeps the fence. A longer prefix is written out, and saves each key as much, less what was in its head, in
   *   whole blocks: with two keys or more a leaf grows by 16 bytes at most, an inner page by 4. Two slots that went make up for that;
   *   one of a leaf (12 bytes) may not, still less none. A right page with one entry fits as a left one does.
   *
   * The entries of a damaged page may overlap, and be more than two pages hold. Errors: `PW_CORRUPT_PAGE`.
   */
  #firstFit(entries: NodeEntries, wanted: number, page: number): number {
    for (let at = wanted; at > 0; at--) if (this.#bothFitAt(entries, at)) return at;
    const highest = Math.min(SURE_CUT, entries.count - 1);
    for (let at = wanted + 1; at <= highest; at++) if (this.#bothFitAt(entries, at)) return at;
    throw damagedPage(this.parts.context.number, page, 'its entries take more room than it has');
  }

  #bothFitAt(entries: NodeEntries, cut: number): boolean {
    this.#separatorLength = entries.separator(cut, this.parts.workspace.separator);
    return this.#bothFit(entries, cut);
  }

  /** Whether both pages hold their entries, with the separator that was copied. */
  #bothFit(entries: NodeEntries, cut: number): boolean {
    const fence = this.parts.workspace.separator;
    const room = heapEnd(this.parts.context.pages.pageSize);
    // With nothing guaranteed, a lone key counts in full; there is room for it with any prefix.
    const left: NodeBounds = { fence, fenceLength: this.#separatorLength, guaranteed: 0 };
    if (sizeOf(entries, 0, cut, left) > room) return false;
    return sizeOf(entries, cut, entries.count, this.#rightBounds(entries)) <= room;
  }

  /** What the fences of the left page guarantee. The lower one is in the parent, if the page is not the first child there. */
  #leftGuaranteed(entries: NodeEntries, parent: number, slot: number): number {
    const { inners, workspace } = this.parts;
    const { separator, keyB, leftFence } = workspace;
    if (slot > 0) {
      const lower = inners.copySeparator(parent, slot - 1, keyB);
      return guaranteedBetween(keyB, lower, separator, this.#separatorLength);
    }
    const old = entries.leftFence(leftFence);
    const shared = guaranteedBetween(leftFence, old, separator, this.#separatorLength);
    return Math.min(entries.leftGuaranteed, shared);
  }

  #rightBounds(entries: NodeEntries): NodeBounds {
    const { separator, rightFence } = this.parts.workspace;
    const fenceLength = entries.leftFence(rightFence);
    const guaranteed = guaranteedBetween(separator, this.#separatorLength, rightFence, fenceLength);
    return { fence: rightFence, fenceLength, guaranteed };
  }

  #stampOf(frame: number): number {
    const { pages } = this.parts.context;
    return pages.segmentOf(frame).f64[(pages.baseOf(frame) + PAGE_TIMESTAMP) >>> 3]!;
  }
}
