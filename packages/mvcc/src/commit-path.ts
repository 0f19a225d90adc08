/**
 * How a commit becomes part of the store: space is secured and what snapshots still want is read, then the record is
 * appended, versions are put aside, the changes are installed, and the timestamp is published. Up to the append an error leaves everything as it was; from
 * the append to the publication any error fails the engine (T6), because the log has what the indexes have not.
 *
 * It is one synchronous step, so any instant between two commits is a gate for checkpoints (C1).
 */
import {
  type CommitRecord,
  type CommitTicket,
  type ConcurrencyHost,
  invariant,
  type LogOperation,
  OPERATION_DELETE,
  OPERATION_PUT,
  PagewrightError,
  POINT,
  schedulePoint,
  TAG_TOMBSTONE,
  TAG_VALUE,
  type Target,
} from '@pagewright/core';
import { keyText } from './key-text.js';
import { ReplacedEntries, type ReplacedEntry } from './replaced-entry.js';
import type { SnapshotList } from './snapshots.js';
import { Tombstone, type Tombstones } from './tombstones.js';
import type { VersionStore } from './version-store.js';

const NOTHING: Uint8Array = new Uint8Array(0);

/** Pages secured for every commit besides those that its writes ask for: catalog, roots and inner pages. */
const SPARE_PAGES = 16;
/** Above this number of writes, the pages that there are bound how many a commit can touch. */
const FEW_WRITES = 64;

/** An operation on an index, with the index. */
export interface TargetedOperation extends LogOperation {
  readonly target: Target;
}

/** The record that is being appended; one for all commits, because a log encodes it at once. */
interface RecordInMaking extends CommitRecord {
  timestamp: number;
  dependsOn: number;
  operations: readonly LogOperation[];
}

export class CommitPath {
  /** V: all commits up to it are published. */
  visible = 0;
  commits = 0;
  private host: ConcurrencyHost | null = null;
  /** T6: what happened after an append. */
  private failure: Error | null = null;
  private readonly record: RecordInMaking = { timestamp: 0, dependsOn: 0, operations: [] };
  private readonly replaced = new ReplacedEntries();

  constructor(
    private readonly snapshots: SnapshotList,
    private readonly versions: VersionStore,
    private readonly tombstones: Tombstones,
    private readonly versionMemory: number,
  ) {}

  start(host: ConcurrencyHost, timestamp: number): void {
    invariant(this.host === null, 'Concurrency control was started twice');
    this.host = host;
    this.visible = timestamp;
  }

  /** Commits up to the timestamp are there, though they were not made here. */
  advance(timestamp: number): void {
    invariant(timestamp >= this.visible, 'A reader has gone back in time');
    this.visible = timestamp;
  }

  /** The surroundings. Errors: `PW_CLOSED` before `start`. */
  get surroundings(): ConcurrencyHost {
    if (this.host === null) {
      throw new PagewrightError(
        'PW_CLOSED',
        'Concurrency control has not been started yet. Call start() when recovery is over.',
      );
    }
    return this.host;
  }

  /** Commits operations that are sorted by index and key, each key once. Conflicts have been looked for. */
  commit(operations: readonly TargetedOperation[], dependsOn: number): CommitTicket {
    const host = this.surroundings;
    const faulting = host.pages.faulting;
    host.pages.faulting = false;
    schedulePoint(POINT.commitBegun);
    try {
      const replaced = this.snapshots.count > 0 ? this.readReplaced(operations) : null;
      const size = this.prepare(operations, this.pagesFor(operations));
      const timestamp = this.visible + 1;
      let position: number;
      try {
        position = this.append(operations, dependsOn, timestamp);
        for (let i = 0; i < operations.length; i++) {
          this.install(operations[i]!, replaced?.[i], timestamp);
          schedulePoint(POINT.entryInstalled);
        }
        this.publish(timestamp);
      } catch (error) {
        throw this.fail(error);
      }
      host.committed(size);
      return { timestamp, position };
    } finally {
      host.pages.faulting = faulting;
      schedulePoint(POINT.commitEnded);
    }
  }

  /** Commits one operation on the catalog, which `install` carries out. */
  commitOperation(operation: LogOperation, install: (timestamp: number) => void): CommitTicket {
    const host = this.surroundings;
    const faulting = host.pages.faulting;
    host.pages.faulting = false;
    schedulePoint(POINT.commitBegun);
    try {
      const operations = [operation];
      const size = this.prepare(operations, SPARE_PAGES);
      const timestamp = this.visible + 1;
      let position: number;
      try {
        position = this.append(operations, this.visible, timestamp);
        install(timestamp);
        this.publish(timestamp);
      } catch (error) {
        throw this.fail(error);
      }
      host.committed(size);
      return { timestamp, position };
    } finally {
      host.pages.faulting = faulting;
      schedulePoint(POINT.commitEnded);
    }
  }

