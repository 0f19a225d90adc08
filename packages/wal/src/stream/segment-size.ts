/** How large segment files are: whole blocks, and always room behind the last record for the one that ends the segment. */
import { RECORD_HEADER_SIZE } from '../format/record.js';
import { SEGMENT_HEADER_SIZE } from '../format/segment-header.js';

const BLOCK = 4096;
/** Growing in place doubles the file, but adds no more than this beyond what is needed: it holds up the event loop. */
const GROWTH_LIMIT = 1024 * 1024;

/** The size of the first segment's file: an empty store stays small. */
export const FIRST_FILE_SIZE = SEGMENT_HEADER_SIZE + 64 * 1024;

/** Bytes that records may have behind `used`. No write of the log extends a file. */
export function roomIn(allocated: number, used = SEGMENT_HEADER_SIZE): number {
  return allocated - used - RECORD_HEADER_SIZE;
}

/** The size of a file with so much room behind `used`. */
export function sizeFor(room: number, used = SEGMENT_HEADER_SIZE): number {
  return Math.ceil((used + room + RECORD_HEADER_SIZE) / BLOCK) * BLOCK;
}

/** The size to which a file grows in place that needs to have `needed` bytes. */
export function grownSize(allocated: number, needed: number): number {
  return Math.max(needed, Math.min(allocated * 2, allocated + GROWTH_LIMIT));
}
