/** What the clauses of the log suite have in common. */
import assert from 'node:assert/strict';
import { type ArchiveFunction, type CommitRecord, type ErrorCode, isPagewrightError, type Log } from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';
import { recordsOn, type Superblock } from '../rig/log-store.js';
import type { Clause } from './suite.js';

/** Makes a log, as each process makes one that opens the store; it is archived if it gets what archives it, and can be. */
export type NewLog = (archive?: ArchiveFunction) => Log;

/**
 * What a log may promise beyond the contract.
 * - `recycles`: what lies before the mark of a checkpoint is given back, so that the log of a busy store does not grow.
 * - `threads`: other threads may attach to it.
 * - `reads`: it can be read while it is written.
 * - `archives`: it can be archived, sealed, and replayed from an archive.
 */
export type LogCapability = 'recycles' | 'threads' | 'reads' | 'archives';

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

/** What a log finds, or that it is damaged. Any other error fails. */
export async function outcome(
  create: NewLog,
  disk: SimulatedDevice,
  superblock: Superblock,
): Promise<CommitRecord[] | 'corrupt'> {
  try {
    return await recordsOn(create(), disk, superblock);
  } catch (error) {
    if (isPagewrightError(error, 'PW_CORRUPT_LOG')) return 'corrupt';
    throw error;
  }
}

/** Says where an error came from. */
export async function during(where: string, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

function assertCode(error: unknown, code: ErrorCode, what: string): void {
  assert.ok(isPagewrightError(error, code), `${what} failed with ${String(error)}, and not with ${code}.`);
}
