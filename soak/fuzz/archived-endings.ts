/** Records that end an archived segment, with the ranges of what counts behind a hole: whole ones give what their bytes say, or nothing if that does not rise. */
import type { TimestampRange } from '@pagewright/core';
import {
  assertSurroundingsUntouched,
  type FuzzSeed,
  type FuzzTarget,
  type Random,
  surrounded,
} from '@pagewright/testkit';
import { expectSame, expectThat } from './agreement.js';
import { record as format } from './internals.js';
import { rangesBy } from './kept-lists.js';
import { repairRecord } from './log-records.js';

const HEADER = 56;
const COUNT = 36;
const RANGE_SIZE = 16;

interface Encoded {
  readonly seed: number;
}

export const archivedEndings: FuzzTarget<Encoded> = {
  name: 'endings of archived segments',
  resizes: true,
  refusals: new Set(),
  seeds: (random) => Array.from({ length: 6 }, () => endingBy(random)),
  repair: (bytes, { context }) => repairRecord(bytes, 0, context.seed),
  run(bytes, { context }) {
    const found = decode(bytes, context.seed, 0);
    expectSame(decode(bytes, context.seed, 1), found, 'what lies around an ending changes it');
    if (found === null) return 'no record';
    const { length, ranges } = found;
    const count = Buffer.from(bytes).readUInt32LE(COUNT);
    if (ranges.length === 0) return 'no ranges';
    expectThat(
      length === HEADER + count * RANGE_SIZE && ranges.length === count,
      'an ending has ranges beyond its end',
    );
    expectSame(ranges, naive(bytes, count), 'an ending is decoded wrongly');
    let above = -1;
    for (const { first, last } of ranges) {
      expectThat(Number.isSafeInteger(first) && Number.isSafeInteger(last), 'a range has a number beyond 2^53');
      expectThat(first > above && last >= first, 'the ranges of an ending do not rise');
      above = last + 1;
    }
    return 'ranges';
  },
};

function endingBy(random: Random): FuzzSeed<Encoded> {
  const place = { segment: 1 + random.below(100), offset: 4096 + 8 * random.below(10_000) };
  const seed = format.recordSeed(random.below(2 ** 32), place.segment, place.offset);
  const kind = random.chance(0.5) ? format.RECORD_LOG_END : format.RECORD_SEGMENT_END;
  const bytes = format.encodeEnding(kind, seed, place, random.below(2 ** 41), random.below(2 ** 40), rangesBy(random));
  return { bytes, context: { seed }, fields: [{ start: 0, end: bytes.length }] };
}

function decode(bytes: Uint8Array, seed: number, pattern: 0 | 1) {
  if (bytes.length < HEADER) return null;
  const memory = surrounded(bytes, pattern);
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const header = new format.RecordHeader();
  if (!format.decodeHeader(memory, view, 0, memory.length, seed, header)) return null;
  const { length } = header;
  if (!format.bodyIsWhole(memory, view, 0, length, seed)) return null;
  const ranges = format.decodeKeptRanges(view, 0, header);
  assertSurroundingsUntouched(memory, pattern);
  return { length, ranges };
}

function naive(bytes: Uint8Array, count: number): TimestampRange[] {
  const record = Buffer.from(bytes);
  return Array.from({ length: count }, (_, i) => ({
    first: Number(record.readBigUInt64LE(HEADER + i * RANGE_SIZE)),
    last: Number(record.readBigUInt64LE(HEADER + i * RANGE_SIZE + 8)),
  }));
}
