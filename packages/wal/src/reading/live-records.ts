/**
 * The commits of the log of this process, from its files, as far as they are durable: all up to there is whole, and stays as it is for as long as its
 * segment is kept. What lies beyond is not looked at, whoever is writing it.
 */
import type { ReplayedRecord } from '@pagewright/core';
import { lastBeginningBy } from '../archive/first-commits.js';
import type { Place } from '../format/place.js';
import { RECORD_COMMIT, RECORD_SEGMENT_END } from '../format/record.js';
import { FIRST_RECORD } from '../recovery/behind.js';
import { disordered } from '../recovery/behind-hole.js';
import { doesNotAddUp } from '../recovery/kept-records.js';
import { DamageFound } from '../recovery/log-damage.js';
import { damagedRecord } from '../recovery/record-damage.js';
import { RecordScan } from '../recovery/record-scan.js';
import { type LogLocation, openReader } from '../recovery/segment-opening.js';
import type { SegmentReader } from '../recovery/segment-reader.js';
import type { Reader, Readers } from './readers.js';

/** What is read of a log that is written, and where it goes on from. */
export interface LiveLog {
  readonly location: LogLocation;
  readonly incarnation: number;
  /** The last commit that counts of what was before it. */
  readonly base: number;
  /** The timestamp of its first commit; none between it and `base` is there. */
  readonly first: number;
  /** The oldest segment that is there. */
  oldest(): number;
  /** All before it is durable. */
  durable(): Place;
}

/** The reader had what is needed no more, or never: it must be sought elsewhere. */
export const NOT_HERE = Symbol('not here');

export class LiveRecords {
  readonly #log: LiveLog;
  readonly #readers: Readers;
  readonly #reader: Reader;
  /** The last commit that was given, or passed over. */
  #last: number;
  #file: SegmentReader | null = null;
  #scan: RecordScan | null = null;
  #place: Place;
  /** Offset in the segment up to which all is durable, as far as is known. */
  #limit = 0;
  /** Whether a commit was come by yet. */
  #isUnderWay = false;

  private constructor(log: LiveLog, readers: Readers, reader: Reader, after: number, segment: number) {
    this.#log = log;
    this.#readers = readers;
    this.#reader = reader;
    this.#last = after;
    this.#place = { segment, offset: FIRST_RECORD };
  }

  /** At the first segment with a commit above this one. The reader keeps that from now on. Whether it is {@link NOT_HERE} turns out in reading. */
  static async from(log: LiveLog, readers: Readers, reader: Reader, after: number): Promise<LiveRecords> {
    const oldest = log.oldest();
    readers.keep(reader, oldest);
    const { segment: newest } = log.durable();
    const segments = Array.from({ length: newest - oldest + 1 }, (_, i) => oldest + i);
    try {
      const begin = (await lastBeginningBy(log.location, log.incarnation, segments, after + 1)) ?? oldest;
      if (reader.hasLost) throw NOT_HERE;
      readers.keep(reader, begin);
      return new LiveRecords(log, readers, reader, after, begin);
    } catch (error) {
      throw reader.hasLost ? NOT_HERE : error;
    }
  }

  /** The next commit; null if no other is durable. Throws {@link NOT_HERE}, {@link DamageFound}. */
  async next(): Promise<ReplayedRecord | null> {
    try {
      for (;;) {
        if (this.#scan === null && !(await this.#goOn())) return null;
        const record = await this.#step(this.#scan!);
        this.#assertKept();
        if (record !== null) return record;
      }
    } catch (error) {
      this.#assertKept(); // what a file had that is written anew is no damage
      throw error;
    }
  }

  async close(): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }

  /** Looks at what is durable by now; whether there is anything behind the place. */
  async #goOn(): Promise<boolean> {
    const { location, incarnation } = this.#log;
    const { segment, offset } = this.#place;
    const place = this.#log.durable();
    const isWhole = place.segment > segment;
    if (!isWhole && (place.segment < segment || place.offset <= offset)) return false;
    this.#file ??= await openReader(location, incarnation, segment);
    if (this.#file === null) throw missing(location, segment);
    const reader = this.#file.upTo(isWhole ? undefined : place.offset);
    this.#limit = reader.size;
    this.#scan = new RecordScan(reader, incarnation, segment, offset);
    return true;
  }

  /** Reads a record; null if it is no commit, or one that the reader has. */
  async #step(scan: RecordScan): Promise<ReplayedRecord | null> {
    const { location, incarnation } = this.#log;
    const place = this.#place;
    if (!(await scan.readAt(place.offset)) || !scan.isWhole) {
      throw await damagedRecord(location, incarnation, place, 'what was there had been made durable');
    }
    const { kind } = scan.header;
    if (kind === RECORD_SEGMENT_END) {
      await this.close();
      this.#place = { segment: place.segment + 1, offset: FIRST_RECORD };
      this.#scan = null;
      if (!this.#reader.hasLost) this.#readers.keep(this.#reader, this.#place.segment);
      return null;
    }
    this.#place = { segment: place.segment, offset: scan.end };
    if (scan.end >= this.#limit) this.#scan = null;
    if (kind !== RECORD_COMMIT) return null;
    const record = scan.decode();
    if (record === null) throw doesNotAddUp(scan.path, place);
    return this.#taken(record, scan.path, place);
  }

  #taken(record: ReplayedRecord, path: string, { segment, offset }: Place): ReplayedRecord | null {
    const { timestamp } = record;
    const last = this.#last;
    const isFirst = !this.#isUnderWay;
    this.#isUnderWay = true;
    if (timestamp <= last) return null;
    if (timestamp !== last + 1) {
      if (!isFirst) throw disordered(path, segment, offset, timestamp, last);
      if (timestamp !== this.#log.first || !this.#isAtBase) throw NOT_HERE;
    }
    this.#last = timestamp;
    return timestamp === last + 1 ? record : { ...record, after: last };
  }

  /** Whether the reader has just what was before this log. */
  get #isAtBase(): boolean {
    return this.#last === this.#log.base;
  }

  #assertKept(): void {
    if (this.#reader.hasLost) throw NOT_HERE;
  }
}

function missing({ directory: path }: LogLocation, segment: number): DamageFound {
  const what = `Segment ${segment} of the log is missing while it is in use`;
  return new DamageFound({ kind: 'missing-segment', what, path, segment, offset: 0 });
}
