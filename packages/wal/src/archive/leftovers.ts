/**
 * What earlier incarnations have left in the log's directory and is to be archived: those that a crash has ended, and those of which the archive
 * failed when they were closed. Where each ends is told by the one that went on from it (L4), or by itself. The rest is of no use to anybody.
 */
import { comparePlaces } from '../format/place.js';
import type { Origin, SegmentHeader } from '../format/segment-header.js';
import { type SegmentName, segmentName } from '../format/segment-name.js';
import { type LogLocation, openReader, readHeader } from '../recovery/segment-opening.js';
import { type FoundEnd, SegmentCopy } from './segment-copy.js';

export interface Leftover {
  readonly name: string;
  readonly header: SegmentHeader;
  /** Where the log was found to end, if that is in this segment, and the segment does not say so. */
  readonly end: FoundEnd | null;
}

/** Segments to archive, in the order of the log. `found` is where recovery has found the log to end. */
export async function findLeftovers(
  location: LogLocation,
  names: readonly SegmentName[],
  found: Origin,
): Promise<Leftover[]> {
  const incarnations = new Map<number, SegmentHeader[]>();
  const ends = new Map([[found.end.incarnation, found]]);
  for (const name of names) {
    const header = await genuineHeader(location, name);
    if (header === null) continue;
    const { incarnation, origin } = header;
    incarnations.set(incarnation, [...(incarnations.get(incarnation) ?? []), header]);
    ends.set(origin.end.incarnation, origin);
  }
  const inOrder = [...incarnations.values()].sort(([a], [b]) => a!.origin.timestamp - b!.origin.timestamp);
  const leftovers: Leftover[] = [];
  for (const headers of inOrder) {
    const [{ incarnation }] = headers as [SegmentHeader];
    const end = ends.get(incarnation);
    leftovers.push(...(end === undefined ? await sealed(location, headers) : endedAt(headers, end)));
  }
  return leftovers;
}

/** The segments of an incarnation up to where another one went on from it. */
function endedAt(headers: readonly SegmentHeader[], { end, timestamp }: Origin): Leftover[] {
  const before = headers.filter(({ segment }) => comparePlaces({ segment, offset: 0 }, end) < 0);
  return before.map((header) => {
    const { segment } = header;
    return leftover(header, segment === end.segment ? { offset: end.offset, timestamp } : null);
  });
}

/** The segments of an incarnation that nothing goes on from: those that say how they end. One that was never used has none. */
async function sealed(location: LogLocation, headers: readonly SegmentHeader[]): Promise<Leftover[]> {
  const leftovers: Leftover[] = [];
  for (const header of headers) {
    if ((await SegmentCopy.of(location, header, null)) !== null) leftovers.push(leftover(header, null));
  }
  return leftovers;
}

function leftover(header: SegmentHeader, end: FoundEnd | null): Leftover {
  return { name: segmentName(header.incarnation, header.segment), header, end };
}

/** The header of a file, if it is of a segment of this store that has this name. */
async function genuineHeader(
  location: LogLocation,
  { incarnation, segment }: SegmentName,
): Promise<SegmentHeader | null> {
  const reader = await openReader({ ...location, readOnly: true }, incarnation, segment);
  try {
    const header = await readHeader(reader);
    const isGenuine = header?.incarnation === incarnation && header.segment === segment;
    return isGenuine && header.storeId === location.storeId ? header : null;
  } finally {
    await reader.close();
  }
}
