/**
 * A scan: entries of the index in order, those that its snapshot sees, with the changes of its own transaction among
 * them. Between two batches it holds nothing but its position, so that whatever happens meanwhile it goes on after the
 * last key that it passed.
 */
import {
  type Cursor,
  copyOf,
  EntryBatch,
  EntryCount,
  type Index,
  type PackedEntries,
  type Scan,
  type ScanBounds,
  type Snapshot,
  TAG_VALUE,
  type Target,
} from '@pagewright/core';
import type { Touched } from './dependence.js';
import type { OwnWrites } from './own-writes.js';
import type { RangeRead, ReadSet } from './read-set.js';
import { cursorAt, isBeyondEnd } from './scan-bounds.js';
import type { Tree } from './version-chains.js';
import { IN_INDEX, type VersionStore, WAS_ABSENT } from './version-store.js';
import { assertNotDropped, incarnationAt } from './visibility.js';
import type { WriteBuffer } from './write-buffer.js';

/** Entries asked for at first, if it is not known how many are wanted: many scans want only a few. Each batch is four times the last, up to the largest. */
const FIRST_BATCH = 16;
const LARGEST_BATCH = 1024;
/** Pages of deleted entries that are gone past before who waits has the turn. */
const MOST_PAGES_PASSED = 64;

export class MvccScan implements Scan {
  readonly keys: Uint8Array[] = [];
  readonly values: Uint8Array[] = [];
  packed: PackedEntries | null = null;
  count = 0;

  /** What was read from the index last, and how much of it has been gone through. */
  private readonly batch = new EntryBatch();
  private at = 0;
  private treeEnded = false;
  /** Whether any entry of the batch was seen; if none of the last one was, what follows is probably deleted as well. */
  private hasSeen = true;
  private readonly deleted = new EntryCount();
  /** What the batch was read from. */
  private index: Index | null = null;
  private tree: Tree = { number: 0, incarnation: 0 };
  private cursor: Cursor | null = null;
  /** The last key that was read from the index, to go on from in another incarnation. */
  private lastRead: Uint8Array | null = null;
  /** The last key that was passed, whether the transaction or the index had it. */
  private passed: Uint8Array | null = null;
  private limit: number;
  /** Where it ends. */
  private readonly end: Uint8Array | null;
  /** The changes of the transaction that scans, and what it has read. */
  private readonly writes: WriteBuffer | null;
  private readonly touched: Touched | null;
  private readonly range: RangeRead | null;

  constructor(
    private readonly versions: VersionStore,
    private readonly target: Target,
    private readonly bounds: ScanBounds,
    private readonly snapshot: Snapshot | null,
    transaction: { readonly writes: WriteBuffer; readonly touched: Touched; readonly reads: ReadSet | null } | null,
  ) {
    this.writes = transaction?.writes ?? null;
    this.touched = transaction?.touched ?? null;
    this.range = transaction?.reads?.noteRange(target, bounds) ?? null;
    this.batch.wantsValues = bounds.wantsValues;
    const { limit = Number.POSITIVE_INFINITY } = bounds;
    this.limit = limit > 0 && limit <= LARGEST_BATCH ? limit : FIRST_BATCH;
    this.end = bounds.reverse ? bounds.lower : bounds.upper;
    this.deleted.deletedOnly = true;
    this.deleted.end = this.end;
    this.deleted.inclusive = !(bounds.reverse ? bounds.lowerExclusive : bounds.upperExclusive);
    if (snapshot !== null) this.deleted.newest = snapshot.timestamp;
  }

  next(): boolean {
    assertNotDropped(this.target);
    this.snapshot?.assertStands();
    const own = this.writes?.ownOf(this.target) ?? null;
    this.batch.mayPack = own === null && this.bounds.mayPack === true;
    if (this.at === this.batch.count && !this.treeEnded) {
      this.readOn();
      this.range?.reach(this.lastRead, this.treeEnded);
    }
    this.count = 0;
    this.packed = null;
    const goesOn = own === null ? this.takeFromIndex() : this.merge(own);
    this.snapshot?.assertStands();
    return goesOn;
  }

