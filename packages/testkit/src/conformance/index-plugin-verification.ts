/**
 * Checking an index from the root down, as verification of a store does: each page with the bounds that its parent's
 * check gave for it, and no page that no check named.
 */
import type { Index, PageBounds, PageStore, SwipLocation } from '@pagewright/core';

/** More pages than this are no tree, but a ring. */
const MOST_PAGES = 1_000_000;
const OPEN: PageBounds = { lower: null, upper: null };

/** What `check` reports of all pages of an index, and pages that cannot be reached. Throws only what `check` throws. */
export function checkTree(index: Index, pages: PageStore, root: SwipLocation = pages.root): string[] {
  const damage: string[] = [];
  let budget = MOST_PAGES;
  const visit = (parent: number, offset: number, bounds: PageBounds): void => {
    if (budget-- <= 0) return;
    const frame = reach(pages, parent, offset, (message) => damage.push(message));
    if (frame < 0) return;
    // Pinned, so that it stays where it is while its children are brought in.
    pages.pin(frame);
    try {
      for (const [swip, below] of index.check(frame, bounds, (message) => damage.push(message)))
        visit(frame, swip, below);
    } finally {
      pages.unpin(frame);
    }
  };
  visit(root.frame, root.offset, OPEN);
  if (budget <= 0) damage.push('The pages go round and round');
  return damage;
}

/** The frame of the page that a swip names; -1 if there is none, which is reported. */
function reach(pages: PageStore, parent: number, offset: number, report: (message: string) => void): number {
  pages.latch(parent);
  try {
    return pages.childOfLatched(parent, offset);
  } catch (error) {
    report(`The page below the swip at ${offset} of frame ${parent} cannot be reached: ${String(error)}`);
    return -1;
  } finally {
    pages.unlatch(parent);
  }
}
