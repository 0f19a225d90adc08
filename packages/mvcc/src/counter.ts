/**
 * Counting visible entries. The index counts its own, a page at a time, where what is on the page is what is seen (T2); pages with
 * commits above the snapshot, of which versions are kept, are gone through entry by entry.
 */
import {
  type Cursor,
  EntryBatch,
  EntryCount,
  type EntryCounter,
  type Index,
  type ScanBounds,
  type Snapshot,
  TAG_VALUE,
  type Target,
} from '@pagewright/core';
import { cursorAt, isBeyondEnd } from './scan-bounds.js';
import type { Tree } from './version-chains.js';
import { IN_INDEX, type VersionStore, WAS_ABSENT } from './version-store.js';
import { assertNotDropped, incarnationAt } from './visibility.js';

export class MvccCounter implements EntryCounter {
  count = 0;
  private readonly passed = new EntryCount();
  private readonly batch = new EntryBatch();
  private index: Index | null = null;
  private tree: Tree = { number: 0, incarnation: 0 };
  private cursor: Cursor | null = null;
  private hasEnded = false;

  constructor(
    private readonly versions: VersionStore,
    private readonly target: Target,
    private readonly bounds: ScanBounds,
    private readonly snapshot: Snapshot | null,
  ) {
    const { lower, lowerExclusive, upper, upperExclusive, reverse } = bounds;
    this.passed.end = reverse ? lower : upper;
    this.passed.inclusive = !(reverse ? lowerExclusive : upperExclusive);
    this.batch.wantsValues = false;
  }

  next(): boolean {
    const { target, snapshot } = this;
    assertNotDropped(target);
    snapshot?.assertStands();
    if (this.hasEnded) return false;
    const read = snapshot === null ? target : incarnationAt(target, snapshot.timestamp);
    if (read === null) return this.end();
    const tree = read.index;
    // The target is of another incarnation after a clear; what is counted is of this one.
    this.tree = { number: read.number, incarnation: read.incarnation };
    if (tree !== this.index || this.cursor === null) {
      this.cursor = cursorAt(tree, this.bounds);
      this.index = tree;
      this.count = 0;
    }
    const more = this.countPage(this.cursor);
    snapshot?.assertStands();
    return more || this.end();
  }

  private countPage(cursor: Cursor): boolean {
    const { passed, snapshot } = this;
    if (cursor.count === undefined) return this.countEntries(cursor);
    // Asked of the page itself: what was said of versions before might not hold of it any more.
    if (snapshot !== null) passed.newest = snapshot.timestamp;
    if (!cursor.count(passed)) return false;
    if (passed.isTooNew) return this.countEntries(cursor);
    this.count += passed.values;
    return true;
  }

  private countEntries(cursor: Cursor): boolean {
    const { batch, bounds } = this;
    if (!cursor.next(batch)) return false;
    let count = 0;
    let at = 0;
    for (; at < batch.count && !isBeyondEnd(batch.keys[at]!, bounds); at++) if (this.isSeen(at)) count++;
    this.count += count;
    return at === batch.count;
  }

  private isSeen(at: number): boolean {
    const { batch, snapshot, versions } = this;
    const isInIndex = batch.tags[at] === TAG_VALUE;
    if (snapshot === null || batch.timestamp <= snapshot.timestamp) return isInIndex;
    const version = versions.find(this.tree, batch.keys[at]!, snapshot.timestamp);
    return version === IN_INDEX ? isInIndex : version !== WAS_ABSENT;
  }

  private end(): boolean {
    this.hasEnded = true;
    return false;
  }
}
