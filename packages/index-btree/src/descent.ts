/**
 * The way from the root to a page. Optimistic lock coupling: each page is read without its latch, and what was read
 * counts once the page's version is found unchanged after the child's version was taken (Leis et al., "Optimistic Lock
 * Coupling", 2019). After {@link MOST_RESTARTS} restarts the same way is gone with latches, top down (M2).
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
  SWIP_NULL,
  SWIP_TAG_MASK,
  schedulePoint,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { childOffset, INNER_SLOT_SIZE } from './inner-layout.js';
import { copyKey } from './node-keys.js';
import { countOf, KIND_INNER, KIND_LEAF, levelOf, NODE_HEADER_SIZE } from './node-layout.js';
import { DAMAGED, findSlot } from './search.js';

/** M2: a reader that had to start again so often takes the latch. */
export const MOST_RESTARTS = 8;

/** Where to go at an inner page: to the child whose range holds the key … */
export const TO_KEY = 0;
/** … or, the key being a bound, to the child with the keys right below it; */
export const BELOW_KEY = 1;
/** to the first child, or to the last one. */
export const TO_FIRST = 2;
export const TO_LAST = 3;

export const LEAF_LEVEL = 0;

/** Answer of a descent to a level that the tree does not have. */
export const TOO_LOW = -2;

/** Answer of a descent that met a page which is not in memory, and was told to stop there. */
export const MISSED = -3;

/** Told of pages that a descent is about to read. */
export interface MissingPages {
  /**
   * The page that the swip at `offset` of `parent` names is not in memory: a child in this slot, on this level, or below 0
   * where the level is not known. Nothing of it is validated. True: the descent ends here with {@link MISSED}.
   */
  missed(parent: number, version: number, offset: number, slot: number, level: number): boolean;
}

const NO_KEY = new Uint8Array(0);
const ANY_LEVEL = -1;

export class Descent {
  /** The page that was reached, and its version; not of a page whose latch is held. */
  frame = -1;
  version = 0;
  /** Its parent (the catalog page, if it is the root) and the place of its swip there. */
  parent = -1;
  parentVersion = 0;
  offset = 0;
  /** Which child of its parent it is. */
  slot = 0;
  /** The lower fence of the page that was reached, if the last descent was asked for it; its length is -1 if there is none. */
  readonly lowerFence: Uint8Array;
  lowerFenceLength = -1;
  /** Whether the last {@link latchLeaf} found that others change what it wants. */
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
    this.lowerFence = new Uint8Array(this.#pageSize >>> 2);
  }

  /** Whether the page that was reached is the root. */
  get atRoot(): boolean {
    return this.parent === this.#root.frame;
  }

  /**
   * Goes to the page on a level, optimistically. RESTART if something changed on the way, {@link TOO_LOW} if
   * the tree is not that high. May throw `PageFault`; holds no latch. Whoever `missing` is hears of pages to be read.
   */
  descend(
    key: Uint8Array | null,
    mode: number,
    level: number,
    wantsLowerFence = false,
    missing: MissingPages | null = null,
  ): number {
    const pages = this.#pages;
    let parent = this.#root.frame;
    let offset = this.#root.offset;
    let slot = 0;
    let parentVersion = pages.readVersion(parent);
    // Where a frame is never changes.
    let segment = pages.segmentOf(parent);
    let base = pages.baseOf(parent);
    let expected = ANY_LEVEL;
    this.lowerFenceLength = -1;
    for (;;) {
      if (isNull(segment, base, offset)) return this.#damagedUnless(parent, parentVersion, 'a swip is null');
      if (missing !== null && this.#isCold(parent, offset)) {
        if (missing.missed(parent, parentVersion, offset, slot, expected)) return MISSED;
      }
      const frame = pages.child(parent, offset, parentVersion);
      if (frame === RESTART) return RESTART;
      schedulePoint(POINT.descentFrame);
      const version = pages.readVersion(frame);
      schedulePoint(POINT.descentVersion);
      if (!pages.validate(parent, parentVersion)) return RESTART;
      segment = pages.segmentOf(frame);
      base = pages.baseOf(frame);
      const found = this.#levelOf(segment, base, expected);
      if (found < 0) return this.#damagedUnless(frame, version, 'it is not a node of this level');
      if (found <= level) {
        this.frame = frame;
        this.version = version;
        this.parent = parent;
        this.parentVersion = parentVersion;
        this.offset = offset;
        this.slot = slot;
        schedulePoint(POINT.descentEnd);
        return found === level ? frame : TOO_LOW;
      }
      slot = this.#childSlot(segment, base, key, mode, wantsLowerFence);
      if (slot < 0) return this.#damagedUnless(frame, version, 'a separator lies outside it');
      schedulePoint(POINT.descentSlot);
      parent = frame;
      parentVersion = version;
      offset = childOffset(slot);
      expected = found - 1;
    }
  }

