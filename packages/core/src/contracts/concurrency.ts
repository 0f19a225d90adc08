/**
 * Concurrency control: which version of an entry a reader sees, and which transactions may commit. Works on bytes, and
 * on any index plugin alike; encodings, names and option checks are the engine façade's.
 *
 * Between threads: each has an object of its own, attached to what the one that was started keeps (`share`, `attach`). A commit is one synchronous step of
 * its thread, and what it has done is there for all threads when it returns. An object is for its own thread alone. Whoever waits for another thread does
 * so in `Atomics.wait`, for moments, and never for that one's event loop (IO3). When a thread has ended in the midst of a commit (M6), whatever waits or
 * commits throws `PW_THREAD_LOST`.
 *
 * Rules T1 to T7 of `docs/architecture.md`.
 */
import type { Cursor, EntryReference, Index } from './index-plugin.js';
import type { Log, LogPosition } from './log.js';
import type { PackedEntries } from './packed-entries.js';
import type { PageStore } from './pages.js';

/**
 * An index as concurrency control sees it. One object for as long as the index is open in a thread: `clear` changes its `index`,
 * `incarnation` and `predecessor`. Between threads an index is known by its number and incarnation. What is read of it is what the last operation on it has
 * left that was published in any thread: while a thread commits writes of it there is none (`commitOperation`).
 */
export interface Target {
  readonly number: number;
  readonly name: string;
  readonly index: Index;
  /** Timestamp of the commit that made this incarnation (creation, or the last `clear`). Snapshots below it must not use it. */
  readonly incarnation: number;
  /** What the index was before the last `clear`, for snapshots below `incarnation`; null once none is left. */
  readonly predecessor: Target | null;
  /** The index was dropped. */
  readonly dropped: boolean;
  /** Called before the first tombstone is written, so that a sweep after a crash knows where to look. */
  noteTombstones(): void;
}

