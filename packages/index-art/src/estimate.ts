/**
 * About how many entries lie between two keys: those on the pages on the ways to both are counted. Of the pages that lie between the ways some are looked at, and how many pages each of
 * these leads to says which ones are gone down in: what lies below many pages is not taken for what lies below a few, nor the other way round.
 *
 * Each page is copied and validated by itself: between changes the answer is an estimate of either side.
 */
import { latchChild, type PageStore, RESTART } from '@pagewright/core';
import { damagedPage } from './damage.js';
import { MOST_RESTARTS, mostPagesFor } from './descent.js';
import { compareKeys } from './key-order.js';
import { kindOf, SLICE } from './node-layout.js';
import { depthOf } from './page-layout.js';
import { AT_ENTRY, AT_PAGE, IS_DAMAGED } from './page-scan.js';
import type { TreeParts } from './tree-parts.js';

/** Shares of what is looked at: so many pages are divided among pages side by side by how many each of these leads to, and so many times more are looked at, or a few at least. */
const SAMPLES = 32;
const LOOKS = 4;
const FEW_LOOKS = 32;
/** When so many were read, a few are looked at and only one is gone down to wherever there are several. */
const MANY_PAGES = 1024;
/** While latches are held others wait, so only a few pages are read. */
const SAMPLES_LATCHED = 1;
/** Stands for the version of a page whose latch this thread holds. */
const LATCHED = -1;

/** A page below one that was looked at. */
interface Link {
  readonly offset: number;
  /** The bytes that lead to it. */
  readonly path: Uint8Array;
  /** Bounds that may lie in it; null: all that is there is above, or below. */
  readonly lower: Uint8Array | null;
  readonly upper: Uint8Array | null;
}

/** A page that was looked at: entries on it, and pages that it leads to. */
interface Looked {
  readonly link: Link;
  readonly entries: number;
  readonly links: number;
}

/** Something has changed on the way. */
class Restarted extends Error {}

/** From `lower` up to, and without, `upper`; null is open. May throw `PageFault`. */
export function estimateEntries(parts: TreeParts, lower: Uint8Array | null, upper: Uint8Array | null): number {
  if (lower !== null && upper !== null && compareKeys(lower, lower.length, upper, upper.length) >= 0) return 0;
  for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
    try {
      return Math.round(new Estimate(parts, false).ofTree(lower, upper));
    } catch (error) {
      if (!(error instanceof Restarted)) throw error;
    }
  }
  return Math.round(new Estimate(parts, true).ofTree(lower, upper));
}

class Estimate {
  readonly #pages: PageStore;
  /** Pages that were read. */
  #read = 0;

  constructor(
    private readonly parts: TreeParts,
    /** Whether pages are latched, each as long as those below it are looked at. */
    private readonly latches: boolean,
  ) {
    this.#pages = parts.context.pages;
  }

  ofTree(lower: Uint8Array | null, upper: Uint8Array | null): number {
    const pages = this.#pages;
    const { root } = this.parts.context;
    const link: Link = { offset: root.offset, path: NO_BYTES, lower, upper };
    if (!this.latches) return this.#ofPage(root.frame, pages.readVersion(root.frame), link, SAMPLES, 0);
    pages.latch(root.frame);
    try {
      return this.#ofPage(root.frame, LATCHED, link, SAMPLES_LATCHED, 0);
    } finally {
      pages.unlatch(root.frame);
    }
  }