  /** Goes to the page on a level with latches, and holds its latch, and its parent's if asked. {@link TOO_LOW} holds none. */
  descendLatched(
    key: Uint8Array | null,
    mode: number,
    level: number,
    keepParent: boolean,
    wantsLowerFence = false,
  ): number {
    const pages = this.#pages;
    let parent = this.#root.frame;
    let offset = this.#root.offset;
    let slot = 0;
    let expected = ANY_LEVEL;
    let held = -1;
    this.lowerFenceLength = -1;
    pages.latch(parent);
    try {
      for (;;) {
        if (isNull(pages.segmentOf(parent), pages.baseOf(parent), offset))
          throw damagedPage(this.#number, parent, 'a swip is null');
        const frame = latchChild(pages, parent, offset);
        held = frame;
        const segment = pages.segmentOf(frame);
        const base = pages.baseOf(frame);
        const found = this.#levelOf(segment, base, expected);
        if (found < 0) throw damagedPage(this.#number, frame, 'it is not a node of this level');
        if (found <= level) {
          this.frame = frame;
          this.parent = parent;
          this.offset = offset;
          this.slot = slot;
          if (found < level) pages.unlatch(frame);
          if (found < level || !keepParent) pages.unlatch(parent);
          return found === level ? frame : TOO_LOW;
        }
        slot = this.#childSlot(segment, base, key, mode, wantsLowerFence);
        if (slot < 0) throw damagedPage(this.#number, frame, 'a separator lies outside it');
        pages.unlatch(parent);
        parent = frame;
        held = -1;
        offset = childOffset(slot);
        expected = found - 1;
      }
    } catch (error) {
      if (held >= 0) pages.unlatch(held);
      pages.unlatch(parent);
      throw error;
    }
  }

  /** The leaf for a key, latched. */
  latchLeaf(key: Uint8Array): number {
    this.waited = false;
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.descend(key, TO_KEY, LEAF_LEVEL);
      if (frame === RESTART) continue;
      if (this.#pages.upgrade(frame, this.version)) return frame;
      this.waited = true;
    }
    return this.descendLatched(key, TO_KEY, LEAF_LEVEL, false);
  }

  /** The page for a key on a level and its parent, both latched; {@link TOO_LOW} if the tree is not that high. */
  latchPair(key: Uint8Array, level: number): number {
    const pages = this.#pages;
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.descend(key, TO_KEY, level);
      if (frame === TOO_LOW) return TOO_LOW;
      if (frame === RESTART || !pages.upgrade(this.parent, this.parentVersion)) continue;
      schedulePoint(POINT.pairHalfLatched);
      if (pages.upgrade(frame, this.version)) return frame;
      pages.unlatch(this.parent);
    }
    return this.descendLatched(key, TO_KEY, level, true);
  }

  /** Restarts if the page has changed since its version was read; else what was found there is damage. Throws `PW_CORRUPT_PAGE`. */
  #damagedUnless(frame: number, version: number, what: string): number {
    if (!this.#pages.validate(frame, version)) return RESTART;
    throw damagedPage(this.#number, frame, what);
  }

  #isCold(parent: number, offset: number): boolean {
    const word = this.#pages.segmentOf(parent).u32[(this.#pages.baseOf(parent) + offset) >>> 2]!;
    return (word & SWIP_TAG_MASK) === SWIP_COLD;
  }

  /** The level of a page that is a node of this index, on the expected level if that is known; else -1. */
  #levelOf(segment: Segment, base: number, expected: number): number {
    const kind = segment.u16[(base + PAGE_KIND) >>> 1];
    const level = levelOf(segment, base);
    if (segment.u32[(base + PAGE_INDEX) >>> 2] !== this.#number) return -1;
    if (kind !== (level === LEAF_LEVEL ? KIND_LEAF : KIND_INNER)) return -1;
    return expected === ANY_LEVEL || level === expected ? level : -1;
  }

  #childSlot(segment: Segment, base: number, key: Uint8Array | null, mode: number, wantsLowerFence: boolean): number {
    const slot = childSlot(segment, base, this.#pageSize, key ?? NO_KEY, mode);
    if (wantsLowerFence && slot > 0) {
      this.lowerFenceLength = copyKey(segment, base, this.#pageSize, INNER_SLOT_SIZE, slot - 1, this.lowerFence);
      if (this.lowerFenceLength < 0) return DAMAGED;
    }
    return slot;
  }
}

function isNull(segment: Segment, base: number, offset: number): boolean {
  return segment.u32[(base + offset) >>> 2] === SWIP_NULL;
}

/** The slot of the child to go to, or {@link DAMAGED}; always one that lies within the page. */
export function childSlot(segment: Segment, base: number, pageSize: number, key: Uint8Array, mode: number): number {
  if (mode >= TO_FIRST) {
    const count = countOf(segment, base);
    if ((count + 1) * INNER_SLOT_SIZE > pageSize - NODE_HEADER_SIZE) return DAMAGED;
    return mode === TO_FIRST ? 0 : count;
  }
  const found = findSlot(segment, base, pageSize, INNER_SLOT_SIZE, key);
  if (found === DAMAGED) return DAMAGED;
  const slot = found < 0 ? ~found : mode === TO_KEY ? found + 1 : found;
  return (slot + 1) * INNER_SLOT_SIZE > pageSize - NODE_HEADER_SIZE ? DAMAGED : slot;
}
