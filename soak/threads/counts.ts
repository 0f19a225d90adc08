/** What threads have really done, so that a run which was to have them in each other's way says whether it had. */
import type { PageStore } from '@pagewright/core';

/** Pages of values, which come and go with their entries. */
const KIND_VALUE = 3;

export interface ThreadCounts {
  /** Nodes that were made, and given up: by splits and merges. */
  splits: number;
  merges: number;
  /** Batches of scans, those that were packed among them, and their entries. */
  batches: number;
  packed: number;
  scanned: number;
}

export function noCounts(): ThreadCounts {
  return { splits: 0, merges: 0, batches: 0, packed: 0, scanned: 0 };
}

/** Counts what one thread does of it from now on. */
export function countChanges(pages: PageStore, counts: ThreadCounts): void {
  const allocate = pages.allocate.bind(pages);
  const free = pages.free.bind(pages);
  pages.allocate = (index, kind, sizeClass, timestamp) => {
    const frame = allocate(index, kind, sizeClass, timestamp);
    if (kind !== KIND_VALUE) counts.splits++;
    return frame;
  };
  pages.free = (frame) => {
    free(frame);
    counts.merges++;
  };
}
