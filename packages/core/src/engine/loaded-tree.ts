/**
 * Which tree an index gets by a bulk load, as the log has it: the stamp of the tree's slot in the catalog, a u64.
 */
import { PagewrightError } from '../errors.js';

const SIZE = 8;

export function encodeStamp(stamp: number): Uint8Array {
  const bytes = new Uint8Array(SIZE);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(stamp), true);
  return bytes;
}

/** Errors: `PW_CORRUPT_LOG`. */
export function decodeStamp(bytes: Uint8Array): number {
  if (bytes.length === SIZE) {
    const stamp = new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true);
    if (stamp <= BigInt(Number.MAX_SAFE_INTEGER)) return Number(stamp);
  }
  throw new PagewrightError(
    'PW_CORRUPT_LOG',
    'The log names the tree of a bulk load in a way that cannot be read. It was written by another release, or is damaged.',
  );
}
