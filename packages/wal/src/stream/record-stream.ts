/**
 * The stream of records: appended to in memory, written and synced by flushes, ended for good by the first failure
 * (IO1). `durable` only ever means that a sync covering it has succeeded.
 *
 * A flush always writes everything from `durable` on. So a flush in place does not wait for one in the background: it
 * writes the same bytes to the same places and syncs them itself (IO3), and whichever ends later changes nothing.
 *
 * Each record carries the place up to which all was durable when it was appended. What no record tells yet a mark does:
 * it goes ahead of the next flush, or is written when the stream is idle, so that a later damage of the last
 * acknowledged records is not taken for a torn tail (L2). A header that gives less than the size of its file is written
 * anew along with it, so that a file cut short is not taken for one that had not grown.
 */
import {
  type CommitRecord,
  invariant,
  type LogMark,
  type LogPosition,
  type LogStream,
  PagewrightError,
  POINT,
  schedulePoint,
} from '@pagewright/core';
import type { Place } from '../format/place.js';
import {
  encodeBare,
  encodeCommit,
  RECORD_HEADER_SIZE,
  RECORD_MARK,
  RECORD_SEGMENT_END,
  recordSeed,
} from '../format/record.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import type { Segment } from './segment.js';
import type { SegmentSequence } from './segment-sequence.js';
import { type Batch, Unflushed } from './unflushed.js';

/** A stream that has had no flush for this long writes down what is durable. */
const IDLE_MS = 20;

/** What a flush makes durable. */
interface Flush {
  readonly target: LogPosition;
  /** The end of the last record, in the segment that is current, whose file has `fileSize` bytes. */
  readonly place: Place;
  readonly segment: Segment;
  readonly fileSize: number;
  readonly batch: Batch;
}

/** What the stream tells its owner. */
export interface StreamEvents {
  /** `durable` has grown. */
  onDurable(): void;
  /** Called once, with the error of all later commits. */
  onFailure(error: PagewrightError): void;
}

export class RecordStream implements LogStream {
  appended: LogPosition = 0;
  durable: LogPosition = 0;
  records = 0;
  flushes = 0;
  /** Why nothing is acknowledged any more. */
  failure: PagewrightError | null = null;

