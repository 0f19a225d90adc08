/**
 * Empties the pool of a tree that is read and never changed: when a reader goes on to another checkpoint, all pages of the one
 * before leave their frames, children before their parents, and those that are pinned too.
 *
 * Must hold: no page is dirty. Frames into which pages are being read stay: they are in no tree yet, and whoever reads into them
 * finds that no swip wants them.
 */
import { invariant, SWIP_COOL, SWIP_HOT, SWIP_TAG_MASK } from '@pagewright/core/contracts';
import { RESIDENT_CHILDREN, SIZE_CLASS } from './frames.js';
import { readSwipTable } from './page-image.js';
import type { PoolParts } from './placement.js';
import type { Residency } from './residency.js';

/** Lets go of all that is resident below the page in frame `root`, which is latched and stays. Its swips are left as they were. */
export function emptyTree(parts: PoolParts, residency: Residency, root: number): void {
  invariant(parts.epochs.dirtyPages === 0, 'A page of a store that is open read-only was changed');
  const children = residentChildren(parts, root);
  const stack = [...children];
  const entered = new Set<number>();
  while (stack.length > 0) {
    const frame = stack[stack.length - 1] as number;
    if (!entered.has(frame)) {
      entered.add(frame);
      if (parts.frames.get(frame, RESIDENT_CHILDREN) > 0) {
        stack.push(...residentChildren(parts, frame));
        continue;
      }
    }
    stack.pop();
    entered.delete(frame);
    // Whoever reads the page meanwhile finds its version changed, and begins anew.
    parts.latches.latch(frame);
    residency.release(frame);
    parts.latches.unlatch(frame);
  }
  parts.frames.set(root, RESIDENT_CHILDREN, 0);
}

function residentChildren({ arena, frames, translation }: PoolParts, frame: number): number[] {
  const segment = arena.segmentOf(frame);
  const base = arena.baseOf(frame);
  const table = { offset: 0, count: 0, stride: 0 };
  readSwipTable(segment, base, arena.pageSize << frames.get(frame, SIZE_CLASS), table);
  const children: number[] = [];
  for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += table.stride >>> 2) {
    const word = segment.u32[at] as number;
    const tag = word & SWIP_TAG_MASK;
    if (tag === SWIP_HOT || tag === SWIP_COOL) children.push(translation.frameOf(word >>> 2));
  }
  return children;
}
