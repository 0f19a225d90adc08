/** What a promise rejects with. */
import { PagewrightError } from '@pagewright/core';

/** The error that a promise rejects with. Fails if it resolves, or rejects with another class of error. */
export async function rejectionOf(promise: Promise<unknown>): Promise<PagewrightError> {
  const outcome = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (outcome instanceof PagewrightError) return outcome;
  throw new Error(`expected a PagewrightError, but got ${String(outcome)}`);
}

/** The code of {@link rejectionOf}. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  return (await rejectionOf(promise)).code;
}
