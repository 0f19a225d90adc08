/** What one thread has over the memory of all: the parts of concurrency control, put together. */
import { type ConcurrencyHost, isPagewrightError, POINT, schedulePoint } from '@pagewright/core';
import { Collection, type CollectionSurroundings } from './collection.js';
import { CommitLocks } from './commit-locks.js';
import { CommitPath } from './commit-path.js';
import { type PlainChecks, plainChecks } from './dependence.js';
import { FileRoom } from './file-room.js';
import { LeftTombstones } from './left-tombstones.js';
import { SharedCounter } from './shared-counter.js';
import type { MvccMemory } from './shared-memory.js';
import { Latch, Sharing } from './sharing.js';
import { SnapshotList } from './snapshots.js';
import { Timestamps } from './timestamps.js';
import { Tombstones } from './tombstones.js';
import type { TransactionSurroundings } from './transaction.js';
import { VersionBlocks } from './version-blocks.js';
import { VersionChains } from './version-chains.js';
import { VersionStore } from './version-store.js';
import { SpareMemory } from './write-buffer.js';

/** Versions removed when a snapshot ends; `collect` and later ends remove the rest. Keeps each end short. */
const TRIM_AT_ONCE = 512;

export class MvccParts implements CollectionSurroundings {
  readonly sharing: Sharing;
  readonly timestamps: Timestamps;
  readonly order: Latch;
  readonly locks: CommitLocks;
  readonly room: FileRoom;
  readonly snapshots: SnapshotList;
  readonly blocks: VersionBlocks;
  readonly versions: VersionStore;
  readonly tombstones: Tombstones;
  readonly left: LeftTombstones;
  readonly path: CommitPath;
  readonly plainChecks: PlainChecks;
  readonly collection: Collection;
  readonly conflicts: SharedCounter;
  readonly transactions: TransactionSurroundings;

  constructor(
    readonly memory: MvccMemory,
    host: ConcurrencyHost,
    /** Timestamps up to it are of an earlier process, and no snapshot of this one is below it. */
    public startedAt: number,
    maxTransactionBytes: number,
  ) {
    const sharing = new Sharing(memory.sharing, host);
    const latch = new Latch(memory.latch, sharing, 'versionLatch');
    this.sharing = sharing;
    this.order = new Latch(memory.order, sharing, 'orderLatch');
    this.timestamps = new Timestamps(memory.timestamps, sharing);
    this.locks = new CommitLocks(memory, sharing);
    this.room = new FileRoom(host);
    this.snapshots = new SnapshotList(memory.snapshots, sharing, this.order, latch, this.timestamps, (wasOldest) => {
      schedulePoint(POINT.snapshotGone);
      if (this.snapshots.members === 0) this.versions.clear();
      else if (wasOldest) this.versions.trim(TRIM_AT_ONCE);
    });
    this.blocks = new VersionBlocks(memory.blocks);
    const chains = new VersionChains(memory.chains, this.blocks);
    this.versions = new VersionStore(memory.versions, this.blocks, chains, sharing, latch, this.snapshots);
    this.tombstones = new Tombstones(new SharedCounter(memory.tombstones));
    this.left = new LeftTombstones(memory.left, this.blocks, this.versions, latch);
    this.conflicts = new SharedCounter(memory.conflicts);
    this.path = new CommitPath(this);
    this.plainChecks = plainChecks(this.timestamps);
    this.collection = new Collection(this);
    this.transactions = {
      versions: this.versions,
      path: this.path,
      maxBytes: Math.min(maxTransactionBytes, host.log.maxRecordSize),
      spare: new SpareMemory(),
      conflicted: () => this.conflicts.add(1),
    };
  }

  /** In the thread that has made the memory. */
  begin(): void {
    this.blocks.begin();
    this.snapshots.begin();
    this.timestamps.begin(this.startedAt);
  }

  /** From now on other threads may be at work on the memory. */
  share(): void {
    if (this.sharing.isShared) return;
    this.timestamps.share();
    this.join();
  }

  /** In another thread than that which has made the memory. */
  join(): void {
    this.sharing.share();
    this.snapshots.share();
  }

  /** The thread has no use of the memory any more. */
  leave(): void {
    if (!this.sharing.isShared) return;
    try {
      this.snapshots.leave();
      this.collection.leave();
    } catch (error) {
      // Of a store that has failed, or that its owner has closed, nobody wants to know anything.
      if (!isPagewrightError(error, 'PW_THREAD_LOST') && !isPagewrightError(error, 'PW_CLOSED')) throw error;
    }
  }
}
