/**
 * How a commit becomes part of the store: its keys are locked and conflicts looked for, space is secured and what snapshots still want is
 * read, then it takes its timestamp, the record is appended, versions are put aside, the changes are installed, and the timestamp is published. Up to the append an
 * error leaves everything as it was; from the append to the publication any error fails the engine (T6), because the log has what the
 * indexes have not.
 *
 * It is one synchronous step of its thread, and holds the gate from before it takes its timestamp until that is published (C1). Order of what it
 * takes: locks of indexes, locks of keys, the gate, then for moments the order latch or that of versions. It returns when V has
 * reached it (T1), and holds nothing while it waits for that.
 */
import {
  type CommitRecord,
  type CommitTicket,
  type ConcurrencyHost,
  invariant,
  type LogOperation,
  type LogOperations,
  OPERATION_DELETE,
  OPERATION_PUT,
  type PageStoreStats,
  POINT,
  schedulePoint,
  TAG_TOMBSTONE,
  TAG_VALUE,
  type Target,
} from '@pagewright/core';
import type { CommitLocks } from './commit-locks.js';
import type { CommitOperations, TargetedOperation } from './commit-operations.js';
import type { FileRoom } from './file-room.js';
import { keyText } from './key-text.js';
import type { ReadSet } from './read-set.js';
import { ReplacedEntries, type ReplacedEntry } from './replaced-entry.js';
import type { Latch, Sharing } from './sharing.js';
import type { SnapshotList } from './snapshots.js';
import type { Timestamps } from './timestamps.js';
import { Tombstone, type Tombstones } from './tombstones.js';
import type { VersionStore } from './version-store.js';

const NOTHING: Uint8Array = new Uint8Array(0);

/** Pages secured for every commit besides those that its writes ask for: catalog, roots and inner pages. */
const SPARE_PAGES = 16;
/** Up to this number of writes, what lies above their pages is among the spare ones, and how many pages there are is not asked. */
const FEW_WRITES = 8;
/** Into so many a full page is divided before what is put begins to fill them. */
const MOST_PARTS = 3;
/** How many times more pages there may be than bytes of keys and values would fill: a value on a page of its own may take a quarter of it. */
const PAGES_A_PAGE = 4;
/** Pages that one page above others leads to at least, on average. */
const LEAST_FAN_OUT = 8;

/** The record that is being appended; one for all commits, because a log encodes it at once. */
interface RecordInMaking extends CommitRecord {
  timestamp: number;
  dependsOn: number;
  operations: LogOperations;
}

/** Looks for what keeps a commit from going on, when its keys are locked; throws if it finds anything. */
export interface CommitCheck {
  /** d of its record (T1), below the timestamp that it will take. */
  check(operations: CommitOperations): number;
  /** Of a serializable transaction, what it has read, which is validated once more when nobody else can take a timestamp (T5). */
  readonly reads?: ReadSet | null;
  /** Indexes that were read, and are locked with those that are written: none of them gets another tree from the check on until the commit is there. */
  readonly readTargets?: Iterable<Target> | undefined;
}

/** What a commit needs of the engine, and of all threads. */
export interface CommitSurroundings {
  readonly sharing: Sharing;
  readonly timestamps: Timestamps;
  /** Under which timestamps are taken and records appended. */
  readonly order: Latch;
  readonly locks: CommitLocks;
  readonly room: FileRoom;
  readonly snapshots: SnapshotList;
  readonly versions: VersionStore;
  readonly tombstones: Tombstones;
}

export class CommitPath {
  private readonly record: RecordInMaking = { timestamp: 0, dependsOn: 0, operations: [] };
  private readonly replaced = new ReplacedEntries();
  /** Behind the record that was appended last. */
  private position = 0;

  constructor(private readonly parts: CommitSurroundings) {}

