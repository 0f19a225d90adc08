/**
 * The log: what was committed, in order, until a checkpoint makes it superfluous. It is logical: it says which key of
 * which index got which value, never which bytes of which page.
 *
 * Rules: L1 an acknowledged commit is never lost, and a transaction is there whole or not at all. L2 holes and torn
 * records above the last position known durable are cut; damage below it is `PW_CORRUPT_LOG`. L3 recovery appends
 * nothing to the log that it found, and no timestamp of it is used again. L4 what recovery kept behind a hole, and where it ended, is recorded,
 * and later replays obey that. L5 what an earlier process wrote but did not sync is not trusted.
 */
import type { Threads } from '../threads/threads.js';
import type { ArchiveReplay, ArchiveReplayRequest, ArchiveStats } from './archive.js';
import type { IoBackend } from './io.js';
import type { LogReadRequest } from './log-reading.js';
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

/**
 * The operations of a transaction, in order, as often as they are gone through. An array of them is one; large transactions have them encoded (`EncodedOperations`), and those that are
 * read from a log are best given as its bytes (`DecodedOperations`): as objects, all at once, they take many times as much memory.
 */
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
  /** Milliseconds since 1970 at which it was appended, by the clock of the machine; never less than that of the record before. */
  readonly time: number;
  /**
   * Set when timestamps are left out before this record: the last one before them. What lies between was never acknowledged, or an earlier
   * recovery has given it up: it comes in no replay.
   */
  readonly after?: number;
}

/** Timestamps from `first` to `last`, both included. */
export interface TimestampRange {
  readonly first: number;
  readonly last: number;
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
/** There is no log, and the store may have gone on from there before, another way: it was restored. */
export const BRANCH_LOG: LogMark = Object.freeze({ incarnation: 0, segment: 1, offset: 0 });

/** A position in the stream of this process: bytes appended since the log began. Grows without end. */
export type LogPosition = number;

/**
 * What a commit that was acknowledged survives.
 * - `durable`: a loss of power. Default.
 * - `relaxed`: the death of the process, not of the machine: the operating system has the record.
 * - `none`: neither, for a second at most, or until a durable commit, a checkpoint or closing.
 * Whatever it is: transactions are there whole, and if one is there all that it has seen is.
 */
export type Durability = 'durable' | 'relaxed' | 'none';

/** How a commit is to be acknowledged. */
export interface CommitWish {
  readonly durability?: Durability | undefined;
  /** d of the record (T1). If it is left out: all before it. */
  readonly dependsOn?: number | undefined;
}

/** A stretch of the stream that one write brings to the device. */
export interface LogWrite {
  /** Where it begins: records that end there or before are not in it, whoever waits for them. */
  readonly begin: LogPosition;
  readonly end: LogPosition;
  /** Resolves when what it wrote is durable; what lies before it may not be. A failure is final (IO1): `PW_COMMIT_UNKNOWN`. */
  readonly over: Promise<void>;
}

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
  /** D: all transactions up to this timestamp are durable. */
  readonly durableTimestamp: number;
  /** Bytes appended that no write has taken. */
  readonly unwritten: number;
  /**
   * Begins to write what no write has taken, of all threads, beside those under way. Null if there is nothing, or if too many are
   * under way. Errors: `PW_COMMIT_UNKNOWN`.
   */
  write(): LogWrite | null;
  /**
   * Resolves when `isReached` says so; it is asked whenever more is durable, in order of the calls. What others write is waited for a
   * moment and then written here as well: so it ends whatever they do (IO3), and then all that was appended when it was called is durable.
   * Errors: `PW_COMMIT_UNKNOWN`.
   */
  until(isReached: () => boolean): Promise<void>;
}

