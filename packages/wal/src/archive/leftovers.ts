/**
 * What earlier incarnations have left in the log's directory and is to be archived: those that a crash has ended, and those of which the archive
 * failed when they were closed. Where each ends, and what of it counts beyond, is told by the one that went on from it (L4), or by itself. The rest is of no
 * use to anybody.
 */
import type { TimestampRange } from '@pagewright/core';
import { comparePlaces } from '../format/place.js';
import { RECORD_COMMIT } from '../format/record.js';
import type { Origin, SegmentHeader } from '../format/segment-header.js';
import { KEPT_LIST, type SegmentName, segmentName } from '../format/segment-name.js';
import { FIRST_RECORD } from '../recovery/behind.js';
import { readKeptList } from '../recovery/lineage.js';
import { DamageFound } from '../recovery/log-damage.js';
import { RecordScan } from '../recovery/record-scan.js';
import { type LogLocation, openExisting, readHeader } from '../recovery/segment-opening.js';
import { intersection } from '../recovery/timestamp-ranges.js';
import { type FoundEnd, SegmentCopy } from './segment-copy.js';

export interface Leftover {
  readonly name: string;
  readonly header: SegmentHeader;
  /** Where the log was found to end, if that is in this segment or before it, and the segment does not say so; or why that is not known. */
  readonly end: FoundEnd | DamageFound | null;
  /** Of the last one of a log: the list of what counts of it, which is of no use any more when all of it is archived. */
  readonly list: string | null;
}

/** What an incarnation says of the one that it goes on from. */
interface Successor {
  readonly incarnation: number;
  readonly origin: Origin;
}

/** Segments to archive, in the order of the log. `found` is where recovery has found the log to end, as the incarnation says that it has begun. */
export async function findLeftovers(
  location: LogLocation,
  names: readonly SegmentName[],
  found: Successor,
): Promise<Leftover[]> {
  const incarnations = new Map<number, SegmentHeader[]>();
  const successors = new Map([[found.origin.end.incarnation, found]]);
  for (const name of names) {
    const header = await genuineHeader(location, name);
    if (header === null) continue;
    const { incarnation, origin } = header;
    incarnations.set(incarnation, [...(incarnations.get(incarnation) ?? []), header]);
    // Recoveries that were cut off have left others that say the same as the one that went on.
    if (origin.end.incarnation !== found.origin.end.incarnation) {
      successors.set(origin.end.incarnation, { incarnation, origin });
    }
  }
  const inOrder = [...incarnations.values()].sort(([a], [b]) => a!.origin.first - b!.origin.first);
  const leftovers: Leftover[] = [];
  for (const headers of inOrder) {
    const successor = successors.get(headers[0]!.incarnation);
    leftovers.push(
      ...(successor === undefined ? await sealed(location, headers) : await endedAt(location, headers, successor)),
    );
  }
  return leftovers;
}

/** The segments of an incarnation up to where another one went on from it, and on as far as something counts. */
async function endedAt(
  location: LogLocation,
  headers: readonly SegmentHeader[],
  successor: Successor,
): Promise<Leftover[]> {
  const { end, timestamp } = successor.origin;
  const kept = await readKeptList(location, successor);
  const ranges = kept instanceof DamageFound ? [] : kept;
  let last = kept instanceof DamageFound ? Number.POSITIVE_INFINITY : end.segment;
  for (const header of ranges.length === 0 ? [] : headers) {
    if (header.segment > last && (await hasKept(location, header, ranges))) last = header.segment;
  }
  const counted = headers.filter(
    ({ segment }) =>
      comparePlaces({ segment, offset: 0 }, end) < 0 || (successor.origin.keptRanges > 0 && segment <= last),
  );
  const list = successor.origin.keptRanges > 0 ? segmentName(successor.incarnation, KEPT_LIST) : null;
  return counted.map((header, at) => {
    const { segment } = header;
    const found = kept instanceof DamageFound ? kept : { end, timestamp, kept, isLast: segment === last };
    return leftover(header, segment < end.segment ? null : found, at === counted.length - 1 ? list : null);
  });
}

/** Whether a segment has commits that count. */
async function hasKept(
  location: LogLocation,
  { incarnation, segment }: SegmentHeader,
  kept: readonly TimestampRange[],
): Promise<boolean> {
  const reader = await openExisting({ ...location, readOnly: true }, incarnation, segment);
  try {
    const scan = new RecordScan(reader, incarnation, segment, FIRST_RECORD);
    while (await scan.next()) {
      const { kind, timestamp } = scan.header;
      if (kind === RECORD_COMMIT && intersection({ first: timestamp, last: timestamp }, kept).length > 0) return true;
    }
    return false;
  } finally {
    await reader.close();
  }
}

/** The segments of an incarnation that nothing goes on from: those that say how they end. One that was never used has none. */
async function sealed(location: LogLocation, headers: readonly SegmentHeader[]): Promise<Leftover[]> {
  const leftovers: Leftover[] = [];
  for (const header of headers) {
    if ((await SegmentCopy.of(location, header, null)) !== null) leftovers.push(leftover(header, null, null));
  }
  return leftovers;
}

function leftover(header: SegmentHeader, end: Leftover['end'], list: string | null): Leftover {
  return { name: segmentName(header.incarnation, header.segment), header, end, list };
}

/** The header of a file, if it is of a segment of this store that has this name. */
async function genuineHeader(
  location: LogLocation,
  { incarnation, segment }: SegmentName,
): Promise<SegmentHeader | null> {
  if (segment === KEPT_LIST) return null;
  const reader = await openExisting({ ...location, readOnly: true }, incarnation, segment);
  try {
    const header = await readHeader(reader);
    const isGenuine = header?.incarnation === incarnation && header.segment === segment;
    return isGenuine && header.storeId === location.storeId ? header : null;
  } finally {
    await reader.close();
  }
}
