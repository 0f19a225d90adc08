/** Where commits lie: segments are in the order of what they have, so that few have to be opened to find one. */
import { type LogLocation, openExisting } from '../recovery/segment-opening.js';
import { readContent } from './segment-content.js';

/** The last of the segments whose first commit is not above this one; undefined if all are. They are in order, and so are their commits. */
export async function lastBeginningBy(
  location: LogLocation,
  incarnation: number,
  segments: readonly number[],
  timestamp: number,
): Promise<number | undefined> {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const first = await firstCommit(location, incarnation, segments[middle]!);
    // The last segment of a log may have none.
    if (first < 0 || first > timestamp) high = middle;
    else low = middle + 1;
  }
  return segments[low - 1];
}

/** Timestamp of the first commit in a segment; -1 if none can be read. */
export async function firstCommit(location: LogLocation, incarnation: number, segment: number): Promise<number> {
  const reader = await openExisting(location, incarnation, segment);
  try {
    return (await readContent(reader, incarnation, segment, { firstCommitOnly: true })).firstTimestamp;
  } finally {
    await reader.close();
  }
}
