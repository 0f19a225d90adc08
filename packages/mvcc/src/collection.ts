/**
 * Removes what no snapshot needs any more: versions, and tombstones from their indexes (T3, T4).
 *
 * Must hold, between threads: a tombstone is removed under the lock of its key, and only if the entry is one still, and no snapshot is below the
 * commit that made it. The latter is known from versions: a snapshot at S below a commit of the key has kept one that was replaced above S; so
 * if the last replacement known is not above the oldest snapshot, none is below the last commit of the key.
 */
import {
  type Cursor,
  EntryBatch,
  EntryReference,
  POINT,
  schedulePoint,
  TAG_TOMBSTONE,
  type Target,
} from '@pagewright/core';
import type { CommitSurroundings } from './commit-path.js';
import { keyText } from './key-text.js';
import type { LeftTombstone, LeftTombstones } from './left-tombstones.js';
import { Tombstone } from './tombstones.js';

/** With more snapshots at once it is not looked which tombstones none of them needs: to go through them takes too long. */
const MOST_SNAPSHOTS = 256;
/** Tombstones that are looked at for each that may be removed. */
const LOOKS_A_REMOVAL = 4;

export interface CollectionSurroundings extends CommitSurroundings {
  readonly left: LeftTombstones;
  /** Timestamps up to it are of an earlier process, and no snapshot of this one is below it. */
  readonly startedAt: number;
}

export class Collection {
  private readonly sweepBatch = new EntryBatch();
  private readonly marker = new EntryReference();
  /** Of threads: those whose snapshots have gone. */
  private endings = 0;

  constructor(private readonly parts: CollectionSurroundings) {
    this.sweepBatch.wantsValues = false;
    this.marker.wantsValue = false;
  }

  /** The timestamp of the oldest snapshot that is open; V if there is none. */
  get oldestNeeded(): number {
    const { timestamp, visible } = this.parts.snapshots.oldest();
    return timestamp ?? visible;
  }

  /** Removes `budget` tombstones and versions at most; true if some are left. */
  collect(budget: number): boolean {
    const { versions, tombstones } = this.parts;
    this.lapse();
    this.adopt();
    const { oldestNeeded } = this;
    const budgetLeft = budget - versions.trim(budget);
    const versionsLeft = versions.hasPassed;
    for (let removed = 0; removed < budgetLeft; removed++) {
      const tombstone = tombstones.ripe(oldestNeeded);
      if (tombstone === null) return this.collectAmong(budgetLeft - removed) || versionsLeft;
      this.bury(tombstone);
      schedulePoint(POINT.tombstoneCollected);
    }
    return versionsLeft || tombstones.ripe(oldestNeeded) !== null;
  }

  /**
   * Removes tombstones that the oldest snapshot has not passed, and that none needs all the same: a tombstone is needed by those that see a value of its key.
   * A key that was put and deleted while a snapshot was open is seen by no one then, so that a queue beside a long snapshot does not fill with what was taken out of it.
   * Removes `budget` at most; true if there are more of which it is not known who needs them.
   */
  private collectAmong(budget: number): boolean {
    const { tombstones, snapshots } = this.parts;
    if (tombstones.first === null) return false;
    const stand = snapshots.timestampsOf(MOST_SNAPSHOTS);
    if (stand === null) return false;
    tombstones.forgetSnapshots((timestamp) => stand.has(timestamp));
    let removed = 0;
    for (let looks = LOOKS_A_REMOVAL * budget; looks > 0 && removed < budget; looks--) {
      const tombstone = tombstones.nextOfUnknown;
      if (tombstone === null) return false;
      const viewer = this.buryUnseen(tombstone);
      if (viewer >= 0) tombstones.noteNeeded(viewer);
      else removed++;
      schedulePoint(POINT.tombstoneCollected);
    }
    return tombstones.nextOfUnknown !== null;
  }

  /** Removes a tombstone, unless a snapshot sees a value of its key: then its timestamp, else -1. */
  private buryUnseen(tombstone: Tombstone): number {
    const { tombstones, versions } = this.parts;
    const { target, index, incarnation, key, timestamp } = tombstone;
    let viewer = -1;
    this.withKey(target, key, () => {
      if (target.dropped || target.incarnation !== incarnation || target.index !== index) return;
      if (!index.lookup(key, this.marker) || this.marker.tag !== TAG_TOMBSTONE) return;
      viewer = versions.newestViewer(target, key);
      if (viewer < 0) index.remove(key, timestamp);
    });
    if (viewer < 0) tombstones.remove(tombstone);
    return viewer;
  }