  readonly #incarnation: number;
  readonly #segments: SegmentSequence;
  readonly #events: StreamEvents;
  readonly #unflushed = new Unflushed();
  #durablePlace: Place = { segment: 1, offset: SEGMENT_HEADER_SIZE };
  /** The highest `durable` that a record carries. */
  #told: LogPosition = 0;
  #flushing: Promise<LogPosition> | null = null;
  #queued: Promise<LogPosition> | null = null;
  #idleWrite: Promise<void> | null = null;
  #idleTimer: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(incarnation: number, segments: SegmentSequence, events: StreamEvents) {
    this.#incarnation = incarnation;
    this.#segments = segments;
    this.#events = events;
  }

  /** Bytes appended and not durable. */
  get pending(): number {
    return this.appended - this.durable;
  }

  /** The end of what is appended. */
  get mark(): LogMark {
    const { number, used } = this.#segments.isStarted
      ? this.#segments.current
      : { number: 1, used: SEGMENT_HEADER_SIZE };
    return { incarnation: this.#incarnation, segment: number, offset: used };
  }

  /** Encodes a record of this size, for which there is room. Returns the position behind it. */
  append(record: CommitRecord, size: number): LogPosition {
    const segments = this.#segments;
    const segment = segments.select(size);
    invariant(segment !== null, 'A record was appended to the log without reserving room for it');
    if (segment !== segments.current) {
      this.#appendBare(RECORD_SEGMENT_END);
      segments.advance(segment);
      schedulePoint(POINT.segmentBegun);
    }
    const chunk = this.#unflushed.place(segment, this.appended, size);
    const seed = recordSeed(this.#incarnation, segment.number, segment.used);
    encodeCommit(chunk.bytes, chunk.view, chunk.used, size, seed, this.#durablePlace, record);
    chunk.used += size;
    segment.used += size;
    this.appended += size;
    this.#told = this.durable;
    this.records++;
    schedulePoint(POINT.recordAppended);
    return this.appended;
  }

  /**
   * Makes durable all that is appended when it is called. Calls that come while a flush is under way share the next one.
   * Syncs even if nothing is pending: whoever wants to save that asks `durable` first.
   */
  flush(): Promise<LogPosition> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.#closed) return Promise.resolve(this.durable);
    if (this.#flushing === null) return this.#startFlush();
    if (this.#queued === null) {
      const startNext = () => {
        this.#queued = null;
        return this.#flushing ?? this.#startFlush();
      };
      const giveUp = (error: unknown) => {
        this.#queued = null;
        throw error;
      };
      this.#queued = this.#flushing.then(startNext, giveUp);
    }
    return this.#queued;
  }

  flushSync(): LogPosition {
    if (this.failure !== null) throw this.failure;
    if (this.#closed) return this.durable;
    this.#tellDurable();
    const flush = this.#collect();
    const { batch } = flush;
    try {
      if (batch.writes.length === 0) this.#segments.current.fileInPlace.syncSync();
      for (const { segment, operations } of batch.writes) segment.fileInPlace.submitSync(operations, { sync: true });
    } catch (error) {
      throw this.fail(error);
    } finally {
      batch.done();
    }
    this.flushes++;
    this.#advance(flush);
    return this.durable;
  }

  /** Ends the stream after a failed write or sync (IO1): pending and later commits reject with the error returned. */
  fail(cause: unknown): PagewrightError {
    if (this.failure === null) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      this.failure = new PagewrightError(
        'PW_COMMIT_UNKNOWN',
        `Writing the log failed (${reason}). Commits that were waiting for it are there whole, or not at all, after the store is opened again; nothing more is accepted until then.`,
        { cause, details: cause instanceof PagewrightError ? cause.details : {} },
      );
      this.#stopTimer();
      this.#events.onFailure(this.failure);
    }
    return this.failure;
  }

  /** Makes all that is appended durable, and what tells so as well if the log is to be kept. Then it takes no more. */
  async close(keep: boolean): Promise<void> {
    this.#stopTimer();
    try {
      if (this.failure !== null) return;
      while (this.pending > 0) await this.flush();
      if (keep && (this.#tellDurable() || this.#segments.current.headerIsDue)) await this.flush();
    } finally {
      this.#closed = true;
      this.#stopTimer();
      await this.#flushing?.catch(() => undefined);
      await this.#idleWrite;
    }
  }

  #startFlush(): Promise<LogPosition> {
    this.#tellDurable();
    const flush = this.#writeAndSync();
    this.#flushing = flush;
    const done = () => {
      this.#flushing = null;
    };
    flush.then(done, done); // registered first, so that whoever waits for the flush finds it over
    return flush;
  }

  async #writeAndSync(): Promise<LogPosition> {
    const flush = this.#collect();
    const { batch } = flush;
    schedulePoint(POINT.flushCollected);
    try {
      if (batch.writes.length === 0) await this.#segments.current.file.sync();
      for (const { segment, operations } of batch.writes) {
        // Closed meanwhile: a flush in place has made it durable, and the stream has gone on to another segment.
        if (!segment.isClosing) await segment.file.submit(operations, { sync: true });
      }
    } catch (error) {
      throw this.fail(error);
    } finally {
      batch.done();
    }
    if (this.failure !== null) throw this.failure;
    this.flushes++;
    this.#advance(flush);
    return this.durable;
  }

  #collect(): Flush {
    const { current } = this.#segments;
    const batch = this.#unflushed.collect(this.durable);
    if (current.headerIsDue) batch.addHeader(current);
    return {
      target: this.appended,
      place: { segment: current.number, offset: current.used },
      segment: current,
      fileSize: current.allocated,
      batch,
    };
  }

  #advance({ target, place, segment, fileSize }: Flush): void {
    schedulePoint(POINT.flushSynced);
    segment.sizeIsDurable(fileSize);
    if (target > this.durable) {
      this.durable = target;
      this.#durablePlace = place;
      this.#unflushed.release(target);
    }
    this.#segments.maintain(this.durable);
    if (this.#told < this.durable && !this.#closed) this.#startTimer();
    schedulePoint(POINT.flushKnown);
    this.#events.onDurable();
  }

  /** Appends a mark if something is durable that no record tells, and there is room. Whether it did. */
  #tellDurable(): boolean {
    if (this.#told >= this.durable || this.#segments.current.room < RECORD_HEADER_SIZE) return false;
    this.#appendBare(RECORD_MARK);
    return true;
  }

  #appendBare(kind: number): void {
    const segment = this.#segments.current;
    const chunk = this.#unflushed.place(segment, this.appended, RECORD_HEADER_SIZE);
    const seed = recordSeed(this.#incarnation, segment.number, segment.used);
    encodeBare(chunk.bytes, chunk.view, chunk.used, kind, seed, this.#durablePlace);
    chunk.used += RECORD_HEADER_SIZE;
    segment.used += RECORD_HEADER_SIZE;
    this.appended += RECORD_HEADER_SIZE;
    this.#told = this.durable;
  }

  #startTimer(): void {
    if (this.#idleTimer === null) this.#idleTimer = setTimeout(() => this.#onIdle(), IDLE_MS).unref();
    else this.#idleTimer.refresh();
  }

  #stopTimer(): void {
    if (this.#idleTimer !== null) clearTimeout(this.#idleTimer);
    this.#idleTimer = null;
  }

  /** Hands a mark, or a header, to the operating system, without a sync: the death of the process alone then leaves it behind. */
  #onIdle(): void {
    if (this.failure !== null || this.#flushing !== null || this.#idleWrite !== null) return;
    if (!this.#tellDurable() && !this.#segments.current.headerIsDue) return;
    this.#idleWrite = this.#writeOnly().finally(() => {
      this.#idleWrite = null;
    });
  }

  async #writeOnly(): Promise<void> {
    const { batch } = this.#collect();
    try {
      for (const { segment, operations } of batch.writes) {
        if (!segment.isClosing) await segment.file.submit(operations);
      }
    } catch (error) {
      this.fail(error);
    } finally {
      batch.done();
    }
  }
}
