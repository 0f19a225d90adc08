/**
 * The way from the root to a page. Optimistic lock coupling: each page is read without its latch, and what was read
 * counts once the page's version is found unchanged after the child's version was taken (Leis et al., "The ART of Practical Synchronization", DaMoN 2016;
 * here a page has the version, and not each node). After {@link MOST_RESTARTS} restarts the same way is gone with latches, top down (M2).
 *
 * The root's parent is the catalog page that holds the root's swip; it is treated like any other parent.
 */
import {
  type IndexContext,
  latchChild,
  PAGE_INDEX,
  PAGE_KIND,
  type PageStore,
  POINT,
  RESTART,
  type Segment,
  SWIP_COLD,
  SWIP_TAG_MASK,
  schedulePoint,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { isOutside, swipOf } from './node-layout.js';
import { HEAP_START, isNullSwip, KIND_NODES, swipCountOf, swipOffset } from './page-layout.js';
import { DAMAGED, walkPage } from './walk.js';

/** M2: a reader that had to start again so often takes the latch. */
export const MOST_RESTARTS = 8;
/** To the page where the way of a key ends. */
export const TO_END = Number.POSITIVE_INFINITY;
/** Answer of a descent that met a page which is not in memory, and was told to stop there. */
export const MISSED = -3;

/** Told of pages that a descent is about to read. */
export interface MissingPages {
  /** The page that the swip at `offset` of `parent` names is not in memory. Nothing of it is validated. True: the descent ends here with {@link MISSED}. */
  missed(parent: number, version: number, offset: number): boolean;
}

export class Descent {
  /** The page that was reached, and its version; not of a page whose latch is held. */
  frame = -1;
  version = 0;
  /** What the way through that page has led to: a leaf, or nothing; the way on, if the page is not the last one. */
  found = 0;
  /** Which page of the way it is: 0 is the root. */
  ordinal = 0;
  /** Its parent (the catalog page, if it is the root) and the place of its swip there. */
  parent = -1;
  parentVersion = 0;
  offset = 0;
  /** Whether the last {@link latchPage} found that others change what it wants. */
  waited = false;

  readonly #pages: PageStore;
  readonly #root: IndexContext['root'];
  readonly #number: number;
  readonly #pageSize: number;

  constructor(context: IndexContext) {
    this.#pages = context.pages;
    this.#root = context.root;
    this.#number = context.number;
    this.#pageSize = context.pages.pageSize;
  }

  /** Whether the page that was reached is the root. */
  get atRoot(): boolean {
    return this.parent === this.#root.frame;
  }

  /**
   * Goes to the page where the way of a key ends, or to the one so far on it, optimistically. RESTART if something changed
   * meanwhile. May throw `PageFault`; holds no latch. Whoever `missing` is hears of pages to be read.
   */
  descend(key: Uint8Array, last = TO_END, missing: MissingPages | null = null): number {
    const pages = this.#pages;
    const pageSize = this.#pageSize;
    let parent = this.#root.frame;
    let offset = this.#root.offset;
    let parentVersion = pages.readVersion(parent);
    // Where a frame is never changes.
    let segment = pages.segmentOf(parent);
    let base = pages.baseOf(parent);
    for (let ordinal = 0; ; ordinal++) {
      if (isNullSwip(segment, base, offset)) return this.damagedUnless(parent, parentVersion, 'a swip is null');
      if (missing !== null && isCold(segment, base, offset) && missing.missed(parent, parentVersion, offset))
        return MISSED;
      const frame = pages.child(parent, offset, parentVersion);
      if (frame === RESTART) return RESTART;
      schedulePoint(POINT.descentFrame);
      const version = pages.readVersion(frame);
      schedulePoint(POINT.descentVersion);
      if (!pages.validate(parent, parentVersion)) return RESTART;
      segment = pages.segmentOf(frame);
      base = pages.baseOf(frame);
      const found = this.isNodes(segment, base) ? walkPage(segment, base, pageSize, key) : DAMAGED;
      if (found === DAMAGED) return this.damagedUnless(frame, version, 'the way of a key leads out of it');
      if (ordinal >= last || !isOutside(found)) {
        this.frame = frame;
        this.version = version;
        this.found = found;
        this.ordinal = ordinal;
        this.parent = parent;
        this.parentVersion = parentVersion;
        this.offset = offset;
        schedulePoint(POINT.descentEnd);
        return frame;
      }
      schedulePoint(POINT.descentSlot);
      offset = this.linkOffset(segment, base, found);
      if (offset < 0 || ordinal > mostPagesFor(key.length))
        return this.damagedUnless(frame, version, 'a link names no page below it');
      parent = frame;
      parentVersion = version;
    }
  }

  /** The same with latches: holds the latch of the page, and that of its parent if asked. */
  descendLatched(key: Uint8Array, last: number, keepParent: boolean): number {
    const pages = this.#pages;
    let parent = this.#root.frame;
    let offset = this.#root.offset;
    let held = -1;
    pages.latch(parent);
    try {
      for (let ordinal = 0; ; ordinal++) {
        if (isNullSwip(pages.segmentOf(parent), pages.baseOf(parent), offset))
          throw damagedPage(this.#number, parent, 'a swip is null');
        const frame = latchChild(pages, parent, offset);
        held = frame;
        const segment = pages.segmentOf(frame);
        const base = pages.baseOf(frame);
        const found = this.isNodes(segment, base) ? walkPage(segment, base, this.#pageSize, key) : DAMAGED;
        if (found === DAMAGED) throw damagedPage(this.#number, frame, 'the way of a key leads out of it');
        if (ordinal >= last || !isOutside(found)) {
          this.frame = frame;
          this.found = found;
          this.ordinal = ordinal;
          this.parent = parent;
          this.offset = offset;
          if (!keepParent) pages.unlatch(parent);
          return frame;
        }
        const next = this.linkOffset(segment, base, found);
        if (next < 0 || ordinal > mostPagesFor(key.length))
          throw damagedPage(this.#number, frame, 'a link names no page below it');
        pages.unlatch(parent);
        parent = frame;
        held = -1;
        offset = next;
      }
    } catch (error) {
      if (held >= 0) pages.unlatch(held);
      pages.unlatch(parent);
      throw error;
    }
  }

  /** The page where the way of a key ends, latched. */
  latchPage(key: Uint8Array): number {
    this.waited = false;
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.descend(key);
      if (frame === RESTART) continue;
      if (this.#pages.upgrade(frame, this.version)) return frame;
      this.waited = true;
    }
    return this.descendLatched(key, TO_END, false);
  }

  /** The page so far on the way of a key, or the last one, and its parent, both latched. */
  latchPair(key: Uint8Array, last: number): number {
    const pages = this.#pages;
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.descend(key, last);
      if (frame === RESTART || !pages.upgrade(this.parent, this.parentVersion)) continue;
      schedulePoint(POINT.pairHalfLatched);
      if (pages.upgrade(frame, this.version)) return frame;
      pages.unlatch(this.parent);
    }
    return this.descendLatched(key, last, true);
  }

  /** Restarts if the page has changed since its version was read; else what was found there is damage. Throws `PW_CORRUPT_PAGE`. */
  damagedUnless(frame: number, version: number, what: string): number {
    if (!this.#pages.validate(frame, version)) return RESTART;
    throw damagedPage(this.#number, frame, what);
  }

  /** Whether a page has nodes of this index. */
  isNodes(segment: Segment, base: number): boolean {
    return (
      segment.u32[(base + PAGE_INDEX) >>> 2] === this.#number && segment.u16[(base + PAGE_KIND) >>> 1] === KIND_NODES
    );
  }

  /** Where a page has the swip of a link; -1 if it has no such swip. */
  linkOffset(segment: Segment, base: number, reference: number): number {
    const swip = swipOf(reference);
    const offset = swipOffset(this.#pageSize, swip);
    return swip < swipCountOf(segment, base) && offset >= HEAP_START ? offset : -1;
  }
}

/**
 * More pages cannot lie on the way of so many bytes: each takes one of them, but for slices of slices, each of which has fewer of the bytes of a node than the one above. These are
 * made as inner pages of a B-tree are, so that a handful of them lie one below the other.
 */
export function mostPagesFor(bytes: number): number {
  return 32 * (bytes + 2);
}

export function isCold(segment: Segment, base: number, offset: number): boolean {
  return (segment.u32[(base + offset) >>> 2]! & SWIP_TAG_MASK) === SWIP_COLD;
}
