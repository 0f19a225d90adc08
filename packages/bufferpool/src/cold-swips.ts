/** Where a page that is stored has its swip, for those that looked a while ago: the page above may have changed or gone since. */
import { PAGE_SWIP_COUNT, PAGE_SWIP_OFFSET, PAGE_SWIP_STRIDE, SWIP_COLD } from '@pagewright/core/contracts';
import { SIZE_CLASS, STATE, STATE_COOL, STATE_HOT } from './frames.js';
import type { PoolParts } from './placement.js';

/**
 * Byte offset of the cold swip with these words in the page, or 0. The frame may hold any page by now, or none. Its latch is held: an
 * extent is reached once, so whichever page has the swip is the right one.
 */
export function offsetOfColdSwip({ arena, frames }: PoolParts, parent: number, word: number, checksum: number): number {
  const state = frames.get(parent, STATE);
  if ((word & 3) !== SWIP_COLD || (state !== STATE_HOT && state !== STATE_COOL)) return 0;
  const segment = arena.segmentOf(parent);
  const base = arena.baseOf(parent);
  const size = arena.pageSize << frames.get(parent, SIZE_CLASS);
  const first = segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] as number;
  const stride = segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] as number;
  let left = segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] as number;
  for (let offset = first; left > 0 && offset < size; left--, offset += stride) {
    const at = (base + offset) >>> 2;
    if (segment.u32[at] === word && segment.u32[at + 1] === checksum) return offset;
  }
  return 0;
}
