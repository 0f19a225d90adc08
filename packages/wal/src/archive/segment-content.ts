/** What of a segment file is log, found by reading it: archived is that, and nothing of what an earlier use of the file has left behind it. */
import {
  RECORD_COMMIT,
  RECORD_HEADER_SIZE,
  RECORD_LOG_END,
  RECORD_SEGMENT_END,
  RecordHeader,
} from '../format/record.js';
import { readHeaderAt } from '../recovery/replay.js';
import type { SegmentReader } from '../recovery/segment-reader.js';
import { FIRST_RECORD } from '../recovery/torn-tail.js';

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
  /** With which commit the log ends, if it says that it does; else -1. */
  readonly endTimestamp: number;
}

/** Reads the records of a segment from the first on, and no further than `until`, or than the first commit if no more is wanted. */
export async function readContent(
  reader: SegmentReader,
  incarnation: number,
  segment: number,
  { until = Number.POSITIVE_INFINITY, firstCommitOnly = false } = {},
): Promise<SegmentContent> {
  const header = new RecordHeader();
  let [firstTimestamp, lastTimestamp, lastTime, time, endTimestamp] = [-1, -1, -1, -1, -1];
  let ending: SegmentContent['ending'] = 'open';
  let offset = FIRST_RECORD;
  while (offset + RECORD_HEADER_SIZE <= Math.min(until, reader.size)) {
    if (!(await readHeaderAt(reader, incarnation, { segment, offset }, header))) break;
    offset += header.length;
    time = header.time;
    if (header.kind === RECORD_COMMIT) {
      if (firstTimestamp < 0) firstTimestamp = header.timestamp;
      lastTimestamp = header.timestamp;
      lastTime = header.time;
      if (firstCommitOnly) break;
    }
    if (header.kind === RECORD_SEGMENT_END) ending = 'goes-on';
    if (header.kind === RECORD_LOG_END) {
      ending = 'log-end';
      endTimestamp = header.timestamp;
    }
    if (ending !== 'open') break;
  }
  return { end: offset, ending, firstTimestamp, lastTimestamp, lastTime, time, endTimestamp };
}
