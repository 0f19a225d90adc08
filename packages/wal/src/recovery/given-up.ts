/**
 * Says what a replay gives up that stops before damage: which commits lie behind it whole, and which cannot be read. Of them too it is known which
 * count: of an incarnation that another one went on from, those that it says; of what lies behind a hole, those that may have been acknowledged.
 */
import type { GivenUp, LogDamage, TimestampRange, UnreadableCommits } from '@pagewright/core';
import { comparePlaces, type Place } from '../format/place.js';
import { RECORD_COMMIT, RECORD_SEGMENT_END } from '../format/record.js';
import { FIRST_RECORD, findBehind, type LogFiles } from './behind.js';
import type { Leg } from './lineage.js';
import { DamageFound } from './log-damage.js';
import { inspectSegment } from './segment-opening.js';
import { intersection, TimestampRanges } from './timestamp-ranges.js';

/** Where the replay has stopped. */
export interface Stop {
  readonly damage: LogDamage;
  /** What was not read: the rest of the first of these, and the others. */
  readonly legs: readonly Leg[];
  /** Where the rest begins. */
  readonly place: Place;
  /** The lowest timestamp that can be in it. */
  readonly timestamp: number;
  /** D′, if the damage lies behind a hole that a crash has left; else infinity. */
  readonly durable: number;
}

export interface GivenUpFindings {
  readonly givenUp: GivenUp;
  /** The highest timestamp that was recognised behind the damage. */
  readonly lastTimestamp: number;
}

export async function examineGivenUp(files: LogFiles, stop: Stop): Promise<GivenUpFindings> {
  const tally = new Tally(stop.timestamp);
  let { place, durable } = stop;
  for (const leg of stop.legs) {
    if (leg.incarnation !== 0) await tally.examine(files, leg, place, durable);
    place = { segment: 1, offset: FIRST_RECORD };
    durable = Number.POSITIVE_INFINITY;
  }
  return { givenUp: tally.result(stop.damage), lastTimestamp: tally.lastTimestamp };
}

class Tally {
  lastTimestamp = 0;
  readonly #first: number;
  readonly #whole = new TimestampRanges();
  readonly #unreadable: UnreadableCommits[] = [];
  /** The next timestamp. */
  #next: number;

  constructor(first: number) {
    this.#first = first;
    this.#next = first;
  }

  async examine(files: LogFiles, leg: Leg, from: Place, durable: number): Promise<void> {
    const due = dueIn(leg);
    let place = from;
    /** The first place behind the last commit that was recognised where something is that was not. */
    let gap: Place | null = null;
    let isEmpty = true;
    for await (const { segment, record } of findBehind(files, leg.incarnation, from)) {
      if (record === null) continue;
      const { header, offset, isWhole } = record;
      isEmpty = false;
      if (comparePlaces({ segment, offset }, place) !== 0) gap ??= place;
      if (header.kind === RECORD_COMMIT && header.timestamp >= this.#next) {
        this.lastTimestamp = Math.max(this.lastTimestamp, header.timestamp);
        this.#lost(this.#next, header.timestamp - 1, gap ?? place, due);
        if (!isWhole) this.#lost(header.timestamp, header.timestamp, { segment, offset }, due);
        else if (header.dependsOn <= durable) this.#kept(header.timestamp, due);
        this.#next = header.timestamp + 1;
        gap = null;
      }
      const goesOn = header.kind === RECORD_SEGMENT_END;
      place = goesOn ? { segment: segment + 1, offset: FIRST_RECORD } : { segment, offset: record.end };
    }
    if (leg.until === null) {
      if (isEmpty || (await endsInDamage(files, leg.incarnation, place))) gap ??= place;
      if (gap !== null) this.#lostWithoutEnd(gap);
      return;
    }
    if (leg.until.kept instanceof DamageFound) this.#lostWithoutEnd(leg.until.end);
    this.#lost(this.#next, Number.MAX_SAFE_INTEGER, gap ?? place, due);
    this.#next = Math.max(this.#next, leg.until.first);
  }

  result(damage: LogDamage): GivenUp {
    const { ranges: whole, count: wholeCount } = this.#whole;
    const unreadable = this.#unreadable;
    const lasts = [...whole, ...unreadable].map(({ last }) => last).filter((last) => last !== null);
    const last = lasts.length === 0 ? null : Math.max(...lasts.slice(-1), whole.at(-1)?.last ?? 0);
    return { damage, first: this.#first, last, whole, wholeCount, unreadable };
  }

  #kept(timestamp: number, due: readonly TimestampRange[]): void {
    if (intersection({ first: timestamp, last: timestamp }, due).length > 0) this.#whole.add(timestamp);
  }

  #lost(first: number, last: number, { segment, offset }: Place, due: readonly TimestampRange[]): void {
    for (const range of intersection({ first, last }, due)) {
      const before = this.#unreadable.at(-1);
      if (before !== undefined && before.last !== null && before.last + 1 === range.first) {
        this.#unreadable[this.#unreadable.length - 1] = { ...before, last: range.last };
      } else this.#unreadable.push({ ...range, segment, offset });
    }
  }

  #lostWithoutEnd({ segment, offset }: Place): void {
    this.#unreadable.push({ first: this.#next, last: null, segment, offset });
  }
}

/** Whether the segment in which an incarnation ends is not as it was: then there may have been more. */
async function endsInDamage({ location, names }: LogFiles, incarnation: number, { segment }: Place): Promise<boolean> {
  const present = names.filter((name) => name.incarnation === incarnation).map((name) => name.segment);
  const { reader, problem } = await inspectSegment(location, incarnation, Math.max(segment, ...present));
  await reader?.close();
  return problem !== null;
}

/** The timestamps of an incarnation that count. */
function dueIn({ until }: Leg): readonly TimestampRange[] {
  if (until === null) return [{ first: 0, last: Number.MAX_SAFE_INTEGER }];
  const run = { first: 0, last: until.timestamp };
  return until.kept instanceof DamageFound ? [run] : [run, ...until.kept];
}
