/**
 * The layout of a record: a header of 56 bytes with a checksum of its own, and the operations with theirs. Both are
 * seeded with the incarnation, the segment and the offset, so that a record left from an earlier use of the file, or
 * moved to another place, never passes for one that was written here. `docs/format/log.md` gives every byte.
 *
 * The header's own checksum lets a reader trust a length before it reads that much, and lets the search behind a torn
 * record look at 56 bytes a step.
 */
import { crc32 } from 'node:zlib';
import {
  type CommitRecord,
  decodeOperations,
  EncodedOperations,
  encodeOperations,
  invariant,
  type LogOperations,
  operationsSize,
  type ReplayedRecord,
  type TimestampRange,
} from '@pagewright/core';
import type { Place } from './place.js';
import { RANGE_SIZE, readRanges, writeRanges } from './timestamp-range.js';
import { readU64, writeU64 } from './u64.js';

export const RECORD_HEADER_SIZE = 56;
/** Records begin at multiples of this. */
export const RECORD_ALIGNMENT = 8;

/** A transaction. */
export const RECORD_COMMIT = 1;
/** Says what is durable, and nothing else; takes no timestamp. */
export const RECORD_MARK = 2;
/** The last record of a segment: the stream goes on in the next one, whose header was durable before this was written. */
export const RECORD_SEGMENT_END = 3;
/** The log ends here, and its timestamp says with which commit. In archived segments, and in a log that is archived and was closed. */
export const RECORD_LOG_END = 4;

const HEADER_CHECKSUM = 0;
const BODY_CHECKSUM = 4;
const LENGTH = 8;
const KIND = 12;
const TIMESTAMP = 16;
const DEPENDS_ON = 24;
const DURABLE_SEGMENT = 32;
const OPERATION_COUNT = 36;
const DURABLE_OFFSET = 40;
const TIME = 48;

/** What the header of a record says. One object is used for many records. */
export class RecordHeader {
  kind = 0;
  /** Bytes of the whole record, padding included. */
  length = 0;
  timestamp = 0;
  dependsOn = 0;
  operationCount = 0;
  /** All before this place was durable when the record was appended. */
  durable: Place = { segment: 0, offset: 0 };
  /** Milliseconds since 1970 at which it was appended; never less than that of the record before. */
  time = 0;
}

/** Bytes of the record of a transaction. */
export function commitRecordSize(operations: LogOperations): number {
  const body = operations instanceof EncodedOperations ? operations.size : operationsSize(operations);
  const size = RECORD_HEADER_SIZE + body;
  return size + (-size & (RECORD_ALIGNMENT - 1));
}

/** What the checksums of a record at this place begin with. Differs whenever exactly one of the three differs. */
export function recordSeed(incarnation: number, segment: number, offset: number): number {
  return (incarnation ^ Math.imul(segment, 0x9e3779b1) ^ Math.imul(offset / RECORD_ALIGNMENT, 0x85ebca6b)) >>> 0;
}

/**
 * Encodes a transaction in `length` bytes, as `commitRecordSize` has it, from `at` on. Who encodes many records at one place keeps
 * `header`, the view that its checksum is of.
 */
export function encodeCommit(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  length: number,
  seed: number,
  durable: Place,
  record: CommitRecord,
  time: number,
  header = headerAt(bytes, at),
): void {
  const end = writeOperations(bytes, at + RECORD_HEADER_SIZE, record.operations);
  invariant(end <= at + length && at + length - end < RECORD_ALIGNMENT, 'A log record has another size than announced');
  bytes.fill(0, end, at + length);
  view.setUint32(at + BODY_CHECKSUM, crc32(bytes.subarray(at + RECORD_HEADER_SIZE, at + length), seed), true);
  writeU64(view, at + TIMESTAMP, record.timestamp);
  writeU64(view, at + DEPENDS_ON, record.dependsOn);
  view.setUint32(at + OPERATION_COUNT, record.operations.length, true);
  finishHeader(header, view, at, length, RECORD_COMMIT, seed, durable, time);
}

/** Encodes a record without operations: any but `RECORD_COMMIT`. It is `RECORD_HEADER_SIZE` long. */
export function encodeBare(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  kind: number,
  seed: number,
  durable: Place,
  time: number,
  timestamp = 0,
): void {
  bytes.fill(0, at, at + RECORD_HEADER_SIZE);
  writeU64(view, at + TIMESTAMP, timestamp);
  finishHeader(headerAt(bytes, at), view, at, RECORD_HEADER_SIZE, kind, seed, durable, time);
}

/**
 * The record at the end of an archived segment of a log that a crash has ended. With ranges, `durable` is where the gapless run ended, and the timestamp that of
 * the last commit before that place; the ranges say what counts beyond it.
 */
