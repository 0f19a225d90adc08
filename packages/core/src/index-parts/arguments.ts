/**
 * What an index refuses although its callers check before: one that is used alone has no such caller, and what does not fit would be damage by
 * the time that it is met again.
 */
import { PagewrightError } from '../errors.js';

/** A key to be put. Errors: `PW_KEY_EMPTY`, `PW_KEY_TOO_LARGE`. */
export function assertKeyFits(key: Uint8Array, maxKeySize: number): void {
  const { length } = key;
  if (length === 0) throw new PagewrightError('PW_KEY_EMPTY', 'A key has no bytes. Keys have at least one.');
  if (length <= maxKeySize) return;
  throw new PagewrightError(
    'PW_KEY_TOO_LARGE',
    `A key has ${length} bytes; with the pages of this store at most ${maxKeySize} are possible.`,
    { details: { bytes: length, limit: maxKeySize } },
  );
}

/** The limit of a batch: without room for an entry a cursor would not get on. Errors: `PW_ARGUMENT`. */
export function assertBatchLimit(limit: number): void {
  if (limit >= 1) return;
  throw new PagewrightError('PW_ARGUMENT', `A batch has room for at least one entry: its limit cannot be ${limit}.`, {
    details: { limit },
  });
}
