/**
 * Giving up a whole tree, a few pages at a time, by its swip tables alone. Between two calls the tree is smaller and
 * whole in the store's eyes, so a crash in between leaks nothing.
 */
import {
  PAGE_SWIP_COUNT,
  PAGE_SWIP_OFFSET,
  PAGE_SWIP_STRIDE,
  type PageStore,
  PagewrightError,
  SWIP_NULL,
} from '@pagewright/core/contracts';

/** Deeper trees than this have a cycle. */
const DEEPEST = 64;

/** Gives up at most `budget` pages below and at the swip; true if the swip is null now. The page that holds it is not latched. */
export function releaseTree(
  pages: PageStore,
  frame: number,
  offset: number,
  timestamp: number,
  budget: number,
): boolean {
  pages.latch(frame);
  try {
    pages.modify(frame, timestamp);
    return release(pages, frame, offset, timestamp, budget, 0) > 0 || isNull(pages, frame, offset);
  } finally {
    pages.unlatch(frame);
  }
}

/** The budget that is left; 0 if it ran out. The parent is latched and marked. */
function release(
  pages: PageStore,
  parent: number,
  offset: number,
  timestamp: number,
  budget: number,
  depth: number,
): number {
  if (isNull(pages, parent, offset)) return budget;
  if (depth > DEEPEST) {
    throw new PagewrightError(
      'PW_CORRUPT_PAGE',
      'A tree is deeper than any can be: its pages name each other in a circle.',
    );
  }
  const frame = pages.childOfLatched(parent, offset);
  pages.latch(frame);
  let left = budget;
  let given = false;
  try {
    pages.modify(frame, timestamp);
    const base = pages.baseOf(frame);
    const segment = pages.segmentOf(frame);
    const stride = segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] as number;
    const first = segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] as number;
    const count = segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] as number;
    for (let index = 0; index < count && left > 0; index++) {
      left = release(pages, frame, first + index * stride, timestamp, left, depth + 1);
    }
    if (left > 0) {
      pages.unlink(parent, offset);
      pages.free(frame);
      given = true;
    }
  } finally {
    if (!given) pages.unlatch(frame);
  }
  return given ? left - 1 : 0;
}

function isNull(pages: PageStore, frame: number, offset: number): boolean {
  return pages.segmentOf(frame).u32[(pages.baseOf(frame) + offset) >>> 2] === SWIP_NULL;
}