/** What a commit policy of the log's own takes from the log's options; another one may. */
export interface CommitPolicyOptions {
  /** For how long commits gather for one flush, at most. */
  readonly groupWindowMs: number;
  /** So many bytes are flushed without waiting for more. */
  readonly groupBytes: number;
  /** So many bytes are written beside a write that is under way; less waits for its end. */
  readonly batchBytes: number;
  /** Writes that are under way at a time, of each thread. */
  readonly depth: number;
}

/** Who flushes when, and who acknowledges. One object for each stream in each thread: it tells those who commit there. */
export interface CommitPolicy {
  /**
   * Resolves when the commit is durable whose record ends at the position, by rule T1: the record is, and all up to the timestamp
   * `dependsOn` is, which is less than all before it; if that is left out, or the policy does not care, all before the position is.
   * Called right after the append, once for each commit.
   */
  commit(position: LogPosition, dependsOn?: number): Promise<void>;
  /** Returns when all before the position is durable. */
  commitSync(position: LogPosition): void;
}

/** How a commit policy is made; registered under the token `COMMIT_POLICIES`. */
export interface CommitPolicyType {
  readonly name: string;
  attach(stream: LogStream, options: CommitPolicyOptions): CommitPolicy;
}

/**
 * What is to become of damage in a log. `'all'`: it is `PW_CORRUPT_LOG`, and the store is not opened. `'stop-before-damage'`: the replay ends right
 * before it, and {@link LogReplay.givenUp} says what lies behind. What another store wrote is refused either way.
 */
export type DamageHandling = 'all' | 'stop-before-damage';

/**
 * What was found in place of a part of the log.
 * - `missing-segment`: a file that should be there is not.
 * - `foreign-segment`: a file was written by another store.
 * - `swapped-segments`: two files of the log have each other's place; `duplicated-segment`: one of them is there twice.
 * - `stale-segment`: a file of an earlier use, as it was before it was to be used again, or of an earlier log.
 * - `cut-short`: a file is shorter than it was made.
 * - `zeroed`: zeros are in place of what was written; `damaged-header`, `damaged-record`: other bytes.
 * - `contradiction`: what is there was written whole, and cannot have been written in this order.
 */
export type LogDamageKind =
  | 'missing-segment'
  | 'foreign-segment'
  | 'swapped-segments'
  | 'duplicated-segment'
  | 'stale-segment'
  | 'cut-short'
  | 'zeroed'
  | 'damaged-header'
  | 'damaged-record'
  | 'contradiction';

/** The first damage in a log, and where it lies. */
export interface LogDamage {
  readonly kind: LogDamageKind;
  /** What was found, as a sentence without its full stop. */
  readonly what: string;
  /** The segment's file, or the log's directory. */
  readonly path: string;
  readonly segment: number;
  readonly offset: number;
}

/** Commits that cannot be read, and where the first of them should be. */
export interface UnreadableCommits {
  readonly first: number;
  /** Null: nothing that is left tells how many there are, or whether there are any. */
  readonly last: number | null;
  readonly segment: number;
  readonly offset: number;
}

/** What a replay gave up that stopped before damage: all that comes after it, and nothing else. */
export interface GivenUp {
  readonly damage: LogDamage;
  /** The first timestamp that is given up. */
  readonly first: number;
  /** The last one, as far as anything behind the damage tells; null if nothing does. */
  readonly last: number | null;
  /** Those of them whose records are whole. */
  readonly whole: readonly TimestampRange[];
  /** How many these are. */
  readonly wholeCount: number;
  /** The others, in order. */
  readonly unreadable: readonly UnreadableCommits[];
}

