/**
 * What lies behind the first place of a log that has no whole record: the rest of an ordinary crash, or damage. Writes are in flight side by side, so a
 * crash may leave any of them, and whole records behind a hole prove nothing. But a record tells what was durable when it was appended: one
 * that tells of a place beyond the hole proves that what is missing had been there (L2).
 *
 * Without such a proof a whole commit T is kept if its d is at most D′, the last timestamp up to which all are whole: only then can it have
 * been acknowledged (T1). Records lie in the order of their timestamps, so D′ is known before any commit that has to be compared with it. Of
 * what is kept only ranges of timestamps are remembered.
 */
import type { TimestampRange } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { RECORD_COMMIT } from '../format/record.js';
import { FIRST_RECORD, findBehind, type LogFiles, provesDurable } from './behind.js';
import { DamageFound } from './log-damage.js';
import { TimestampRanges } from './timestamp-ranges.js';

export interface HoleFindings {
  /** The place of a record that tells that what is missing at the hole had been durable; null if none does. */
  readonly proof: Place | null;
  /** Damage further back than the hole: what is kept lies before it. */
  readonly damage: DamageFound | null;
  /** Where that was met, in the order in which records lie. */
  readonly damagePlace: Place;
  /** D′. Above the timestamp at the hole if what is missing there is no commit. */
  readonly durable: number;
  readonly kept: readonly TimestampRange[];
  /** Bytes of records behind the hole that are not kept, and of what is missing between them. */
  readonly tornBytes: number;
  /** The highest timestamp of all records that were recognised, or that at the hole. */
  readonly lastTimestamp: number;
  /** The same, of those before the damage. */
  readonly lastBeforeDamage: number;
}

/** `timestamp` is that of the last commit before the hole. */
export async function examineHole(
  files: LogFiles,
  incarnation: number,
  hole: Place,
  timestamp: number,
  onRead: (bytes: number) => void,
): Promise<HoleFindings> {
  const kept = new TimestampRanges();
  let durable = timestamp;
  let lastTimestamp = timestamp;
  let lastBeforeDamage = timestamp;
  let damage: DamageFound | null = null;
  let damagePlace = hole;
  let proof: Place | null = null;
  let end = hole;
  let tornBytes = 0;
  for await (const { segment, record, problem } of findBehind(files, incarnation, hole, onRead)) {
    if (segment !== end.segment) end = { segment, offset: FIRST_RECORD };
    if (damage === null && problem !== null) {
      damage = problem;
      damagePlace = { segment: problem.damage.segment, offset: FIRST_RECORD };
    }
    if (record === null) continue;
    const { header, offset, isWhole } = record;
    if (proof === null && provesDurable(record, hole)) proof = { segment, offset };
    tornBytes += record.end - end.offset;
    end = { segment, offset: record.end };
    if (header.kind !== RECORD_COMMIT) continue;
    if (damage === null && header.timestamp <= lastTimestamp) {
      damage = disordered(record.path, segment, offset, header.timestamp, lastTimestamp);
      damagePlace = { segment, offset };
    }
    lastTimestamp = Math.max(lastTimestamp, header.timestamp);
    if (damage !== null) continue;
    lastBeforeDamage = lastTimestamp;
    if (!isWhole || header.dependsOn > durable) continue;
    if (header.timestamp === durable + 1) durable++;
    kept.add(header.timestamp);
    tornBytes -= header.length;
  }
  return { proof, damage, damagePlace, durable, kept: kept.ranges, tornBytes, lastTimestamp, lastBeforeDamage };
}

export function disordered(
  path: string,
  segment: number,
  offset: number,
  timestamp: number,
  before: number,
): DamageFound {
  const what = `In the log commit ${timestamp} follows commit ${before}`;
  return new DamageFound({ kind: 'contradiction', what, path, segment, offset });
}
