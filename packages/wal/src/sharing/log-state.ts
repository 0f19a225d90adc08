/**
 * What is known of the stream and of its segments: one memory for all threads, in which every number has its place. A
 * thread keeps nothing of this for itself.
 *
 * Must hold: it is read and changed by who has the log latch. What may be looked at without it is said so: the words that
 * are read by `Atomics`, and `durable`, of which one may see an older value, never one that is not true yet.
 */
import type { LogPosition } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';

/** So many segments may hold what is not durable; the sizes of so many are remembered. */
export const MOST_UNFLUSHED_SEGMENTS = 64;
/** Old segments that are kept for reuse. Written blocks are overwritten faster than new ones are filled. */
export const MOST_RETIRED = 2;

const TWO_TO_32 = 4_294_967_296;

/** Numbers, as 64-bit floats. */
const APPENDED = 0;
const DURABLE = 1;
const DURABLE_SEGMENT = 2;
const DURABLE_OFFSET = 3;
const TOLD = 4;
const RECORDS = 5;
const FLUSHES = 6;
const LAST_TIMESTAMP = 7;
const SEGMENT = 8;
const USED = 9;
const ALLOCATED = 10;
const DURABLE_SIZE = 11;
const TOLD_SIZE = 12;
const NEXT_SEGMENT = 13;
const NEXT_ALLOCATED = 14;
const NEXT_TOLD_SIZE = 15;
const PREPARE_AT = 16;
const OLDEST = 17;
const RETIRED = 18;
const RETIRED_SEGMENTS = 19;
const RETIRED_SIZES = RETIRED_SEGMENTS + MOST_RETIRED;
const BEGINS = RETIRED_SIZES + MOST_RETIRED;
const SIZES = BEGINS + MOST_UNFLUSHED_SEGMENTS;
const HANDED = SIZES + MOST_UNFLUSHED_SEGMENTS;
const LAST_TIME = HANDED + 1;
const RECORDS_BEFORE = LAST_TIME + 1;
const NUMBERS = RECORDS_BEFORE + 1;

/** Words behind them. */
const DURABLE_LOW = 0;
const DURABLE_HIGH = 1;
const CLOSED = 2;
const TELLING = 3;
const PREPARING = 4;
const NEXT_READY = 5;
const DURABLE_TIMESTAMP_LOW = 6;
const DURABLE_TIMESTAMP_HIGH = 7;
const PROGRESS = 8;
const WORDS = 9;

/** A file that was a segment, and may be the next. */
export interface RetiredFile {
  readonly segment: number;
  readonly size: number;
}

export class LogState {
  readonly #numbers: Float64Array;
  readonly #words: Int32Array;

  static bytes(): number {
    return NUMBERS * 8 + WORDS * 4;
  }

  constructor(memory: SharedArrayBuffer) {
    this.#numbers = new Float64Array(memory, 0, NUMBERS);
    this.#words = new Int32Array(memory, NUMBERS * 8, WORDS);
  }

  /** Zeros are a log without a segment. Called once, before anyone else has the memory. */
  initialize(lastTimestamp: number, lastTime: number): void {
    this.#numbers[LAST_TIMESTAMP] = lastTimestamp;
    this.#numbers[LAST_TIME] = lastTime;
    this.#setDurableTimestamp(lastTimestamp);
    this.#numbers[DURABLE_SEGMENT] = 1;
    this.#numbers[DURABLE_OFFSET] = SEGMENT_HEADER_SIZE;
    this.#numbers[OLDEST] = 1;
  }

  // ── The stream ──────────────────────────────────────────────────────────────────────────────────────────────
  /** Bytes appended since the log began. */
  get appended(): LogPosition {
    return this.#numbers[APPENDED] as number;
  }

  set appended(position: LogPosition) {
    this.#numbers[APPENDED] = position;
  }

  /** Needs no latch. */
  get durable(): LogPosition {
    return this.#wide(DURABLE_LOW, DURABLE_HIGH);
  }

  /** D: all transactions up to this one are durable. Needs no latch. */
  get durableTimestamp(): number {
    return this.#wide(DURABLE_TIMESTAMP_LOW, DURABLE_TIMESTAMP_HIGH);
  }

