/**
 * Giving room back: a page that has become too empty is merged with a neighbour, or gets entries from it; a root with a
 * single child gives way to it. This follows a removal that is done already, and can be left for a later one: so it
 * passes over errors that leave the tree as it was.
 *
 * Must hold: neighbours have the same parent, whose latch is held before theirs; they are read before anything changes.
 */
import {
  HeldLatches,
  isLeftForLater,
  latchChild,
  PAGE_KIND,
  PAGE_TIMESTAMP,
  POINT,
  type Segment,
  SWIP_COLD,
  SWIP_SIZE,
  SWIP_TAG_MASK,
  schedulePoint,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { LEAF_LEVEL, TOO_LOW } from './descent.js';
import { heightOf } from './height.js';
import { childOffset } from './inner-layout.js';
import { fenceBytes, guaranteedBetween, type NodeBounds } from './node-bounds.js';
import { balancedCut, divide, type NodeEntries, sizeOf } from './node-entries.js';
import { countOf, fenceLengthOf, heapEnd, levelOf, NO_FENCE, NODE_HEADER_SIZE, prefixLengthOf } from './node-layout.js';
import type { TreeParts } from './tree-parts.js';

/** A page is underfull if its entries take less than this share of what header, prefix and fence leave for them. */
const UNDERFULL = 0.4;
/** Two pages are merged if they fill at most this share of one, so that the next insert does not split it again. */
const MERGED = 0.8;
/** So many leaves are looked at together if no two of them can be merged; k in LeanStore. */
const MOST_MERGED = 5;
/** Prefixes and separators of other lengths may take a little more room than was counted. */
const SURE = 0.97;
const MERGE = false;
const EVEN = true;
/** One removal sets off at most so many changes; what is left over is done after later ones. */
const MOST_STEPS = 256;

/** Nothing to do on this level; a page is underfull, but the only child of its parent; something has changed. */
const QUIET = 0;
const ALONE = 1;
const CHANGED = 2;

export class Merger {
  readonly #held: HeldLatches;

  constructor(private readonly parts: TreeParts) {
    this.#held = new HeldLatches(parts.context.pages);
  }

  /** Whether a latched page has become so empty that {@link shrink} should be called. */
  isUnderfull(page: number, level = LEAF_LEVEL): boolean {
    const { pages } = this.parts.context;
    const fixed = fixedBytes(pages.segmentOf(page), pages.baseOf(page));
    return this.#usedBytes(page, level) - fixed < (pages.pageSize - fixed) * UNDERFULL;
  }

  /** Merges what is underfull on the way to a key. Changes nothing but the shape of the tree. */
  shrink(key: Uint8Array, timestamp: number): void {
    try {
      this.#shrink(key, timestamp);
    } catch (error) {
      if (!isLeftForLater(error)) throw error;
    }
  }

  /** The same on all levels, whether those below have changed or not, and with the next neighbour alone. For what was put together page by page, as full as was asked for. */
  evenOut(key: Uint8Array, timestamp: number): void {
    try {
      this.#shrink(key, timestamp, heightOf(this.parts.context));
    } catch (error) {
      if (!isLeftForLater(error)) throw error;
    }
  }

  #shrink(key: Uint8Array, timestamp: number, least = LEAF_LEVEL): void {
    let level = LEAF_LEVEL;
    let changed = false;
    for (let step = 0; step < MOST_STEPS; step++) {
      const outcome = this.#tend(key, level, timestamp, least === LEAF_LEVEL);
      schedulePoint(POINT.mergeStep);
      if (outcome === CHANGED) {
        // Children have new neighbours now.
        changed = true;
        if (level > LEAF_LEVEL) level--;
      } else if (outcome === ALONE || changed || level < least) {
        if (outcome === QUIET) changed = false;
        level++;
      } else {
        return;
      }
    }
  }

  /** `many`: leaves are merged with more than one neighbour, too. */
  #tend(key: Uint8Array, level: number, timestamp: number, many: boolean): number {
    const { context, descent } = this.parts;
    const page = descent.latchPair(key, level);
    if (page === TOO_LOW) return QUIET;
    const { parent, slot, atRoot } = descent;
    this.#held.add(parent);
    this.#held.add(page);
    try {
      const count = countOf(context.pages.segmentOf(page), context.pages.baseOf(page));
      if (atRoot) return level > LEAF_LEVEL && count === 0 ? this.#collapse(parent, page, timestamp) : QUIET;
      if (!this.isUnderfull(page, level)) return QUIET;
      const siblings = countOf(context.pages.segmentOf(parent), context.pages.baseOf(parent));
      if (siblings === 0) return ALONE;
      if (slot < siblings && this.#join(parent, slot, page, level, MERGE, timestamp)) return CHANGED;
      if (slot > 0 && this.#join(parent, slot - 1, page, level, MERGE, timestamp)) return CHANGED;
      if (many && level === LEAF_LEVEL && this.#mergeMany(parent, slot, page, siblings, timestamp)) return CHANGED;
      if (slot < siblings && this.#join(parent, slot, page, level, EVEN, timestamp)) return CHANGED;
      if (slot > 0 && this.#join(parent, slot - 1, page, level, EVEN, timestamp)) return CHANGED;
      return QUIET;
    } finally {
      this.#held.releaseAll();
    }
  }

  /**
   * Five leaves become four, or four three: no neighbour has room for all of the underfull one, but together they have (X-merge;
   * LeanStore). Entries go to the left, leaf by leaf; each step leaves the tree whole. Leaves that are not in memory are left there.
   */
  #mergeMany(parent: number, slot: number, page: number, siblings: number, timestamp: number): boolean {
    const first = Math.max(0, Math.min(slot - (MOST_MERGED >>> 1), siblings + 1 - MOST_MERGED));
    const last = Math.min(siblings, first + MOST_MERGED - 1);
    if (last - first < 2) return false;
    const leaves: number[] = [];
    for (let at = first; at <= last; at++) {
      if (at !== slot && !this.#isInMemory(parent, at)) return this.#letGo(leaves, page);
      const leaf = at === slot ? page : this.#held.add(latchChild(this.parts.context.pages, parent, childOffset(at)));
      this.#assertSibling(page, leaf);
      leaves.push(leaf);
    }
    if (!this.#fitIntoOneLess(leaves)) return this.#letGo(leaves, page);
    let changed = false;
    for (let i = 0; i + 1 < leaves.length; i++) {
      const { leafPair } = this.parts;
      const [left, right] = [leaves[i]!, leaves[i + 1]!];
      leafPair.load(left, right);
      if (this.#merge(leafPair, parent, first + i, left, right, LEAF_LEVEL, timestamp)) return true;
      const cut = this.#fillingCut(left);
      if (cut === leafPair.leftCount) continue;
      if (!this.#divideAt(leafPair, parent, first + i, left, right, cut, 0, timestamp)) break;
      changed = true;
    }
    return changed || this.#letGo(leaves, page);
  }

  #letGo(leaves: readonly number[], page: number): false {
    for (const leaf of leaves) if (leaf !== page) this.#held.release(leaf);
    return false;
  }

  #isInMemory(parent: number, slot: number): boolean {
    const { pages } = this.parts.context;
    const word = pages.segmentOf(parent).u32[(pages.baseOf(parent) + childOffset(slot)) >>> 2]!;
    return (word & SWIP_TAG_MASK) !== SWIP_COLD;
  }

  #fitIntoOneLess(leaves: readonly number[]): boolean {
    const { pages } = this.parts.context;
    let used = 0;
    let room = 0;
    for (let i = 0; i < leaves.length; i++) {
      const fixed = fixedBytes(pages.segmentOf(leaves[i]!), pages.baseOf(leaves[i]!));
      used += this.#usedBytes(leaves[i]!, LEAF_LEVEL) - fixed;
      if (i > 0) room += (pages.pageSize - fixed) * MERGED;
    }
    return used <= room * SURE;
  }

  /** How many of the loaded entries fill the left leaf as far as merged ones are filled; at least those that it has, and not all. */
  #fillingCut(left: number): number {
    const { context, leafPair } = this.parts;
    const { pages } = context;
    const fixed = fixedBytes(pages.segmentOf(left), pages.baseOf(left));
    let room = (pages.pageSize - fixed) * MERGED;
    let cut = 0;
    for (; cut < leafPair.count - 1; cut++) {
      room -= leafPair.weight(cut);
      if (room < 0) break;
    }
    return Math.max(cut, leafPair.leftCount);
  }

  /** The root's only child takes its place. */
  #collapse(parent: number, page: number, timestamp: number): number {
    const { pages, root } = this.parts.context;
    pages.modify(parent, timestamp);
    pages.modify(page, timestamp);
    pages.unlink(parent, root.offset);
    pages.moveSwips(page, childOffset(0), parent, root.offset, 1, SWIP_SIZE);
    this.#held.forget(page);
    pages.free(page);
    return CHANGED;
  }

  /** Merges the children at `slot` and behind it, of which `page` is one, or evens them out. False: it does not pay. */
  #join(parent: number, slot: number, page: number, level: number, borrow: boolean, timestamp: number): boolean {
    const { descent, leafPair, innerPair } = this.parts;
    const isRight = descent.slot > slot;
    const sibling = this.#held.add(
      latchChild(this.parts.context.pages, parent, childOffset(isRight ? slot : slot + 1)),
    );
    const left = isRight ? sibling : page;
    const right = isRight ? page : sibling;
    this.#assertSibling(page, sibling);
    const entries = level === LEAF_LEVEL ? leafPair : innerPair;
    entries.load(left, right);
    const done = borrow
      ? this.#even(entries, parent, slot, left, right, this.#usedBytes(page, level), timestamp)
      : this.#merge(entries, parent, slot, left, right, level, timestamp);
    if (!done) this.#held.release(sibling);
    return done;
  }

  #merge(
    entries: NodeEntries,
    parent: number,
    slot: number,
    left: number,
    right: number,
    level: number,
    timestamp: number,
  ): boolean {
    const { context, inners } = this.parts;
    const { pages } = context;
    const { count, leftCount } = entries;
    const least = level === LEAF_LEVEL ? 0 : 1;
    const isEmpty = leftCount === least || count - leftCount === least;
    const merged = this.#mergedBounds(entries, parent, slot);
    const prefix = entries.prefixFor(0, count, merged);
    const fixed = NODE_HEADER_SIZE + prefix + fenceBytes(merged);
    const limit = isEmpty ? heapEnd(pages.pageSize) : fixed + (pages.pageSize - fixed) * MERGED;
    if (entries.size(0, count, prefix, merged) > limit) return false;
    pages.modify(parent, timestamp);
    pages.modify(left, Math.max(timestamp, this.#stampOf(right)));
    pages.modify(right, timestamp);
    entries.load(left, right);
    const bounds = this.#mergedBounds(entries, parent, slot);
    divide(entries, left, right, count, bounds, bounds);
    pages.unlink(parent, childOffset(slot + 1));
    inners.remove(parent, slot);
    this.#held.forget(right);
    pages.free(right);
    return true;
  }

  #even(
    entries: NodeEntries,
    parent: number,
    slot: number,
    left: number,
    right: number,
    used: number,
    timestamp: number,
  ): boolean {
    if (entries.count < 2) return false;
    const cut = balancedCut(entries, 1);
    return cut !== entries.leftCount && this.#divideAt(entries, parent, slot, left, right, cut, used, timestamp);
  }

  /** Moves entries so that the left page has `cut` of them. False, and nothing has changed, if one would have no more bytes than `least`. */
  #divideAt(
    entries: NodeEntries,
    parent: number,
    slot: number,
    left: number,
    right: number,
    cut: number,
    least: number,
    timestamp: number,
  ): boolean {
    const { context, inners, workspace } = this.parts;
    const { pages } = context;
    const length = entries.separator(cut, workspace.separator);
    const bounds = this.#evenBounds(entries, parent, slot, length);
    const leftSize = sizeOf(entries, 0, cut, bounds.left);
    const rightSize = sizeOf(entries, cut, entries.count, bounds.right);
    const fits = Math.max(leftSize, rightSize) <= heapEnd(pages.pageSize);
    if (!fits || Math.min(leftSize, rightSize) <= least) return false;
    if (!inners.fits(parent, workspace.separator, length)) return false;
    const stamp = Math.max(timestamp, this.#stampOf(left), this.#stampOf(right));
    pages.modify(parent, timestamp);
    pages.modify(left, stamp);
    pages.modify(right, stamp);
    entries.load(left, right);
    const fresh = this.#evenBounds(entries, parent, slot, length);
    divide(entries, left, right, cut, fresh.left, fresh.right);
    inners.replace(parent, slot, workspace.separator, length);
    return true;
  }

  #mergedBounds(entries: NodeEntries, parent: number, slot: number): NodeBounds {
    const { rightFence } = this.parts.workspace;
    const fenceLength = entries.rightFence(rightFence);
    return {
      fence: rightFence,
      fenceLength,
      guaranteed: this.#guaranteed(entries, parent, slot, rightFence, fenceLength),
    };
  }

  #evenBounds(
    entries: NodeEntries,
    parent: number,
    slot: number,
    length: number,
  ): { left: NodeBounds; right: NodeBounds } {
    const { separator, rightFence } = this.parts.workspace;
    const fenceLength = entries.rightFence(rightFence);
    const ofLeft = this.#guaranteed(entries, parent, slot, separator, length);
    const ofRight = guaranteedBetween(separator, length, rightFence, fenceLength);
    return {
      left: { fence: separator, fenceLength: length, guaranteed: ofLeft },
      right: { fence: rightFence, fenceLength, guaranteed: ofRight },
    };
  }

  /** What the lower fence of the left page and this upper one guarantee. */
  #guaranteed(entries: NodeEntries, parent: number, slot: number, fence: Uint8Array, fenceLength: number): number {
    const { inners, workspace } = this.parts;
    const { keyB, leftFence } = workspace;
    if (slot > 0) {
      const lower = inners.copySeparator(parent, slot - 1, keyB);
      return guaranteedBetween(keyB, lower, fence, fenceLength);
    }
    const old = entries.leftFence(leftFence);
    return Math.min(entries.leftGuaranteed, guaranteedBetween(leftFence, old, fence, fenceLength));
  }

  #assertSibling(page: number, sibling: number): void {
    const { pages, number } = this.parts.context;
    const a = pages.segmentOf(page);
    const b = pages.segmentOf(sibling);
    const aBase = pages.baseOf(page);
    const bBase = pages.baseOf(sibling);
    const sameKind = a.u16[(aBase + PAGE_KIND) >>> 1] === b.u16[(bBase + PAGE_KIND) >>> 1];
    if (!sameKind || levelOf(a, aBase) !== levelOf(b, bBase)) {
      throw damagedPage(number, sibling, 'it is not a node of the level of its neighbour');
    }
  }

  #usedBytes(page: number, level: number): number {
    return level === LEAF_LEVEL ? this.parts.leaves.usedBytes(page) : this.parts.inners.usedBytes(page);
  }

  #stampOf(frame: number): number {
    const { pages } = this.parts.context;
    return pages.segmentOf(frame).f64[(pages.baseOf(frame) + PAGE_TIMESTAMP) >>> 3]!;
  }
}

/** Bytes of a node that no entry can use. */
function fixedBytes(segment: Segment, base: number): number {
  const fence = fenceLengthOf(segment, base);
  return NODE_HEADER_SIZE + prefixLengthOf(segment, base) + (fence === NO_FENCE ? 0 : fence);
}
