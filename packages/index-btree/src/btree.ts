/**
 * The B+-tree: look-ups without latches, changes that latch a leaf, splits and merges when those find that they must.
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
  PAGE_TIMESTAMP,
  type PageBounds,
  POINT,
  RESTART,
  type ReportDamage,
  schedulePoint,
} from '@pagewright/core';
import { BtreeBulkLoad } from './bulk-load.js';
import { checkPage } from './check.js';
import { Contention } from './contention.js';
import { BtreeCursor } from './cursor.js';
import { damagedPage } from './damage.js';
import { type Descent, LEAF_LEVEL, MOST_RESTARTS, TO_KEY } from './descent.js';
import { estimateEntries } from './estimate.js';
import { heightOf } from './height.js';
import { isOnOwnPage, keyOffsetAt, LEAF_SLOT_SIZE, leafSlot, swipOffset, tagAt, valueFieldAt } from './leaf-layout.js';
import { Merger } from './merge.js';
import { RunHint } from './run-hint.js';
import { DAMAGED, findSlot } from './search.js';
import { Splitter } from './split.js';
import { type TreeParts, treeParts } from './tree-parts.js';
import type { Workspace } from './workspace.js';

/** A put that finds no room after so many splits never will. */
const MOST_SPLITS = 1000;
/** Stands for the version of a page whose latch this thread holds: nothing changes it. */
const LATCHED = -1;
const MISSING = 0;
const FOUND = 1;

export class Btree implements Index {
  /**
   * Where keys are long a leaf is divided again and again until the part that an entry belongs to has room for it: the entry takes up to a quarter of a page, the fence up to another, and cuts are uneven, as
   * separators must fit. Each cut makes one new leaf. Seen in random trees: 4 pages.
   */
  readonly pagesAPut = 6;
  /** A page and a new one beside it: of more cuts each is for a long key that was brought, whose bytes count four times. */
  readonly pagesOfManyPuts = 2;
  /** A slot and its alignment are 20 bytes at most, in leaves that are half full. */
  readonly entryOverhead = 40;
  readonly #context: IndexContext;
  readonly #workspace: Workspace;
  readonly #parts: TreeParts;
  readonly #descent: Descent;
  readonly #pageSize: number;
  readonly #splitter: Splitter;
  readonly #merger: Merger;
  readonly #contention = new Contention();
  readonly #keyPrefetch: KeyPrefetch;
  readonly #run: RunHint;

