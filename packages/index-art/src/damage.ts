/** The error for a page whose bytes cannot be those of a radix tree. */
import { PagewrightError } from '@pagewright/core';

/** `PW_CORRUPT_PAGE` for a page that is in memory: its bytes were valid when they were read, or were never written by this index. */
export function damagedPage(index: number, frame: number, what: string): PagewrightError {
  return new PagewrightError(
    'PW_CORRUPT_PAGE',
    `A page of the radix tree of index ${index} is damaged: ${what}. Verify the store, and restore it from a backup if that finds the same.`,
    { details: { index, frame } },
  );
}
