/**
 * Reads the log that the superblock names, record by record, in memory that a record and a chunk bound, and finds where
 * it ends. Nothing is written (L3). Timestamps must be dense: a gap would be an acknowledged commit skipped in silence.
 */
import type { LogMark, LogReplay, ReplayedRecord } from '@pagewright/core';
import { comparePlaces, type Place } from '../format/place.js';
import {
  bodyIsWhole,
  decodeCommit,
  decodeHeader,
  RECORD_COMMIT,
  RECORD_HEADER_SIZE,
  RECORD_LOG_END,
  RECORD_SEGMENT_END,
  RecordHeader,
  recordSeed,
} from '../format/record.js';
import type { Origin } from '../format/segment-header.js';
import type { SegmentName } from '../format/segment-name.js';
import { missingSegment } from './archive-gap.js';
import { corruptLog } from './corrupt-log.js';
import type { Leg } from './lineage.js';
import { type LogLocation, openReader, openSegment } from './segment-opening.js';
import type { SegmentReader } from './segment-reader.js';
import { examineTail, FIRST_RECORD } from './torn-tail.js';

export interface ReplayPlan {
  readonly location: LogLocation;
  /** B: records up to this timestamp are in the checkpoint already. */
  readonly timestamp: number;
  readonly legs: readonly Leg[];
  /** All segments in the directory. */
  readonly names: readonly SegmentName[];
  /** Bytes to go through. */
  readonly bytes: number;
}

export class Replay implements LogReplay {
  readonly bytes: number;
  readonly #plan: ReplayPlan;
  #torn = 0;
  #end: Origin | null = null;
  #time = 0;
  #timeBefore: number | null = null;

  constructor(plan: ReplayPlan) {
    this.#plan = plan;
    this.bytes = plan.bytes;
    const [first, ...rest] = plan.legs;
    if (first?.incarnation === 0 && rest.length === 0) this.#end = { end: NOWHERE, timestamp: plan.timestamp };
  }

  /** What the replay arrived at; null as long as it has not been read to its end. */
  get end(): Origin | null {
    return this.#end;
  }

  /** That of the last record that was read. */
  get time(): number {
    return this.#time;
  }

  /** That of the last commit that is in the checkpoint already, if it was read. */
  get timeBefore(): number | null {
    return this.#timeBefore;
  }

  readonly tornBytes = (): number => this.#torn;

  async *records(): AsyncGenerator<ReplayedRecord, void, void> {
    let last: Origin = { end: NOWHERE, timestamp: this.#plan.timestamp };
    for (const leg of this.#plan.legs) {
      if (leg.incarnation !== 0) last = yield* this.#readLeg(leg, last.timestamp);
    }
    this.#end = last;
  }

  async *#readLeg(leg: Leg, timestamp: number): AsyncGenerator<ReplayedRecord, Origin, void> {
    const progress: Progress = { last: timestamp, previous: -1, mayJump: leg.mayJump ?? false };
    let { segment, offset } = leg.from;
    for (;;) {
      if (this.#isEndOfArchive(leg, segment, progress.last)) {
        return { end: { incarnation: leg.incarnation, segment, offset }, timestamp: progress.last };
      }
      const reader = await openSegment(this.#plan.location, leg.incarnation, segment);
      try {
        if (offset > reader.size) {
          throw corruptLog('A log segment ends before the place that the superblock names', {
            path: reader.path,
            segment,
            offset,
          });
        }
        const stop = yield* this.#readSegment(leg, reader, segment, offset, progress);
        if (stop !== null) return { end: { incarnation: leg.incarnation, ...stop }, timestamp: progress.last };
      } finally {
        await reader.close();
      }
      segment += 1;
      offset = FIRST_RECORD;
    }
  }

  /** Yields the records of a segment. Returns the place where the log ends, or null if it goes on in the next segment. */
  async *#readSegment(
    leg: Leg,
    reader: SegmentReader,
    segment: number,
    from: number,
    progress: Progress,
  ): AsyncGenerator<ReplayedRecord, Place | null, void> {
    const header = new RecordHeader();
    let offset = from;
    for (;;) {
      const place = { segment, offset };
      if (leg.until !== null && comparePlaces(place, leg.until.end) >= 0) {
        return this.#checkEnd(leg.until, place, reader, progress);
      }
      if (!(await readHeaderAt(reader, leg.incarnation, place, header))) {
        if (leg.until !== null) {
          throw corruptLog('A record of the log is damaged that an earlier recovery had read', {
            path: reader.path,
            ...place,
          });
        }
        if (this.#plan.location.isArchive) {
          throw corruptLog('An archived segment of the log is damaged', { path: reader.path, ...place });
        }
        await this.#examine(leg, reader, place);
        return place;
      }
      if (comparePlaces(header.durable, place) > 0) {
        throw corruptLog('A record of the log tells of what comes after it', { path: reader.path, ...place });
      }
      this.#time = Math.max(this.#time, header.time);
      if (header.kind === RECORD_SEGMENT_END) return null;
      if (header.kind === RECORD_LOG_END) {
        if (leg.until !== null) return this.#checkEnd(leg.until, place, reader, progress);
        progress.last = Math.max(progress.last, header.timestamp);
        return place;
      }
      if (header.kind === RECORD_COMMIT) {
        const record = decodeCommit(reader.bytes, reader.indexOf(offset), header);
        if (record === null) {
          throw corruptLog('A record of the log does not add up', { path: reader.path, ...place });
        }
        if (advance(progress, record.timestamp, reader.path, place)) yield record;
        else this.#timeBefore = record.time;
      }
      offset += header.length;
    }
  }