  constructor(context: IndexContext, workspace: Workspace) {
    this.#context = context;
    this.#workspace = workspace;
    this.#pageSize = context.pages.pageSize;
    this.#parts = treeParts(context, workspace);
    this.#descent = this.#parts.descent;
    this.#splitter = new Splitter(this.#parts);
    this.#merger = new Merger(this.#parts);
    this.#keyPrefetch = new KeyPrefetch(context.pages, workspace.wanted, (key, missing) =>
      this.#descent.descend(key, TO_KEY, LEAF_LEVEL, false, missing),
    );
    this.#run = new RunHint(context.pages);
  }

  lookup(key: Uint8Array, into: EntryReference): boolean {
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) {
      const frame = this.#descent.descend(key, TO_KEY, LEAF_LEVEL);
      if (frame === RESTART) continue;
      const answer = this.#read(frame, this.#descent.version, key, into);
      if (answer !== RESTART) return answer === FOUND;
    }
    const frame = this.#descent.descendLatched(key, TO_KEY, LEAF_LEVEL, false);
    try {
      return this.#read(frame, LATCHED, key, into) === FOUND;
    } finally {
      this.#context.pages.unlatch(frame);
    }
  }

  upsert(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void {
    assertKeyFits(key, this.#pageSize >>> 2);
    if (this.#goOn(key, tag, value, timestamp)) return;
    const { pages } = this.#context;
    const run = this.#run;
    for (let splits = 0; splits < MOST_SPLITS; splits++) {
      const leaf = this.#descent.latchLeaf(key);
      const { waited } = this.#descent;
      let cut = 0;
      let isPut = false;
      let isRun = false;
      let version = 0;
      try {
        isPut = this.#parts.leaves.put(leaf, key, tag, value, timestamp);
        if (isPut && waited) cut = this.#contention.waited(leaf, this.#parts.leaves.find(leaf, key));
        isRun = isPut && this.#parts.leaves.hasInserted && run.isRun(leaf);
      } finally {
        version = pages.unlatch(leaf);
      }
      if (isPut) {
        this.#contention.changed();
        if (isRun) run.begin(leaf, key, version);
        // A commit has secured space for one split of each leaf that it changes.
        if (cut > 0 && splits === 0) this.#splitter.separate(key, cut, timestamp);
        return;
      }
      schedulePoint(POINT.splitDue);
      this.#splitter.makeRoom(key, timestamp);
      schedulePoint(POINT.splitDone);
    }
    throw damagedPage(this.#context.number, -1, 'an entry finds no room however often its leaf is split');
  }

  /** Puts an entry into the leaf of the run of puts that it goes on with. False: there is none, or no room, and nothing has changed. */
  #goOn(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): boolean {
    const run = this.#run;
    const leaf = run.latch(key);
    if (leaf < 0) return false;
    let isPut = false;
    try {
      isPut = this.#parts.leaves.put(leaf, key, tag, value, timestamp);
    } finally {
      const version = this.#context.pages.unlatch(leaf);
      if (isPut) run.goOn(key, version);
      else run.end();
    }
    if (isPut) this.#contention.changed();
    return isPut;
  }

  remove(key: Uint8Array, timestamp: number): boolean {
    const { leaves } = this.#parts;
    const leaf = this.#descent.latchLeaf(key);
    const { waited } = this.#descent;
    let isUnderfull = false;
    let cut = 0;
    try {
      const slot = waited ? leaves.find(leaf, key) : 0;
      if (!leaves.remove(leaf, key, timestamp)) return false;
      isUnderfull = !this.#descent.atRoot && this.#merger.isUnderfull(leaf);
      // What is underfull is merged, and not split.
      if (waited && !isUnderfull) cut = this.#contention.waited(leaf, slot);
    } finally {
      this.#context.pages.unlatch(leaf);
    }
    this.#contention.changed();
    if (cut > 0) this.#splitter.separate(key, cut, timestamp);
    if (!isUnderfull) return true;
    schedulePoint(POINT.mergeDue);
    this.#merger.shrink(key, timestamp);
    return true;
  }

  cursor(): Cursor {
    return new BtreeCursor(this.#parts);
  }

  bulkLoad(timestamp: number, fill: number): BulkLoad {
    const put: Index['upsert'] = (key, tag, value, stamp) => this.upsert(key, tag, value, stamp);
    return new BtreeBulkLoad(this.#parts, this.#splitter, this.#merger, put, timestamp, fill);
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

  /** Levels of the tree: 1 is a leaf alone. Reads the root if it is not in memory. */
  stats(): { readonly height: number } {
    return { height: heightOf(this.#context) };
  }

  /** Reads the entry out of a leaf; RESTART if the leaf has changed. */
  #read(frame: number, version: number, key: Uint8Array, into: EntryReference): number {
    const { pages } = this.#context;
    const segment = pages.segmentOf(frame);
    const base = pages.baseOf(frame);
    const found = findSlot(segment, base, this.#pageSize, LEAF_SLOT_SIZE, key, true);
    if (found === DAMAGED) return this.#damaged(frame, version);
    const timestamp = segment.f64[(base + PAGE_TIMESTAMP) >>> 3]!;
    schedulePoint(POINT.leafCopied);
    if (found < 0) {
      if (version !== LATCHED && !pages.validate(frame, version)) return RESTART;
      into.timestamp = timestamp;
      return MISSING;
    }
    const slot = leafSlot(base, found);
    const tag = tagAt(segment, slot);
    if (into.wantsValue) {
      const field = valueFieldAt(segment, slot);
      if (isOnOwnPage(segment, slot)) {
        const value = this.#readOwnPage(frame, version, swipOffset(segment, base, field));
        if (value === null) return RESTART;
        into.value = value;
      } else {
        const start = keyOffsetAt(segment, slot) - field;
        if (start < 0 || start + field > this.#pageSize) return this.#damaged(frame, version);
        const { results } = this.#workspace;
        results.copy(segment, base + start, field);
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

  #readOwnPage(leaf: number, version: number, offset: number): Uint8Array | null {
    const { values } = this.#parts;
    return version === LATCHED ? values.readOfLatched(leaf, offset) : values.read(leaf, offset, version);
  }

  #damaged(frame: number, version: number): number {
    if (version !== LATCHED && !this.#context.pages.validate(frame, version)) return RESTART;
    throw damagedPage(this.#context.number, frame, 'a slot of a leaf points outside it');
  }
}
