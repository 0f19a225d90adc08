/**
 * Filling an empty tree from sorted entries: leaves from left to right, each written once, inner pages along the right edge. Whatever
 * has a page is in the tree, so that it can be evicted, checkpointed and given up, before the next call comes.
 *
 * Must hold: between two calls every leaf has the upper fence that is the separator in its parent, but for the last one while the leaf behind it
 * is not there yet. Nobody looks for a key beyond that fence before.
 */
import { assertKeyFits, type BulkLoad, SWIP_SIZE, TAG_VALUE } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { LEAF_LEVEL, TO_LAST, TOO_LOW } from './descent.js';
import { childOffset } from './inner-layout.js';
import { separatorLength } from './key-order.js';
import { LEAF_SLOT_SIZE } from './leaf-layout.js';
import type { Merger } from './merge.js';
import { guaranteedBetween, type NodeBounds } from './node-bounds.js';
import { align8, countOf, heapEnd, KIND_INNER, KIND_LEAF, NO_FENCE, prefixLengthOf } from './node-layout.js';
import { restLength } from './node-writer.js';
import { PendingLeaf } from './pending-leaf.js';
import type { Splitter } from './split.js';
import type { TreeParts } from './tree-parts.js';

/** Puts an entry into the tree as any other is put. */
type Put = (key: Uint8Array, tag: number, value: Uint8Array, timestamp: number) => void;

const LOWEST_INNER = LEAF_LEVEL + 1;
/** A leaf that finds no place after so many splits of the pages above never will. */
const MOST_SPLITS = 1000;

export class BtreeBulkLoad implements BulkLoad {
  readonly #pending: PendingLeaf;
  readonly #most: number;
  /** Key and value together beyond this go to two pages. */
  readonly #largestInline: number;
  /** The lower fence of the pending leaf, which is the upper one of the leaf before; its length is NO_FENCE for the first. */
  #lower: Uint8Array;
  #lowerLength = NO_FENCE;
  /** Its upper fence, when that is known. */
  #upper: Uint8Array;
  /** The last leaf is in the tree already, and takes entries there: values on pages of their own must not wait for it. */
  #isInTree = false;
  /** The last key that went there, or the last of all. */
  readonly #last: Uint8Array;
  #lastLength = 0;

  constructor(
    private readonly parts: TreeParts,
    private readonly splitter: Splitter,
    private readonly merger: Merger,
    private readonly put: Put,
    private readonly timestamp: number,
    fill: number,
  ) {
    const { pageSize } = parts.context.pages;
    this.#most = Math.floor(heapEnd(pageSize) * fill);
    this.#pending = new PendingLeaf(pageSize, this.#most);
    this.#largestInline = pageSize >>> 2;
    this.#lower = new Uint8Array(pageSize >>> 2);
    this.#upper = new Uint8Array(pageSize >>> 2);
    this.#last = new Uint8Array(pageSize >>> 2);
  }

  add(key: Uint8Array, value: Uint8Array, sharedWithLast = this.#sharedWithLast(key)): void {
    assertKeyFits(key, this.#largestInline);
    const isLarge = key.length + value.length > this.#largestInline;
    if (!isLarge && !this.#isInTree && this.#pending.add(key, value, sharedWithLast)) return;
    const { pages } = this.parts.context;
    pages.enterGate();
    try {
      if (this.#isInTree) this.#addInTree(key, value, isLarge);
      else if (isLarge) this.#goIntoTree(key, value);
      else {
        // The shortest separator between the last key and this one is a beginning of it.
        this.#writePending(this.#fenceBefore(key, sharedWithLast + 1));
        this.#pending.add(key, value, 0);
      }
    } finally {
      pages.leaveGate();
    }
  }

  finish(): void {
    const { pages } = this.parts.context;
    pages.enterGate();
    try {
      if (!this.#isInTree && this.#pending.count > 0) {
        this.#lastLength = this.#pending.copyLast(this.#last);
        this.#writePending(NO_FENCE);
      }
      if (this.#lastLength > 0) this.merger.evenOut(this.#last.slice(0, this.#lastLength), this.timestamp);
    } finally {
      pages.leaveGate();
    }
  }

  // ── Leaves that are written once ────────────────────────────────────────────────────────────────────────────

  #sharedWithLast(key: Uint8Array): number {
    return this.#isInTree || this.#pending.count === 0 ? 0 : this.#pending.sharedWithLast(key);
  }

  /** Notes the upper fence that the last leaf has before this key; its length. */
  #fenceBefore(key: Uint8Array, length: number): number {
    this.#upper.set(length === key.length ? key : key.subarray(0, length));
    return length;
  }

  /** Writes the pending leaf with the upper fence that was noted, or with none. The next leaf begins there. */
  #writePending(fenceLength: number): void {
    const { context, descent } = this.parts;
    const { pages } = context;
    const bounds = this.#bounds(fenceLength);
    if (this.#lowerLength === NO_FENCE) {
      const leaf = descent.descendLatched(null, TO_LAST, LEAF_LEVEL, false);
      try {
        pages.modify(leaf, this.timestamp);
        this.#pending.write(pages.segmentOf(leaf), pages.baseOf(leaf), bounds);
      } finally {
        pages.unlatch(leaf);
      }
    } else {
      this.#append(bounds);
    }
    this.#goOn(fenceLength);
  }

  /** The leaf behind the one with the upper fence that was noted is the next. */
  #goOn(fenceLength: number): void {
    const before = this.#lower;
    this.#lower = this.#upper;
    this.#upper = before;
    this.#lowerLength = fenceLength;
  }