export function encodeEnding(
  kind: number,
  seed: number,
  durable: Place,
  time: number,
  timestamp: number,
  ranges: readonly TimestampRange[],
): Uint8Array {
  const bytes = new Uint8Array(RECORD_HEADER_SIZE + ranges.length * RANGE_SIZE);
  const view = new DataView(bytes.buffer);
  writeRanges(view, RECORD_HEADER_SIZE, ranges);
  if (ranges.length > 0) view.setUint32(BODY_CHECKSUM, crc32(bytes.subarray(RECORD_HEADER_SIZE), seed), true);
  writeU64(view, TIMESTAMP, timestamp);
  view.setUint32(OPERATION_COUNT, ranges.length, true);
  finishHeader(headerAt(bytes, 0), view, 0, bytes.length, kind, seed, durable, time);
  return bytes;
}

/** What counts behind the gapless run, as a record says that was written by {@link encodeEnding}. */
export function decodeKeptRanges(view: DataView, at: number, header: RecordHeader): readonly TimestampRange[] {
  const { operationCount, length } = header;
  if (length !== RECORD_HEADER_SIZE + operationCount * RANGE_SIZE) return [];
  return readRanges(view, at + RECORD_HEADER_SIZE, operationCount) ?? [];
}

/** What the checksum of a header is of. */
export function headerAt(bytes: Uint8Array, at: number): Uint8Array {
  return bytes.subarray(at + BODY_CHECKSUM, at + RECORD_HEADER_SIZE);
}

/**
 * Reads the header at `at` into `into`; false if it is not one that was written at this place. `available` is the
 * number of bytes from the beginning of the record to the end of the file: no record is longer.
 */
export function decodeHeader(
  bytes: Uint8Array,
  view: DataView,
  at: number,
  available: number,
  seed: number,
  into: RecordHeader,
): boolean {
  const kind = view.getUint32(at + KIND, true);
  if (kind < RECORD_COMMIT || kind > RECORD_LOG_END) return false;
  const length = view.getUint32(at + LENGTH, true);
  if (length < RECORD_HEADER_SIZE || length > available || length % RECORD_ALIGNMENT !== 0) return false;
  const checksum = crc32(headerAt(bytes, at), seed);
  if (checksum !== view.getUint32(at + HEADER_CHECKSUM, true)) return false;
  const timestamp = readU64(view, at + TIMESTAMP);
  const dependsOn = readU64(view, at + DEPENDS_ON);
  const durableOffset = readU64(view, at + DURABLE_OFFSET);
  const time = readU64(view, at + TIME);
  // Nobody writes numbers beyond these, whatever the checksum says.
  if (Math.max(timestamp, dependsOn, durableOffset, time) > Number.MAX_SAFE_INTEGER) return false;
  into.kind = kind;
  into.length = length;
  into.timestamp = timestamp;
  into.dependsOn = dependsOn;
  into.operationCount = view.getUint32(at + OPERATION_COUNT, true);
  into.durable = {
    segment: view.getUint32(at + DURABLE_SEGMENT, true),
    offset: durableOffset,
  };
  into.time = time;
  return true;
}

/** Whether the body behind a valid header is what was written. */
export function bodyIsWhole(bytes: Uint8Array, view: DataView, at: number, length: number, seed: number): boolean {
  if (length === RECORD_HEADER_SIZE) return true;
  return crc32(bytes.subarray(at + RECORD_HEADER_SIZE, at + length), seed) === view.getUint32(at + BODY_CHECKSUM, true);
}

/** The transaction of a whole `RECORD_COMMIT`. Keys and values are views of `bytes`. Null if it does not add up. */
export function decodeCommit(bytes: Uint8Array, at: number, header: RecordHeader): ReplayedRecord | null {
  const body = bytes.subarray(at + RECORD_HEADER_SIZE, at + header.length);
  const operations = decodeOperations(body, header.operationCount);
  return operations && { timestamp: header.timestamp, dependsOn: header.dependsOn, time: header.time, operations };
}

function writeOperations(bytes: Uint8Array, at: number, operations: LogOperations): number {
  if (!(operations instanceof EncodedOperations)) return encodeOperations(bytes, at, operations);
  const isThere = operations.bytes.buffer === bytes.buffer && operations.bytes.byteOffset === bytes.byteOffset + at;
  if (!isThere) bytes.set(operations.bytes.subarray(0, operations.size), at);
  return at + operations.size;
}

function finishHeader(
  header: Uint8Array,
  view: DataView,
  at: number,
  length: number,
  kind: number,
  seed: number,
  durable: Place,
  time: number,
): void {
  view.setUint32(at + LENGTH, length, true);
  view.setUint32(at + KIND, kind, true);
  view.setUint32(at + DURABLE_SEGMENT, durable.segment, true);
  writeU64(view, at + DURABLE_OFFSET, durable.offset);
  writeU64(view, at + TIME, time);
  view.setUint32(at + HEADER_CHECKSUM, crc32(header, seed), true);
}
