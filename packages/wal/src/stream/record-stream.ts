/**
 * The stream of records, as one thread has it: appended to in shared memory, written and synced by flushes, ended for good by the
 * first failure (IO1). `durable` only ever means that a sync covering it has succeeded.
 *
 * A flush writes everything from `durable` on, whichever thread appended it. So it waits for no other, of this thread or of another
 * one: it writes the same bytes to the same places and syncs them itself (IO3), and whichever ends later changes nothing.
 *
 * A write takes only what no other write has taken, so that several are under way at once, each of its own stretch, in any thread. What is
 * durable then is what lies before the first that is not over. Who waits for others' writes does so for a moment, and then flushes.
 *
 * Each record carries the place up to which all was durable when it was appended. What no record tells yet a mark does:
 * it goes ahead of the next flush, or is written when the stream is idle, so that a later damage of the last
 * acknowledged records is not taken for a torn tail (L2). A header that gives less than the size of its file is written
 * anew along with it, so that a file cut short is not taken for one that had not grown.
 */
import {
  type CommitRecord,
  invariant,
  isPagewrightError,
  type LogMark,
  type LogPosition,
  type LogStream,
  type LogWrite,
  type PagewrightError,
  POINT,
  type SharedLatch,
  schedulePoint,
} from '@pagewright/core';
import { comparePlaces } from '../format/place.js';
import { RECORD_HEADER_SIZE, RECORD_LOG_END, RECORD_MARK, RECORD_SEGMENT_END, recordSeed } from '../format/record.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import type { Claims, Reach } from '../sharing/claims.js';
import type { LogSlots } from '../sharing/log-slots.js';
import { type LogState, MOST_UNFLUSHED_SEGMENTS } from '../sharing/log-state.js';
import type { SharedFailure } from '../sharing/shared-failure.js';
import { BatchWriter } from './batch-writer.js';
import type { Batch, Batches } from './batches.js';
import { LaterWrites } from './later-writes.js';
import { closedError, unknownOutcome } from './log-errors.js';
import type { OpenSegments } from './open-segments.js';
import { type EncodedRecord, RecordEncoder } from './record-encoder.js';
import type { SegmentSequence } from './segment-sequence.js';
import type { Unflushed } from './unflushed.js';
import { Waiters } from './waiters.js';

/** So often a reservation flushes what others fill up again, before its record goes past the memory. */
const FLUSHES_FOR_ROOM = 3;
/** Bytes that are given to the system in place, though nobody asked for that. */
const MOST_IN_PLACE = 64 * 1024;
/** Memory beside what is reserved that is left for the records which end segments, when a mark is appended. */
const BESIDE = (1 + MOST_UNFLUSHED_SEGMENTS) * RECORD_HEADER_SIZE;

export interface RecordStreamParts {
  readonly incarnation: number;
  /** Whether this thread opened the log. When it has closed it, nothing more is written by others, and the files may be gone. */
  readonly isOwner: boolean;
  readonly isArchived: boolean;
  /** What may wait in memory for a flush, of all threads together. */
  readonly limit: number;
  /** Tells the time, in milliseconds since 1970. */
  readonly clock: () => number;
  readonly state: LogState;
  readonly slots: LogSlots;
  readonly claims: Claims;
  readonly latch: SharedLatch;
  readonly shared: SharedFailure;
  readonly unflushed: Unflushed;
  readonly batches: Batches;
  readonly segments: SegmentSequence;
  readonly open: OpenSegments;
}

/** What a write has taken. */
interface Stretch {
  readonly batch: Batch;
  /** The number of its claim. */
  readonly claim: number;
}

/** What the stream tells its owner. */
export interface StreamEvents {
  /** `durable` has grown. */
  onDurable(): void;
  /** Called once, with the error of all later commits. */
  onFailure(error: PagewrightError): void;
}