  /**
   * Commits operations that are sorted by index and key, each key once, if the check passes. Errors, nothing changed: those of the check, of log and page
   * store, `PW_THREAD_LOST`, `PW_CLOSED`; `PW_ENGINE_FAILED` at any time.
   */
  commit(operations: CommitOperations, check: CommitCheck): CommitTicket {
    const { locks, room } = this.parts;
    locks.take(operations, check.readTargets);
    let size = 0;
    let timestamp = 0;
    let position = 0;
    let dependsOn = 0;
    let isOver = false;
    const { faulting } = this.host.pages;
    try {
      if (this.parts.sharing.isShared) this.host.catchUp(operations.targets);
      this.host.pages.faulting = false;
      const { reads = null } = check;
      if (reads !== null) reads.validatedUpTo = this.parts.timestamps.visible;
      dependsOn = check.check(operations);
      schedulePoint(POINT.commitBegun);
      try {
        const { snapshots } = this.parts;
        const { openings } = snapshots;
        let replaced = snapshots.members > 0 ? this.readReplaced(operations, false) : null;
        size = this.prepare(operations.logged, this.pagesFor(operations));
        if (!this.append(operations.logged, dependsOn, openings, reads)) {
          // A snapshot was opened meanwhile, which was not asked what it wants. This time those that come later are taken into account.
          replaced = this.readReplaced(operations, true);
          this.append(operations.logged, dependsOn, null, reads);
        }
        ({ timestamp } = this.record);
        ({ position } = this);
        this.installing(timestamp, () => {
          for (let i = 0; i < operations.length; i++) {
            if (replaced === null) this.install(operations.at(i), timestamp);
            else this.installBesideSnapshots(operations.at(i), replaced[i], timestamp);
            schedulePoint(POINT.entryInstalled);
          }
        });
      } finally {
        room.give();
        isOver = true;
      }
    } finally {
      this.host.pages.faulting = faulting;
      locks.give();
      if (isOver) schedulePoint(POINT.commitEnded);
    }
    this.awaitVisible(timestamp);
    this.host.committed(size, operations.length);
    return { timestamp, position, dependsOn };
  }

  /** Commits one operation on the catalog, which `install` carries out. */
  commitOperation(operation: LogOperation, install: (timestamp: number) => void): CommitTicket {
    const { locks, room, timestamps } = this.parts;
    const operations = [operation];
    locks.takeAlone(operation.index);
    let size = 0;
    let timestamp = 0;
    let position = 0;
    let isOver = false;
    try {
      const { faulting } = this.host.pages;
      this.host.pages.faulting = false;
      schedulePoint(POINT.commitBegun);
      try {
        size = this.prepare(operations, SPARE_PAGES);
        this.append(operations, timestamps.visible, null, null);
        ({ timestamp } = this.record);
        ({ position } = this);
        this.installing(timestamp, () => install(timestamp));
      } finally {
        room.give();
        this.host.pages.faulting = faulting;
        isOver = true;
      }
    } finally {
      locks.giveAlone(operation.index);
      if (isOver) schedulePoint(POINT.commitEnded);
    }
    this.awaitVisible(timestamp);
    this.host.committed(size, 0);
    return { timestamp, position, dependsOn: this.record.dependsOn };
  }

  /** Runs a step while no other thread commits on the index. */
  alone<Result>(index: number, step: () => Result): Result {
    const { locks } = this.parts;
    locks.takeAlone(index);
    try {
      return step();
    } finally {
      locks.giveAlone(index);
    }
  }

  private get host(): ConcurrencyHost {
    return this.parts.sharing.host;
  }

  /** Everything that may fail and leave nothing behind. Returns the size of the record. */
  private prepare(operations: LogOperations, pages: number): number {
    const { host } = this;
    this.parts.sharing.assertSound();
    host.assertWritable();
    const size = host.log.sizeOf(operations);
    host.log.reserveSync(size);
    this.parts.room.secure(pages);
    schedulePoint(POINT.commitPrepared);
    return size;
  }

  private readReplaced(operations: CommitOperations, all: boolean): ReplacedEntry[] {
    return this.replaced.read(operations, this.parts.versions, all);
  }

  /**
   * Enters the gate, takes the next timestamp and appends the record. False, with nothing changed, if snapshots were opened since there were so
   * many: they will be below this commit, and it does not know what they want. Null: it does, whatever was opened. Errors, nothing changed: those of validating what was read.
   */
  private append(
    operations: LogOperations,
    dependsOn: number,
    openings: number | null,
    reads: ReadSet | null,
  ): boolean {
    const { sharing, order, timestamps, snapshots } = this.parts;
    const { record } = this;
    const { log } = this.host;
    let isAppended = false;
    this.enterGate();
    try {
      order.take();
      try {
        sharing.assertSound();
        // Whoever closes the store has said so before it waits for the gate: what it writes then is the last.
        if (sharing.isShared) this.host.assertWritable();
        if (openings !== null && snapshots.openings !== openings) return false;
        if (reads !== null) this.validateAgain(reads);
        record.dependsOn = dependsOn;
        record.operations = operations;
        try {
          record.timestamp = timestamps.take();
          this.position = log.append(record);
        } catch (error) {
          throw sharing.fail(error);
        }
        isAppended = true;
      } finally {
        order.give();
      }
    } finally {
      if (!isAppended) this.leaveGate();
    }
    schedulePoint(POINT.commitAppended);
    return true;
  }

