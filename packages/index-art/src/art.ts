/**
 * The adaptive radix tree: look-ups without latches, changes that latch a page, parts of a page pushed out and drawn in when those find that they must.
 * What happens on the pages is in the parts; here is the order of it.
 */
import {
  assertKeyFits,
  type BulkLoad,
  type Cursor,
  type EntryReference,
  type Index,
  type IndexContext,
  KeyPrefetch,
  type PageBounds,
  POINT,
  RESTART,
  type ReportDamage,
  schedulePoint,
} from '@pagewright/core';
import { ArtBulkLoad } from './bulk-load.js';
import { checkPage } from './check.js';
import { ArtCursor } from './cursor.js';
import { damagedPage } from './damage.js';
import { type Descent, MOST_RESTARTS, TO_END } from './descent.js';
import { DrawIn } from './draw-in.js';
import { estimateEntries } from './estimate.js';
import { heightOf } from './height.js';
import { isOnOwnPage, offsetOf, suffixLengthAt, swipOfValue, tagAt, valueFieldAt, valueOffset } from './node-layout.js';
import { stampOf, swipCountOf, swipOffset } from './page-layout.js';
import { Splitter } from './split.js';
import { type TreeParts, treeParts } from './tree-parts.js';
import { MISSING } from './walk.js';
import type { Workspace } from './workspace.js';

/** A put that finds no room after so many pages were divided never will. */
const MOST_SPLITS = 1000;
/** Stands for the version of a page whose latch this thread holds: nothing changes it. */
const LATCHED = -1;
const ABSENT = 0;
const FOUND = 1;

export class Art implements Index {
  /**
   * A page that is divided keeps, and gives away, no more than three quarters of it. So what is put finds room when it was divided twice: it is larger than the quarter that is free then by a node at most. A
   * page that gives its parts to two has no part of a quarter, and is divided once, or is the second one. So three new pages beside it are the most, and as many beside the one above, where a slice that is cut may
   * find no room, or which has drawn the page in. Higher up pages are divided where slices lie in slices that are full, which is counted with the pages above. Seen in random trees: 6.
   */
  readonly pagesAPut = 8;
  /** A head, a node and their alignment are 40 bytes at most, in pages that are half full. Seen in the worst of random trees: 36. */
  readonly entryOverhead = 80;
  readonly #context: IndexContext;
  readonly #workspace: Workspace;
  readonly #parts: TreeParts;
  readonly #descent: Descent;
  readonly #pageSize: number;
  readonly #splitter: Splitter;
  readonly #drawIn: DrawIn;
  readonly #keyPrefetch: KeyPrefetch;

