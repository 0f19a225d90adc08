/** The swips of a page as it is in the file, read from a private copy of it. What its table says is bounded before it is used. */
import { PAGE_SWIP_COUNT, PAGE_SWIP_OFFSET, PAGE_SWIP_STRIDE, SWIP_NULL } from '@pagewright/core/contracts';
import { isSwipTable } from './page-image.js';

/** Byte offsets of the swips that are not null; null if the page has a swip table that cannot be. */
export function swipsOfStored(bytes: Buffer): number[] | null {
  const table = {
    offset: bytes.readUInt32LE(PAGE_SWIP_OFFSET),
    count: bytes.readUInt16LE(PAGE_SWIP_COUNT),
    stride: bytes.readUInt16LE(PAGE_SWIP_STRIDE),
  };
  if (!isSwipTable(table, bytes.length)) return null;
  const offsets: number[] = [];
  for (let left = table.count, at = table.offset; left > 0; left--, at += table.stride) {
    if (bytes.readUInt32LE(at) !== SWIP_NULL) offsets.push(at);
  }
  return offsets;
}
