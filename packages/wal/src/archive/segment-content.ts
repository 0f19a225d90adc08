/** What of a segment file is log, found by reading it: archived is that, and nothing of what an earlier use of the file has left behind it. */
import type { TimestampRange } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { RECORD_COMMIT, RECORD_HEADER_SIZE, RECORD_LOG_END, RECORD_SEGMENT_END } from '../format/record.js';
import { FIRST_RECORD } from '../recovery/behind.js';
import { RecordScan } from '../recovery/record-scan.js';
import type { SegmentReader } from '../recovery/segment-reader.js';

/** Where the gapless run of a log ended, and what counts beyond, as an archived segment says it that has some of that. */
export interface ArchivedHole {
  readonly end: Place;
  /** Of the last commit before it. */
  readonly timestamp: number;
  readonly kept: readonly TimestampRange[];
}

export interface SegmentContent {
  /** Offset behind the last record, or the place up to which was read. */
  readonly end: number;
  /** How it ends: the log goes on in the next segment; it says that it ends here; it says nothing. */
  readonly ending: 'goes-on' | 'log-end' | 'open';
  /** Of commits; -1 if there is none. */
  readonly firstTimestamp: number;
  readonly lastTimestamp: number;
  /** When the last commit was made, and when the last record was appended; -1 if there is none. */
  readonly lastTime: number;
  readonly time: number;
  /** With which commit the log ends, or its gapless run, if it says that it does; else -1. */
  readonly endTimestamp: number;
  /** Of an archived segment with commits that lie behind a hole. */
  readonly hole: ArchivedHole | null;
}

export interface ContentOptions {
  /** Reads no further. */
  readonly until?: number | undefined;
  readonly firstCommitOnly?: boolean;
  /** It is an archived segment: what does not count is left out of it, and records lie behind that. */
  readonly isArchived?: boolean | undefined;
}

/** Reads the records of a segment from the first on, up to the place or the record where it ends. */
export async function readContent(
  reader: SegmentReader,
  incarnation: number,
  segment: number,
  { until = Number.POSITIVE_INFINITY, firstCommitOnly = false, isArchived = false }: ContentOptions = {},
): Promise<SegmentContent> {
  const scan = new RecordScan(reader, incarnation, segment, FIRST_RECORD);
  let [firstTimestamp, lastTimestamp, lastTime, time, endTimestamp] = [-1, -1, -1, -1, -1];
  let ending: SegmentContent['ending'] = 'open';
  let hole: ArchivedHole | null = null;
  let offset = FIRST_RECORD;
  while (ending === 'open' && offset + RECORD_HEADER_SIZE <= until) {
    if (!(isArchived ? await nextWhole(scan) : (await scan.readAt(offset)) && scan.isWhole)) break;
    const { header } = scan;
    offset = scan.end;
    time = header.time;
    if (header.kind === RECORD_COMMIT) {
      if (firstTimestamp < 0) firstTimestamp = header.timestamp;
      lastTimestamp = header.timestamp;
      lastTime = header.time;
      if (firstCommitOnly) break;
    }
    if (header.kind === RECORD_SEGMENT_END) ending = 'goes-on';
    if (header.kind === RECORD_LOG_END) ending = 'log-end';
    if (ending === 'open') continue;
    const kept = scan.decodeKept();
    if (ending === 'log-end' || kept.length > 0) endTimestamp = header.timestamp;
    if (kept.length > 0) hole = { end: header.durable, timestamp: header.timestamp, kept };
  }
  return { end: offset, ending, firstTimestamp, lastTimestamp, lastTime, time, endTimestamp, hole };
}

async function nextWhole(scan: RecordScan): Promise<boolean> {
  while (await scan.next()) if (scan.isWhole) return true;
  return false;
}
