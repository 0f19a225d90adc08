/**
 * A segment as the archive gets it: the header, with the length that the copy has, the records that count, and a record that says how the log goes on. A log
 * that was closed says itself that it ends; for one that a crash has ended, recovery knows it (L4), and it is added to the copy: to the log itself nothing
 * is (L3). Behind the place where the gapless run ended there are zeros in place of all that recovery has cut, and the record at the end says where
 * that place is, and which commits beyond it count.
 */
import type { ArchivedSegment, TimestampRange } from '@pagewright/core';
import type { Place } from '../format/place.js';
import {
  encodeEnding,
  RECORD_COMMIT,
  RECORD_HEADER_SIZE,
  RECORD_LOG_END,
  RECORD_SEGMENT_END,
  recordSeed,
} from '../format/record.js';
import { encodeSegmentHeader, type SegmentHeader } from '../format/segment-header.js';
import { segmentName } from '../format/segment-name.js';
import { FIRST_RECORD } from '../recovery/behind.js';
import { corruptLog, DamageFound } from '../recovery/log-damage.js';
import { RecordScan } from '../recovery/record-scan.js';
import { type LogLocation, openExisting } from '../recovery/segment-opening.js';
import type { SegmentReader } from '../recovery/segment-reader.js';
import { intersection } from '../recovery/timestamp-ranges.js';
import { readContent, type SegmentContent } from './segment-content.js';

/** Bytes in a chunk. */
const CHUNK_SIZE = 256 * 1024;

/** Where a log was found to end, in this segment or an earlier one. */
export interface FoundEnd {
  /** The end of the gapless run. */
  readonly end: Place;
  /** The last commit before it. */
  readonly timestamp: number;
  /** What counts beyond it. */
  readonly kept: readonly TimestampRange[];
  /** Whether nothing that counts lies in later segments. */
  readonly isLast: boolean;
}

/** What is copied from the file. */
interface Stretch {
  readonly from: number;
  readonly to: number;
}

/** What a copy is made of. */
interface Composition {
  readonly content: SegmentContent;
  readonly stretches: readonly Stretch[];
  readonly ending: Uint8Array;
}

export class SegmentCopy implements ArchivedSegment {
  readonly name: string;
  readonly storeId: string;
  readonly incarnation: number;
  readonly segment: number;
  readonly bytes: number;
  readonly firstTimestamp: number | null;
  readonly lastTimestamp: number | null;
  readonly lastTime: Date | null;
  readonly complete: boolean;
  readonly #location: LogLocation;
  readonly #header: Uint8Array;
  readonly #stretches: readonly Stretch[];
  readonly #ending: Uint8Array;

  private constructor(location: LogLocation, header: SegmentHeader, { content, stretches, ending }: Composition) {
    const { storeId, incarnation, segment } = header;
    this.#location = location;
    this.#stretches = stretches;
    this.#ending = ending;
    this.name = segmentName(incarnation, segment);
    this.storeId = storeId;
    this.incarnation = incarnation;
    this.segment = segment;
    this.bytes = content.end + ending.length;
    this.firstTimestamp = content.firstTimestamp < 0 ? null : content.firstTimestamp;
    this.lastTimestamp = content.lastTimestamp < 0 ? null : content.lastTimestamp;
    this.lastTime = content.lastTime < 0 ? null : new Date(content.lastTime);
    this.complete = content.ending === 'goes-on';
    this.#header = encodeSegmentHeader({ ...header, fileSize: this.bytes });
  }

