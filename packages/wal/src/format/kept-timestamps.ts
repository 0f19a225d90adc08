/**
 * The timestamps that recovery kept behind a hole, as ranges, in a file of their own: there may be any number of them, and seldom are
 * there any. It is named as segment 0 of the incarnation that recovery began, is written and synced before the first segment, and never
 * changes. A header tells how many ranges it has; with none there is no file. `docs/format/log.md` gives every byte.
 */
import { crc32 } from 'node:zlib';
import type { TimestampRange } from '@pagewright/core';
import { LOG_FORMAT_VERSION } from './segment-header.js';
import { RANGE_SIZE, readRanges, writeRanges } from './timestamp-range.js';

const MAGIC = new Uint8Array([0x50, 0x57, 0x4b, 0x45, 0x50, 0x54, 0x0a, 0x1a]); // "PWKEPT", then what text transfers break
const VERSION = 8;
const CHECKSUM = 12;
const STORE_ID = 16;
const STORE_ID_SIZE = 16;
const INCARNATION = 32;
const COUNT = 36;
const RANGES = 40;

/** The timestamps that an incarnation takes over from behind a hole of the one before it. */
export interface KeptTimestamps {
  /** 32 hexadecimal digits. */
  readonly storeId: string;
  readonly incarnation: number;
  /** Rising, and not touching each other. */
  readonly ranges: readonly TimestampRange[];
}

/** Bytes of a file with so many ranges. */
export function keptSize(ranges: number): number {
  return RANGES + ranges * RANGE_SIZE;
}

export function encodeKept({ storeId, incarnation, ranges }: KeptTimestamps): Uint8Array {
  const bytes = new Uint8Array(keptSize(ranges.length));
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(VERSION, LOG_FORMAT_VERSION, true);
  bytes.set(Buffer.from(storeId, 'hex').subarray(0, STORE_ID_SIZE), STORE_ID);
  view.setUint32(INCARNATION, incarnation, true);
  view.setUint32(COUNT, ranges.length, true);
  writeRanges(view, RANGES, ranges);
  view.setUint32(CHECKSUM, crc32(bytes), true);
  return bytes;
}

/** Null for what is not such a file, whole. */
export function decodeKept(bytes: Uint8Array): KeptTimestamps | null {
  if (bytes.length < RANGES || MAGIC.some((byte, at) => bytes[at] !== byte)) return null;
  const copy = new Uint8Array(bytes);
  const view = new DataView(copy.buffer);
  const checksum = view.getUint32(CHECKSUM, true);
  view.setUint32(CHECKSUM, 0, true);
  if (crc32(copy) !== checksum || view.getUint32(VERSION, true) !== LOG_FORMAT_VERSION) return null;
  const count = view.getUint32(COUNT, true);
  if (copy.length !== keptSize(count)) return null;
  const ranges = readRanges(view, RANGES, count);
  if (ranges === null) return null;
  const storeId = Buffer.from(copy.buffer, STORE_ID, STORE_ID_SIZE).toString('hex');
  return { storeId, incarnation: view.getUint32(INCARNATION, true), ranges };
}
