/**
 * Giving room back: a page that has become too empty is merged with a neighbour, or gets entries from it; a root with a
 * single child gives way to it. This follows a removal that is done already, and can be left for a later one: so it
 * passes over errors that leave the tree as it was.
 *
 * Must hold: neighbours have the same parent, whose latch is held before theirs; they are read before anything changes.
 */
import {
  isPagewrightError,
  PAGE_KIND,
  PAGE_TIMESTAMP,
  POINT,
  type Segment,
  SWIP_SIZE,
  schedulePoint,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { LEAF_LEVEL, TOO_LOW } from './descent.js';
import { heightOf } from './height.js';
import { HeldLatches } from './held-latches.js';
import { childOffset } from './inner-layout.js';
import { fenceBytes, guaranteedBetween, type NodeBounds } from './node-bounds.js';
import { balancedCut, divide, type NodeEntries, sizeOf } from './node-entries.js';
import { countOf, fenceLengthOf, heapEnd, levelOf, NO_FENCE, NODE_HEADER_SIZE, prefixLengthOf } from './node-layout.js';
import type { TreeParts } from './tree-parts.js';

/** A page is underfull if its entries take less than this share of what header, prefix and fence leave for them. */
const UNDERFULL = 0.4;
/** Two pages are merged if they fill at most this share of one, so that the next insert does not split it again. */
const MERGED = 0.8;
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

  /** The same on all levels, whether those below have changed or not. For what was put together page by page. */
  evenOut(key: Uint8Array, timestamp: number): void {
    try {
      this.#shrink(key, timestamp, heightOf(this.parts.context, this.parts.descent));
    } catch (error) {
      if (!isLeftForLater(error)) throw error;
    }
  }

  #shrink(key: Uint8Array, timestamp: number, least = LEAF_LEVEL): void {
    let level = LEAF_LEVEL;
    let changed = false;
    for (let step = 0; step < MOST_STEPS; step++) {
      const outcome = this.#tend(key, level, timestamp);
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

  #tend(key: Uint8Array, level: number, timestamp: number): number {
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
      for (const borrow of [false, true]) {
        if (slot < siblings && this.#join(parent, slot, page, level, borrow, timestamp)) return CHANGED;
        if (slot > 0 && this.#join(parent, slot - 1, page, level, borrow, timestamp)) return CHANGED;
      }
      return QUIET;
    } finally {
      this.#held.releaseAll();
    }
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
    const sibling = this.#held.add(descent.latchChild(parent, childOffset(isRight ? slot : slot + 1)));
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
    const { context, inners, workspace } = this.parts;
    const { pages } = context;
    if (entries.count < 2) return false;
    const cut = balancedCut(entries, 1);
    if (cut === entries.leftCount) return false;
    const length = entries.separator(cut, workspace.separator);
    const bounds = this.#evenBounds(entries, parent, slot, length);
    const leftSize = sizeOf(entries, 0, cut, bounds.left);
    const rightSize = sizeOf(entries, cut, entries.count, bounds.right);
    const fits = Math.max(leftSize, rightSize) <= heapEnd(pages.pageSize);
    if (!fits || Math.min(leftSize, rightSize) <= used) return false;
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

/**
 * The neighbour could not be read, or is damaged: whoever asks for what is in it is told. A page fault is passed over as
 * well, because the removal would otherwise be done a second time.
 */
function isLeftForLater(error: unknown): boolean {
  if ((error as { isPageFault?: unknown }).isPageFault === true) return true;
  return ['PW_IO', 'PW_FULL', 'PW_POOL_EXHAUSTED', 'PW_CORRUPT_PAGE'].some((code) =>
    isPagewrightError(error, code as never),
  );
}
