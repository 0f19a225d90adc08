/** Whether a store can be put somewhere. */
import { PagewrightError } from '../errors.js';
import type { IoBackend } from './io.js';

/**
 * Refuses a path at which there is something: a file is not overwritten, and a log beside it would be taken for that of the new store. `what` says what was not done, as in
 * `'No backup was written to'`. Errors: `PW_EXISTS`.
 */
export async function refuseOccupied(io: IoBackend, path: string, what: string): Promise<void> {
  const log = `${path}-wal`;
  const isThere = await io.exists(path);
  if (!isThere && (await io.list(log)).length === 0) return;
  throw new PagewrightError(
    'PW_EXISTS',
    `${what} ${path}: ${isThere ? 'there is a file already' : `the log of another store is beside it, in ${log}`}. Choose another path.`,
    { details: { path, ...(isThere ? {} : { log }) } },
  );
}