  /** The record at the place is not whole: damage, or the end that an ordinary crash has left (L2). */
  async #examine(leg: Leg, reader: SegmentReader, hole: Place): Promise<void> {
    const own = await examineTail(reader, leg.incarnation, hole.segment, hole.offset, hole);
    this.#torn = own.end - hole.offset;
    if (own.proof >= 0) throw damaged(reader, hole, hole.segment, own.proof);
    for (const { segment } of this.#segmentsOf(leg).filter((later) => later.segment > hole.segment)) {
      const later = await openReader(this.#plan.location, leg.incarnation, segment);
      try {
        const found = await examineTail(later, leg.incarnation, segment, FIRST_RECORD, hole);
        this.#torn += found.end - FIRST_RECORD;
        if (found.proof >= 0) throw damaged(reader, hole, segment, found.proof);
      } finally {
        await later.close();
      }
    }
  }

  #checkEnd(until: Origin, place: Place, reader: SegmentReader, progress: Progress): Place {
    const hasCommits = progress.previous >= 0;
    if (comparePlaces(place, until.end) !== 0 || (hasCommits && progress.last !== until.timestamp)) {
      throw corruptLog('The log does not end where the one after it goes on', { path: reader.path, ...place });
    }
    // An incarnation without commits may have begun above those before it.
    progress.last = until.timestamp;
    return place;
  }

  /** Whether an archive has nothing of the leg from this segment on, and need not have. `PW_ARCHIVE_GAP` if it has something behind it. */
  #isEndOfArchive(leg: Leg, segment: number, last: number): boolean {
    if (!this.#plan.location.isArchive) return false;
    const segments = this.#segmentsOf(leg);
    if (segments.some((there) => there.segment === segment)) return false;
    if (leg.until === null && segments.every((there) => there.segment < segment)) return true;
    throw missingSegment(this.#plan.location.directory, leg.incarnation, segment, last);
  }

  #segmentsOf(leg: Leg): readonly SegmentName[] {
    return this.#plan.names.filter(({ incarnation }) => incarnation === leg.incarnation);
  }
}

const NOWHERE: LogMark = { incarnation: 0, segment: 0, offset: 0 };

/** How far the timestamps have come. */
interface Progress {
  /** The last timestamp that counts: of a record yielded, or B. */
  last: number;
  /** That of the record before, in this leg; -1 if there was none. */
  previous: number;
  /** Whether the first record may be any above `last`. */
  readonly mayJump: boolean;
}

/** Takes note of a record; true if it is above the checkpoint. */
function advance(progress: Progress, timestamp: number, path: string, place: Place): boolean {
  const isFirst = progress.previous < 0;
  const gap = isFirst ? timestamp > progress.last + 1 && !progress.mayJump : timestamp !== progress.previous + 1;
  if (gap) {
    const before = isFirst ? progress.last : progress.previous;
    throw corruptLog(`In the log commit ${timestamp} follows commit ${before}`, { path, ...place });
  }
  progress.previous = timestamp;
  if (timestamp <= progress.last) return false;
  progress.last = timestamp;
  return true;
}

/** Brings the record at a place into memory; false if there is no whole one. */
export async function readHeaderAt(
  reader: SegmentReader,
  incarnation: number,
  { segment, offset }: Place,
  header: RecordHeader,
): Promise<boolean> {
  const available = reader.size - offset;
  if (available < RECORD_HEADER_SIZE) return false;
  if (!reader.has(offset, RECORD_HEADER_SIZE)) await reader.load(offset, RECORD_HEADER_SIZE);
  const seed = recordSeed(incarnation, segment, offset);
  if (!decodeHeader(reader.bytes, reader.view, reader.indexOf(offset), available, seed, header)) return false;
  if (!reader.has(offset, header.length)) await reader.load(offset, header.length);
  return bodyIsWhole(reader.bytes, reader.view, reader.indexOf(offset), header.length, seed);
}

function damaged(reader: SegmentReader, hole: Place, segment: number, offset: number): Error {
  const what = `The log is damaged at offset ${hole.offset} of segment ${hole.segment}: a record at offset ${offset} of segment ${segment} says that it had been durable`;
  return corruptLog(what, { path: reader.path, ...hole });
}
