/** What authors of indexes get wrong when they say how much room their puts take. */
import { fault, type IndexFault } from './index-fault.js';

export const ROOM_FAULTS: readonly IndexFault[] = [
  fault('says that a put makes no page dirty', ['pages-of-a-put'], { index: () => ({ pagesAPut: 0 }) }),
  fault('says that a put makes a page dirty, and none beside it', ['pages-of-a-put'], {
    index: () => ({ pagesAPut: 1 }),
  }),
  fault('says that entries take nothing but their bytes', ['overhead-of-entries'], {
    index: () => ({ entryOverhead: 0 }),
  }),
];
