/**
 * Transactions with snapshot isolation, for any index plugin: the newest version of an entry is in the index, older
 * ones are in memory and only while a snapshot needs them (Freitag et al., Memory-Optimized Multi-Version Concurrency
 * Control for Disk-Based Database Systems, VLDB 2022).
 *
 * What always holds: a snapshot at S sees every commit up to S and none above it, or throws `PW_SNAPSHOT_TOO_OLD`.
 * Rules T1 to T4, T6 and T7 of `docs/architecture.md`.
 *
 * A {@link Target} is one living object for each index: `clear` changes its `index`, `incarnation` and `predecessor`.
 */
import {
  type CommitTicket,
  type Concurrency,
  type ConcurrencyHost,
  type ConcurrencyStats,
  type Cursor,
  EntryBatch,
  type EntryCounter,
  EntryReference,
  POINT,
  type Scan,
  type ScanBounds,
  type Snapshot,
  schedulePoint,
  TAG_TOMBSTONE,
  type Target,
  type TransactionCore,
  type Write,
} from '@pagewright/core';
import { CommitPath } from './commit-path.js';
import { MvccCounter } from './counter.js';
import { keyText } from './key-text.js';
import { checkOptions, type MvccOptions } from './options.js';
import { operationsOf, PlainOperation } from './plain-writes.js';
import { MvccScan } from './scan.js';
import { SnapshotList } from './snapshots.js';
import { Tombstones } from './tombstones.js';
import { MvccTransaction, type TransactionSurroundings } from './transaction.js';
import { VersionStore } from './version-store.js';
import { assertNotDropped, lookupAt, lookupNewest } from './visibility.js';

/** Versions removed when a snapshot ends; `collect` and later ends remove the rest. Keeps each end short. */
const TRIM_AT_ONCE = 512;

export class Mvcc implements Concurrency {
  private readonly versions = new VersionStore();
  private readonly tombstones = new Tombstones();
  private readonly snapshots: SnapshotList;
  private readonly path: CommitPath;
  private readonly transactions: TransactionSurroundings;
  private readonly single = new PlainOperation();
  private readonly singleOperation = [this.single];
  /** Timestamps up to it are of an earlier process, and no snapshot of this one is below it. */
  private startedAt = 0;
  private readonly sweepBatch = new EntryBatch();
  private readonly marker = new EntryReference();

  /** Errors: `PW_OPTION_INVALID`. */
  constructor(options: MvccOptions = {}) {
    const { versionMemory, maxTransactionBytes } = checkOptions(options);
    this.sweepBatch.wantsValues = false;
    this.marker.wantsValue = false;
    this.snapshots = new SnapshotList((_snapshot, wasOldest) => {
      schedulePoint(POINT.snapshotGone);
      if (this.snapshots.count === 0) this.versions.clear();
      else if (wasOldest) this.versions.trim(this.oldestNeeded, TRIM_AT_ONCE);
    });
    this.path = new CommitPath(this.snapshots, this.versions, this.tombstones, versionMemory);
    this.transactions = {
      versions: this.versions,
      path: this.path,
      maxBytes: maxTransactionBytes,
      conflicts: 0,
    };
  }

  get visible(): number {
    return this.path.visible;
  }

  get oldestNeeded(): number {
    return this.snapshots.oldest?.timestamp ?? this.path.visible;
  }

  start(host: ConcurrencyHost, timestamp: number): void {
    this.path.start(host, timestamp);
    this.startedAt = timestamp;
    this.transactions.maxBytes = Math.min(this.transactions.maxBytes, host.log.maxRecordSize);
  }

  advance(timestamp: number): void {
    this.path.advance(timestamp);
    this.snapshots.revokeBelow(timestamp);
  }

  snapshot(): Snapshot {
    return this.snapshots.open(this.path.visible);
  }

  begin(): TransactionCore {
    return new MvccTransaction(this.snapshots.open(this.path.visible), this.transactions);
  }

