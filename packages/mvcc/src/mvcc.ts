/**
 * Transactions with snapshot isolation, or serializable, for any index plugin: the newest version of an entry is in the index, older
 * ones are in memory and only while a snapshot needs them (Freitag et al., Memory-Optimized Multi-Version Concurrency
 * Control for Disk-Based Database Systems, VLDB 2022).
 *
 * What always holds: a snapshot at S sees every commit up to S and none above it, or throws `PW_SNAPSHOT_TOO_OLD`.
 * Rules T1 to T7 of `docs/architecture.md`. Any number of threads have one object each, over the same memory.
 *
 * A {@link Target} is one living object for each index: `clear` changes its `index`, `incarnation` and `predecessor`.
 */
import {
  type CommitTicket,
  type Concurrency,
  type ConcurrencyHost,
  type ConcurrencyStats,
  type Cursor,
  type Dependence,
  type EntryCounter,
  type EntryReference,
  type Isolation,
  invariant,
  PagewrightError,
  type Scan,
  type ScanBounds,
  type Snapshot,
  type Target,
  type TransactionCore,
  type Write,
} from '@pagewright/core';
import { PlainOperations } from './commit-operations.js';
import { MvccCounter } from './counter.js';
import { MvccParts } from './mvcc-parts.js';
import { type CheckedOptions, checkOptions, isIsolation, type MvccOptions } from './options.js';
import { ReadIndexes } from './read-indexes.js';
import { ReadSet } from './read-set.js';
import { MvccScan } from './scan.js';
import { handleOf, type MvccHandle, newMemory } from './shared-memory.js';
import { joinedOptions } from './shared-options.js';
import { MvccTransaction } from './transaction.js';
import { lookupAt, lookupNewest } from './visibility.js';

export class Mvcc implements Concurrency {
  /** In a thread that has joined they are those of the store. */
  private options: CheckedOptions;
  /** Null before `start` or `attach`. */
  private parts: MvccParts | null = null;
  /** One object serves all single writes. */
  private readonly single = new PlainOperations();

  /** Errors: `PW_OPTION_INVALID`. */
  constructor(private readonly given: MvccOptions = {}) {
    this.options = checkOptions(given);
  }

  get visible(): number {
    return this.use.timestamps.visible;
  }

  get oldestNeeded(): number {
    return this.use.collection.oldestNeeded;
  }

  isSeen(from: number, below: number): boolean {
    return this.use.snapshots.isSeen(from, below);
  }

  start(host: ConcurrencyHost, timestamp: number): void {
    invariant(this.parts === null, 'Concurrency control was started twice');
    const { options } = this;
    this.parts = new MvccParts(newMemory(options), host, timestamp, options.maxTransactionBytes);
    this.parts.begin();
  }

  share(): MvccHandle {
    const { use } = this;
    use.share();
    return { mvcc: use.memory, startedAt: use.startedAt };
  }

  /** Errors: `PW_ARGUMENT`; `PW_OPTION_INVALID` if an option was given that the store was opened without. */
  attach(host: ConcurrencyHost, handle: unknown): void {
    invariant(this.parts === null, 'Concurrency control was started twice');
    const { mvcc, startedAt } = handleOf(handle);
    const options = joinedOptions(this.given, mvcc.options);
    const parts = new MvccParts(mvcc, host, startedAt, options.maxTransactionBytes);
    parts.join();
    this.options = options;
    this.parts = parts;
  }

  detach(): void {
    const { parts } = this;
    this.parts = null;
    parts?.leave();
  }

  advance(timestamp: number): void {
    const { use } = this;
    invariant(timestamp >= use.timestamps.visible, 'A reader has gone back in time');
    invariant(!use.sharing.isShared, 'A reader of another process has several threads');
    use.timestamps.begin(timestamp);
    use.startedAt = timestamp;
    use.snapshots.revokeBelow(timestamp);
  }

  snapshot(): Snapshot {
    return this.use.snapshots.open();
  }

  begin(isolation: Isolation = this.options.isolation, keepsIndexes = false): TransactionCore {
    if (!isIsolation(isolation)) {
      throw new PagewrightError(
        'PW_UNSUPPORTED',
        `There is no isolation ${JSON.stringify(isolation)}. There are: 'snapshot', 'serializable'.`,
        { details: { isolation } },
      );
    }
    const { snapshots, transactions } = this.use;
    const snapshot = snapshots.open();
    const reads = isolation === 'serializable' ? new ReadSet(snapshot, transactions) : null;
    // What a serializable one has read is more than its indexes.
    const indexes = keepsIndexes && reads === null ? new ReadIndexes() : null;
    return new MvccTransaction(snapshot, transactions, this.options.dependsOn, reads, indexes);
  }

  lookup(target: Target, key: Uint8Array, into: EntryReference, snapshot: Snapshot | null): boolean {
    if (snapshot === null) return lookupNewest(target, key, into);
    return lookupAt(this.use.versions, target, key, into, snapshot);
  }

  scan(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): Scan {
    return new MvccScan(this.use.versions, target, bounds, snapshot, null);
  }

  count(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): EntryCounter {
    return new MvccCounter(this.use.versions, target, bounds, snapshot);
  }

  commit(writes: readonly Write[], dependence: Dependence = this.options.dependsOn): CommitTicket {
    const { path, timestamps, plainChecks } = this.use;
    if (writes.length === 0) return { timestamp: timestamps.visible, position: -1, dependsOn: 0 };
    const operations = writes.length === 1 ? this.single.setOne(writes[0]!) : new PlainOperations().setAll(writes);
    return path.commit(operations, plainChecks[dependence]);
  }

  commitOperation(
    operation: { kind: number; index: number; key: Uint8Array },
    install: (timestamp: number) => void,
  ): CommitTicket {
    const { kind, index, key } = operation;
    return this.use.path.commitOperation({ kind, index, key, value: NOTHING }, install);
  }

  alone<Result>(index: number, step: () => Result): Result {
    return this.use.path.alone(index, step);
  }

  assertSound(): void {
    this.use.sharing.assertSound();
  }

  collect(budget: number): boolean {
    return this.use.collection.collect(budget);
  }

  sweep(target: Target, cursor: Cursor, budget: number): boolean {
    return this.use.collection.sweep(target, cursor, budget);
  }

  stats(): ConcurrencyStats {
    const { timestamps, snapshots, versions, tombstones, conflicts, startedAt } = this.use;
    const { timestamp, visible } = snapshots.oldest();
    return {
      visible,
      activeSnapshots: snapshots.count,
      oldestSnapshot: timestamp,
      versions: versions.count,
      versionBytes: versions.bytes,
      tombstones: tombstones.count,
      commits: timestamps.visible - startedAt,
      conflicts: conflicts.count,
    };
  }

  /** Errors: `PW_CLOSED` before the thread has started or attached, and after it has left. */
  private get use(): MvccParts {
    if (this.parts !== null) return this.parts;
    throw new PagewrightError(
      'PW_CLOSED',
      'Concurrency control is not in use: it has not been started yet, or was detached. Call start() when recovery is over.',
    );
  }
}

const NOTHING: Uint8Array = new Uint8Array(0);
