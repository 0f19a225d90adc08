/**
 * The log: what was committed, in order, until a checkpoint makes it superfluous. It is logical: it says which key of
 * which index got which value, never which bytes of which page.
 *
 * Rules: L1 an acknowledged commit is never lost, and a transaction is there whole or not at all. L2 holes and torn
 * records above the last position known durable are cut; damage below it is `PW_CORRUPT_LOG`. L3 recovery appends
 * nothing to the log that it found. L5 what an earlier process wrote but did not sync is not trusted.
 */
import type { Threads } from '../threads/threads.js';
import type { ArchiveReplay, ArchiveReplayRequest, ArchiveStats } from './archive.js';
import type { IoBackend } from './io.js';
import type { StoreState } from './pages.js';

/** Kinds of operation in a record. */
export const OPERATION_PUT = 1;
export const OPERATION_DELETE = 2;
/** `key` is the index's description, as the catalog encodes it. */
export const OPERATION_CREATE_INDEX = 3;
export const OPERATION_DROP_INDEX = 4;
/** All entries of the index go. */
export const OPERATION_CLEAR_INDEX = 5;
/**
 * The index gets a tree that was built beside it, and that every checkpoint which a replay may begin at has. `key` says which tree.
 * The entries are not in the log: an older backup cannot be rolled across this.
 */
export const OPERATION_LOAD_INDEX = 6;