  /** If it throws, what was passed and not removed waits for the next sweep from the beginning. */
  sweep(target: Target, cursor: Cursor, budget: number): boolean {
    if (target.dropped) return true;
    const batch = this.sweepBatch;
    batch.limit = budget;
    if (!cursor.next(batch)) return true;
    // The cursor has gone past these entries: a fault now would make it miss them.
    const { pages } = this.parts.sharing.host;
    const { faulting } = pages;
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

  /** Leaves what this thread alone knows to the others. */
  leave(): void {
    const { tombstones, left } = this.parts;
    for (let tombstone = tombstones.first; tombstone !== null; tombstone = tombstones.first) {
      if (!left.leave(tombstone)) return;
      tombstones.release(tombstone);
    }
  }

  /**
   * Snapshots of threads that have ended go, also of those that are behind older ones: what only they see need not be kept. Looking for such threads costs more than a
   * collection, and is done only if one may be in the way of all; whom others have found is known.
   */
  private lapse(): void {
    const { sharing, snapshots } = this.parts;
    if (!sharing.isShared) return;
    const { threads } = sharing;
    const isForOther = snapshots.isForOther;
    if (isForOther) threads.sweep();
    const { endings } = threads;
    if (!isForOther && endings === this.endings) return;
    this.endings = endings;
    // There may be more that nobody needs now than what is looked at here.
    if (snapshots.lapse()) sharing.host.kept();
  }

  private adopt(): void {
    const { tombstones, left, sharing } = this.parts;
    if (!sharing.isShared) return;
    for (let found = left.take(); found !== null; found = left.take()) {
      const target = this.targetOf(found);
      const { incarnation, key, timestamp } = found;
      // A tree that was dropped or cleared is given up as a whole.
      if (target === null) tombstones.forgetLeft();
      else tombstones.adopt(new Tombstone(target, target.index, incarnation, key, keyText(key), timestamp));
    }
  }

  /** The index that it is of; null if that was dropped or cleared since. Who has left it may have created the index, or cleared it before, and this thread not have heard of that. */
  private targetOf({ index, incarnation }: LeftTombstone): Target | null {
    const { host } = this.parts.sharing;
    const known = host.target(index);
    if (isStill(known, incarnation)) return known;
    host.catchUp([]);
    const target = host.target(index);
    return isStill(target, incarnation) ? target : null;
  }

  private bury(tombstone: Tombstone): void {
    const { tombstones, sharing } = this.parts;
    const { target, index, incarnation, key, timestamp } = tombstone;
    this.withKey(target, key, () => {
      const isThere = !target.dropped && target.incarnation === incarnation && target.index === index;
      if (isThere && (!sharing.isShared || this.isRipe(target, key))) index.remove(key, timestamp);
    });
    tombstones.remove(tombstone);
  }

  /** Removes a tombstone of an earlier process: those of this one are known, or may be needed by its snapshots. */
  private removeLeftOver(target: Target, key: Uint8Array): void {
    if (this.parts.tombstones.has(target.index, keyText(key))) return;
    this.withKey(target, key, () => {
      // The cursor may be on a tree that the index has no more.
      if (!target.dropped && this.isRipe(target, key)) target.index.remove(key, this.parts.startedAt);
    });
  }

  private isRipe(target: Target, key: Uint8Array): boolean {
    const { versions } = this.parts;
    const { marker } = this;
    if (!target.index.lookup(key, marker) || marker.tag !== TAG_TOMBSTONE) return false;
    return versions.lastReplacement(target, key) <= this.oldestNeeded;
  }

  /** A change of one entry that is no commit: to whoever reads, the key was absent before. */
  private withKey(target: Target, key: Uint8Array, change: () => void): void {
    const { locks, room, sharing } = this.parts;
    locks.takeKey(target.number, key);
    try {
      // The leaf, its parent, and another leaf, should it be split because threads wait for each other there.
      room.secure(3);
      const { pages } = sharing.host;
      if (sharing.isShared) pages.enterGate();
      try {
        change();
      } finally {
        if (sharing.isShared) pages.leaveGate();
      }
    } finally {
      room.give();
      locks.give();
    }
  }
}

function isStill(target: Target | null, incarnation: number): boolean {
  return target !== null && !target.dropped && target.incarnation === incarnation;
}
