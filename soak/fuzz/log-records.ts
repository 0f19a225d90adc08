/**
 * Records of the log. One with right checksums says what its bytes say; no length or count leads outside it. One whose
 * bytes were changed at all has no right checksums.
 */
import { crc32 } from 'node:zlib';
import { type LogOperation, OPERATION_PUT, type ReplayedRecord } from '@pagewright/core';
import {
  assertSurroundingsUntouched,
  type FuzzSeed,
  type FuzzTarget,
  type Random,
  surrounded,
} from '@pagewright/testkit';
import { expectSame, expectThat, sameBytes } from './agreement.js';
import { record as format } from './internals.js';

const HEADER = 56;

interface Encoded {
  readonly bytes: Uint8Array;
  /** What the checksums begin with: each record is of another place, so that none passes for another. */
  readonly seed: number;
}

export const logRecords: FuzzTarget<Encoded> = {
  name: 'log records',
  resizes: true,
  refusals: new Set(),
  seeds: (random) => Array.from({ length: 12 }, (_, i) => recordOf(random, i)),
  repair: (bytes, { context }) => repairRecord(bytes, 0, context.seed),
  run(bytes, { context }, isRepaired) {
    const found = decode(bytes, context.seed, 0);
    expectSame(decode(bytes, context.seed, 1), found, 'what lies around a record changes it');
    if (found === null) return 'no record';
    const whole = sameBytes(bytes.subarray(0, found.length), context.bytes.subarray(0, found.length));
    expectThat(isRepaired || whole, 'a record whose bytes were changed is taken for whole');
    expectThat(
      Number.isSafeInteger(found.timestamp) && Number.isSafeInteger(found.durable.offset),
      'a number of a record is beyond 2^53',
    );
    if (found.commit === undefined) return 'bare';
    expectSame(found.commit, naive(bytes, found.length), 'a record is decoded wrongly');
    return found.commit === null ? 'does not add up' : 'commit';
  },
};

/** Makes the checksums of the record at a place right, as far as it has bytes. */
export function repairRecord(bytes: Uint8Array, at: number, seed: number): void {
  if (bytes.length < at + HEADER) return;
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
  const length = Math.max(HEADER, Math.min(record.readUInt32LE(at + 8), bytes.length - at));
  if (length > HEADER) record.writeUInt32LE(crc32(record.subarray(at + HEADER, at + length), seed), at + 4);
  record.writeUInt32LE(crc32(record.subarray(at + 4, at + HEADER), seed), at);
}

function decode(bytes: Uint8Array, seed: number, pattern: 0 | 1) {
  const memory = surrounded(bytes, pattern);
  const view = new DataView(memory.buffer, memory.byteOffset, memory.length);
  const header = new format.RecordHeader();
  if (bytes.length < HEADER) return null;
  if (!format.decodeHeader(memory, view, 0, memory.length, seed, header)) return null;
  const { kind, length, timestamp, dependsOn, operationCount, durable, time } = header;
  expectThat(length >= HEADER && length <= bytes.length && length % 8 === 0, () => `a record has ${length} bytes`);
  if (!format.bodyIsWhole(memory, view, 0, length, seed)) return null;
  const commit = kind === format.RECORD_COMMIT ? format.decodeCommit(memory, 0, header) : undefined;
  assertSurroundingsUntouched(memory, pattern);
  return { kind, length, timestamp, dependsOn, operationCount, durable, time, commit: commit && copied(commit) };
}

function copied({ timestamp, dependsOn, time, operations }: ReplayedRecord): ReplayedRecord {
  const copy = [...operations].map(({ kind, index, key, value }) => ({
    kind,
    index,
    key: Uint8Array.from(key),
    value: Uint8Array.from(value),
  }));
  return { timestamp, dependsOn, time, operations: copy };
}

/** A transaction as `docs/format/log.md` has it; null if it is not exactly its operations and less than eight bytes. */
function naive(bytes: Uint8Array, length: number): ReplayedRecord | null {
  const record = Buffer.from(bytes.buffer, bytes.byteOffset, length);
  let at = HEADER;
  const varint = (): number => {
    let value = 0n;
    for (let shift = 0n; shift < 35n; shift += 7n) {
      if (at >= length) return Number.POSITIVE_INFINITY;
      const byte = record[at++]!;
      value += BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return Number(value);
    }
    return Number.POSITIVE_INFINITY;
  };
  const operations: LogOperation[] = [];
  for (let left = record.readUInt32LE(36); left > 0; left--) {
    if (at >= length) return null;
    const kind = record[at++]!;
    const [index, keyLength, valueLength] = [varint(), varint(), varint()] as const;
    if (at + keyLength + valueLength > length || index >= 2 ** 32) return null;
    const key = Uint8Array.from(record.subarray(at, at + keyLength));
    const value = Uint8Array.from(record.subarray(at + keyLength, at + keyLength + valueLength));
    operations.push({ kind, index, key, value });
    at += keyLength + valueLength;
  }
  if (length - at >= 8) return null;
  const [timestamp, dependsOn, time] = [16, 24, 48].map((field) => Number(record.readBigUInt64LE(field)));
  return { timestamp: timestamp!, dependsOn: dependsOn!, time: time!, operations };
}

function recordOf(random: Random, i: number): FuzzSeed<Encoded> {
  const place = { segment: 1, offset: 4096 + 8 * random.below(10_000) };
  const seed = format.recordSeed(random.below(2 ** 32), i + 1, place.offset);
  const operations = Array.from({ length: i % 5 }, () => ({
    kind: OPERATION_PUT,
    index: random.below(2 ** random.between(1, 32)),
    key: random.fill(new Uint8Array(random.between(1, 30))),
    value: random.fill(new Uint8Array(random.below(200))),
  }));
  const length = i % 6 === 5 ? HEADER : format.commitRecordSize(operations);
  const bytes = new Uint8Array(length);
  const view = new DataView(bytes.buffer);
  if (i % 6 === 5) format.encodeBare(bytes, view, 0, format.RECORD_MARK, seed, place, random.below(2 ** 41));
  else {
    const timestamp = random.below(2 ** 40) + 1;
    const record = { timestamp, dependsOn: timestamp - 1, operations };
    format.encodeCommit(bytes, view, 0, length, seed, place, record, random.below(2 ** 41));
  }
  return { bytes, context: { bytes, seed }, fields: [{ start: 0, end: HEADER }] };
}
