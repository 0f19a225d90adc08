/**
 * The incarnations of the log that a replay goes through. It is one, that which the superblock names, unless the
 * superblock is an older one than was written last: then the log went on in a later incarnation, whose header says where
 * the older one had ended when it was recovered. A replay obeys that, and does not work it out anew (L4).
 */
import { comparePlaces, type Place } from '../format/place.js';
import { bodyIsWhole, decodeHeader, RECORD_HEADER_SIZE, RecordHeader, recordSeed } from '../format/record.js';
import type { Origin } from '../format/segment-header.js';
import type { SegmentName } from '../format/segment-name.js';
import { corruptLog } from './corrupt-log.js';
import { type LogLocation, openReader, readHeader } from './segment-opening.js';
import type { SegmentReader } from './segment-reader.js';
import { FIRST_RECORD } from './torn-tail.js';

/** A stretch of one incarnation. */
export interface Leg {
  /** 0: there is no log, and nothing to read. */
  readonly incarnation: number;
  readonly from: Place;
  /** Where it ends for certain, and the last timestamp before; null if the end is to be found out. */
  readonly until: Origin | null;
  /** Its first commit may be any above those before it: it is the first of an incarnation that goes on from them. */
  readonly mayJump?: boolean;
}

/** The stretches to replay, in order, from the place that the superblock names. */
export async function findLegs(
  location: LogLocation,
  names: readonly SegmentName[],
  mark: { readonly timestamp: number; readonly log: { readonly incarnation: number } & Place },
): Promise<Leg[]> {
  const successors = await findUsedIncarnations(location, names, mark.log.incarnation);
  const legs: Leg[] = [];
  let incarnation = mark.log.incarnation;
  let from: Place = mark.log;
  for (;;) {
    const next = successors.filter(({ origin }) => {
      if (origin.end.incarnation !== incarnation) return false;
      // A log that began without one before it goes on from the superblock only if that has the timestamp it began with.
      return incarnation === 0 ? origin.timestamp === mark.timestamp : comparePlaces(origin.end, from) >= 0;
    });
    if (next.length > 1) throw corruptLog('Two logs go on from the same place', { path: location.directory });
    const successor = next[0];
    legs.push({ incarnation, from, until: successor?.origin ?? null });
    if (successor === undefined) return legs;
    successors.splice(successors.indexOf(successor), 1);
    incarnation = successor.incarnation;
    from = { segment: 1, offset: FIRST_RECORD };
  }
}

interface UsedIncarnation {
  readonly incarnation: number;
  readonly origin: Origin;
}

/** The other incarnations of this store that have a record. Recoveries that were cut off left ones without. */
async function findUsedIncarnations(
  location: LogLocation,
  names: readonly SegmentName[],
  named: number,
): Promise<UsedIncarnation[]> {
  const used: UsedIncarnation[] = [];
  for (const { incarnation, segment } of names) {
    if (incarnation === named || segment !== 1) continue;
    const reader = await openReader(location, incarnation, segment);
    try {
      const header = await readHeader(reader);
      const genuine = header?.storeId === location.storeId && header.incarnation === incarnation;
      if (genuine && header.segment === 1 && (await hasRecord(reader, incarnation))) {
        used.push({ incarnation, origin: header.origin });
      }
    } finally {
      await reader.close();
    }
  }
  return used;
}

async function hasRecord(reader: SegmentReader, incarnation: number): Promise<boolean> {
  const available = reader.size - FIRST_RECORD;
  if (available < RECORD_HEADER_SIZE) return false;
  await reader.load(FIRST_RECORD, RECORD_HEADER_SIZE);
  const header = new RecordHeader();
  const seed = recordSeed(incarnation, 1, FIRST_RECORD);
  if (!decodeHeader(reader.bytes, reader.view, 0, available, seed, header)) return false;
  if (!reader.has(FIRST_RECORD, header.length)) await reader.load(FIRST_RECORD, header.length);
  return bodyIsWhole(reader.bytes, reader.view, 0, header.length, seed);
}
