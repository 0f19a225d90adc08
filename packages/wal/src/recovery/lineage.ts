/**
 * The incarnations of the log that a replay goes through. It is one, that which the superblock names, unless the
 * superblock is an older one than was written last: then the log went on in a later incarnation, which says where
 * the older one had ended when it was recovered, and what was kept behind that place. A replay obeys that, and does not work it out anew (L4).
 */
import { join } from 'node:path';
import { isPagewrightError, type TimestampRange } from '@pagewright/core';
import { decodeKept, keptSize } from '../format/kept-timestamps.js';
import { comparePlaces, type Place } from '../format/place.js';
import type { Origin } from '../format/segment-header.js';
import { KEPT_LIST, type SegmentName, segmentName } from '../format/segment-name.js';
import { FIRST_RECORD } from './behind.js';
import { DamageFound } from './log-damage.js';
import { RecordScan } from './record-scan.js';
import { type LogLocation, openReader, readHeader } from './segment-opening.js';
import type { SegmentReader } from './segment-reader.js';

/** Where a stretch ends for certain, as the incarnation after it says. */
export interface LegEnd extends Origin {
  /** The timestamps that count beyond it; or why they are not known. */
  readonly kept: readonly TimestampRange[] | DamageFound;
}

/** A stretch of one incarnation. */
export interface Leg {
  /** 0: there is no log, and nothing to read. */
  readonly incarnation: number;
  readonly from: Place;
  /** Null if the end is to be found out. */
  readonly until: LegEnd | null;
}

/** The stretches to replay, in order, from the place that the superblock names. Throws {@link DamageFound}. */
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
    if (next.length > 1) throw twoSuccessors(location, next[0]!.origin.end);
    const successor = next[0];
    if (successor === undefined) {
      legs.push({ incarnation, from, until: null });
      return legs;
    }
    const kept = await readKeptList(location, successor);
    legs.push({ incarnation, from, until: { ...successor.origin, kept } });
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
    if (reader === null) continue;
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

/** The first record may be one that a crash has kept from the disk, and a later one be acknowledged. */
async function hasRecord(reader: SegmentReader, incarnation: number): Promise<boolean> {
  const scan = new RecordScan(reader, incarnation, 1, FIRST_RECORD);
  while (await scan.next()) if (scan.isWhole) return true;
  return false;
}

/** What an incarnation says of the timestamps that it took over from behind a hole. */
export async function readKeptList(
  { io, directory, storeId, readOnly }: LogLocation,
  { incarnation, origin }: UsedIncarnation,
): Promise<readonly TimestampRange[] | DamageFound> {
  if (origin.keptRanges === 0) return [];
  const path = join(directory, segmentName(incarnation, KEPT_LIST));
  const damaged = (kind: 'missing-segment' | 'damaged-header', state: string) => {
    const what = `The list of commits that an earlier recovery kept behind a hole is ${state}`;
    return new DamageFound({ kind, what, path, segment: KEPT_LIST, offset: 0 });
  };
  const file = await io.open(path, { readOnly }).catch((error) => {
    if (!isPagewrightError(error, 'PW_NOT_FOUND')) throw error;
    return null;
  });
  if (file === null) return damaged('missing-segment', 'missing');
  try {
    if (file.size() !== keptSize(origin.keptRanges)) return damaged('damaged-header', 'damaged');
    if (!readOnly) await file.sync();
    const bytes = new Uint8Array(file.size());
    await file.read(bytes, 0);
    const list = decodeKept(bytes);
    const isGenuine = list?.storeId === storeId && list.incarnation === incarnation;
    const isAbove = isGenuine && list.ranges.every(({ first }) => first > origin.timestamp);
    return isAbove ? list.ranges : damaged('damaged-header', 'damaged');
  } finally {
    await file.close();
  }
}

function twoSuccessors({ directory }: LogLocation, { segment, offset }: Place): DamageFound {
  const what = 'Two logs go on from the same place';
  return new DamageFound({ kind: 'contradiction', what, path: directory, segment, offset });
}
