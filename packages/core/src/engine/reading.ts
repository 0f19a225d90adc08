/**
 * Reads that do not block: an attempt runs at once; if it needs a page that is not in memory, the page is loaded
 * and the attempt starts again. While an attempt runs, and only then, `faulting` is on.
 */
import { PageFault, type PageStore } from '../contracts/pages.js';

/** An attempt that loses its pages as fast as they are loaded reads in place after so many loads, to get on at all. */
const MOST_LOADS = 256;

/** What {@link attemptRead} answers if a page must be loaded first. */
export const FAULTED: unique symbol = Symbol('faulted');

/** Runs the read; {@link FAULTED} if it needs a page. Then call {@link readAfterFault} at once. */
export function attemptRead<Result>(pages: PageStore, read: () => Result): Result | typeof FAULTED {
  pages.faulting = true;
  try {
    return read();
  } catch (error) {
    if (error instanceof PageFault) return FAULTED;
    throw error;
  } finally {
    pages.faulting = false;
  }
}

/** Loads the page of the fault that has just happened, and tries again until the read comes through. */
export async function readAfterFault<Result>(pages: PageStore, read: () => Result): Promise<Result> {
  for (let loads = 0; loads < MOST_LOADS; loads++) {
    await pages.loadFault();
    const result = attemptRead(pages, read);
    if (result !== FAULTED) return result;
  }
  // The fault that came last is not loaded, so the next one must not wait for it.
  return read();
}

/** A read from its beginning, which does not block. */
export async function readWithoutBlocking<Result>(pages: PageStore, read: () => Result): Promise<Result> {
  const result = attemptRead(pages, read);
  return result === FAULTED ? await readAfterFault(pages, read) : result;
}
