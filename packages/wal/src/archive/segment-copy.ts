/**
 * A segment as the archive gets it: the header, with the length that the copy has, the records, and in the last segment of a log the record
 * which says that it ended there, and with which commit. A log that was closed has that already; for one that a crash has ended, recovery
 * knows it (L4), and it is added to the copy: to the log itself nothing is (L3).
 */
import type { ArchivedSegment } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { encodeBare, RECORD_HEADER_SIZE, RECORD_LOG_END, recordSeed } from '../format/record.js';
import { encodeSegmentHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from '../format/segment-header.js';
import { segmentName } from '../format/segment-name.js';
import { corruptLog } from '../recovery/corrupt-log.js';
import { type LogLocation, openReader } from '../recovery/segment-opening.js';
import { readContent, type SegmentContent } from './segment-content.js';

/** Bytes in a chunk. */
const CHUNK_SIZE = 256 * 1024;

/** Where a log was found to end, in this segment. */
export interface FoundEnd {
  readonly offset: number;
  /** The last commit that counts. */
  readonly timestamp: number;
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
  /** What is copied from the file. */
  readonly #end: number;
  readonly #ending: Uint8Array;

  private constructor(location: LogLocation, header: SegmentHeader, content: SegmentContent, ending: Uint8Array) {
    const { storeId, incarnation, segment } = header;
    this.#location = location;
    this.#end = content.end;
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
   * then nothing of it counts. `PW_CORRUPT_LOG` if it is not whole up to the `end`.
   */
  static async of(location: LogLocation, header: SegmentHeader, end: FoundEnd | null): Promise<SegmentCopy | null> {
    const { incarnation, segment } = header;
    const reader = await openReader({ ...location, readOnly: true }, incarnation, segment);
    try {
      const whole = await readContent(reader, incarnation, segment, { until: end?.offset });
      if (end === null) return whole.ending === 'open' ? null : new SegmentCopy(location, header, whole, NOTHING);
      // A log that was closed, and is recovered all the same, says at that place that it ends.
      const sealed = await readContent(reader, incarnation, segment, { until: end.offset + RECORD_HEADER_SIZE });
      if (whole.end === end.offset && sealed.ending === 'log-end') {
        return new SegmentCopy(location, header, sealed, NOTHING);
      }
      if (whole.end !== end.offset || whole.ending !== 'open') {
        const place = { segment, offset: whole.end };
        throw corruptLog('A record of the log is damaged that recovery had read', { path: reader.path, ...place });
      }
      const ending = endRecord(incarnation, { segment, offset: end.offset }, Math.max(whole.time, 0), end.timestamp);
      return new SegmentCopy(location, header, whole, ending);
    } finally {
      await reader.close();
    }
  }

  async *read(): AsyncGenerator<Uint8Array, void, void> {
    yield this.#header.slice();
    const reader = await openReader({ ...this.#location, readOnly: true }, this.incarnation, this.segment);
    try {
      for (let offset = SEGMENT_HEADER_SIZE; offset < this.#end; ) {
        const length = Math.min(CHUNK_SIZE, this.#end - offset);
        await reader.load(offset, length);
        yield reader.bytes.subarray(0, length);
        offset += length;
      }
    } finally {
      await reader.close();
    }
    if (this.#ending.length > 0) yield this.#ending.slice();
  }
}

const NOTHING = new Uint8Array(0);

/** The record that says with which commit a log has ended. All before it is durable. */
function endRecord(incarnation: number, place: Place, time: number, timestamp: number): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_SIZE);
  const seed = recordSeed(incarnation, place.segment, place.offset);
  encodeBare(bytes, new DataView(bytes.buffer), 0, RECORD_LOG_END, seed, place, time, timestamp);
  return bytes;
}
