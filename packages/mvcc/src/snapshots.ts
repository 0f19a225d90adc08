/**
 * The snapshots that are open, oldest first. Whatever is kept for readers of the past is kept for a member of this list,
 * and nothing that one of them needs goes while it stands (T2, T4).
 */
import { PagewrightError, POINT, type Snapshot, schedulePoint } from '@pagewright/core';
import { LinkedQueue, type Links } from './linked-queue.js';

/** Told when a snapshot has gone, for whatever reason. */
type Gone = (snapshot: ActiveSnapshot, wasOldest: boolean) => void;

export class ActiveSnapshot implements Snapshot, Links<ActiveSnapshot> {
  ahead: ActiveSnapshot | null = null;
  behind: ActiveSnapshot | null = null;
  /** Set once the list has let it go. */
  state: 'open' | 'revoked' | 'passed' | 'released' = 'open';

  constructor(
    readonly timestamp: number,
    private readonly list: SnapshotList,
  ) {}

  assertStands(): void {
    if (this.state === 'open') return;
    if (this.state === 'revoked') {
      throw new PagewrightError(
        'PW_SNAPSHOT_TOO_OLD',
        `The snapshot of commit ${this.timestamp} was given up, because keeping the versions that it needs would have ` +
          'taken more than `versionMemory`. Start again with a new one, keep snapshots open for less time, or raise `versionMemory`.',
        { details: { timestamp: this.timestamp } },
      );
    }
    if (this.state === 'passed') {
      throw new PagewrightError(
        'PW_SNAPSHOT_TOO_OLD',
        `The snapshot of commit ${this.timestamp} is gone, because this reader has gone on to a later checkpoint. Start again with ` +
          'a new one; call refresh() only when none is needed any more.',
        { details: { timestamp: this.timestamp } },
      );
    }
    throw new PagewrightError('PW_CLOSED', 'The snapshot was released. Take a new one.', {
      details: { timestamp: this.timestamp },
    });
  }

  release(): void {
    if (this.state === 'open') this.list.remove(this, 'released');
  }
}

export class SnapshotList {
  private readonly queue = new LinkedQueue<ActiveSnapshot>();

  constructor(private readonly gone: Gone) {}

  get count(): number {
    return this.queue.count;
  }

  get oldest(): ActiveSnapshot | null {
    return this.queue.first;
  }

  /** The timestamp of the newest one; -1 if there is none. */
  get newestTimestamp(): number {
    return this.queue.last === null ? -1 : this.queue.last.timestamp;
  }

  /** Timestamps of new snapshots never go down, which keeps the list sorted. */
  open(visible: number): ActiveSnapshot {
    const snapshot = new ActiveSnapshot(visible, this);
    this.queue.append(snapshot);
    schedulePoint(POINT.snapshotOpened);
    return snapshot;
  }

  /** Takes away the right of the oldest snapshots to be answered: of all that share the oldest timestamp (T4). */
  revokeOldest(): void {
    const timestamp = this.queue.first?.timestamp;
    while (this.queue.first !== null && this.queue.first.timestamp === timestamp) {
      this.remove(this.queue.first, 'revoked');
    }
  }

  /** Those below the timestamp are not answered any more: what they saw is gone. */
  revokeBelow(timestamp: number): void {
    while (this.queue.first !== null && this.queue.first.timestamp < timestamp) this.remove(this.queue.first, 'passed');
  }

  remove(snapshot: ActiveSnapshot, state: 'revoked' | 'passed' | 'released'): void {
    const wasOldest = this.queue.first === snapshot;
    snapshot.state = state;
    this.queue.remove(snapshot);
    this.gone(snapshot, wasOldest);
  }
}
