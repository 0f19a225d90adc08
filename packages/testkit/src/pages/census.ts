/**
 * Counts the pages of a hostile store. Must hold whenever no operation runs: each page, in memory or cold, is named by
 * exactly one swip, and all are reached from the catalog page through the tables of swips.
 */
import { SWIP_HOT, SWIP_NULL, SWIP_TAG_MASK } from '@pagewright/core';
import { CATALOG, type Frames } from './frames.js';
import { swipOffsets } from './swip-table.js';

/** Throws if a page is lost, reached twice, or named by a swip that leads nowhere. */
export function assertEachReachedOnce(frames: Frames, cold: ReadonlyMap<number, Uint8Array>): void {
  const reached = reach(frames, cold, CATALOG, frames.swips(CATALOG));
  reached.frames.add(CATALOG);
  for (const frame of frames.live)
    if (!reached.frames.has(frame)) throw new Error(`The page in frame ${frame} was lost: no swip leads to it`);
  for (const word of cold.keys())
    if (!reached.cold.has(word)) throw new Error('A page that was evicted was lost: no swip leads to it');
}

/** How many pages there are below a swip. Throws as {@link assertEachReachedOnce} does. */
export function countBelow(
  frames: Frames,
  cold: ReadonlyMap<number, Uint8Array>,
  parent: number,
  offset: number,
): number {
  const reached = reach(frames, cold, parent, [offset]);
  return reached.frames.size + reached.cold.size;
}

interface Reached {
  readonly frames: Set<number>;
  readonly cold: Set<number>;
}

function reach(
  frames: Frames,
  cold: ReadonlyMap<number, Uint8Array>,
  parent: number,
  swips: readonly number[],
): Reached {
  const reached: Reached = { frames: new Set(), cold: new Set() };
  const goBelow = (frame: number, offsets: readonly number[]): void => {
    for (const offset of offsets) {
      const word = frames.word(frame, offset);
      if (word === SWIP_NULL) continue;
      if ((word & SWIP_TAG_MASK) !== SWIP_HOT) {
        goCold(word);
        continue;
      }
      const child = word >>> 2;
      if (frames.parents[child] !== frame) throw new Error(`Frame ${frame} has a swip that is none at ${offset}`);
      if (reached.frames.has(child)) throw new Error(`The page in frame ${child} is named by two swips`);
      reached.frames.add(child);
      goBelow(child, frames.swips(child));
    }
  };
  const goCold = (word: number): void => {
    const page = cold.get(word);
    if (page === undefined) throw new Error('A swip names a page that is not there');
    if (reached.cold.has(word)) throw new Error('A page that was evicted is named by two swips');
    reached.cold.add(word);
    const view = new DataView(page.buffer, page.byteOffset);
    for (const offset of swipOffsets(page)) {
      const below = view.getUint32(offset, true);
      if (below !== SWIP_NULL) goCold(below);
    }
  };
  goBelow(parent, swips);
  return reached;
}
