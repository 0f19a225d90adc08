/**
 * Reads the commits that a recovery kept behind the place where the gapless run ended: this one, or an earlier one whose choice is obeyed (L4).
 * All of them must be there, whole; whatever else lies between them was cut, and stays so.
 */
import { join } from 'node:path';
import type { ReplayedRecord, TimestampRange } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { RECORD_COMMIT, RECORD_SEGMENT_END } from '../format/record.js';
import { segmentName } from '../format/segment-name.js';
import { FIRST_RECORD, findBehind, type LogFiles } from './behind.js';
import { DamageFound } from './log-damage.js';
import { RangeCursor } from './timestamp-ranges.js';

/** Throws {@link DamageFound} if one is missing, or is not whole. */
export async function* readKept(
  files: LogFiles,
  incarnation: number,
  from: Place,
  kept: readonly TimestampRange[],
): AsyncGenerator<ReplayedRecord, void, void> {
  const cursor = new RangeCursor(kept);
  let reached = from;
  if (kept.length === 0) return;
  for await (const { segment, record } of findBehind(files, incarnation, from)) {
    if (record === null) continue;
    const { header, isWhole, offset } = record;
    if (header.kind === RECORD_COMMIT && header.timestamp >= cursor.next) {
      if (header.timestamp > cursor.next) break;
      if (!isWhole) throw missing(record.path, segment, offset, header.timestamp);
      const found = record.decode();
      if (found === null) throw doesNotAddUp(record.path, { segment, offset });
      cursor.advance();
      yield found;
      if (cursor.next === Number.POSITIVE_INFINITY) return;
    }
    const goesOn = header.kind === RECORD_SEGMENT_END;
    reached = goesOn ? { segment: segment + 1, offset: FIRST_RECORD } : { segment, offset: record.end };
  }
  const path = join(files.location.directory, segmentName(incarnation, reached.segment));
  throw missing(path, reached.segment, reached.offset, cursor.next);
}

export function doesNotAddUp(path: string, { segment, offset }: Place): DamageFound {
  return new DamageFound({
    kind: 'contradiction',
    what: 'A record of the log does not add up',
    path,
    segment,
    offset,
  });
}

function missing(path: string, segment: number, offset: number, timestamp: number): DamageFound {
  const what = `Commit ${timestamp} of the log is damaged, or missing, which an earlier recovery had kept`;
  return new DamageFound({ kind: 'damaged-record', what, path, segment, offset });
}
