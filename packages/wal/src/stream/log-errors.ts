/** What those are told who use a log that is over. */
import { PagewrightError } from '@pagewright/core';

export function unknownOutcome(what: string, cause: unknown): PagewrightError {
  return new PagewrightError(
    'PW_COMMIT_UNKNOWN',
    `${what} Commits that were waiting for it are there whole, or not at all, after the store is opened again; nothing more is accepted until then.`,
    { ...(cause !== undefined && { cause }), details: cause instanceof PagewrightError ? cause.details : {} },
  );
}

export function closedError(): PagewrightError {
  return new PagewrightError('PW_CLOSED', 'The log was closed. Open the store again.');
}