export interface LogOpenRequest {
  /** `app.pw-wal`; created when the first record needs it. */
  readonly directory: string;
  readonly io: IoBackend;
  readonly state: StoreState;
  /** The threads that have the store open (`PageStore.threads`). */
  readonly threads: Threads;
  readonly readOnly: boolean;
  /** Default: `'all'`. */
  readonly recover?: DamageHandling | undefined;
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

/** What recovery found. What is a function is final when the records have been read to their end. */
export interface LogReplay {
  /**
   * Records above the checkpoint's timestamp, in order: the gapless run, then those behind a hole that depend on nothing but that run (T1).
   * Reading on may throw `PW_CORRUPT_LOG`.
   */
  records(): AsyncIterable<ReplayedRecord>;
  /** Bytes of log to go through, for progress. */
  readonly bytes: number;
  /** Bytes that were gone through so far: `bytes` at most. */
  readonly passedBytes: () => number;
  /** What an ordinary crash left of records that were not acknowledged, and was cut. */
  readonly tornBytes: () => number;
  /** The highest timestamp that was seen, of records that were cut as well, at least that of the checkpoint. Later commits come after it (L3). */
  readonly lastTimestamp: () => number;
  /** What was given up because of damage; null if there was none, or the request was for all. */
  readonly givenUp: () => GivenUp | null;
}

/** Who reads the log while it is written. */
export interface LogReaderStats {
  /** How many there are. */
  readonly count: number;
  /**
   * Bytes of the segment files from the one that the reader furthest behind is in to the newest one. Readers of the archive do not count. Above `limitBytes` that reader may lose what it
   * has not read, as soon as the store itself does not need it.
   */
  readonly behindBytes: number;
  /** What is kept for readers, at most: `readerLimit`. */
  readonly limitBytes: number;
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
  /** Of the bytes appended, those that the operating system has: what the death of the process does not take. */
  readonly writtenBytes?: number;
  /** Null if nobody reads it. In the thread that opened it; others do not know. */
  readonly readers?: LogReaderStats | null;
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
  /** Finds the log that the superblock names. Writes nothing. Errors: `PW_CORRUPT_LOG`, `PW_FORMAT_VERSION`. */
  open(request: LogOpenRequest): Promise<LogReplay>;
  /**
   * After replay: begins a new incarnation (L3) in new segments, which says where the old one ended and what of it counts (L4). The mark is for the
   * checkpoint that ends recovery, `timestamp` is that checkpoint's: the first record has the one after it. Default: `lastTimestamp` of the
   * replay, and never less. The first record can be appended once that checkpoint is durable.
   */
  begin(timestamp?: number): LogMark;
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
  /** Whether `reserve` of so much would wait for nothing, now. A log that does not say is always asked to `reserve`. */
  hasRoom?(bytes: number): boolean;
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
   * Resolves when the record that ends at the position is as durable as is wished, by default as the policy has it (T1). Errors: `PW_COMMIT_UNKNOWN`, as soon
   * as this thread knows that the log has failed, or that a thread was lost.
   */
  commit(position: LogPosition, wish?: CommitWish): Promise<void>;
  commitSync(position: LogPosition, wish?: CommitWish): void;
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
   * Commits, while the log is appended to. Segments that a reader has not read are kept for it, up to a limit of the log's. When the log is closed it ends, if it has
   * given all. Errors of the call: `PW_UNSUPPORTED` in a thread that attached, `PW_CLOSED`; when commits are asked for: `PW_LOG_GONE`, `PW_ARGUMENT` for an `after` beyond the end, `PW_CORRUPT_LOG`, `PW_CLOSED`,
   * `PW_COMMIT_UNKNOWN` after what is durable of a log that has failed, `PW_THREAD_LOST`, the reason of the signal. A log that cannot be read while it is written need not have it.
   */
  read?(request: LogReadRequest): AsyncGenerator<ReplayedRecord, void, void>;
  /**
   * Flushes what is appended, waits for it, and ends: for all threads, if this one opened the log; others get `PW_CLOSED` from then on. With `discard`, the
   * files are removed: a checkpoint covers them. That waits for the archive; `PW_ARCHIVE_FAILED` if it cannot be had, and then they stay. A thread that attached ends its own use alone, and removes nothing. Idempotent.
   */
  close(options: { readonly discard: boolean }): Promise<void>;
}
