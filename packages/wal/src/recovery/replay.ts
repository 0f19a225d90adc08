/**
 * Reads the log that the superblock names, record by record, in memory that a record and a chunk bound, and finds where
 * it ends: the gapless run first, then what counts behind its end. Nothing is written (L3). In the run timestamps must be dense: a gap would
 * be an acknowledged commit skipped in silence.
 */
import type { GivenUp, LogMark, LogReplay, ReplayedRecord, TimestampRange } from '@pagewright/core';
import { comparePlaces, type Place } from '../format/place.js';
import { RECORD_COMMIT, RECORD_LOG_END, RECORD_SEGMENT_END } from '../format/record.js';
import { missingSegment } from './archive-gap.js';
import { FIRST_RECORD, type LogFiles } from './behind.js';
import { disordered, examineHole } from './behind-hole.js';
import { examineGivenUp } from './given-up.js';
import { doesNotAddUp, readKept } from './kept-records.js';
import type { Leg } from './lineage.js';
import { corruptLog, DamageFound } from './log-damage.js';
import { damagedRecord } from './record-damage.js';
import { RecordScan } from './record-scan.js';
import { type OpenedSegment, openSegment } from './segment-opening.js';
import { TimestampRanges } from './timestamp-ranges.js';

export interface ReplayPlan {
  readonly files: LogFiles;
  /** B: records up to this timestamp are in the checkpoint already. */
  readonly timestamp: number;
  readonly legs: readonly Leg[];
  /** Bytes to go through. */
  readonly bytes: number;
  /** Whether damage is left behind, and not an error. */
  readonly stopsBeforeDamage: boolean;
}

/** What a replay arrived at: what the next incarnation says of this one (L4). */
export interface ReplayEnd {
  /** Where the gapless run ended. */
  readonly end: LogMark;
  /** The last timestamp in it, or that of the checkpoint. */
  readonly timestamp: number;
  /** The timestamps that count beyond it. */
  readonly kept: readonly TimestampRange[];
}

export class Replay implements LogReplay {
  readonly bytes: number;
  readonly #plan: ReplayPlan;
  #end: ReplayEnd | null = null;
  #givenUp: GivenUp | null = null;
  #passed = 0;
  #torn = 0;
  #time = 0;
  #timeBefore: number | null = null;
  /** The highest timestamp that was seen. */
  #seen: number;
  /** The last timestamp that counts: of a record yielded, or B. */
  #last: number;
  /** Whether the log says itself that it ends where the run has ended. */
  #isSealed = false;
  /** How far the gapless run goes, as far as it was read. */
  #place: LogMark = NOWHERE;
  #lastInRun: number;
  /** All up to it are there, or are left out for good: the last in the run, or what the incarnation began behind. */
  #settled: number;
  /** What was yielded behind it. */
  #kept = new TimestampRanges();
  /** Where the rest begins, for the report on what is given up, if that is not the end of the run. */
  #rest: { readonly place: Place; readonly timestamp: number; readonly durable: number } | null = null;

  constructor(plan: ReplayPlan) {
    this.#plan = plan;
    this.bytes = plan.bytes;
    this.#seen = plan.timestamp;
    this.#last = plan.timestamp;
    this.#lastInRun = plan.timestamp;
    this.#settled = plan.timestamp;
    const [first, ...others] = plan.legs;
    if (first?.incarnation === 0 && others.length === 0) this.#finish();
  }

  /** What the replay arrived at; null as long as it has not been read to its end. */
  get end(): ReplayEnd | null {
    return this.#end;
  }

  /** The latest that a record has told so far. */
  get time(): number {
    return this.#time;
  }

  /** That of the last commit that is in the checkpoint already, if it was read. */
  get timeBefore(): number | null {
    return this.#timeBefore;
  }