  /**
   * A copy of a segment of the log in a directory, of which the header is known. Without `end` the segment says itself how it ends. Null if it does not:
   * then nothing of it counts. `PW_CORRUPT_LOG` if what counts is not whole.
   */
  static async of(location: LogLocation, header: SegmentHeader, end: FoundEnd | null): Promise<SegmentCopy | null> {
    const { incarnation, segment } = header;
    const reader = await openExisting({ ...location, readOnly: true }, incarnation, segment);
    try {
      const composition =
        end === null ? await wholeSegment(reader, header) : await upToTheEnd(reader, incarnation, segment, end);
      return composition && new SegmentCopy(location, header, composition);
    } finally {
      await reader.close();
    }
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    yield new Uint8Array(this.#header);
    const reader = await openExisting({ ...this.#location, readOnly: true }, this.incarnation, this.segment);
    try {
      let offset = FIRST_RECORD;
      for (const { from, to } of this.#stretches) {
        for (; offset < from; offset += Math.min(CHUNK_SIZE, from - offset)) {
          yield new Uint8Array(Math.min(CHUNK_SIZE, from - offset));
        }
        while (offset < to) {
          const length = Math.min(CHUNK_SIZE, to - offset);
          await reader.load(offset, length);
          yield reader.bytes.subarray(0, length);
          offset += length;
        }
      }
    } finally {
      await reader.close();
    }
    if (this.#ending.length > 0) yield new Uint8Array(this.#ending);
  }
}

const NOTHING = new Uint8Array(0);

/** One that says itself how it ends. */
async function wholeSegment(
  reader: SegmentReader,
  { incarnation, segment }: SegmentHeader,
): Promise<Composition | null> {
  const content = await readContent(reader, incarnation, segment);
  if (content.ending === 'open') return null;
  return { content, stretches: [{ from: FIRST_RECORD, to: content.end }], ending: NOTHING };
}

async function upToTheEnd(
  reader: SegmentReader,
  incarnation: number,
  segment: number,
  found: FoundEnd,
): Promise<Composition> {
  const runEnd = segment === found.end.segment ? found.end.offset : FIRST_RECORD;
  const run = await readContent(reader, incarnation, segment, { until: runEnd });
  if (run.end !== runEnd || run.ending !== 'open') {
    throw damaged(reader, segment, run.end);
  }
  if (found.kept.length === 0) {
    // A log that was closed, and is recovered all the same, says at that place that it ends.
    const content = await readContent(reader, incarnation, segment, { until: runEnd + RECORD_HEADER_SIZE });
    if (content.ending === 'log-end') {
      return { content, stretches: [{ from: FIRST_RECORD, to: content.end }], ending: NOTHING };
    }
  }
  const stretches: Stretch[] = [{ from: FIRST_RECORD, to: runEnd }];
  const content = await addKept(reader, incarnation, { segment, offset: runEnd }, found.kept, run, stretches);
  const ending = content.ending === 'open' ? (found.isLast ? 'log-end' : 'goes-on') : content.ending;
  const bytes = endingOf(incarnation, { segment, offset: content.end }, content, found);
  return { content: { ...content, ending }, stretches, ending: bytes };
}

/** Adds the stretches of the commits that count behind the place to those given; what the segment then has. */
async function addKept(
  reader: SegmentReader,
  incarnation: number,
  { segment, offset }: Place,
  kept: readonly TimestampRange[],
  run: SegmentContent,
  stretches: Stretch[],
): Promise<SegmentContent> {
  let content = run;
  const scan = new RecordScan(reader, incarnation, segment, offset);
  while (kept.length > 0 && (await scan.next())) {
    const { timestamp, kind, time } = scan.header;
    if (kind !== RECORD_COMMIT || intersection({ first: timestamp, last: timestamp }, kept).length === 0) continue;
    if (!scan.isWhole) throw damaged(reader, segment, scan.offset);
    stretches.push({ from: scan.offset, to: scan.end });
    const firstTimestamp = content.firstTimestamp < 0 ? timestamp : content.firstTimestamp;
    content = { ...content, end: scan.end, firstTimestamp, lastTimestamp: timestamp, lastTime: time, time };
  }
  return content;
}

/** The record that says how the log goes on. The last one has all that counts behind the hole, others what counts up to there. */
function endingOf(
  incarnation: number,
  place: Place,
  { lastTimestamp, time }: SegmentContent,
  { end, timestamp, kept, isLast }: FoundEnd,
): Uint8Array {
  const kind = isLast ? RECORD_LOG_END : RECORD_SEGMENT_END;
  const ranges = isLast ? kept : intersection({ first: 0, last: lastTimestamp }, kept);
  const seed = recordSeed(incarnation, place.segment, place.offset);
  const durable = ranges.length > 0 ? end : place;
  const told = isLast || ranges.length > 0 ? timestamp : 0;
  return encodeEnding(kind, seed, durable, Math.max(time, 0), told, ranges);
}

function damaged({ path }: SegmentReader, segment: number, offset: number): Error {
  const what = 'A record of the log is damaged that recovery had read';
  return corruptLog(new DamageFound({ kind: 'damaged-record', what, path, segment, offset }));
}