  lookup(target: Target, key: Uint8Array, into: EntryReference, snapshot: Snapshot | null): boolean {
    if (snapshot === null) return lookupNewest(target, key, into);
    return lookupAt(this.versions, target, key, into, snapshot);
  }

  scan(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): Scan {
    return new MvccScan(this.versions, target, bounds, snapshot, null);
  }

  count(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): EntryCounter {
    return new MvccCounter(this.versions, target, bounds, snapshot);
  }

  commit(writes: readonly Write[]): CommitTicket {
    if (writes.length === 0) return { timestamp: this.path.visible, position: -1 };
    for (let i = 0; i < writes.length; i++) assertNotDropped(writes[i]!.target);
    if (writes.length > 1) return this.path.commit(operationsOf(writes), this.path.visible);
    this.single.set(writes[0]!);
    return this.path.commit(this.singleOperation, this.path.visible);
  }

  commitOperation(
    operation: { kind: number; index: number; key: Uint8Array },
    install: (timestamp: number) => void,
  ): CommitTicket {
    const { kind, index, key } = operation;
    return this.path.commitOperation({ kind, index, key, value: NOTHING }, install);
  }

  collect(budget: number): boolean {
    const oldestNeeded = this.oldestNeeded;
    const versionsBefore = this.versions.count;
    const versionsLeft = this.versions.trim(oldestNeeded, budget);
    const budgetLeft = budget - (versionsBefore - this.versions.count);
    if (this.tombstones.ripe(oldestNeeded) === null) return versionsLeft;
    if (budgetLeft === 0) return true;
    this.path.surroundings.pages.secureSpace(2 * Math.min(budgetLeft, this.tombstones.count));
    for (let removed = 0; removed < budgetLeft; removed++) {
      const tombstone = this.tombstones.ripe(oldestNeeded);
      if (tombstone === null) return versionsLeft;
      const { target, index, key, timestamp } = tombstone;
      // A tree that was dropped or cleared is given up as a whole.
      if (!target.dropped && target.index === index) index.remove(key, timestamp);
      this.tombstones.remove(tombstone);
      schedulePoint(POINT.tombstoneCollected);
    }
    return versionsLeft || this.tombstones.ripe(oldestNeeded) !== null;
  }

  /** If it throws, what was passed and not removed waits for the next sweep from the beginning. */
  sweep(target: Target, cursor: Cursor, budget: number): boolean {
    if (target.dropped) return true;
    const batch = this.sweepBatch;
    batch.limit = budget;
    if (!cursor.next(batch)) return true;
    const found = batch.tags.slice(0, batch.count).filter((tag) => tag === TAG_TOMBSTONE).length;
    if (found === 0) return false;
    const { pages } = this.path.surroundings;
    pages.secureSpace(2 * found);
    // The cursor has gone past these entries: a fault now would make it miss them.
    const faulting = pages.faulting;
    pages.faulting = false;
    try {
      for (let i = 0; i < batch.count; i++) {
        if (batch.tags[i] !== TAG_TOMBSTONE) continue;
        this.removeLeftOver(target, batch.keys[i]!);
        schedulePoint(POINT.tombstoneSwept);
      }
    } finally {
      pages.faulting = faulting;
    }
    return false;
  }

  stats(): ConcurrencyStats {
    return {
      visible: this.path.visible,
      activeSnapshots: this.snapshots.count,
      oldestSnapshot: this.snapshots.oldest?.timestamp ?? null,
      versions: this.versions.count,
      versionBytes: this.versions.bytes,
      tombstones: this.tombstones.count,
      commits: this.path.commits,
      conflicts: this.transactions.conflicts,
    };
  }

  /** Removes a tombstone of an earlier process: those of this one are known, and wait for its snapshots. */
  private removeLeftOver(target: Target, key: Uint8Array): void {
    const { index } = target;
    if (this.tombstones.has(index, keyText(key))) return;
    // The cursor may be on a tree that the index has no more.
    if (index.lookup(key, this.marker) && this.marker.tag === TAG_TOMBSTONE) index.remove(key, this.startedAt);
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