  readonly passedBytes = (): number => Math.min(this.#passed + this.#place.offset, this.bytes);
  readonly tornBytes = (): number => this.#torn;
  readonly lastTimestamp = (): number => this.#seen;
  readonly givenUp = (): GivenUp | null => this.#givenUp;

  async *records(): AsyncGenerator<ReplayedRecord, void, void> {
    const { legs, stopsBeforeDamage } = this.#plan;
    let index = 0;
    try {
      for (; index < legs.length; index++) if (legs[index]!.incarnation !== 0) yield* this.#readLeg(legs[index]!);
    } catch (error) {
      if (!(error instanceof DamageFound)) throw error;
      if (!stopsBeforeDamage || !error.canBeLeftBehind) throw corruptLog(error, this.#plan.files.location);
      await this.#giveUp(error, legs.slice(index));
    }
    this.#finish();
  }

  #finish(): void {
    this.#end = { end: this.#place, timestamp: this.#lastInRun, kept: this.#kept.ranges };
  }

  async *#readLeg(leg: Leg): AsyncGenerator<ReplayedRecord, void, void> {
    const { files } = this.#plan;
    const { incarnation, until } = leg;
    this.#kept = new TimestampRanges();
    this.#isSealed = false;
    yield* this.#readRun(leg);
    const end = placeOf(this.#place);
    if (until !== null) {
      if (until.kept instanceof DamageFound) throw until.kept;
      this.#assertBehind(leg, end, until.kept);
      yield* this.#readBehind(leg, end, until.kept);
      this.#seen = Math.max(this.#seen, until.first - 1);
      return;
    }
    if (this.#isSealed || files.location.isArchive) return;
    const found = await examineHole(files, incarnation, end, this.#settled, (bytes) => {
      this.#passed += bytes;
    });
    this.#seen = Math.max(this.#seen, found.lastTimestamp);
    this.#torn = found.tornBytes;
    if (found.proof !== null) {
      const { segment, offset } = found.proof;
      const why = `a record at offset ${offset} of segment ${segment} says that what was there had been durable`;
      throw await damagedRecord(files.location, incarnation, end, why);
    }
    yield* this.#readBehind(leg, end, found.kept);
    if (found.damage === null) return;
    this.#rest = { place: found.damagePlace, timestamp: found.lastBeforeDamage + 1, durable: found.durable };
    throw found.damage;
  }

  /** Yields the records of the gapless run, up to the first place that has none, or to the one where it ends for certain. */
  async *#readRun(leg: Leg): AsyncGenerator<ReplayedRecord, void, void> {
    const { location } = this.#plan.files;
    const { incarnation } = leg;
    const isFirst = leg === this.#plan.legs.find((each) => each.incarnation !== 0);
    const fromBeginning = comparePlaces(leg.from, { segment: 1, offset: FIRST_RECORD }) === 0;
    const progress: Progress = { previous: -1 };
    this.#lastInRun = this.#last;
    this.#settled = this.#last;
    for (let { segment, offset } = leg.from; ; segment++, offset = FIRST_RECORD) {
      this.#place = { incarnation, segment, offset };
      if (this.#isAtEnd(leg, progress, location.directory) || this.#isEndOfArchive(leg, segment)) return;
      const opened = await openSegment(location, incarnation, segment);
      try {
        if (segment === 1 && fromBeginning) {
          const { first } = opened.header.origin;
          // What an archive's chain begins with leads on from the backup, wherever in it that is.
          progress.begins = { timestamp: first, mayLeap: !isFirst, isChecked: isFirst && location.isArchive === true };
          if (!isFirst) this.#settled = Math.max(this.#settled, first - 1);
        }
        if (!(yield* this.#readSegment(leg, opened, progress))) return;
        this.#passed += opened.reader.size;
      } finally {
        await opened.reader.close();
      }
    }
  }

  /** Yields the records of a segment. Whether the log goes on in the next one. */
  async *#readSegment(
    leg: Leg,
    { reader }: OpenedSegment,
    progress: Progress,
  ): AsyncGenerator<ReplayedRecord, boolean, void> {
    const { incarnation, segment, offset: from } = this.#place;
    if (from > reader.size) {
      const what = `Log segment ${segment} ends before the place that the superblock names`;
      throw new DamageFound({ kind: 'cut-short', what, path: reader.path, segment, offset: reader.size });
    }
    const record = new RecordScan(reader, incarnation, segment, from);
    for (let offset = from; ; offset = record.end) {
      const place = { segment, offset };
      this.#place = { incarnation, ...place };
      if (this.#isAtEnd(leg, progress, reader.path)) return false;
      if (!(await record.readAt(offset)) || !record.isWhole) {
        const { isArchive } = this.#plan.files.location;
        if (leg.until === null && !isArchive) return false;
        const why = isArchive ? 'what is archived has no holes' : 'an earlier recovery had read what was there';
        throw await damagedRecord(this.#plan.files.location, incarnation, place, why);
      }
      const { header } = record;
      if (comparePlaces(header.durable, place) > 0) {
        const what = 'A record of the log tells of what comes after it';
        throw new DamageFound({ kind: 'contradiction', what, path: reader.path, ...place });
      }
      this.#time = Math.max(this.#time, header.time);
      if (header.kind === RECORD_SEGMENT_END) return true;
      if (header.kind === RECORD_LOG_END) {
        if (leg.until !== null) throw endsElsewhere(reader.path, place);
        this.#isSealed = true;
        this.#seen = Math.max(this.#seen, header.timestamp);
        return false;
      }
      if (header.kind !== RECORD_COMMIT) continue;
      const found = record.decode();
      if (found === null) throw doesNotAddUp(reader.path, place);
      this.#assertNext(progress, found.timestamp, reader.path, place);
      if (found.timestamp <= this.#last) {
        this.#timeBefore = found.time;
        continue;
      }
      const yielded = this.#note(found);
      this.#lastInRun = this.#last;
      this.#settled = this.#last;
      yield yielded;
    }
  }

  /** Yields what counts behind the end of the run. */
  async *#readBehind(
    { incarnation }: Leg,
    end: Place,
    kept: readonly TimestampRange[],
  ): AsyncGenerator<ReplayedRecord, void, void> {
    for await (const record of readKept(this.#plan.files, incarnation, end, kept)) {
      this.#kept.add(record.timestamp);
      if (record.timestamp > this.#last) yield this.#note(record);
      else this.#timeBefore = record.time;
    }
  }

  /** Takes note of a record that is above all before it. */
  #note(record: ReplayedRecord): ReplayedRecord {
    const { timestamp, time } = record;
    const after = this.#last;
    this.#last = timestamp;
    this.#seen = Math.max(this.#seen, timestamp);
    this.#time = Math.max(this.#time, time);
    return timestamp === after + 1 ? record : { ...record, after };
  }

  #assertNext(progress: Progress, timestamp: number, path: string, { segment, offset }: Place): void {
    const { previous, begins } = progress;
    let isNext: boolean;
    if (previous >= 0) isNext = timestamp === previous + 1;
    else if (begins === undefined) isNext = timestamp <= this.#last + 1;
    else {
      const { timestamp: first, mayLeap, isChecked } = begins;
      isNext = timestamp === first && (isChecked || (mayLeap ? first > this.#last : first <= this.#last + 1));
    }
    if (!isNext) throw disordered(path, segment, offset, timestamp, previous >= 0 ? previous : this.#last);
    progress.previous = timestamp;
  }

  /** Whether the run has come to the place where it ends for certain. */
  #isAtEnd({ until }: Leg, { previous, begins }: Progress, path: string): boolean {
    if (until === null) return false;
    const { segment, offset } = this.#place;
    const order = comparePlaces({ segment, offset }, until.end);
    if (order < 0) return false;
    // An incarnation without commits may have begun above those before it.
    const isEmpty = previous < 0 && (begins !== undefined || this.#plan.files.location.isArchive === true);
    // What is read of an archive may begin among the commits beyond the run.
    const isBeyond = this.#last > until.timestamp && this.#last === this.#plan.timestamp;
    if (order === 0 && (this.#last === until.timestamp || isEmpty || (isBeyond && previous === until.timestamp)))
      return true;
    throw endsElsewhere(path, { segment, offset });
  }

  /** Whether an archive has nothing of the leg from this segment on, and need not have. `PW_ARCHIVE_GAP` if it has something behind it. */
  #isEndOfArchive(leg: Leg, segment: number): boolean {
    const { location } = this.#plan.files;
    if (!location.isArchive) return false;
    const segments = this.#segmentsOf(leg);
    if (segments.includes(segment)) return false;
    if (leg.until === null && segments.every((there) => there < segment)) return true;
    throw missingSegment(location.directory, leg.incarnation, segment, this.#last);
  }

  /** That an archive has no gap between the segments in which something counts behind a hole. `PW_ARCHIVE_GAP` */
  #assertBehind(leg: Leg, end: Place, kept: readonly TimestampRange[]): void {
    const { location } = this.#plan.files;
    if (!location.isArchive || kept.length === 0) return;
    const segments = this.#segmentsOf(leg);
    const last = Math.max(...segments);
    for (let { segment } = end; segment <= last; segment++) {
      if (!segments.includes(segment)) {
        throw missingSegment(location.directory, leg.incarnation, segment, this.#last);
      }
    }
  }

  #segmentsOf({ incarnation }: Leg): number[] {
    const { names } = this.#plan.files;
    return names.filter((name) => name.incarnation === incarnation).map(({ segment }) => segment);
  }

  /** All behind the damage is left out, and told of. */
  async #giveUp(found: DamageFound, legs: readonly Leg[]): Promise<void> {
    const timestamp = this.#last + 1;
    const rest = this.#rest ?? { place: this.#place, timestamp, durable: Number.POSITIVE_INFINITY };
    const stop = { damage: found.damage, legs, ...rest };
    const { givenUp, lastTimestamp } = await examineGivenUp(this.#plan.files, stop);
    this.#givenUp = givenUp;
    this.#seen = Math.max(this.#seen, lastTimestamp);
    for (const { until } of legs) if (until !== null) this.#seen = Math.max(this.#seen, until.first - 1);
  }
}

const NOWHERE: LogMark = Object.freeze({ incarnation: 0, segment: 0, offset: 0 });

/** How far the timestamps of a leg have come. */
interface Progress {
  /** That of the record before; -1 if there was none. */
  previous: number;
  /** What the first record of the incarnation must have, if it is the next one; and whether timestamps may be left out before it. */
  begins?: { readonly timestamp: number; readonly mayLeap: boolean; readonly isChecked: boolean };
}

function endsElsewhere(path: string, { segment, offset }: Place): DamageFound {
  const what = 'The log does not end where the one after it goes on';
  return new DamageFound({ kind: 'contradiction', what, path, segment, offset });
}

function placeOf({ segment, offset }: LogMark): Place {
  return { segment, offset };
}
