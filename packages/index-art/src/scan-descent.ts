/**
 * The way of a scan from the root to the page where its next entries are, which depends on what is on the pages: a child that has none on this side of the
 * bound leads back. Then the scan goes on behind the page, and begins at the root again.
 *
 * Optimistic and with latches, as {@link Descent} goes. What it goes past is part of the answer: gaps count as much as entries (X1).
 */
import {
  type IndexContext,
  latchChild,
  type PageStore,
  POINT,
  RESTART,
  type Segment,
  schedulePoint,
} from '@pagewright/core';
import { damagedPage } from './damage.js';
import { type Descent, isCold, type MissingPages, mostPagesFor } from './descent.js';
import { kindOf, SLICE } from './node-layout.js';
import { depthOf, isNullSwip, isSlice, stampOf } from './page-layout.js';
import { AT_ENTRY, AT_PAGE, IS_DAMAGED, type PageScan } from './page-scan.js';

/** Where a scan goes on: at this key or behind it; null is the first or the last entry of all. */
export interface ScanPlace {
  readonly key: Uint8Array | null;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

export class ScanDescent {
  /** The page that was reached, and its version; not of a page whose latch is held. */
  frame = -1;
  version = 0;
  ordinal = 0;
  /** The highest stamp of pages of which a part was gone past on the way. */
  passed = 0;
  /** Bytes of keys above the page and, if it is a slice, which bytes come next. */
  depth = 0;
  isSlice = false;
  first = 0;
  last = 0;
  /** Whether the page has entries on this side of the bound. */
  hasEntry = false;
  /** The page above that leads to it, and the version of that. */
  parent = -1;
  parentVersion = 0;

  readonly #context: IndexContext;
  readonly #pages: PageStore;
  readonly #descent: Descent;

  constructor(
    context: IndexContext,
    descent: Descent,
    readonly scan: PageScan,
  ) {
    this.#context = context;
    this.#pages = context.pages;
    this.#descent = descent;
  }

  /** Whether nothing was looked at as yet: what comes is the root. */
  get isAtRoot(): boolean {
    return this.ordinal < 0;
  }

  /** Goes to the page; RESTART if something changed on the way. It is not validated when it returns. May throw `PageFault`; holds no latch. */
  descend(place: ScanPlace, missing: MissingPages | null = null): number {
    const pages = this.#pages;
    const { root } = this.#context;
    let parent = root.frame;
    let { offset } = root;
    let parentVersion = pages.readVersion(parent);
    let segment = pages.segmentOf(parent);
    let base = pages.baseOf(parent);
    this.#begin(place);
    for (;;) {
      if (isNullSwip(segment, base, offset)) return this.#descent.damagedUnless(parent, parentVersion, NULL_SWIP);
      if (missing !== null && isCold(segment, base, offset)) missing.missed(parent, parentVersion, offset);
      const frame = pages.child(parent, offset, parentVersion);
      if (frame === RESTART) return RESTART;
      schedulePoint(POINT.descentFrame);
      const version = pages.readVersion(frame);
      schedulePoint(POINT.descentVersion);
      if (!pages.validate(parent, parentVersion)) return RESTART;
      segment = pages.segmentOf(frame);
      base = pages.baseOf(frame);
      const at = this.#look(segment, base, place);
      if (at === IS_DAMAGED) return this.#descent.damagedUnless(frame, version, NO_NODES);
      this.frame = frame;
      this.version = version;
      this.parent = parent;
      this.parentVersion = parentVersion;
      if (at !== AT_PAGE) return frame;
      schedulePoint(POINT.descentSlot);
      offset = this.#follow(segment, base);
      if (offset < 0) return this.#descent.damagedUnless(frame, version, NO_LINK);
      parent = frame;
      parentVersion = version;
    }
  }

  /** The same with latches; holds that of the page. */
  descendLatched(place: ScanPlace): number {
    const pages = this.#pages;
    const { root, number } = this.#context;
    let parent = root.frame;
    let { offset } = root;
    let held = -1;
    pages.latch(parent);
    this.#begin(place);
    try {
      for (;;) {
        if (isNullSwip(pages.segmentOf(parent), pages.baseOf(parent), offset))
          throw damagedPage(number, parent, NULL_SWIP);
        const frame = latchChild(pages, parent, offset);
        held = frame;
        const segment = pages.segmentOf(frame);
        const base = pages.baseOf(frame);
        const at = this.#look(segment, base, place);
        if (at === IS_DAMAGED) throw damagedPage(number, frame, NO_NODES);
        this.frame = frame;
        if (at !== AT_PAGE) {
          pages.unlatch(parent);
          return frame;
        }
        const next = this.#follow(segment, base);
        if (next < 0) throw damagedPage(number, frame, NO_LINK);
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

  #begin({ key }: ScanPlace): void {
    this.passed = 0;
    this.ordinal = -1;
    this.scan.isBounded = key !== null;
    this.scan.pathLength = 0;
    this.scan.reference = 0;
  }

  /** Looks for the first entry on a page that a link of the page above, or the root, leads to. */
  #look(segment: Segment, base: number, place: ScanPlace): number {
    const { scan } = this;
    const wasSlice = kindOf(scan.reference) === SLICE;
    this.ordinal++;
    this.depth = scan.pathLength;
    this.isSlice = wasSlice;
    this.first = scan.first;
    this.last = scan.last;
    const isRight =
      this.#descent.isNodes(segment, base) &&
      depthOf(segment, base) === this.depth &&
      isSlice(segment, base) === wasSlice &&
      this.ordinal <= mostPagesFor(this.depth);
    if (!isRight) return IS_DAMAGED;
    const at = scan.begin(segment, base, scan.isBounded ? place.key : null, place.exclusive, place.reverse);
    this.hasEntry = at === AT_ENTRY;
    return at;
  }

  /** Where the page that was looked at has the swip of the link where the scan stands. */
  #follow(segment: Segment, base: number): number {
    const { scan } = this;
    // Between the bound and what the link leads to, there was something to go past.
    if (!scan.isBounded) this.passed = Math.max(this.passed, stampOf(segment, base));
    return this.#descent.linkOffset(segment, base, scan.reference);
  }
}

const NULL_SWIP = 'a swip is null';
const NO_NODES = 'its nodes lie outside it, or are not those that lead to it';
const NO_LINK = 'a link names no page below it';
