/** How many levels a tree has, as its root says. */
import { type IndexContext, latchChild } from '@pagewright/core';
import { levelOf } from './node-layout.js';

/** 1 is a leaf alone. Reads the root if it is not in memory. */
export function heightOf({ pages, root }: IndexContext): number {
  pages.latch(root.frame);
  try {
    const frame = latchChild(pages, root.frame, root.offset);
    const height = levelOf(pages.segmentOf(frame), pages.baseOf(frame)) + 1;
    pages.unlatch(frame);
    return height;
  } finally {
    pages.unlatch(root.frame);
  }
}