  /** The end of the last record that is durable. */
  get durablePlace(): Place {
    return { segment: this.durableSegment, offset: this.#numbers[DURABLE_OFFSET] as number };
  }

  /** Those before it are durable as a whole. */
  get durableSegment(): number {
    return this.#numbers[DURABLE_SEGMENT] as number;
  }

  /** All before a position, with transactions up to this timestamp, is durable: more than was. */
  setDurable(position: LogPosition, { segment, offset }: Place, timestamp: number): void {
    this.#numbers[DURABLE] = position;
    this.#numbers[DURABLE_SEGMENT] = segment;
    this.#numbers[DURABLE_OFFSET] = offset;
    // The lower half first: who reads in between finds a position that was durable long ago.
    Atomics.store(this.#words, DURABLE_LOW, position | 0);
    Atomics.store(this.#words, DURABLE_HIGH, Math.floor(position / TWO_TO_32));
    this.#setDurableTimestamp(timestamp);
    this.tellProgress();
  }

  /** Wakes who waits for more to be durable. */
  tellProgress(): void {
    Atomics.add(this.#words, PROGRESS, 1);
    Atomics.notify(this.#words, PROGRESS);
  }

  /** Another number whenever more is durable. Needs no latch. */
  get progress(): number {
    return Atomics.load(this.#words, PROGRESS);
  }

  /** Resolves when `progress` is another number, in whichever thread. Does not keep the process alive. Needs no latch. */
  async progressSince(seen: number): Promise<void> {
    await Atomics.waitAsync(this.#words, PROGRESS, seen).value;
  }

  /** All before it the operating system has, if not the device. */
  get handed(): LogPosition {
    return Math.max(this.#numbers[HANDED] as number, this.#numbers[DURABLE] as number);
  }

  set handed(position: LogPosition) {
    this.#numbers[HANDED] = position;
  }

  /** Bytes appended and not durable. */
  get pending(): number {
    return this.appended - (this.#numbers[DURABLE] as number);
  }

  /** The highest `durable` that a record carries. */
  get told(): LogPosition {
    return this.#numbers[TOLD] as number;
  }

  set told(position: LogPosition) {
    this.#numbers[TOLD] = position;
  }

  get records(): number {
    return this.#numbers[RECORDS] as number;
  }

  set records(count: number) {
    this.#numbers[RECORDS] = count;
  }

  get flushes(): number {
    return this.#numbers[FLUSHES] as number;
  }

  set flushes(count: number) {
    this.#numbers[FLUSHES] = count;
  }

  /** Of the last record, or the last that recovery kept: none is used again (L3). */
  get lastTimestamp(): number {
    return this.#numbers[LAST_TIMESTAMP] as number;
  }

  set lastTimestamp(timestamp: number) {
    this.#numbers[LAST_TIMESTAMP] = timestamp;
  }

  /** What the next record says was the time when it was appended: a clock that is put back does not put the log back. */
  timeAt(now: number): number {
    const time = Math.max(now, this.#numbers[LAST_TIME] as number);
    this.#numbers[LAST_TIME] = time;
    return time;
  }

  // ── The segment that is appended to ─────────────────────────────────────────────────────────────────────────
  /** Its number; 0 before there is one. */
  get segment(): number {
    return this.#numbers[SEGMENT] as number;
  }

  /** Offset behind the last record. */
  get used(): number {
    return this.#numbers[USED] as number;
  }

  set used(offset: number) {
    this.#numbers[USED] = offset;
  }

  /** Bytes of its file with real blocks. */
  get allocated(): number {
    return this.#numbers[ALLOCATED] as number;
  }

  set allocated(bytes: number) {
    this.#numbers[ALLOCATED] = bytes;
    this.#numbers[SIZES + (this.segment % MOST_UNFLUSHED_SEGMENTS)] = bytes;
  }

  /** Bytes of its file that a sync has covered. */
  get durableSize(): number {
    return this.#numbers[DURABLE_SIZE] as number;
  }

  set durableSize(bytes: number) {
    this.#numbers[DURABLE_SIZE] = bytes;
  }

  /** The size that its header gives, or will when the write that is under way is over. */
  get toldSize(): number {
    return this.#numbers[TOLD_SIZE] as number;
  }

  set toldSize(bytes: number) {
    this.#numbers[TOLD_SIZE] = bytes;
  }

  /** Whether it has commits. */
  get hasCommits(): boolean {
    return this.records > (this.#numbers[RECORDS_BEFORE] as number);
  }

  /** Goes on in a segment with an empty file. */
  enter(segment: number, allocated: number, toldSize: number): void {
    this.#numbers[SEGMENT] = segment;
    this.#numbers[RECORDS_BEFORE] = this.records;
    this.#numbers[BEGINS + (segment % MOST_UNFLUSHED_SEGMENTS)] = this.appended;
    this.used = SEGMENT_HEADER_SIZE;
    this.allocated = allocated;
    this.durableSize = toldSize;
    this.toldSize = toldSize;
  }

  /** Stream position of the first record of a segment that is not durable as a whole. */
  beginOf(segment: number): LogPosition {
    return this.#numbers[BEGINS + (segment % MOST_UNFLUSHED_SEGMENTS)] as number;
  }

  /** Bytes of a segment's file; 0 if it is too long ago. */
  sizeOf(segment: number): number {
    if (segment + MOST_UNFLUSHED_SEGMENTS <= this.segment) return 0;
    return this.#numbers[SIZES + (segment % MOST_UNFLUSHED_SEGMENTS)] as number;
  }

  // ── The next one, and old ones ──────────────────────────────────────────────────────────────────────────────
  /** Its number; 0 if there is none. */
  get nextSegment(): number {
    return this.#numbers[NEXT_SEGMENT] as number;
  }

  get nextAllocated(): number {
    return this.#numbers[NEXT_ALLOCATED] as number;
  }

  set nextAllocated(bytes: number) {
    this.#numbers[NEXT_ALLOCATED] = bytes;
  }

  get nextToldSize(): number {
    return this.#numbers[NEXT_TOLD_SIZE] as number;
  }

  /** Whether there is one that nobody is changing at the moment. */
  get nextIsReady(): boolean {
    return this.#words[NEXT_READY] === 1;
  }

  set nextIsReady(isReady: boolean) {
    this.#words[NEXT_READY] = isReady ? 1 : 0;
  }

  setNext(segment: number, allocated: number): void {
    this.#numbers[NEXT_SEGMENT] = segment;
    this.#numbers[NEXT_ALLOCATED] = allocated;
    this.#numbers[NEXT_TOLD_SIZE] = allocated;
    this.nextIsReady = segment !== 0;
  }

  /** How far the current segment is filled when the next one is prepared in the background. */
  get prepareAt(): number {
    return this.#numbers[PREPARE_AT] as number;
  }

  set prepareAt(used: number) {
    this.#numbers[PREPARE_AT] = used;
  }

  /** The tag of the thread that makes the next segment, or lets it grow; 0 if none does. */
  get preparing(): number {
    return this.#words[PREPARING] as number;
  }

  set preparing(tag: number) {
    this.#words[PREPARING] = tag;
  }

  /** The oldest segment that a replay may need. */
  get oldest(): number {
    return this.#numbers[OLDEST] as number;
  }

  set oldest(segment: number) {
    this.#numbers[OLDEST] = segment;
  }

  get retired(): number {
    return this.#numbers[RETIRED] as number;
  }

  /** Whether it was taken: there may be enough of them. */
  pushRetired({ segment, size }: RetiredFile): boolean {
    const count = this.retired;
    if (count === MOST_RETIRED) return false;
    this.#numbers[RETIRED_SEGMENTS + count] = segment;
    this.#numbers[RETIRED_SIZES + count] = size;
    this.#numbers[RETIRED] = count + 1;
    return true;
  }

  popRetired(): RetiredFile | undefined {
    const at = this.retired - 1;
    if (at < 0) return undefined;
    this.#numbers[RETIRED] = at;
    return {
      segment: this.#numbers[RETIRED_SEGMENTS + at] as number,
      size: this.#numbers[RETIRED_SIZES + at] as number,
    };
  }

  /** The lower half is stored first: who reads in between finds a number that held long ago. */
  #wide(low: number, high: number): number {
    for (;;) {
      const upper = Atomics.load(this.#words, high);
      const lower = Atomics.load(this.#words, low) >>> 0;
      if (Atomics.load(this.#words, high) === upper) return upper * TWO_TO_32 + lower;
    }
  }

  #setDurableTimestamp(timestamp: number): void {
    Atomics.store(this.#words, DURABLE_TIMESTAMP_LOW, timestamp | 0);
    Atomics.store(this.#words, DURABLE_TIMESTAMP_HIGH, Math.floor(timestamp / TWO_TO_32));
  }

  // ── Words that need no latch ────────────────────────────────────────────────────────────────────────────────
  /** Whether the thread that opened the log has ended it for all. Set under the latch. */
  get isClosed(): boolean {
    return Atomics.load(this.#words, CLOSED) !== 0;
  }

  close(): void {
    Atomics.store(this.#words, CLOSED, 1);
  }

  /** The tag of the thread that writes the header of the current segment; 0 if none does. */
  get telling(): number {
    return Atomics.load(this.#words, TELLING);
  }

  set telling(tag: number) {
    Atomics.store(this.#words, TELLING, tag);
  }
}
