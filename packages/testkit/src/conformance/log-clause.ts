/** What the clauses of the log suite have in common. */
import assert from 'node:assert/strict';
import { type ErrorCode, isPagewrightError, type Log } from '@pagewright/core';
import type { Clause } from './suite.js';

/** Makes a log, as each process makes one that opens the store. */
export type NewLog = () => Log;

/**
 * What a log may promise beyond the contract.
 * - `recycles`: what lies before the mark of a checkpoint is given back, so that the log of a busy store does not grow.
 */
export type LogCapability = 'recycles';

export type LogClause = Clause<NewLog, LogCapability>;

/** Throws unless the call throws a `PagewrightError` of this code. */
export function assertThrows(call: () => unknown, code: ErrorCode, what: string): void {
  try {
    call();
  } catch (error) {
    assertCode(error, code, what);
    return;
  }
  assert.fail(`${what} did not fail; it was to fail with ${code}.`);
}

/** The same for a promise. */
export async function assertRejects(work: Promise<unknown>, code: ErrorCode, what: string): Promise<void> {
  const outcome = await work.then(
    () => null,
    (error: unknown) => ({ error }),
  );
  assert.ok(outcome !== null, `${what} did not fail; it was to fail with ${code}.`);
  assertCode(outcome.error, code, what);
}

function assertCode(error: unknown, code: ErrorCode, what: string): void {
  assert.ok(isPagewrightError(error, code), `${what} failed with ${String(error)}, and not with ${code}.`);
}
