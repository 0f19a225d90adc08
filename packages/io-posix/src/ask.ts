/** A call of `node:fs` as one promise, and its error as Pagewright's. */
import { PagewrightError } from '@pagewright/core/contracts';
import { type Attempt, errnoOf, faultOf } from './fault.js';

type Callback<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/** Calls back once, so that a call costs one promise; `fs/promises` costs several and a handle. */
export function ask<T = void>(attempt: Attempt, start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      start((error, value) => (error ? reject(faultOf(error, attempt)) : resolve(value as T)));
    } catch (error) {
      reject(faultOf(error, attempt)); // an argument that node:fs refuses at once, as a path with a NUL
    }
  });
}

export function askSync<T>(attempt: Attempt, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw faultOf(error, attempt);
  }
}

/** Whether the call succeeded; false for one of the errors that its caller expects. */
export async function askUnless(
  expected: readonly string[],
  attempt: Attempt,
  start: (done: Callback<unknown>) => void,
): Promise<boolean> {
  try {
    await ask(attempt, start);
    return true;
  } catch (error) {
    if (error instanceof PagewrightError && expected.includes(errnoOf(error.cause))) return false;
    throw error;
  }
}
