/**
 * Which archived incarnations lead on from a backup, and in which order. Each says with which commit the one before it ended (its origin), and its last
 * segment with which it ended itself. So one follows another if the one begins where the other ended; what was archived of two copies of a store, which both went
 * on from the same commit, is two that begin there, and what is missing is a place at which none begins.
 */
import { comparePlaces } from '../format/place.js';
import type { Origin } from '../format/segment-header.js';
import { KEPT_LIST, type SegmentName } from '../format/segment-name.js';
import { archiveGap } from '../recovery/archive-gap.js';
import { FIRST_RECORD } from '../recovery/behind.js';
import type { Leg, LegEnd } from '../recovery/lineage.js';
import { corruptLog, DamageFound } from '../recovery/log-damage.js';
import { type LogLocation, openExisting, readHeader } from '../recovery/segment-opening.js';
import { firstCommit, lastBeginningBy } from './first-commits.js';
import { type ArchivedHole, readContent } from './segment-content.js';

export interface ArchiveChain {
  readonly legs: readonly Leg[];
  /** Segments to read. */
  readonly segments: number;
  /** The last commit. */
  readonly end: number;
  /** Two logs go on from this commit: what comes behind it is not known. Infinite if there is none. */
  readonly forkedAt: number;
  /** The archive has commits above this one, to which nothing leads; null if not. */
  readonly beyond: number | null;
  /** When the last commit of the backup was made, if it is the last of an incarnation; else a replay comes past it. */
  readonly backupTime: number | null;
  /** The end of some segment cannot be read: `end` may be too low. */
  readonly isDamaged: boolean;
}

interface Incarnation {
  readonly incarnation: number;
  readonly origin: Origin;
  /** Numbers of those that the archive has, in order. */
  readonly segments: readonly number[];
  /** Its commits are above the first, which is the last that counts of the log before it, and up to the last. */
  readonly first: number;
  readonly last: number;
  /** When the last was made; -1 if there is none in its last segment. */
  readonly lastTime: number;
  /** What counts behind the end of its gapless run, if anything does. */
  readonly hole: ArchivedHole | null;
  /** Whether its last segment is there. */
  readonly isComplete: boolean;
  readonly isDamaged: boolean;
}

/** Errors: `PW_ARCHIVE_GAP` if nothing leads on from the backup, although the archive has something behind it; `PW_CORRUPT_LOG`. */
export async function findChain(
  location: LogLocation,
  names: readonly SegmentName[],
  backup: number,
): Promise<ArchiveChain> {
  const all = await readIncarnations(location, names);
  if (all.length === 0) throw nothingOf(location, names, backup);
  // One without commits counts if it was begun above what was before it: after a crash timestamps go on further above.
  const left = withEnds(all).filter(({ first, last }) => last > first && last > backup);
  const chain: Incarnation[] = [];
  let end = backup;
  let forkedAt = Number.POSITIVE_INFINITY;
  for (;;) {
    const next = left.filter((one) => (chain.length === 0 ? goesOnFrom(one, backup) : one.first === end));
    if (next.length > 1) forkedAt = end;
    if (next.length !== 1) break;
    const [found] = next as [Incarnation];
    left.splice(left.indexOf(found), 1);
    chain.push(found);
    end = found.last;
  }
  const others = left.map(({ first }) => first);
  forkedAt = Math.min(forkedAt, ...others.filter((first) => first < end));
  const behind = others.filter((first) => first >= end);
  const beyond = behind.length === 0 ? null : Math.min(...behind);
  if (chain.length === 0 && forkedAt === Number.POSITIVE_INFINITY && beyond !== null)
    throw doesNotReach(location, beyond, backup);
  const legs = await Promise.all(chain.map((one, at) => legOf(location, one, chain[at + 1], at === 0 ? backup : null)));
  const segments = chain.reduce(
    (sum, one, at) => sum + one.segments.filter((number) => isRead(legs[at]!, number)).length,
    0,
  );
  const backupTime = all.find(({ last, lastTime }) => last === backup && lastTime >= 0)?.lastTime ?? null;
  return { legs, segments, end, forkedAt, beyond, backupTime, isDamaged: all.some(({ isDamaged }) => isDamaged) };
}

/**
 * Whether a backup with all up to that commit is of the history that an incarnation goes on with. Between the last commit before it and its own first one lie those that recovery or a
 * restoration has given up: who has one of them is of another history.
 */
function goesOnFrom({ first, origin }: Incarnation, backup: number): boolean {
  const isGivenUp = origin.keptRanges === 0 && backup > origin.timestamp && backup < origin.first - 1;
  return first <= backup && !isGivenUp;
}

/** An incarnation of which the end cannot be read is taken to lead to the next one, so that whoever needs it meets the damage. */
function withEnds(all: readonly Incarnation[]): Incarnation[] {
  return all.map((one) => {
    if (!one.isDamaged) return one;
    const later = all.filter((other) => other !== one && other.first >= one.last).map(({ first }) => first);
    return { ...one, last: Math.min(Number.MAX_SAFE_INTEGER, ...later) };
  });
}

/** What is to be read of an incarnation. `backup` is given for the first one, of which a part may be in the backup, and missing from the archive. */
async function legOf(
  location: LogLocation,
  one: Incarnation,
  next: Incarnation | undefined,
  backup: number | null,
): Promise<Leg> {
  const { incarnation, segments, first: begin } = one;
  const until = endOf(location, one, next?.origin.end.incarnation === incarnation ? next.origin : null);
  let segment = 1;
  if (backup !== null && begin !== backup) {
    const [lowest] = segments as [number];
    // The one with the last commit of the backup, if it is there: then it is known when that was made.
    segment = (await lastBeginningBy(location, incarnation, segments, backup)) ?? lowest;
    // The run is read up to its end, wherever beyond that the backup ends.
    if (until !== null) segment = Math.max(lowest, Math.min(segment, until.end.segment));
    const first = segment === lowest && lowest > 1 ? await firstCommit(location, incarnation, lowest) : -1;
    if (first > backup + 1) throw doesNotReach(location, first - 1, backup);
  }
  return { incarnation, from: { segment, offset: FIRST_RECORD }, until };
}

