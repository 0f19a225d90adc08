/**
 * Goes through all that lies behind a place of an incarnation: the rest of its segment and all later ones. What is found there may be the rest of a
 * crash, so a segment that is not as it should be is told of only once it is certain that it had been: a record of it, or of a later one, is
 * found, or the record that ends the segment before it. For a segment is durable, and named in the directory, before either is written.
 */
import { comparePlaces, type Place } from '../format/place.js';
import { RECORD_SEGMENT_END } from '../format/record.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import type { SegmentName } from '../format/segment-name.js';
import type { DamageFound } from './log-damage.js';
import { RecordScan } from './record-scan.js';
import { inspectSegment, type LogLocation } from './segment-opening.js';

/** The offset of the first record of a segment. */
export const FIRST_RECORD = SEGMENT_HEADER_SIZE;

/** Where recovery reads, and which segments there are. */
export interface LogFiles {
  readonly location: LogLocation;
  /** All segments in the directory. */
  readonly names: readonly SegmentName[];
}

/** What was found behind a place. */
export interface Behind {
  readonly segment: number;
  /** The record, which may be torn; null if only a problem is told of. Valid until the next one is asked for. */
  readonly record: RecordScan | null;
  /** The first segment, but for that of the place itself, that is certainly not as it should be. */
  readonly problem: DamageFound | null;
}

/** `onRead` is told how many bytes were gone through. */
export async function* findBehind(
  { location, names }: LogFiles,
  incarnation: number,
  place: Place,
  onRead: (bytes: number) => void = () => undefined,
): AsyncGenerator<Behind, void, void> {
  const present = names.filter((name) => name.incarnation === incarnation).map(({ segment }) => segment);
  const last = Math.max(place.segment, ...present);
  let problem: DamageFound | null = null;
  let goesOn = false;
  for (let segment = place.segment; segment <= last || goesOn; segment++) {
    const inspected = await inspectSegment(location, incarnation, segment);
    const { reader } = inspected;
    try {
      if (segment > place.segment) problem ??= inspected.problem;
      if (goesOn && problem !== null) yield { segment, record: null, problem };
      goesOn = false;
      if (reader === null) continue;
      const from = segment === place.segment ? place.offset : FIRST_RECORD;
      const record = new RecordScan(reader, incarnation, segment, from);
      while (await record.next()) {
        goesOn = record.isWhole && record.header.kind === RECORD_SEGMENT_END;
        yield { segment, record, problem };
      }
      onRead(Math.max(0, reader.size - from));
    } finally {
      await reader?.close();
    }
  }
}

/** Whether a record tells that something behind the place had been durable when it was appended. */
export function provesDurable(record: RecordScan, place: Place): boolean {
  return comparePlaces(record.header.durable, place) > 0;
}
