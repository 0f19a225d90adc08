/**
 * A transaction: reads at its snapshot, keeps its writes to itself until it commits, and commits only if no one else
 * has changed what it writes since the snapshot: first committer wins.
 */
import {
  type CommitTicket,
  type Dependence,
  type EntryReference,
  PagewrightError,
  POINT,
  type Scan,
  type ScanBounds,
  schedulePoint,
  TAG_VALUE,
  type Target,
  type TransactionCore,
  type WriteList,
} from '@pagewright/core';
import type { CommitOperations, EncodedChanges, TargetedOperation } from './commit-operations.js';
import type { CommitCheck, CommitPath } from './commit-path.js';
import { conflict } from './conflict.js';
import { stampOf, Touched } from './dependence.js';
import type { ReadIndexes } from './read-indexes.js';
import type { ReadSet } from './read-set.js';
import { MvccScan } from './scan.js';
import type { ActiveSnapshot } from './snapshots.js';
import type { VersionStore } from './version-store.js';
import { assertNotDropped, lookupAt } from './visibility.js';
import { type SpareMemory, WriteBuffer } from './write-buffer.js';
import { NONE } from './write-memory.js';

/** What a transaction shares with all others. */
export interface TransactionSurroundings {
  readonly versions: VersionStore;
  readonly path: CommitPath;
  /** Bytes that one may write. */
  maxBytes: number;
  readonly spare: SpareMemory;
  /** Told of each conflict. */
  conflicted(): void;
}

export class MvccTransaction implements TransactionCore, CommitCheck {
  closed = false;
  private readonly buffer: WriteBuffer;
  /** The changes as they will be committed; null: there are others since. */
  private changes: EncodedChanges | null = null;
  private readonly touched: Touched;

  constructor(
    readonly snapshot: ActiveSnapshot,
    private readonly shared: TransactionSurroundings,
    private dependence: Dependence,
    /** What a serializable one has read; null: it is none. */
    readonly reads: ReadSet | null,
    /** Of one that relies on the trees that it has read. */
    private readonly indexes: ReadIndexes | null,
  ) {
    this.touched = new Touched(snapshot.timestamp);
    this.buffer = new WriteBuffer(shared.maxBytes, shared.spare);
  }

  /** The indexes of which it counts that they were read. */
  get readTargets(): Iterable<Target> | undefined {
    return this.reads?.targets ?? this.indexes?.targets;
  }

  get hasWrites(): boolean {
    return this.buffer.hasChanges;
  }

  lookup(target: Target, key: Uint8Array, into: EntryReference): boolean {
    this.assertOpen();
    if (this.buffer.hasChanges) {
      const own = this.buffer.find(target, key);
      if (own !== NONE) {
        assertNotDropped(target);
        this.snapshot.assertStands();
        if (this.buffer.deletes(own)) return false;
        into.tag = TAG_VALUE;
        if (into.wantsValue) into.value = this.buffer.valueOf(own);
        return true;
      }
    }
    this.touched.noteIncarnation(target);
    this.reads?.noteKey(target, key);
    this.indexes?.note(target);
    const found = lookupAt(this.shared.versions, target, key, into, this.snapshot);
    this.touched.note(into.timestamp);
    return found;
  }

  scan(target: Target, bounds: ScanBounds): Scan {
    this.assertOpen();
    this.indexes?.note(target);
    return new MvccScan(this.shared.versions, target, bounds, this.snapshot, {
      writes: this.buffer,
      touched: this.touched,
      reads: this.reads,
    });
  }

  put(target: Target, key: Uint8Array, value: Uint8Array): void {
    this.write(target, key, value);
  }

  delete(target: Target, key: Uint8Array): void {
    this.write(target, key, null);
  }

  savepoint(): number {
    this.assertOpen();
    return this.buffer.savepoint();
  }

  rollbackTo(savepoint: number): void {
    this.assertOpen();
    this.changes = null;
    this.buffer.rollbackTo(savepoint);
  }

  writes(): WriteList {
    this.assertOpen();
    this.changes ??= this.buffer.encode();
    return this.changes;
  }

  commit(dependence: Dependence = this.dependence): CommitTicket {
    this.assertOpen();
    this.closed = true;
    this.dependence = dependence;
    const { snapshot } = this;
    try {
      if (!this.buffer.hasChanges) return { timestamp: snapshot.timestamp, position: -1, dependsOn: 0 };
      return this.shared.path.commit(this.changes ?? this.buffer.encode(), this);
    } finally {
      this.changes = null;
      this.buffer.release();
      snapshot.release();
    }
  }

  /** Step 2 of a commit, when the keys are locked. */
  check(operations: CommitOperations): number {
    const { snapshot, touched } = this;
    snapshot.assertStands();
    for (let i = 0; i < operations.length; i++) this.validate(operations.at(i));
    const isNarrow = this.dependence === 'touched';
    if (isNarrow) touched.note(stampOf(operations));
    // T4: that nothing was found means something only if nothing was given up meanwhile.
    snapshot.assertStands();
    this.reads?.validate();
    this.validateIndexes();
    schedulePoint(POINT.transactionChecked);
    // From here on this transaction reads nothing: what it replaces need not be kept for its own sake.
    if (this.reads === null) snapshot.release();
    return isNarrow ? touched.upTo : snapshot.timestamp;
  }

  abort(): void {
    this.closed = true;
    this.changes = null;
    this.buffer.release();
    this.snapshot.release();
  }

  private write(target: Target, key: Uint8Array, value: Uint8Array | null): void {
    this.assertOpen();
    this.snapshot.assertStands();
    assertNotDropped(target);
    this.changes = null;
    this.buffer.set(target, key, value);
  }

  /** Has anyone changed the key, or replaced the whole index, since the snapshot? */
  private validate(operation: TargetedOperation): void {
    const { target } = operation;
    const { versions } = this.shared;
    assertNotDropped(target);
    const cleared = target.incarnation > this.snapshot.timestamp;
    if (!cleared && !versions.holds(target.number)) return;
    const { key } = operation;
    const by = cleared ? target.incarnation : versions.lastReplacement(target, key);
    if (by > this.snapshot.timestamp) this.refuse(target, cleared ? null : key, by, 'written');
  }

  /** Has anyone replaced an index that was read? */
  private validateIndexes(): void {
    const replaced = this.indexes?.replacedSince(this.snapshot.timestamp) ?? null;
    if (replaced !== null) this.refuse(replaced, null, replaced.incarnation, 'read');
  }

  private refuse(target: Target, key: Uint8Array | null, committed: number, has: 'written' | 'read'): never {
    this.shared.conflicted();
    throw conflict(target, key, { snapshot: this.snapshot.timestamp, committed, has });
  }

  private assertOpen(): void {
    if (!this.closed) return;
    throw new PagewrightError('PW_TXN_CLOSED', 'The transaction was committed or aborted already. Begin a new one.');
  }
}