export class RecordStream implements LogStream {
  readonly #parts: RecordStreamParts;
  readonly #state: LogState;
  readonly #latch: SharedLatch;
  readonly #events: StreamEvents;
  readonly #encoder = new RecordEncoder();
  /** Why nothing is acknowledged any more. */
  #failure: PagewrightError | null = null;
  /** Whether other threads may have the log. Alone, a thread need not reserve what it appends in the same turn. */
  #isShared = false;
  #lapsing = false;
  #flushing: Promise<LogPosition> | null = null;
  #queued: Promise<LogPosition> | null = null;
  /** Writes of stretches, and to the operating system alone, that are under way. */
  readonly #writes = new Set<Promise<void>>();
  readonly #waiters: Waiters;
  readonly #later: LaterWrites;
  readonly #writer: BatchWriter;
  #closed = false;
  #sealed = false;
  /** A segment has become durable as a whole, and nobody else was told. */
  #hasLeft = false;
  /** Behind the last record that this thread appended. */
  #ownEnd: LogPosition = 0;

  constructor(parts: RecordStreamParts, events: StreamEvents) {
    this.#parts = parts;
    this.#state = parts.state;
    this.#latch = parts.latch;
    this.#events = events;
    const { state, latch, batches, open } = parts;
    this.#waiters = new Waiters({
      failure: () => this.failure,
      progress: () => state.progress,
      progressSince: (seen) => state.progressSince(seen),
      flush: () => this.flush(),
    });
    this.#later = new LaterWrites({
      onIdle: () => this.#writeIdle(),
      onLag: () => this.#catchUp(),
    });
    this.#writer = new BatchWriter({
      state,
      latch,
      batches,
      open,
      fail: (error) => this.fail(error),
      cutOff: (error) => this.#cutOff(error),
    });
  }

  get appended(): LogPosition {
    try {
      return this.#latch.holding(() => this.#state.appended);
    } catch (error) {
      throw this.#cutOff(error) ?? error; // a policy asks on behalf of commits that wait
    }
  }

  get durable(): LogPosition {
    return this.#state.durable;
  }

  get durableTimestamp(): number {
    return this.#state.durableTimestamp;
  }

  get unwritten(): number {
    try {
      return this.#latch.holding(() => this.#state.appended - this.#taken);
    } catch (error) {
      throw this.#cutOff(error) ?? error;
    }
  }

  /** Bytes appended and not durable. */
  get pending(): number {
    return this.#latch.holding(() => this.#state.pending);
  }

  get failure(): PagewrightError | null {
    if (this.#failure === null && this.#parts.shared.hasFailed) this.#learn();
    return this.#failure;
  }

  /** The end of what is appended. */
  get mark(): LogMark {
    return this.#latch.holding(() => {
      const { segment, used } = this.#state;
      const place = segment === 0 ? { segment: 1, offset: SEGMENT_HEADER_SIZE } : { segment, offset: used };
      return { incarnation: this.#parts.incarnation, ...place };
    });
  }

  /** Whether all before a mark of this incarnation is durable. */
  isDurable(mark: LogMark): boolean {
    return this.#latch.holding(() => comparePlaces(this.#state.durablePlace, mark) >= 0);
  }

  /** From now on others may append between a reservation of this thread and its append. */
  share(): void {
    this.#isShared = true;
  }

  /** Makes sure, now, that records of this size can be appended in this turn. `PW_FULL`, and nothing has changed. */
  reserveSync(size: number): void {
    const { slots, segments, limit } = this.#parts;
    for (let flushes = 0; ; flushes++) {
      this.#latch.take();
      try {
        if (this.#isShared) slots.reserve(0, 0);
        const taken = this.#state.pending + slots.inMemory;
        const fits = taken + size <= limit;
        const isEmpty = this.#state.pending === 0;
        if (fits || isEmpty || flushes === FLUSHES_FOR_ROOM) {
          segments.extendSync(size);
          if (this.#isShared) this.#reserve(size, fits ? size : 0);
          return;
        }
      } finally {
        this.#latch.give();
      }
      this.flushSync();
    }
  }

  /** Encodes a record of this size, for which there is room. Returns the position behind it. */
  append(record: CommitRecord, size: number): LogPosition {
    const { slots, segments, limit } = this.#parts;
    const state = this.#state;
    let goesOn: boolean | null;
    let position: LogPosition;
    this.#latch.take();
    try {
      if (state.isClosed) throw closedError();
      const { timestamp } = record;
      const last = state.lastTimestamp;
      const isDense = state.records > 0 ? timestamp === last + 1 : timestamp > last;
      invariant(isDense, `Commit ${timestamp} was appended to the log after commit ${last}`);
      goesOn = segments.goesOn(size);
      invariant(goesOn !== null, 'A record was appended to the log without reserving room for it');
      const others = slots.inMemory - Math.min(size, slots.ownInMemory);
      const fits = state.pending + others + size <= limit;
      if (goesOn) {
        this.#appendBare(RECORD_SEGMENT_END);
        segments.advance();
      }
      const seed = recordSeed(this.#parts.incarnation, state.segment, state.used);
      const encoded = this.#encoder.commit(record, size, seed, state.durablePlace, this.#time);
      if (fits) this.#take(encoded, size);
      else this.#writeThrough(encoded, size, timestamp);
      state.records++;
      state.lastTimestamp = timestamp;
      const left = slots.ownInFile;
      if (left > 0) slots.reserve(Math.max(0, left - size), Math.max(0, slots.ownInMemory - size));
      position = state.appended;
      this.#ownEnd = position;
    } finally {
      this.#latch.give();
    }
    this.#tellLeft();
    if (position <= this.durable) this.#events.onDurable();
    if (goesOn) schedulePoint(POINT.segmentBegun);
    schedulePoint(POINT.recordAppended);
    return position;
  }

  /**
   * Makes durable all that is appended when it is called. Calls that come while a flush of this thread is under way share the next one.
   * Syncs even if nothing is pending: whoever wants to save that asks `durable` first.
   */
  flush(): Promise<LogPosition> {
    if (this.failure !== null) return Promise.reject(this.failure);
    if (this.#closed) return this.#afterClose();
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
    const batch = this.#collect();
    this.#writer.writeInPlace(batch, { sync: true });
    this.#advance(batch);
    return this.durable;
  }

  write(): LogWrite | null {
    if (this.failure !== null) throw this.failure;
    if (this.#closed) return null;
    const begun = this.#claim();
    if (begun === null) return null;
    schedulePoint(POINT.flushCollected);
    return { begin: begun.batch.begin, end: begun.batch.target, over: this.#track(this.#writeStretch(begun)) };
  }

  until(isReached: () => boolean): Promise<void> {
    return this.#waiters.until(isReached);
  }

  /**
   * Gives all that is appended when it is called to the operating system, which keeps it if this process dies. Nothing gets durable by it. A little is
   * given in place: to have another thread do it takes longer, unless the system is still writing what went before.
   */
  async hand(): Promise<LogPosition> {
    if (this.failure !== null) throw this.failure;
    const batch = this.#collectUnhanded();
    if (batch === null) return this.handed;
    const isLittle = batch.target - batch.begin <= MOST_IN_PLACE;
    if (isLittle && !this.#isWriting) this.#writer.writeInPlace(batch, { sync: false });
    else await this.#track(this.#writer.write(batch, { sync: false }));
    if (this.failure !== null) throw this.failure;
    return this.#noteHanded(batch);
  }

  /** The same, now. */
  handSync(): LogPosition {
    if (this.failure !== null) throw this.failure;
    const batch = this.#collectUnhanded();
    if (batch === null) return this.handed;
    this.#writer.writeInPlace(batch, { sync: false });
    return this.#noteHanded(batch);
  }

  /** All before it the operating system has. */
  get handed(): LogPosition {
    return this.#latch.holding(() => this.#state.handed);
  }

  /** Something was acknowledged that is not durable: it will be in a while, whether or not somebody asks for it. */
  lag(): void {
    if (!this.#closed) this.#later.whenLagging();
  }

  /** Ends the log for all threads after a failed write or sync (IO1): pending and later commits reject with the error returned. */
  fail(cause: unknown): PagewrightError {
    if (this.#failure === null) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const { shared, slots } = this.#parts;
      if (shared.set(reason)) slots.callOthers();
      this.#end(unknownOutcome(`Writing the log failed (${reason}).`, cause));
    }
    return this.#failure as PagewrightError | null as PagewrightError;
  }

  /** What other threads call for: they have given segments up, or met a failure, or ended the log. Nobody waits for it, so it does not throw. */
  look(): void {
    if (this.failure !== null || this.#closed) return;
    try {
      this.#parts.segments.closeDurable();
    } catch (error) {
      if (this.#cutOff(error) === null) this.fail(error);
    }
  }

  /** The segment in use, if it has commits and can be ended; 0 if not. */
  get segmentToEnd(): number {
    if (this.#closed || this.failure !== null) return 0;
    return this.#latch.holding(() => this.#toEnd);
  }

  /**
   * Ends a segment that is in use and has commits, however little that is, and makes it durable as a whole. Another one stays as it is, and so does this one if the stream
   * cannot go on to the next at the moment. Errors: `PW_FULL`, and nothing has changed; `PW_COMMIT_UNKNOWN`.
   */
  async endSegment(segment: number): Promise<void> {
    const { segments } = this.#parts;
    if (this.segmentToEnd !== segment) return;
    await segments.prepareToAdvance();
    const isEnded = this.#latch.holding(() => {
      if (this.#toEnd !== segment || !segments.mayAdvance) return false;
      this.#appendBare(RECORD_SEGMENT_END);
      segments.advance();
      return true;
    });
    if (!isEnded) return;
    schedulePoint(POINT.segmentBegun);
    const { appended } = this;
    while (this.durable < appended && !this.#closed) await this.flush();
  }

  /** Ends the stream with a record that says so, and makes all of it durable. Nothing is appended any more, in any thread. */
  async seal(timestamp: number): Promise<void> {
    if (!this.#sealed) {
      // There is always room for it: what ends a segment has its place, in the file and in memory, and is not needed any more.
      this.#latch.holding(() => this.#appendBare(RECORD_LOG_END, timestamp));
      this.#sealed = true;
    }
    const { appended } = this;
    while (this.durable < appended) await this.flush();
  }

  /** Makes all that is appended durable, and what tells so as well if the log is to be kept. Then this thread has no more of it. */
  async close(keep: boolean): Promise<void> {
    this.#later.stop();
    try {
      const { appended } = this.#left();
      while (this.failure === null && this.durable < appended) await this.flush();
      if (keep && this.failure === null && this.#left().hasMore) await this.flush();
    } catch (error) {
      // Then the thread that opened the log makes all durable, or has.
      if (!this.#isOver) throw error;
    } finally {
      this.#closed = true;
      this.#later.stop();
      await this.#flushing?.catch(() => undefined);
      await this.#later.settled();
      await Promise.allSettled(this.#writes);
      this.#waiters.ask();
    }
  }

  /** What a close has to do: nothing, when the latch cannot be had any more. */
  #left(): { readonly appended: LogPosition; readonly hasMore: boolean } {
    const { batches } = this.#parts;
    try {
      return this.#latch.holding(() => ({
        appended: this.#state.appended,
        hasMore: this.#state.segment > 0 && (this.#canTell || batches.headerIsDue),
      }));
    } catch (error) {
      if (this.#cutOff(error) === null) throw error;
      return { appended: 0, hasMore: false };
    }
  }

  #startFlush(): Promise<LogPosition> {
    const flush = this.#writeAndSync();
    this.#flushing = flush;
    const done = () => {
      this.#flushing = null;
    };
    flush.then(done, done); // registered first, so that whoever waits for the flush finds it over
    return flush;
  }

  async #writeAndSync(): Promise<LogPosition> {
    const batch = this.#collect();
    schedulePoint(POINT.flushCollected);
    await this.#writer.write(batch, { sync: true });
    if (this.failure !== null) throw this.failure;
    this.#advance(batch);
    return this.durable;
  }

  /** Takes what no write has taken, if there is anything and room for one more. */
  #claim(): Stretch | null {
    const { batches, claims } = this.#parts;
    const state = this.#state;
    try {
      return this.#latch.holding(() => {
        if (claims.isFull || this.#taken >= state.appended) return null;
        this.#tellDurable();
        const batch = batches.collect(null, this.#taken);
        const { target: end, place, timestamp } = batch;
        return { batch, claim: claims.add({ end, place, timestamp }) };
      });
    } catch (error) {
      throw this.#cutOff(error) ?? error;
    }
  }

  async #writeStretch({ batch, claim }: Stretch): Promise<void> {
    const begun = performance.now();
    await this.#writer.write(batch, { sync: true });
    this.#waiters.writeMs = performance.now() - begun;
    if (this.failure !== null) throw this.failure;
    this.#advance(batch, claim);
  }

  #track(work: Promise<void>): Promise<void> {
    this.#writes.add(work);
    const over = (): boolean => this.#writes.delete(work);
    work.then(over, over);
    return work;
  }

  /** Whether this thread has given something to the device, or has others give something to the system, that is not over. */
  get #isWriting(): boolean {
    return this.#flushing !== null || this.#writes.size > 0;
  }

  #collectUnhanded(): Batch | null {
    const { batches } = this.#parts;
    const state = this.#state;
    try {
      return this.#latch.holding(() => (state.handed >= state.appended ? null : batches.collect(null, state.handed)));
    } catch (error) {
      throw this.#cutOff(error) ?? error;
    }
  }

  #noteHanded({ target }: Batch): LogPosition {
    return this.#latch.holding(() => {
      this.#state.handed = Math.max(this.#state.handed, target);
      return target;
    });
  }

  async #catchUp(): Promise<void> {
    if (!this.#closed && this.durable < this.appended) await this.flush();
  }

  /** All that a flush has to write. Whatever stands in the way of that leaves open what becomes of it. */
  #collect(): Batch {
    try {
      return this.#latch.holding(() => {
        this.#tellDurable();
        return this.#parts.batches.collect();
      });
    } catch (error) {
      throw this.#cutOff(error) ?? error;
    }
  }

  /** A flush is over, or the write of a stretch. */
  #advance({ target, place, fileSize, timestamp }: Batch, claim?: number): void {
    schedulePoint(POINT.flushSynced);
    const { claims } = this.#parts;
    const state = this.#state;
    let isTold: boolean;
    try {
      isTold = this.#latch.holding(() => {
        state.flushes++;
        if (place.segment === state.segment) state.durableSize = Math.max(state.durableSize, fileSize);
        if (claim === undefined) this.#reach({ end: target, place, timestamp });
        else this.#reach(claims.settle(claim));
        return state.told >= state.durable;
      });
      this.#parts.segments.maintain();
    } catch (error) {
      throw this.#cutOff(error) ?? error;
    }
    this.#tellLeft();
    if (!isTold && !this.#closed) this.#later.whenIdle();
    schedulePoint(POINT.flushKnown);
    this.#waiters.ask();
    this.#events.onDurable();
  }

  /** Who archives hears of segments that other threads make durable as a whole. */
  #tellLeft(): void {
    if (!this.#hasLeft) return;
    this.#hasLeft = false;
    if (this.#parts.isArchived) this.#parts.slots.callOthers();
  }

  // ── With the latch ──────────────────────────────────────────────────────────────────────────────────────────
  /** The segment in use, if it has commits and more may follow; 0 if not. */
  get #toEnd(): number {
    const state = this.#state;
    return this.#sealed || state.isClosed || !state.hasCommits ? 0 : state.segment;
  }

  /** Up to where writes have taken what is appended. */
  get #taken(): LogPosition {
    return Math.max(this.#parts.claims.end, this.#state.durable);
  }

  /** All up to there is durable, if it was not before. */
  #reach(reach: Reach | null): void {
    const state = this.#state;
    if (reach === null || reach.end <= state.durable) return;
    this.#parts.unflushed.release(state.durable, reach.end);
    if (reach.place.segment > state.durableSegment) this.#hasLeft = true;
    state.setDurable(reach.end, reach.place, reach.timestamp);
    this.#parts.claims.passBy(reach.end);
  }

  #take(encoded: EncodedRecord, size: number): void {
    const state = this.#state;
    this.#parts.unflushed.write(state.appended, encoded.bytes, encoded.words, size);
    state.used += size;
    state.appended += size;
    state.told = state.durable;
  }

  /** Brings a record to the file for which there is no room in memory, and all before it, and makes it durable. */
  #writeThrough({ bytes }: EncodedRecord, size: number, timestamp: number): void {
    const { batches, unflushed } = this.#parts;
    const state = this.#state;
    const { durable } = state;
    const batch = batches.collect(bytes.subarray(0, size));
    this.#writer.writeInPlace(batch, { sync: true });
    const end = batch.target + size;
    unflushed.release(durable, batch.target);
    unflushed.skipTo(end, batch.target);
    state.flushes++;
    state.told = durable;
    state.used += size;
    state.appended = end;
    state.durableSize = Math.max(state.durableSize, batch.fileSize);
    if (state.segment > state.durableSegment) this.#hasLeft = true;
    state.setDurable(end, { segment: state.segment, offset: state.used }, timestamp);
    this.#parts.claims.passBy(end);
  }

  #appendBare(kind: number, timestamp = 0): void {
    const { segment, used, durablePlace } = this.#state;
    const seed = recordSeed(this.#parts.incarnation, segment, used);
    this.#take(this.#encoder.bare(kind, seed, durablePlace, this.#time, timestamp), RECORD_HEADER_SIZE);
  }

  /** For a record that is appended now. */
  get #time(): number {
    return this.#state.timeAt(this.#parts.clock());
  }

  /** Appends a mark if something is durable that no record tells, and there is room. Whether it did. */
  #tellDurable(): boolean {
    if (!this.#canTell) return false;
    this.#appendBare(RECORD_MARK);
    return true;
  }

  get #canTell(): boolean {
    const { slots, segments, unflushed } = this.#parts;
    const { told, durable, pending } = this.#state;
    const taken = pending + slots.inMemory + BESIDE;
    return told < durable && !this.#sealed && !this.#isOver && segments.hasRoomBeside && taken <= unflushed.capacity;
  }

  get #isOver(): boolean {
    return this.#state.isClosed && !this.#parts.isOwner;
  }

  #reserve(inFile: number, inMemory: number): void {
    this.#parts.slots.reserve(inFile, inMemory);
    if (this.#lapsing) return;
    this.#lapsing = true;
    queueMicrotask(this.#lapse);
  }

  /** What was not appended in the turn in which it was reserved is free for others again. */
  readonly #lapse = (): void => {
    this.#lapsing = false;
    const { slots } = this.#parts;
    if (slots.ownInFile === 0 && slots.ownInMemory === 0) return;
    try {
      this.#latch.holding(() => slots.reserve(0, 0));
    } catch {
      // The log is over, in one way or another: whoever appends is told.
    }
  };

  // ── Ends ────────────────────────────────────────────────────────────────────────────────────────────────────
  /** If the latch cannot be had any more: what commits are told that wait for this. Else null. */
  #cutOff(error: unknown): PagewrightError | null {
    if (isPagewrightError(error, 'PW_THREAD_LOST')) {
      if (this.#failure === null) this.#end(unknownOutcome('A thread was lost that was changing the log.', error));
      return this.#failure;
    }
    return isPagewrightError(error, 'PW_CLOSED') ? unknownOutcome('The log was closed.', error) : null;
  }

  /** Another thread has met a failure. */
  #learn(): void {
    const { reason } = this.#parts.shared;
    this.#end(unknownOutcome(`Writing the log failed in another thread (${reason}).`, undefined));
  }

  #end(error: PagewrightError): void {
    this.#failure = error;
    this.#later.stop();
    this.#waiters.ask();
    this.#events.onFailure(error);
  }

  /** All that this thread appended was made durable before it closed. */
  #afterClose(): Promise<LogPosition> {
    if (this.durable >= this.#ownEnd) return Promise.resolve(this.durable);
    return Promise.reject(unknownOutcome('The log was closed.', closedError()));
  }

  // ── Idle ────────────────────────────────────────────────────────────────────────────────────────────────────
  /** Hands a mark, or a header, to the operating system, without a sync: the death of the process alone then leaves it behind. */
  async #writeIdle(): Promise<void> {
    if (this.failure !== null || this.#flushing !== null) return;
    const { batches } = this.#parts;
    const batch = this.#latch.holding(() => {
      const isDue = !this.#isOver && (this.#tellDurable() || batches.headerIsDue);
      return isDue ? batches.collect() : null;
    });
    if (batch !== null) await this.#writer.write(batch, { sync: false });
  }
}