  #append(bounds: NodeBounds): void {
    const { pages, number } = this.parts.context;
    this.#makeRoom();
    const leaf = pages.allocate(number, KIND_LEAF, 0, this.timestamp);
    let isPlaced = false;
    try {
      this.#pending.write(pages.segmentOf(leaf), pages.baseOf(leaf), bounds);
      this.#place(leaf);
      isPlaced = true;
    } finally {
      if (isPlaced) pages.unlatch(leaf);
      else pages.free(leaf);
    }
  }

  /** Splits inner pages at the right edge, until the lowest has room for one more leaf; or there is none as yet. */
  #makeRoom(): void {
    const { context, descent, inners } = this.parts;
    const { pages, number } = context;
    for (let splits = 0; splits < MOST_SPLITS; splits++) {
      const parent = descent.descendLatched(null, TO_LAST, LOWEST_INNER, false);
      if (parent === TOO_LOW) return;
      try {
        if (inners.fits(parent, this.#lower, this.#lowerLength)) return;
      } finally {
        pages.unlatch(parent);
      }
      this.splitter.makeRoom(this.#lower.slice(0, this.#lowerLength), this.timestamp, LOWEST_INNER);
    }
    throw damagedPage(number, -1, 'a leaf finds no place however often the pages above it are split');
  }

  /** Puts a new leaf behind all others, where there is room. */
  #place(leaf: number): void {
    const { context, descent, inners } = this.parts;
    const { pages } = context;
    const parent = descent.descendLatched(null, TO_LAST, LOWEST_INNER, false);
    if (parent === TOO_LOW) {
      this.#growRoot(leaf);
      return;
    }
    try {
      pages.modify(parent, this.timestamp);
      const last = countOf(pages.segmentOf(parent), pages.baseOf(parent));
      inners.insert(parent, last, this.#lower, this.#lowerLength, leaf);
    } finally {
      pages.unlatch(parent);
    }
  }

  /** Puts an inner page above the only leaf that there is, and this one behind it. */
  #growRoot(leaf: number): void {
    const { context, inners } = this.parts;
    const { pages, root, number } = context;
    pages.latch(root.frame);
    try {
      const inner = pages.allocate(number, KIND_INNER, 0, this.timestamp);
      try {
        pages.modify(root.frame, this.timestamp);
      } catch (error) {
        pages.free(inner);
        throw error;
      }
      inners.format(inner, LOWEST_INNER);
      pages.moveSwips(root.frame, root.offset, inner, childOffset(0), 1, SWIP_SIZE);
      inners.insert(inner, 0, this.#lower, this.#lowerLength, leaf);
      pages.link(root.frame, root.offset, inner);
      pages.unlatch(inner);
    } finally {
      pages.unlatch(root.frame);
    }
  }

  #bounds(fenceLength: number): NodeBounds {
    const guaranteed = guaranteedBetween(this.#lower, this.#lowerLength, this.#upper, fenceLength);
    return { fence: this.#upper, fenceLength, guaranteed };
  }

  // ── Leaves that take entries in the tree ────────────────────────────────────────────────────────────────────

  /** The pending leaf, which may have no entries as yet, becomes the last one of the tree. */
  #goIntoTree(key: Uint8Array, value: Uint8Array): void {
    this.#writePending(NO_FENCE);
    this.#isInTree = true;
    this.#putInTree(key, value);
  }

  #addInTree(key: Uint8Array, value: Uint8Array, isLarge: boolean): void {
    if (!this.#closeLast(key, isLarge ? SWIP_SIZE : value.length)) {
      this.#putInTree(key, value);
      return;
    }
    this.#isInTree = false;
    if (isLarge) this.#goIntoTree(key, value);
    else this.#pending.add(key, value, 0);
  }

  #putInTree(key: Uint8Array, value: Uint8Array): void {
    this.put(key, TAG_VALUE, value, this.timestamp);
    this.#last.set(key);
    this.#lastLength = key.length;
  }

  /** Ends the last leaf, if it is full, before this key. False: it is not, or has no room for the fence; then it is split like any other. */
  #closeLast(key: Uint8Array, inline: number): boolean {
    const { context, descent, leaves, leafPair } = this.parts;
    const { pages } = context;
    const leaf = descent.descendLatched(null, TO_LAST, LEAF_LEVEL, false);
    try {
      const before = prefixLengthOf(pages.segmentOf(leaf), pages.baseOf(leaf));
      const needed = LEAF_SLOT_SIZE + align8(inline + restLength(key.length, before));
      if (leaves.usedBytes(leaf) + needed <= this.#most) return false;
      const fence = this.#fenceBefore(key, separatorLength(this.#last, this.#lastLength, key, key.length));
      // The leaf may begin further on than the one that was written here did: its fences share no less.
      const bounds = this.#bounds(fence);
      leafPair.load(leaf, -1);
      const { count } = leafPair;
      const prefix = leafPair.prefixFor(0, count, bounds);
      if (leafPair.size(0, count, prefix, bounds) > heapEnd(pages.pageSize)) return false;
      pages.modify(leaf, this.timestamp);
      leafPair.load(leaf, -1);
      leafPair.write(leaf, 0, count, prefix, bounds);
      leafPair.restoreSwips(leaf, 0, count, true);
      this.#goOn(fence);
      return true;
    } finally {
      pages.unlatch(leaf);
    }
  }
}