  /** Everything that may fail and leave nothing behind. Returns the size of the record. */
  private prepare(operations: readonly LogOperation[], pages: number): number {
    const host = this.surroundings;
    if (this.failure !== null) {
      throw new PagewrightError(
        'PW_ENGINE_FAILED',
        'A commit failed after it was logged. Close the store and open it again.',
        {
          cause: this.failure,
        },
      );
    }
    host.assertWritable();
    const size = host.log.sizeOf(operations);
    host.log.reserveSync(size);
    host.pages.secureSpace(pages);
    schedulePoint(POINT.commitPrepared);
    return size;
  }

  private append(operations: readonly LogOperation[], dependsOn: number, timestamp: number): number {
    const record = this.record;
    record.timestamp = timestamp;
    record.dependsOn = dependsOn;
    record.operations = operations;
    const position = this.surroundings.log.append(record);
    schedulePoint(POINT.commitAppended);
    return position;
  }

  private readReplaced(operations: readonly TargetedOperation[]): ReplacedEntry[] {
    return this.replaced.read(operations, this.versions, this.snapshots, this.versionMemory);
  }

  private publish(timestamp: number): void {
    schedulePoint(POINT.commitPublishing);
    this.record.operations = [];
    this.visible = timestamp;
    this.commits++;
    schedulePoint(POINT.commitPublished);
  }

  private fail(error: unknown): Error {
    this.failure = this.surroundings.fail(error);
    return this.failure;
  }

  private install(operation: TargetedOperation, replaced: ReplacedEntry | undefined, timestamp: number): void {
    const { target, key, kind } = operation;
    const index = target.index;
    if (this.snapshots.count > 0) {
      invariant(replaced !== undefined, 'A commit beside snapshots has not read what it replaces');
      this.installBesideSnapshots(operation, replaced, timestamp);
    } else if (kind === OPERATION_PUT) {
      index.upsert(key, TAG_VALUE, operation.value, timestamp);
      if (this.tombstones.holds(index)) this.tombstones.forget(index, keyText(key));
    } else {
      index.remove(key, timestamp);
      if (this.tombstones.holds(index)) this.tombstones.forget(index, keyText(key));
    }
  }

  /** Steps 5 and 6 while someone may want to see what was there before. */
  private installBesideSnapshots(operation: TargetedOperation, replaced: ReplacedEntry, timestamp: number): void {
    const { target, key } = operation;
    const index = target.index;
    const text = replaced.key;
    const deletes = operation.kind === OPERATION_DELETE;
    // Nothing is deleted, so nothing is replaced: whoever inserts the key next does not conflict with this.
    if (deletes && !replaced.present) return;
    if (replaced.wanted) {
      this.versions.add(index, text, replaced.value, timestamp, this.snapshots);
      if (this.versions.bytes > this.versionMemory) this.makeRoom();
    }
    if (!deletes) {
      index.upsert(key, TAG_VALUE, operation.value, timestamp);
      this.tombstones.forget(index, text);
    } else if (this.snapshots.count === 0) {
      index.remove(key, timestamp);
    } else {
      target.noteTombstones();
      index.upsert(key, TAG_TOMBSTONE, NOTHING, timestamp);
      this.tombstones.add(new Tombstone(target, index, key, text, timestamp));
    }
  }

  /** T4: what snapshots have passed goes first, then the oldest snapshots lose what they need. */
  private makeRoom(): void {
    for (;;) {
      const oldest = this.snapshots.oldest;
      if (oldest === null) return; // The list cleared the store with its last member.
      this.versions.trim(oldest.timestamp, Number.POSITIVE_INFINITY);
      if (this.versions.bytes <= this.versionMemory) return;
      this.snapshots.revokeOldest();
      schedulePoint(POINT.snapshotRevoked);
    }
  }

  /**
   * The most pages that the commit can make dirty: for each write its leaf and a new one beside it, for large values
   * pages of their own, rounded up to a size class. Many writes go to the same leaves: they touch no more than there are.
   */
  private pagesFor(operations: readonly LogOperation[]): number {
    const pages = this.surroundings.pages;
    let bytes = 0;
    for (let i = 0; i < operations.length; i++) bytes += operations[i]!.key.length + operations[i]!.value.length;
    let touched = 2 * operations.length;
    if (operations.length > FEW_WRITES) {
      const stats = pages.stats();
      touched = Math.min(touched, 2 * Math.ceil((stats.fileBytes - stats.freeFileBytes) / pages.pageSize));
    }
    return SPARE_PAGES + touched + 2 * Math.ceil(bytes / pages.pageSize);
  }
}
