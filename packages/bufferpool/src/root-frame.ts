/**
 * Frame 0, which is no page of the file: its one swip is what the superblock says of the catalog's root, so that marking, checkpoints and
 * eviction need no special case for the top of the tree.
 */
import {
  PAGE_HEADER_SIZE,
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  SWIP_COLD,
  SWIP_NULL,
  SWIP_SIZE,
  type SwipLocation,
} from '@pagewright/core/contracts';
import { PINS, STATE_HOT } from './frames.js';
import { formatPage } from './page-image.js';
import type { PoolParts } from './placement.js';
import type { Superblock } from './superblock.js';

export const ROOT_FRAME = 0;
export const ROOT: SwipLocation = Object.freeze({ frame: ROOT_FRAME, offset: PAGE_HEADER_SIZE });

/** In the thread that opens the pool. */
export function buildRoot({ arena, frames, file }: PoolParts): void {
  frames.initialize(ROOT_FRAME, 0, STATE_HOT);
  frames.set(ROOT_FRAME, PINS, 1);
  const segment = arena.segmentOf(ROOT_FRAME);
  formatPage(segment, 0, { index: 0, kind: 0, sizeClass: 0, timestamp: 0 });
  segment.u32[PAGE_SWIP_OFFSET >>> 2] = ROOT.offset;
  segment.u16[PAGE_SWIP_COUNT >>> 1] = 1;
  segment.u16[PAGE_SWIP_STRIDE >>> 1] = SWIP_SIZE;
  nameCatalog({ arena }, file.superblock);
}

/** Its swip names what the superblock names. */
export function nameCatalog(
  { arena }: Pick<PoolParts, 'arena'>,
  { catalogAddress, catalogChecksum }: Superblock,
): void {
  const { u32 } = arena.segmentOf(ROOT_FRAME);
  u32[ROOT.offset >>> 2] = catalogAddress === 0 ? SWIP_NULL : ((catalogAddress << 2) | SWIP_COLD) >>> 0;
  u32[(ROOT.offset >>> 2) + 1] = catalogChecksum;
}
