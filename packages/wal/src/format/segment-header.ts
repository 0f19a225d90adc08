/**
 * The first 4 KiB of a segment file: which store, which incarnation, which segment it is, and where the incarnation goes
 * on from. Written and synced before the segment is used, and once more whenever the file has grown: what it says fits in
 * one sector, so the older header or the newer one is there. `docs/format/log.md` gives every byte.
 */
import { crc32 } from 'node:zlib';
import type { LogMark } from '@pagewright/core';
import { readU64, writeU64 } from './u64.js';

/** Bytes in the header; the first record begins here. */
export const SEGMENT_HEADER_SIZE = 4096;
export const LOG_FORMAT_VERSION = 2;

const MAGIC = new Uint8Array([0x50, 0x57, 0x4c, 0x4f, 0x47, 0x0d, 0x0a, 0x1a]); // "PWLOG", then what text transfers break
const VERSION = 8;
const CHECKSUM = 12;
const STORE_ID = 16;
const STORE_ID_SIZE = 16;
const INCARNATION = 32;
const SEGMENT = 36;
const FILE_SIZE = 40;
const ORIGIN_INCARNATION = 48;
const ORIGIN_SEGMENT = 52;
const ORIGIN_OFFSET = 56;
const ORIGIN_TIMESTAMP = 64;
const FIRST_TIMESTAMP = 72;
const KEPT_RANGES = 80;

/** Where an incarnation goes on from: what its recovery had found (L4). The same in all segments of the incarnation. */
export interface Origin {
  /** Where the gapless run of the log before it ended; incarnation 0 if there was no log. */
  readonly end: LogMark;
  /** The last timestamp before that place. */
  readonly timestamp: number;
  /** So many ranges of timestamps were kept beyond it; which, the incarnation's list of them says (`kept-timestamps.ts`). */
  readonly keptRanges: number;
  /** That of the first record of the new incarnation: above all that the old one has, what was cut included (L3). */
  readonly first: number;
}

export interface SegmentHeader {
  /** 32 hexadecimal digits. */
  readonly storeId: string;
  readonly incarnation: number;
  readonly segment: number;
  /** Bytes that the file durably had when the header was written; it is never shorter. */
  readonly fileSize: number;
  readonly origin: Origin;
}

/** What is found where a header should be. `version` is set when it is a header of a format that is not known here. */
export type FoundHeader =
  | { readonly kind: 'header'; readonly header: SegmentHeader }
  | { readonly kind: 'unknown-version'; readonly version: number }
  | { readonly kind: 'invalid' };

export function encodeSegmentHeader(header: SegmentHeader): Uint8Array {
  const bytes = new Uint8Array(SEGMENT_HEADER_SIZE);
  const view = new DataView(bytes.buffer);
  bytes.set(MAGIC);
  view.setUint32(VERSION, LOG_FORMAT_VERSION, true);
  bytes.set(Buffer.from(header.storeId, 'hex').subarray(0, STORE_ID_SIZE), STORE_ID);
  view.setUint32(INCARNATION, header.incarnation, true);
  view.setUint32(SEGMENT, header.segment, true);
  writeU64(view, FILE_SIZE, header.fileSize);
  view.setUint32(ORIGIN_INCARNATION, header.origin.end.incarnation, true);
  view.setUint32(ORIGIN_SEGMENT, header.origin.end.segment, true);
  writeU64(view, ORIGIN_OFFSET, header.origin.end.offset);
  writeU64(view, ORIGIN_TIMESTAMP, header.origin.timestamp);
  writeU64(view, FIRST_TIMESTAMP, header.origin.first);
  view.setUint32(KEPT_RANGES, header.origin.keptRanges, true);
  view.setUint32(CHECKSUM, crc32(bytes), true);
  return bytes;
}

export function decodeSegmentHeader(bytes: Uint8Array): FoundHeader {
  if (bytes.length < SEGMENT_HEADER_SIZE || MAGIC.some((byte, at) => bytes[at] !== byte)) return { kind: 'invalid' };
  const copy = new Uint8Array(bytes.subarray(0, SEGMENT_HEADER_SIZE)); // a Buffer's own `slice` would not copy
  const view = new DataView(copy.buffer);
  const checksum = view.getUint32(CHECKSUM, true);
  view.setUint32(CHECKSUM, 0, true);
  if (crc32(copy) !== checksum) return { kind: 'invalid' };
  const version = view.getUint32(VERSION, true);
  if (version !== LOG_FORMAT_VERSION) return { kind: 'unknown-version', version };
  const fileSize = readU64(view, FILE_SIZE);
  const originOffset = readU64(view, ORIGIN_OFFSET);
  const originTimestamp = readU64(view, ORIGIN_TIMESTAMP);
  const first = readU64(view, FIRST_TIMESTAMP);
  if (Math.max(fileSize, originOffset, first) > Number.MAX_SAFE_INTEGER || first <= originTimestamp) {
    return { kind: 'invalid' };
  }
  return {
    kind: 'header',
    header: {
      storeId: Buffer.from(copy.buffer, STORE_ID, STORE_ID_SIZE).toString('hex'),
      incarnation: view.getUint32(INCARNATION, true),
      segment: view.getUint32(SEGMENT, true),
      fileSize,
      origin: {
        end: {
          incarnation: view.getUint32(ORIGIN_INCARNATION, true),
          segment: view.getUint32(ORIGIN_SEGMENT, true),
          offset: originOffset,
        },
        timestamp: originTimestamp,
        keptRanges: view.getUint32(KEPT_RANGES, true),
        first,
      },
    },
  };
}
