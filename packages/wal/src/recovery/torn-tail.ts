/**
 * What lies behind the last whole record of a log: the rest of an ordinary crash, or damage. An ordinary crash may leave
 * any of the writes that were in flight, so whole records behind a hole prove nothing. But a record tells what was
 * durable when it was appended: one that tells of a place beyond the hole proves that what is missing had been there (L2).
 */
import { comparePlaces, type Place } from '../format/place.js';
import { decodeHeader, RECORD_ALIGNMENT, RECORD_HEADER_SIZE, RecordHeader, recordSeed } from '../format/record.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import type { SegmentReader } from './segment-reader.js';

/** What a stretch of a segment shows. */
export interface TailFindings {
  /** Where the first record lies that proves the damage; -1 if none does. */
  readonly proof: number;
  /** The end of the last record of this log that was recognised by its header, or where the search began. */
  readonly end: number;
}

/**
 * Goes through a segment from `from` on, for headers of records that were written there. `hole` is the place of the
 * first record that is not whole.
 */
export async function examineTail(
  reader: SegmentReader,
  incarnation: number,
  segment: number,
  from: number,
  hole: Place,
): Promise<TailFindings> {
  const header = new RecordHeader();
  let end = from;
  for (let offset = from; offset + RECORD_HEADER_SIZE <= reader.size; offset += RECORD_ALIGNMENT) {
    if (!reader.has(offset, RECORD_HEADER_SIZE)) await reader.load(offset, RECORD_HEADER_SIZE);
    const seed = recordSeed(incarnation, segment, offset);
    const at = reader.indexOf(offset);
    if (!decodeHeader(reader.bytes, reader.view, at, reader.size - offset, seed, header)) continue;
    if (comparePlaces(header.durable, hole) > 0) return { proof: offset, end };
    end = Math.max(end, offset + header.length);
  }
  return { proof: -1, end };
}

/** The offset of the first record of a segment. */
export const FIRST_RECORD = SEGMENT_HEADER_SIZE;