  constructor(context: IndexContext, workspace: Workspace) {
    this.#context = context;
    this.#workspace = workspace;
    this.#pageSize = context.pages.pageSize;
    this.#parts = treeParts(context, workspace);
    this.#descent = this.#parts.descent;
    this.#splitter = new Splitter(this.#parts);
    this.#drawIn = new DrawIn(this.#parts);
    this.#keyPrefetch = new KeyPrefetch(context.pages, workspace.wanted, (key, missing) =>
      this.#descent.descend(key, TO_END, missing),
    );
  }

  lookup(key: Uint8Array, into: EntryReference): boolean {
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.#descent.descend(key);
      if (frame === RESTART) continue;
      const answer = this.#read(frame, this.#descent.version, into);
      if (answer !== RESTART) return answer === FOUND;
    }
    const frame = this.#descent.descendLatched(key, TO_END, false);
    try {
      return this.#read(frame, LATCHED, into) === FOUND;
    } finally {
      this.#context.pages.unlatch(frame);
    }
  }

  upsert(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void {
    const { pages } = this.#context;
    assertKeyFits(key, this.#workspace.longestKey);
    for (let splits = 0; splits < MOST_SPLITS; splits++) {
      const page = this.#descent.latchPage(key);
      let isPut = false;
      try {
        isPut = this.#parts.entries.put(page, key, tag, value, timestamp);
      } finally {
        pages.unlatch(page);
      }
      if (isPut) return;
      schedulePoint(POINT.splitDue);
      this.#splitter.makeRoom(key, timestamp);
      if (this.#splitter.pushed >= 0) this.#drawIn.raise(key, this.#splitter.pushed, timestamp);
      schedulePoint(POINT.splitDone);
    }
    throw damagedPage(this.#context.number, -1, 'an entry finds no room however often its page is divided');
  }

  remove(key: Uint8Array, timestamp: number): boolean {
    const page = this.#descent.latchPage(key);
    let isAlmostEmpty = false;
    try {
      if (!this.#parts.entries.remove(page, key, timestamp)) return false;
      isAlmostEmpty = !this.#descent.atRoot && this.#drawIn.isAlmostEmpty(page);
    } finally {
      this.#context.pages.unlatch(page);
    }
    if (!isAlmostEmpty) return true;
    schedulePoint(POINT.mergeDue);
    this.#drawIn.shrink(key, timestamp);
    return true;
  }

  bulkLoad(timestamp: number, fill: number): BulkLoad {
    const put: Index['upsert'] = (key, tag, value, stamp) => this.upsert(key, tag, value, stamp);
    return new ArtBulkLoad(this.#parts, put, timestamp, fill);
  }

  cursor(): Cursor {
    return new ArtCursor(this.#parts);
  }

  estimate(lower: Uint8Array | null, upper: Uint8Array | null): number {
    return estimateEntries(this.#parts, lower, upper);
  }

  prefetch(keys: readonly Uint8Array[]): void {
    this.#keyPrefetch.prefetch(keys);
  }

  check(frame: number, bounds: PageBounds, report: ReportDamage): ReadonlyMap<number, PageBounds> {
    return checkPage(this.#context, frame, bounds, report);
  }

  /** Pages on the way to the first entry: 1 is a page alone. Reads those that are not in memory. */
  stats(): { readonly height: number } {
    return { height: heightOf(this.#parts) };
  }

  /** Reads the entry that a descent has found out of its page; RESTART if the page has changed. */
  #read(frame: number, version: number, into: EntryReference): number {
    const { pages } = this.#context;
    const segment = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    const { found } = this.#descent;
    const timestamp = stampOf(segment, base);
    if (found === MISSING) {
      schedulePoint(POINT.leafCopied);
      if (version !== LATCHED && !pages.validate(frame, version)) return RESTART;
      into.timestamp = timestamp;
      return ABSENT;
    }
    const offset = offsetOf(found);
    const at = base + offset;
    const tag = tagAt(segment, at);
    if (into.wantsValue) {
      const field = valueFieldAt(segment, at);
      if (isOnOwnPage(field)) {
        const value = this.#readOwnPage(frame, version, field);
        if (value === null) return RESTART;
        into.value = value;
      } else {
        const start = valueOffset(suffixLengthAt(segment, at), field);
        if (offset + start + field > this.#pageSize) return this.#damaged(frame, version);
        const { results } = this.#workspace;
        results.copy(segment, at + start, field);
        schedulePoint(POINT.leafCopied);
        if (version !== LATCHED && !pages.validate(frame, version)) return RESTART;
        into.value = results.finish(field);
      }
    } else if (version !== LATCHED && !pages.validate(frame, version)) {
      return RESTART;
    }
    into.tag = tag;
    into.timestamp = timestamp;
    return FOUND;
  }

  #readOwnPage(frame: number, version: number, field: number): Uint8Array | null {
    const { pages } = this.#context;
    const { values } = this.#parts;
    const swip = swipOfValue(field);
    const isThere = swip < swipCountOf(pages.segmentOf(frame), pages.baseOf(frame));
    const offset = isThere ? swipOffset(this.#pageSize, swip) : 0;
    return version === LATCHED ? values.readOfLatched(frame, offset) : values.read(frame, offset, version);
  }

  #damaged(frame: number, version: number): number {
    if (version !== LATCHED && !this.#context.pages.validate(frame, version)) return RESTART;
    throw damagedPage(this.#context.number, frame, 'the value of an entry lies outside it');
  }
}