  /** Reads the next batch of the index. If it throws, the position has not changed. */
  private readOn(): void {
    const read = this.snapshot === null ? this.target : incarnationAt(this.target, this.snapshot.timestamp);
    this.touched?.noteIncarnation(this.target);
    if (read === null) {
      this.treeEnded = true;
      return;
    }
    const tree = read.index;
    // The target is of another incarnation after a clear; what was read is of this one.
    this.tree = { number: read.number, incarnation: read.incarnation };
    if (tree !== this.index || this.cursor === null) {
      this.cursor = this.cursorOn(tree);
      this.index = tree;
    }
    const batch = this.batch;
    batch.limit = this.limit;
    // A fault leaves the cursor where it is; what it leaves of the batch is not said.
    batch.count = 0;
    batch.isPacked = false;
    this.at = 0;
    if (!this.hasSeen && !this.passDeleted(this.cursor)) return;
    let more = false;
    try {
      more = this.cursor.next(batch);
    } catch (error) {
      batch.count = 0;
      throw error;
    }
    this.limit = Math.min(LARGEST_BATCH, this.limit * 4);
    this.touched?.note(batch.timestamp);
    if (!more) {
      batch.count = 0;
      this.treeEnded = true;
      return;
    }
    if (batch.count === 0) return;
    this.hasSeen = false;
    // A packed one is the reader's to change.
    this.lastRead = batch.isPacked ? copyOf(this.keyAt(batch.count - 1)) : batch.keys[batch.count - 1]!;
    if (isBeyondEnd(this.lastRead, this.bounds)) {
      while (batch.count > 0 && isBeyondEnd(this.keyAt(batch.count - 1), this.bounds)) batch.count--;
      this.treeEnded = true;
    }
  }

  /**
   * Goes past entries that were deleted and are there for older snapshots, on pages where that is all there is for this one (T2). False: it has gone
   * far enough for now, or to the end.
   */
  private passDeleted(cursor: Cursor): boolean {
    const { deleted } = this;
    if (cursor.count === undefined) return true;
    for (let pages = 0; pages < MOST_PAGES_PASSED; pages++) {
      this.treeEnded = !cursor.count(deleted);
      if (deleted.isTooNew || deleted.hasValues) {
        // If a fault comes between, this page is read on from, and not asked for twice.
        this.hasSeen = true;
        return true;
      }
      this.touched?.note(deleted.timestamp);
      if (this.treeEnded) return false;
    }
    return false;
  }

  private keyAt(at: number): Uint8Array {
    return this.batch.isPacked ? this.batch.packed.keys.viewAt(at) : this.batch.keys[at]!;
  }

  private cursorOn(tree: Index): Cursor {
    if (this.lastRead === null) return cursorAt(tree, this.bounds);
    const { lower, upper, reverse } = this.bounds;
    const cursor = tree.cursor();
    cursor.seek(this.lastRead, { exclusive: true, reverse, end: reverse ? lower : upper });
    return cursor;
  }

  private takeFromIndex(): boolean {
    const { batch } = this;
    // What the transaction writes before the next call must not come in behind what was given out already.
    if (this.writes !== null && this.at < batch.count) this.passed = copyOf(this.keyAt(batch.count - 1));
    if (batch.isPacked && this.at < batch.count) this.takePacked();
    while (this.at < batch.count) this.takeEntry(this.at++);
    return this.count > 0 || !this.treeEnded;
  }

  /** Hands the whole batch on, if what is in the index is what is seen; else unpacks it. */
  private takePacked(): void {
    const { batch, bounds } = this;
    const { packed } = batch;
    if (this.needsVersions()) {
      for (let at = 0; at < batch.count; at++) {
        batch.keys[at] = packed.keys.viewAt(at);
        if (bounds.wantsValues) batch.values[at] = packed.valueAt(at);
      }
      return;
    }
    let count = 0;
    for (let at = 0; at < batch.count; at++) {
      if (batch.tags[at] !== TAG_VALUE) continue;
      if (count < at) packed.move(at, count);
      count++;
    }
    this.packed = packed;
    this.hasSeen = count > 0;
    this.count = count;
    this.at = batch.count;
  }

