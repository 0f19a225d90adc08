/**
 * What a pool has instead of its parts while it is not open: whatever is asked of it throws `PW_CLOSED`. So no call, a hit least of all,
 * has to look first whether the pool is open.
 */
import { PagewrightError } from '@pagewright/core/contracts';

const fail = (): never => {
  throw notOpen();
};
const NOT_THERE: unknown = new Proxy({}, { get: fail, set: fail, ownKeys: fail });

/** The same object for all parts. */
export function partsNotThere<Part>(): Part {
  return NOT_THERE as Part;
}

export function notOpen(): PagewrightError {
  return new PagewrightError(
    'PW_CLOSED',
    'The buffer pool is not open. Await open() or attach() before anything else; if that has failed, make another BufferPool and open that.',
  );
}

export function openedTwice(): PagewrightError {
  return new PagewrightError(
    'PW_CLOSED',
    'A buffer pool is opened or attached once, whether that succeeds or fails. Make another BufferPool and open that.',
  );
}
