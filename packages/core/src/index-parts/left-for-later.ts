/** Errors of changes that are for the tree's shape alone, and leave it as it was: what was asked for is done, and that can wait. */
import { isPagewrightError } from '../errors.js';

/**
 * There is no page to be had, or a neighbour could not be read, or is damaged: whoever asks for what is in it is told. A page fault is
 * passed over as well, because what was asked for would otherwise be done a second time.
 */
export function isLeftForLater(error: unknown): boolean {
  if ((error as { isPageFault?: unknown }).isPageFault === true) return true;
  return ['PW_IO', 'PW_FULL', 'PW_POOL_EXHAUSTED', 'PW_CORRUPT_PAGE'].some((code) =>
    isPagewrightError(error, code as never),
  );
}