  /** Entries of a page and of those below it. */
  #ofPage(parent: number, parentVersion: number, link: Link, samples: number, ordinal: number): number {
    return this.#withCopy(parent, parentVersion, link, (frame, version) =>
      this.#ofCopy(frame, version, link, samples, ordinal),
    );
  }

  /** Copies a page, and says what is to be known of the copy. */
  #withCopy<Known>(
    parent: number,
    parentVersion: number,
    link: Link,
    know: (frame: number, version: number) => Known,
  ): Known {
    this.#read++;
    if (this.latches) {
      const frame = latchChild(this.#pages, parent, link.offset);
      try {
        this.parts.workspace.copyPage(this.#pages.segmentOf(frame), this.#pages.baseOf(frame));
        return know(frame, LATCHED);
      } finally {
        this.#pages.unlatch(frame);
      }
    }
    const frame = this.#pages.child(parent, link.offset, parentVersion);
    if (frame === RESTART) throw new Restarted();
    const version = this.#pages.readVersion(frame);
    if (!this.#pages.validate(parent, parentVersion)) throw new Restarted();
    this.parts.workspace.copyPage(this.#pages.segmentOf(frame), this.#pages.baseOf(frame));
    if (!this.#pages.validate(frame, version)) throw new Restarted();
    return know(frame, version);
  }

  #ofCopy(frame: number, version: number, link: Link, samples: number, ordinal: number): number {
    const between: Link[] = [];
    const edges: Link[] = [];
    let entries = this.#look(frame, link, between, edges);
    if (ordinal > mostPagesFor(link.path.length)) throw this.#damaged(frame);
    for (const edge of edges) entries += this.#ofPage(frame, version, edge, samples, ordinal + 1);
    return between.length === 0 ? entries : entries + this.#ofLinks(frame, version, between, samples, ordinal);
  }

  /** Entries below links side by side, all of which are in the range. */
  #ofLinks(frame: number, version: number, between: readonly Link[], samples: number, ordinal: number): number {
    const looks = this.latches || this.#read > MANY_PAGES ? LOOKS : Math.max(FEW_LOOKS, samples * LOOKS);
    const most = Math.min(looks, between.length);
    const looked: Looked[] = [];
    let entries = 0;
    let links = 0;
    for (let i = 0; i < most; i++) {
      const link = between[Math.floor(((i + 0.5) * between.length) / most)]!;
      const one = this.#withCopy(frame, version, link, (child) => this.#lookAt(child, link));
      entries += one.entries;
      links += one.links;
      if (one.links > 0) looked.push(one);
    }
    // A page that leads to many pages has many of the samples, and each has one.
    const gone = this.latches || this.#read > MANY_PAGES ? looked.slice(looked.length >>> 1).slice(0, 1) : looked;
    let known = 0;
    let below = 0;
    for (const { link, entries: own, links: count } of gone) {
      const share = Math.max(Math.min(2, samples - 1), Math.floor((samples * count) / links), 1);
      below += this.#ofPage(frame, version, link, share, ordinal + 1) - own;
      known += count;
    }
    if (known > 0) entries += (below / known) * links;
    return (entries / most) * between.length;
  }

  #lookAt(frame: number, link: Link): Looked {
    const links: Link[] = [];
    return { link, entries: this.#look(frame, link, links, links), links: links.length };
  }

  /** Counts the entries of the copy of a page, and notes the pages below it: those between the bounds, and those with one of them. */
  #look(frame: number, { path, lower, upper }: Link, between: Link[], edges: Link[]): number {
    const { context, descent, workspace } = this.parts;
    const { image, key, scan } = workspace;
    if (!descent.isNodes(image, 0) || depthOf(image, 0) !== path.length) throw this.#damaged(frame);
    scan.path.set(path);
    let entries = 0;
    let at = scan.begin(image, 0, lower, false, false);
    for (; at === AT_ENTRY || at === AT_PAGE; at = scan.advance()) {
      if (at === AT_ENTRY) {
        const length = scan.copyKey(key);
        if (length < 0) throw this.#damaged(frame);
        if (upper !== null && compareKeys(key, length, upper, upper.length) >= 0) return entries;
        entries++;
        continue;
      }
      const side = upper === null ? -1 : this.#sideOf(upper);
      if (side > 0) return entries;
      const offset = descent.linkOffset(image, 0, scan.reference);
      if (offset < 0) throw this.#damaged(frame);
      const isEdge = scan.isBounded || side === 0;
      (isEdge ? edges : between).push({
        offset,
        path: scan.path.slice(0, scan.pathLength),
        lower: scan.isBounded ? lower : null,
        upper: side === 0 ? upper : null,
      });
    }
    if (at === IS_DAMAGED) throw damagedPage(context.number, frame, 'its nodes lie outside it');
    return entries;
  }

  /** Whether all that the page has at whose link the scan stands lies in front of a key (-1) or not (1); 0: some of it may. */
  #sideOf(key: Uint8Array): number {
    const { scan } = this.parts.workspace;
    const { pathLength: length, path } = scan;
    const shared = Math.min(length, key.length);
    const order = compareKeys(path, shared, key, shared);
    if (order !== 0) return Math.sign(order);
    if (key.length <= length) return 1;
    if (kindOf(scan.reference) !== SLICE) return 0;
    const byte = key[length]!;
    return scan.last < byte ? -1 : scan.first > byte ? 1 : 0;
  }

  #damaged(frame: number): Error {
    return damagedPage(this.parts.context.number, frame, 'its nodes are not those that lead to it');
  }
}

const NO_BYTES = new Uint8Array(0);
