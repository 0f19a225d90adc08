/** Where a page says that its swips are. All that a page store knows of a page's content stands in its header. */
import { PAGE_SWIP_COUNT, PAGE_SWIP_OFFSET, PAGE_SWIP_STRIDE, SWIP_SIZE } from '@pagewright/core';

interface SwipTable {
  readonly offset: number;
  readonly count: number;
  readonly stride: number;
}

/** Byte offsets of the swips of a page, null ones included. Throws if the table that its header describes cannot be. */
export function swipOffsets(page: Uint8Array): number[] {
  const { offset, count, stride } = swipTable(page);
  return Array.from({ length: count }, (_, at) => offset + at * stride);
}

/** Whether the page has a swip at this offset. Throws as {@link swipOffsets} does. */
export function hasSwipAt(page: Uint8Array, at: number): boolean {
  const { offset, count, stride } = swipTable(page);
  return count > 0 && at >= offset && at <= offset + (count - 1) * stride && (at - offset) % stride === 0;
}

function swipTable(page: Uint8Array): SwipTable {
  const header = new DataView(page.buffer, page.byteOffset, page.length);
  const offset = header.getUint32(PAGE_SWIP_OFFSET, true);
  const count = header.getUint16(PAGE_SWIP_COUNT, true);
  const stride = header.getUint16(PAGE_SWIP_STRIDE, true);
  if (count > 0 && (offset % SWIP_SIZE !== 0 || stride % SWIP_SIZE !== 0 || stride === 0))
    throw new Error(`A swip table at ${offset} with a stride of ${stride} is not aligned`);
  if (count > 0 && offset + (count - 1) * stride + SWIP_SIZE > page.length)
    throw new Error(`A swip table of ${count} at ${offset}, ${stride} bytes apart, goes beyond its page`);
  return { offset, count, stride };
}