  /** Whether commits above the snapshot may have changed what the batch has, so that versions must be looked for. */
  private needsVersions(): boolean {
    const { batch, snapshot } = this;
    return snapshot !== null && batch.timestamp > snapshot.timestamp && this.versions.holds(this.target.number);
  }

  /** Goes through the batch and the transaction's own changes together; what the transaction wrote hides what the index has. */
  private merge(own: OwnWrites): boolean {
    const { batch, bounds } = this;
    const direction = bounds.reverse ? -1 : 1;
    let ownAt = this.firstOwn(own);
    while (this.count < LARGEST_BATCH) {
      const inIndex = this.at < batch.count;
      if (!inIndex && !this.treeEnded) break; // What follows in the index may come before what follows here.
      const hasOwn = this.isInBounds(own, ownAt);
      if (!inIndex && !hasOwn) break;
      const order = hasOwn && inIndex ? own.compare(ownAt, batch.keys[this.at]!) * direction : hasOwn ? -1 : 1;
      if (order <= 0) {
        const key = own.key(ownAt);
        if (!own.deletes(ownAt)) this.take(key, bounds.wantsValues ? own.value(ownAt) : NOTHING);
        if (order === 0) this.at++;
        ownAt += direction;
        this.passed = key;
      } else {
        this.passed = batch.keys[this.at]!;
        this.takeEntry(this.at++);
      }
    }
    const ended = this.treeEnded && this.at === batch.count && !this.isInBounds(own, ownAt);
    return this.count > 0 || !ended;
  }

  private takeEntry(at: number): void {
    const { batch, snapshot, versions } = this;
    // The batch was read first, its versions are looked for now: why this order is right beside commits is told in version-store.ts. That the
    // snapshot stands is asked when all of them were.
    if (snapshot !== null && batch.timestamp > snapshot.timestamp && versions.holds(this.target.number)) {
      const version = versions.find(this.tree, batch.keys[at]!, snapshot.timestamp);
      if (version === WAS_ABSENT) return;
      if (version !== IN_INDEX) {
        this.hasSeen = true;
        this.take(batch.keys[at]!, this.bounds.wantsValues ? versions.valueOf(version) : NOTHING);
        return;
      }
    }
    if (batch.tags[at] !== TAG_VALUE) return;
    this.hasSeen = true;
    this.take(batch.keys[at]!, batch.values[at]!);
  }

  private take(key: Uint8Array, value: Uint8Array): void {
    this.keys[this.count] = key;
    if (this.bounds.wantsValues) this.values[this.count] = value;
    this.count++;
  }

  /** Where the own changes go on after what was passed; looked for anew each time, because they may have changed. */
  private firstOwn(own: OwnWrites): number {
    const { lower, lowerExclusive, upper, upperExclusive, reverse } = this.bounds;
    if (reverse) {
      if (this.passed !== null) return own.firstAtOrAfter(this.passed) - 1;
      if (upper === null) return own.length - 1;
      const at = own.firstAtOrAfter(upper);
      const isThere = at < own.length && own.compare(at, upper) === 0;
      return isThere && !upperExclusive ? at : at - 1;
    }
    const from = this.passed ?? lower;
    if (from === null) return 0;
    const at = own.firstAtOrAfter(from);
    const isThere = at < own.length && own.compare(at, from) === 0;
    return isThere && (this.passed !== null || lowerExclusive) ? at + 1 : at;
  }

  /** Whether there is a change of that number, and the scan goes as far. */
  private isInBounds(own: OwnWrites, at: number): boolean {
    const { lowerExclusive, upperExclusive, reverse } = this.bounds;
    if (at < 0 || at >= own.length) return false;
    if (this.end === null) return true;
    const order = own.compare(at, this.end);
    if (order === 0) return reverse ? !lowerExclusive : !upperExclusive;
    return order < 0 !== reverse;
  }
}

const NOTHING = new Uint8Array(0);