/** One buffered change. A null value deletes. */
export interface Write {
  readonly target: Target;
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** Changes that are to be committed together, each key once. Iterating gives each as an object of its own. */
export interface WriteList extends Iterable<Write> {
  readonly length: number;
  /** Bytes of keys and values together. */
  readonly bytes: number;
  /** The indexes that are changed. */
  readonly targets: Iterable<Target>;
  /** The change of that number, until another one is asked for: object and key may be used again. */
  at(number: number): { readonly target: Target; readonly key: Uint8Array } | undefined;
}

/**
 * What a commit waits for besides itself, and is not there without after a crash: d of its record (T1).
 * - `seen`: all that was visible when it began, whether it has looked at it or not. Default.
 * - `touched`: of that, what may have changed a page that it has read from or writes to (remote flush avoidance). What it did not touch may be missing after a crash
 *   although the program had seen it before.
 */
export type Dependence = 'seen' | 'touched';

/**
 * What a transaction may rely on.
 * - `snapshot`: it reads the state at its beginning, and of two that write a key the first to commit wins. Two that each read what the other writes may both commit (write skew).
 * - `serializable`: besides, nobody has changed anything that it has read when it commits, ranges and keys that were not there included: all such transactions have the effect that they
 *   would have one after the other, in order of their timestamps (T5). One that writes nothing never fails.
 */
export type Isolation = 'snapshot' | 'serializable';

/** A commit that is visible here; `position` tells when it is durable. */
export interface CommitTicket {
  readonly timestamp: number;
  /** Pass it to `Log.commit`. -1: nothing was written, there is nothing to wait for. */
  readonly position: LogPosition;
  /** d of its record (T1), to be passed on as well. */
  readonly dependsOn: number;
}

/** A view of the store as it was at one timestamp (T2), for the parts of an engine; what programs get from `db.snapshot()` is an `EngineSnapshot`. */
export interface Snapshot {
  readonly timestamp: number;
  /** Throws `PW_SNAPSHOT_TOO_OLD` if it was revoked (T4). */
  assertStands(): void;
  /** Idempotent. */
  release(): void;
}

/** Bounds of a scan, in bytes. */
export interface ScanBounds {
  readonly lower: Uint8Array | null;
  readonly lowerExclusive: boolean;
  readonly upper: Uint8Array | null;
  readonly upperExclusive: boolean;
  readonly reverse: boolean;
  readonly wantsValues: boolean;
  /** Whoever scans takes at most so many entries: a hint for reading ahead. */
  readonly limit?: number;
  /** Whoever scans looks at {@link Scan.packed} first. */
  readonly mayPack?: boolean;
}

/** Visible entries in order, in batches. Holds nothing between calls but its snapshot. */
export interface Scan {
  /** The entries of the last `next`. */
  readonly keys: Uint8Array[];
  readonly values: Uint8Array[];
  count: number;
  /** Optional: the same entries packed, if they could be and may; then `keys` and `values` have none of them. Else null. */
  readonly packed?: PackedEntries | null;
  /** False at the end. May throw `PageFault`, with the position unchanged; an empty batch with true means go on. */
  next(): boolean;
}

/** Counts visible entries, some pages at a time. Holds nothing between calls but its snapshot. */
export interface EntryCounter {
  /** So many there are, as far as it has come. */
  readonly count: number;
  /** False at the end. May throw `PageFault`, with the position unchanged. */
  next(): boolean;
}

/** What transactions need of their surroundings. */
export interface ConcurrencyHost {
  readonly pages: PageStore;
  readonly log: Log;
  /** Throws `PW_READ_ONLY`, `PW_ENGINE_FAILED` or `PW_CLOSED` if commits are not accepted. */
  assertWritable(): void;
  /** T6: an error between append and publication, in this thread or in another one. The engine fails for good; returns the error to throw. */
  fail(error: unknown): Error;
  /** Called after each commit of this thread, with the bytes that it appended, and how many entries it changes. */
  committed(bytes: number, changes: number): void;
  /** Something is kept in this thread that `collect` may remove by now, or soon. Called in the midst of commits. */
  kept(): void;
  /**
   * Makes what targets say of their indexes what it is now, whichever thread has changed it: called with the indexes that a commit changes when it has its
   * locks, which other threads could have, and before it is checked. Errors: `PW_INDEX_LOADING` if one of the indexes takes no changes, `PW_THREAD_LOST`, `PW_CLOSED`.
   */
  catchUp(changed: Iterable<Target>): void;
  /** The index of that number, open; null if there is none any more. For what was kept by another thread. */
  target(number: number): Target | null;
}

/** A transaction on bytes. Reads its own writes. Everything is synchronous; reads may throw `PageFault`, nothing changed. */
export interface TransactionCore {
  readonly snapshot: Snapshot;
  readonly closed: boolean;
  /** Whether there is anything to commit. */
  readonly hasWrites: boolean;
  lookup(target: Target, key: Uint8Array, into: EntryReference): boolean;
  scan(target: Target, bounds: ScanBounds): Scan;
  /** Copies key and value: both may be changed as soon as it returns. */
  put(target: Target, key: Uint8Array, value: Uint8Array): void;
  /** Copies the key. */
  delete(target: Target, key: Uint8Array): void;
  /** A point to roll back to. No other transaction has one of the same number. */
  savepoint(): number;
  /** Errors: `PW_ARGUMENT` if it is none of this transaction, or one that was rolled back. */
  rollbackTo(savepoint: number): void;
  /** The buffered changes, by number of index, then by key, for bringing into memory what the commit will touch. Valid until the next change, rollback, or end. */
  writes(): WriteList;
  /**
   * Steps 1 to 7 of a commit, at once; waits for threads that commit the same keys. `PW_CONFLICT` names index and key; the transaction is closed either way. Depends on
   * what is said, or on more; default: as concurrency control is set up.
   */
  commit(dependence?: Dependence): CommitTicket;
  /** Idempotent. */
  abort(): void;
}

/** A place in the line of those who write, for a change that is no transaction. */
export interface WriterPlace {
  /**
   * Runs a step that commits, when it is its turn: at once, if it is. Once. Errors: those of the step; `PW_WRITER_BUSY`, `PW_THREAD_LOST`, `PW_CLOSED`, and then the
   * step has not run.
   */
  run<Result>(step: () => Result): Promise<Result>;
  /** Who has a place and does not come to run gives it up. Idempotent. */
  leave(): void;
}

/**
 * How those who write take turns, where one does at a time. Of one thread they have it in the order in which they asked. A transaction has it until it ends,
 * any other change for its commit alone. Catalog operations that make an index, or put a loaded tree in its place, need none.
 */
export interface WriterTurns {
  /**
   * Begins a transaction that writes: resolves when it is its turn, and reads what is newest then. Nobody commits entries until it ends. The signal ends the wait,
   * and nothing else. Errors: `PW_WRITER_BUSY` if another transaction does not end, `PW_CLOSED` after `close`, `PW_THREAD_LOST`, the reason of the signal.
   */
  begin(isolation?: Isolation, signal?: AbortSignal): Promise<TransactionCore>;
  /** The same now: no transaction of this thread is waited for, and one of another thread not for long. Errors: `PW_WRITER_BUSY`, `PW_THREAD_LOST`, `PW_CLOSED`. */
  beginNow(isolation?: Isolation): TransactionCore;
  /** A place behind all that have asked. */
  line(): WriterPlace;
  /** Runs a step that commits if nobody has the turn or has asked for it; null if not, and then it has not run. */
  atOnce<Result extends object>(step: () => Result): Result | null;
  /** No transaction begins any more, and no change waits for one of another thread: those who do get `PW_CLOSED`. What is before them comes to its end. Idempotent. */
  close(): void;
}

export interface ConcurrencyStats {
  readonly visible: number;
  readonly activeSnapshots: number;
  readonly oldestSnapshot: number | null;
  readonly versions: number;
  readonly versionBytes: number;
  readonly tombstones: number;
  readonly commits: number;
  readonly conflicts: number;
}

export interface Concurrency {
  /**
   * Only where one writes at a time. Then a transaction of `begin` that writes has the turn from its first write on, and that throws `PW_WRITER_BUSY` if another one has
   * it, or `PW_CONFLICT` if it has read what was changed since; `commit` and `commitOperation` throw `PW_WRITER_BUSY` as well.
   */
  readonly turns?: WriterTurns;
  /** V: the highest timestamp below which all commits of all threads are published. */
  readonly visible: number;
  /** The timestamp of the oldest snapshot that is open in any thread; `visible` if there is none. No snapshot below it can be opened any more. */
  readonly oldestNeeded: number;
  /** Whether a snapshot of a timestamp from `from` on, and below `below`, is open in any thread, or can be opened yet. */
  isSeen(from: number, below: number): boolean;
  /** Called once, when recovery is over. */
  start(host: ConcurrencyHost, timestamp: number): void;
  /**
   * What another thread of this process needs to {@link attach}: plain data and shared memory, to be posted as it is, to any number of threads. After
   * `start`; not while a commit of this thread is under way.
   */
  share(): unknown;
  /** In another thread, instead of `start`: the same commits, snapshots and versions. Errors: `PW_ARGUMENT` for what is no handle. */
  attach(host: ConcurrencyHost, handle: unknown): void;
  /**
   * The thread has no use of it any more: its snapshots are released, and what it alone knows is left to the others. All use throws `PW_CLOSED` from
   * then on. Idempotent. Of a thread that ends without it, snapshots lapse, and tombstones are swept when the store is opened again.
   */
  detach(): void;
  /**
   * A reader has gone on to a later checkpoint: the indexes hold what was committed up to this timestamp, and V is it. Snapshots
   * below are revoked: what they saw is gone. A reader has one thread.
   */
  advance(timestamp: number): void;
  snapshot(): Snapshot;
  /**
   * Default: as concurrency control is set up. With `keepsIndexes` a commit that writes is `PW_CONFLICT` also if an index that the transaction has read has got another
   * incarnation since, in any thread. Errors: `PW_UNSUPPORTED` if there is no such isolation.
   */
  begin(isolation?: Isolation, keepsIndexes?: boolean): TransactionCore;
  /** Reads the newest version, or that of the snapshot. True only if there is a value (tombstones are not). May throw `PageFault`. */
  lookup(target: Target, key: Uint8Array, into: EntryReference, snapshot: Snapshot | null): boolean;
  /** Without a snapshot, each batch sees what was newest when it was read. */
  scan(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): Scan;
  /**
   * How many entries a scan would hand out, without handing them out. Without a snapshot, each page is counted as it is when it is reached; if the index gets
   * another incarnation meanwhile, counting begins anew.
   */
  count(target: Target, bounds: ScanBounds, snapshot: Snapshot | null): EntryCounter;
  /** Commits plain writes, without a snapshot to conflict with: all of them or none. The last write of a key counts. Depends on what a transaction's commit does. */
  commit(writes: readonly Write[], dependence?: Dependence): CommitTicket;
  /**
   * Commits one catalog operation: takes a timestamp, appends the record, calls `install` with the timestamp, publishes. Meanwhile no other thread is in
   * such an operation, or commits writes of this index.
   */
  commitOperation(
    operation: { kind: number; index: number; key: Uint8Array },
    install: (timestamp: number) => void,
  ): CommitTicket;
  /** Throws `PW_ENGINE_FAILED` if a commit of any thread has failed after its append (T6). A checkpoint asks at its gate: what is on pages may be half of it. */
  assertSound(): void;
  /** Runs a step while no commit on the index is under way in any thread. Not in the gate. Errors: those of the step, `PW_THREAD_LOST`, `PW_CLOSED`. */
  alone<Result>(index: number, step: () => Result): Result;
  /** Removes tombstones and versions that no snapshot needs, `budget` of them at most; true if some are left. */
  collect(budget: number): boolean;
  /** Sweeps tombstones that an earlier process left: goes through a cursor for at most `budget` entries; true when done. After an error it
   * starts from the beginning. */
  sweep(target: Target, cursor: Cursor, budget: number): boolean;
  /** Of all threads together. */
  stats(): ConcurrencyStats;
}