/** One operation of a transaction. What a kind does not use is empty. */
export interface LogOperation {
  readonly kind: number;
  /** Number of the index. Never used again after a drop (T7). */
  readonly index: number;
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** The operations of a transaction, in order. An array of them is one; large transactions have them encoded (`EncodedOperations`). */
export interface LogOperations extends Iterable<LogOperation> {
  readonly length: number;
}

/** A transaction, as the log takes it. */
export interface CommitRecord {
  /** Dense: each is one more than the one before. */
  readonly timestamp: number;
  /** d: the transaction counts only if all up to this timestamp is durable as well (T1). */
  readonly dependsOn: number;
  readonly operations: LogOperations;
}

/** A transaction, as recovery finds it. */
export interface ReplayedRecord extends CommitRecord {
  readonly operations: readonly LogOperation[];
  /** Milliseconds since 1970 at which it was appended, by the clock of the machine; never less than that of the record before. */
  readonly time: number;
}

/**
 * A place in the log, as a superblock keeps it. `incarnation` 0 means: there is no log, the store was closed cleanly.
 */
export interface LogMark {
  /** Random, not 0: seeds the checksums of one log, from one recovery to the next. */
  readonly incarnation: number;
  /** Number of the segment, counted from 1 within the incarnation. */
  readonly segment: number;
  /** Byte offset in that segment. */
  readonly offset: number;
}

export const NO_LOG: LogMark = Object.freeze({ incarnation: 0, segment: 0, offset: 0 });

/** A position in the stream of this process: bytes appended since the log began. Grows without end. */
export type LogPosition = number;

/**
 * One stream of records, as a commit policy sees it: it decides when the stream is flushed, and tells waiting commits.
 */
export interface LogStream {
  /** All records before this position have been appended. */
  readonly appended: LogPosition;
  /** All records before this position are durable. */
  readonly durable: LogPosition;
  /**
   * Writes all that is appended now, as one write, and makes it durable; resolves to the new `durable`. One flush at a
   * time: the policy waits for it before it asks for the next. A failure is final (IO1): it and all later ones reject
   * with `PW_COMMIT_UNKNOWN`. What is appended and durable is that of all threads; a flush waits for none of them.
   */
  flush(): Promise<LogPosition>;
  /** The same, now. Completes a flush that is under way, without its event loop (IO3). */
  flushSync(): LogPosition;
}

/** Who flushes when, and who acknowledges. One object for each stream in each thread: it tells those who commit there. */
export interface CommitPolicy {
  /** Resolves when all before the position is durable. Called right after the append, once for each commit. */
  commit(position: LogPosition): Promise<void>;
  /** Returns when all before the position is durable. */
  commitSync(position: LogPosition): void;
}

/** How a commit policy is made; registered under the token `COMMIT_POLICIES`. */
export interface CommitPolicyType {
  readonly name: string;
  attach(stream: LogStream): CommitPolicy;
}

export interface LogOpenRequest {
  /** `app.pw-wal`; created when the first record needs it. */
  readonly directory: string;
  readonly io: IoBackend;
  readonly state: StoreState;
  /** The threads that have the store open (`PageStore.threads`). */
  readonly threads: Threads;
  readonly readOnly: boolean;
  /** Called once when a write or sync of the log has failed: nothing more will be acknowledged. */
  onFailure(error: Error): void;
}

/** How a thread joins a log that another one has open. */
export interface LogAttachRequest {
  readonly io: IoBackend;
  /** The threads that have the store open: the same as those of the thread that opened the log, with a slot of this one's own. */
  readonly threads: Threads;
  /** What `share` returned in the other thread, posted to this one. */
  readonly handle: unknown;
  /** Called once when the log has failed, whichever thread it was that met the failure. */
  onFailure(error: Error): void;
}

/** What recovery found. */
export interface LogReplay {
  /** Records above the checkpoint's timestamp, in order. Reading on may throw `PW_CORRUPT_LOG`. */
  records(): AsyncIterable<ReplayedRecord>;
  /** Bytes of log to go through, for progress. */
  readonly bytes: number;
  /** What an ordinary crash left behind the last whole record, and was cut. */
  readonly tornBytes: () => number;
}

/** Of the log, not of a thread. */
export interface LogStats {
  readonly policy: string;
  readonly appendedBytes: number;
  readonly records: number;
  readonly flushes: number;
  readonly segments: number;
  /** Appended and not yet durable. */
  readonly pendingBytes: number;
  /** Null if the log is not archived. In the thread that opened it; others do not know. */
  readonly archive?: ArchiveStats | null;
}

/**
 * One thread opens a log, replays it and begins it anew; others attach to it. Then all append to it, and each makes durable what it
 * waits for, whoever appended it: no thread waits for another's event loop (IO3), and when one ends the others go on, if it held nothing (M6).
 */
export interface Log {
  /** The most bytes that a record may have; above it is `PW_TXN_TOO_LARGE`. */
  readonly maxRecordSize: number;
  /** Finds the log that the superblock names. Writes nothing. Errors: `PW_CORRUPT_LOG`. */
  open(request: LogOpenRequest): Promise<LogReplay>;
  /**
   * After replay: begins a new incarnation (L3) in new segments. The mark is for the checkpoint that ends recovery; the
   * first record can be appended once that checkpoint is durable.
   */
  begin(): LogMark;
  /**
   * What another thread of this process needs to {@link attach}: plain data and shared memory, to be posted as it is, to any number of
   * threads. Called once the first record can be appended. Errors: `PW_UNSUPPORTED` if the log serves one thread, `PW_CLOSED`.
   */
  share(): unknown;
  /**
   * In another thread, instead of `open`, the replay and `begin`: appends to the same log, through files that this thread opens. Limits are those
   * of the thread that opened the log. Errors: `PW_ARGUMENT` for what is no handle, `PW_OPTION_INVALID` if this thread has no commit policy of that
   * name, `PW_CLOSED`, `PW_THREAD_LOST`.
   */
  attach(request: LogAttachRequest): Promise<void>;
  /** Removes segments of other incarnations, those that wait for the archive when they are there. Called when the checkpoint that ends recovery is durable. `PW_UNSUPPORTED` in a thread that attached. */
  discardOld(): Promise<void>;
  /**
   * Waits until a record of this size may be appended without exceeding the memory kept for unflushed records, and
   * extends the file for it. `PW_FULL` if the disk is full, `PW_TXN_TOO_LARGE`.
   */
  reserve(bytes: number): Promise<void>;
  /**
   * Makes sure, now, that records of this size together can be appended and later written without extending the file. Called
   * right before `append`, in the same turn: what was made sure of is this thread's until the turn ends, whatever others append. Does
   * nothing if `reserve` did the work. `PW_FULL`, `PW_TXN_TOO_LARGE`: nothing has changed. `PW_THREAD_LOST`.
   */
  reserveSync(bytes: number): void;
  /** Bytes that the record will have. */
  sizeOf(operations: LogOperations): number;
  /**
   * Encodes the record into the stream's buffer; the position behind it. Records come in order of their timestamps: with several threads
   * the caller holds a latch from taking the timestamp until this returns. Does no I/O, and after `reserveSync` cannot fail; but a record that is larger than
   * the memory kept for unflushed ones may be written, and made durable, by this call, and then it can: `PW_COMMIT_UNKNOWN`. `PW_THREAD_LOST`.
   */
  append(record: CommitRecord): LogPosition;
  /**
   * Resolves when the record that ends at the position is durable, as the policy has it. Errors: `PW_COMMIT_UNKNOWN`, as soon as this thread knows that
   * the log has failed, or that a thread was lost.
   */
  commit(position: LogPosition): Promise<void>;
  commitSync(position: LogPosition): void;
  /** The end of what all threads have appended, as a place. */
  mark(): LogMark;
  /** Makes all up to the mark durable, whatever the policy, and whoever appended it. */
  secure(mark: LogMark): Promise<void>;
  /** Segments wholly before the mark may be used again or removed, once they are archived. `PW_UNSUPPORTED` in a thread that attached. */
  recycle(mark: LogMark): Promise<void>;
  stats(): LogStats;
  /**
   * Called when no commit comes any more, before the superblock that names no log: all is made durable, and the log says that it ends here, and with which
   * timestamp, so that the next one in the archive is known to follow. Idempotent. A log that cannot be archived need not have it. `PW_UNSUPPORTED` in a thread that attached.
   */
  seal?(timestamp: number): Promise<void>;
  /**
   * Instead of `open`: what an archive of a store has above a backup. Writes nothing; needs no `close`. Errors, here or when records are read: `PW_ARCHIVE_GAP`,
   * `PW_RESTORE_POINT`, `PW_CORRUPT_LOG`. A log that cannot be archived need not have it.
   */
  replayArchive?(request: ArchiveReplayRequest): Promise<ArchiveReplay>;
  /**
   * Flushes what is appended, waits for it, and ends: for all threads, if this one opened the log; others get `PW_CLOSED` from then on. With `discard`, the
   * files are removed: a checkpoint covers them. That waits for the archive; `PW_ARCHIVE_FAILED` if it cannot be had, and then they stay. A thread that attached ends its own use alone, and removes nothing. Idempotent.
   */
  close(options: { readonly discard: boolean }): Promise<void>;
}
