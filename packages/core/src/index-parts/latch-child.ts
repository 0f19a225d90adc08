/** Taking the latch of a page by way of its parent's. */
import type { PageStore } from '../contracts/pages.js';

/**
 * The child of a latched page, latched. While the latch is waited for the page may move to another frame, so the swip is
 * looked at again.
 */
export function latchChild(pages: PageStore, parent: number, offset: number): number {
  for (;;) {
    const frame = pages.childOfLatched(parent, offset);
    pages.latch(frame);
    try {
      if (pages.childOfLatched(parent, offset) === frame) return frame;
    } catch (error) {
      pages.unlatch(frame);
      throw error;
    }
    pages.unlatch(frame);
  }
}