/** Whether a replay of the leg opens the segment. */
function isRead({ from, until }: Leg, segment: number): boolean {
  if (segment < from.segment) return false;
  return until === null || until.keptRanges > 0 || comparePlaces({ segment, offset: FIRST_RECORD }, until.end) < 0;
}

/** Where an incarnation ends for certain, as it says itself, or as the one does that goes on from it. Null if its segments lead to the end. */
function endOf(
  location: LogLocation,
  { incarnation, hole, last, isDamaged }: Incarnation,
  origin: Origin | null,
): LegEnd | null {
  const { directory: path } = location;
  if (hole === null) {
    if (origin === null || origin.keptRanges === 0) return origin && { ...origin, kept: [] };
    const { segment, offset } = origin.end;
    const kind = isDamaged ? 'damaged-record' : 'contradiction';
    const what = 'The archive does not say what counts behind a hole';
    return { ...origin, kept: new DamageFound({ kind, what, path, segment, offset }) };
  }
  const { end, timestamp, kept } = hole;
  if (origin === null) {
    return { end: { incarnation, ...end }, timestamp, keptRanges: kept.length, first: last + 1, kept };
  }
  if (comparePlaces(origin.end, end) === 0 && origin.keptRanges === kept.length) return { ...origin, kept };
  const what = 'An archived log does not end where the one after it goes on';
  throw corruptLog(new DamageFound({ kind: 'contradiction', what, path, ...end }), location);
}

/** The incarnations of the store. */
async function readIncarnations(location: LogLocation, names: readonly SegmentName[]): Promise<Incarnation[]> {
  const numbers = new Map<number, number[]>();
  for (const { incarnation, segment } of names) {
    if (segment === KEPT_LIST) continue;
    numbers.set(incarnation, [...(numbers.get(incarnation) ?? []), segment]);
  }
  const found: Incarnation[] = [];
  for (const [incarnation, segments] of numbers) {
    const origin = await originOf(location, incarnation, segments);
    if (origin === null) continue;
    const end = await lastOf(location, incarnation, segments, origin.timestamp);
    found.push({ incarnation, origin, segments, first: origin.timestamp, ...end });
  }
  return found.map((one) => ({ ...one, first: beginOf(one, found) }));
}

/** The last commit that counts of the log before an incarnation: it goes on from every backup that has all up to there. */
function beginOf({ origin }: Incarnation, all: readonly Incarnation[]): number {
  const before = all.find(({ incarnation }) => incarnation === origin.end.incarnation);
  if (before?.isComplete) return before.last;
  // What its recovery kept behind a hole is not known without the log before it: only that it is below its own first commit.
  return origin.keptRanges === 0 ? origin.timestamp : origin.first - 1;
}

/** What the incarnation goes on from: all of its segments say it. Null if they are of another store. */
async function originOf(
  location: LogLocation,
  incarnation: number,
  segments: readonly number[],
): Promise<Origin | null> {
  let damaged = '';
  let foreign = 0;
  // One that lies in the place of another is found when it is read; it is unlikely that the first and the last are both of that kind.
  const [lowest, ...others] = segments as [number];
  for (const segment of [lowest, ...others.reverse()]) {
    const reader = await openExisting(location, incarnation, segment);
    try {
      const header = await readHeader(reader);
      if (header?.storeId === location.storeId) return header.origin;
      if (header === null) damaged = reader.path;
      else if (++foreign === 2 || segments.length === 1) return null;
    } finally {
      await reader.close();
    }
  }
  const what = 'The header of an archived log segment is damaged';
  const damage = { kind: 'damaged-header', what, path: damaged, segment: segments[0]!, offset: 0 } as const;
  throw corruptLog(new DamageFound(damage), location);
}

/** With which commit the incarnation ended, as far as it is archived. */
async function lastOf(
  location: LogLocation,
  incarnation: number,
  segments: readonly number[],
  origin: number,
): Promise<Pick<Incarnation, 'last' | 'lastTime' | 'hole' | 'isComplete' | 'isDamaged'>> {
  let isDamaged = false;
  let isComplete = false;
  for (const segment of [...segments].reverse()) {
    const reader = await openExisting(location, incarnation, segment);
    try {
      const content = await readContent(reader, incarnation, segment, { isArchived: true });
      const { ending, lastTimestamp, lastTime, endTimestamp, hole } = content;
      isDamaged ||= ending === 'open';
      isComplete ||= ending === 'log-end';
      const last = Math.max(lastTimestamp, endTimestamp);
      if (last >= 0) return { last, lastTime, hole, isComplete, isDamaged };
    } finally {
      await reader.close();
    }
  }
  return { last: origin, lastTime: -1, hole: null, isComplete, isDamaged };
}

function doesNotReach(location: LogLocation, first: number, backup: number): Error {
  const what = `The archive (${location.directory}) does not reach back to the backup: it begins behind commit ${first}, and the backup ends with commit ${backup}`;
  return archiveGap(what, backup, { path: location.directory, first, backup });
}

function nothingOf({ directory, storeId }: LogLocation, names: readonly SegmentName[], backup: number): Error {
  const others = names.length === 0 ? '' : `: what is in it belongs to other stores`;
  const what = `The archive (${directory}) has no segment of the store ${storeId}${others}`;
  return archiveGap(what, backup, { path: directory, storeId, segments: names.length });
}
