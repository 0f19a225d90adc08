/** `PW_CORRUPT_LOG`, with the file, segment and offset that a person needs. */
import { PagewrightError } from '@pagewright/core';

export interface DamageDetails {
  /** The segment's file, or the log's directory. */
  readonly path: string;
  readonly segment?: number;
  readonly offset?: number;
}

/** What is true, and what to do, when the damage is in the log of a store. */
export const CLOSED_STORE_ADVICE =
  "Commits that were acknowledged are missing, so the store is not opened; bring back the log's directory as it was, or restore a backup.";

/** The error for damage in the log: `what` is a sentence without its full stop. */
export function corruptLog(what: string, details: DamageDetails): PagewrightError {
  return new PagewrightError('PW_CORRUPT_LOG', `${what} (${details.path}). ${CLOSED_STORE_ADVICE}`, {
    details: { ...details },
  });
}