  /** T5: under the order latch, so that all commits with a lower timestamp can be waited for, and none comes between. Most often there was none since the check. */
  private validateAgain(reads: ReadSet): void {
    const { taken } = this.parts.timestamps;
    if (taken === reads.validatedUpTo) return;
    this.awaitVisible(taken);
    reads.validate();
  }

  /** From the append to the publication, at which the gate is left. */
  private installing(timestamp: number, install: () => void): void {
    const { sharing, timestamps } = this.parts;
    try {
      install();
      schedulePoint(POINT.commitPublishing);
      this.record.operations = [];
      timestamps.publish(timestamp);
      schedulePoint(POINT.commitPublished);
    } catch (error) {
      throw sharing.fail(error);
    } finally {
      this.leaveGate();
    }
  }

  /** T1. What may keep V from reaching a timestamp that was taken fails the engine. */
  private awaitVisible(timestamp: number): void {
    const { sharing, timestamps } = this.parts;
    if (!sharing.isShared) return;
    try {
      timestamps.waitFor(timestamp);
    } catch (error) {
      throw sharing.failure ?? sharing.fail(error);
    }
  }

  private enterGate(): void {
    if (this.parts.sharing.isShared) this.host.pages.enterGate();
  }

  private leaveGate(): void {
    if (this.parts.sharing.isShared) this.host.pages.leaveGate();
  }

  private install({ target, key, kind, value }: TargetedOperation, timestamp: number): void {
    const { tombstones } = this.parts;
    const { index } = target;
    if (kind === OPERATION_PUT) index.upsert(key, TAG_VALUE, value, timestamp);
    else index.remove(key, timestamp);
    if (tombstones.holds(index)) tombstones.forget(index, keyText(key));
  }

  /** While someone may want to see what was there before. */
  private installBesideSnapshots(
    operation: TargetedOperation,
    replaced: ReplacedEntry | undefined,
    timestamp: number,
  ): void {
    const { versions, tombstones } = this.parts;
    const { target, key, kind, value } = operation;
    const deletes = kind === OPERATION_DELETE;
    // Nothing is deleted, so nothing is replaced: whoever inserts the key next does not conflict with this.
    if (deletes && replaced?.present === false) return;
    if (!versions.keep(target, key, replaced, timestamp)) {
      this.install(operation, timestamp);
      return;
    }
    invariant(replaced !== undefined, 'A commit beside snapshots has not read what it replaces');
    const { index } = target;
    if (!deletes) {
      index.upsert(key, TAG_VALUE, value, timestamp);
      if (tombstones.holds(index)) tombstones.forget(index, keyText(key));
    } else {
      target.noteTombstones();
      index.upsert(key, TAG_TOMBSTONE, NOTHING, timestamp);
      tombstones.add(new Tombstone(target, index, target.incarnation, new Uint8Array(key), keyText(key), timestamp));
      this.host.kept();
    }
  }

  /**
   * The most pages that the commit can make dirty: for each write its leaf and a new one beside it, or what its index says, the pages above, and for large
   * values pages of their own, rounded up to a size class. Many writes go to the same leaves: they divide no more than there are, and then what they bring fills the new
   * ones. Of many small entries that is more than their bytes: what an index keeps beside each of them counts.
   */
  private pagesFor(operations: CommitOperations): number {
    const { pages } = this.host;
    const { length, pagesAPut } = operations;
    let touched = pagesAPut * Math.min(length, FEW_WRITES);
    if (length > FEW_WRITES) {
      const { pagesOfManyPuts } = operations;
      const there = pages.mostPages ?? mostPagesOf(pages.stats());
      const brought = Math.ceil((operations.entryOverhead * length) / pages.pageSize);
      const each = pagesOfManyPuts * length + pagesAbove(length, there);
      touched = Math.max(touched, Math.min(each, Math.min(pagesOfManyPuts, MOST_PARTS) * there + brought));
    }
    return SPARE_PAGES + touched + Math.ceil((PAGES_A_PAGE * operations.bytes) / pages.pageSize);
  }
}

function mostPagesOf({ fileBytes, freeFileBytes, dirtyFrames, pageSize }: PageStoreStats): number {
  return Math.ceil((fileBytes - freeFileBytes) / pageSize) + dirtyFrames;
}

/** How many pages above others lead to so many of those that there are: on each level no more than that has. */
function pagesAbove(count: number, there: number): number {
  let above = 0;
  for (let level = there / LEAST_FAN_OUT; level >= 1; level /= LEAST_FAN_OUT)
    above += Math.min(count, Math.ceil(level));
  return above;
}
