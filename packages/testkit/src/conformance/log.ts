/**
 * What every log keeps, whatever its files look like: what was acknowledged is found again, whole and in order, after any
 * crash (L1); damage is told from a torn end (L2); what recovery left out never comes back (L3); and after a failed write
 * nothing is acknowledged any more (IO1). All of it runs on the simulated device.
 */
import type { ArchiveFunction, Log } from '@pagewright/core';
import { archiveClauses } from './log-archive.js';
import { archiveReplayClauses } from './log-archive-replay.js';
import type { LogCapability, NewLog } from './log-clause.js';
import { contentClauses } from './log-contents.js';
import { crashClauses } from './log-crashes.js';
import { damageClauses } from './log-damage.js';
import { durabilityClauses } from './log-durability.js';
import { failureClauses } from './log-failures.js';
import { lifeClauses } from './log-life.js';
import { readingClauses } from './log-reading.js';
import { recoveryClauses } from './log-recovery.js';
import { spaceClauses } from './log-space.js';
import { threadClauses } from './log-threads.js';
import { type Manifest, runSuite, type Suite, type TestRunner } from './suite.js';

export type { LogCapability, NewLog } from './log-clause.js';

export interface LogConformanceOptions {
  /**
   * A new log, as each process makes one that opens the store. The smaller its files, its largest record and the memory for
   * unflushed records, the more of it is put to the test: 64 KiB, 1 MiB and 64 KiB are good choices. With `archive` it is one that is archived by it, whenever it likes.
   */
  create(archive?: ArchiveFunction): Log;
  /** Default: all. */
  readonly manifest?: Manifest<LogCapability>;
}

/** Registers the suite for one log with a test runner. */
export function logConformance(runner: TestRunner, { create, manifest }: LogConformanceOptions): void {
  const all = { recycles: true, threads: true, reads: true, archives: true };
  runSuite(logSuite, runner, { create: () => create }, manifest ?? all);
}

/** The suite itself, for those who test suites. What it tests is a function that makes logs. */
export const logSuite: Suite<NewLog, LogCapability> = {
  name: 'log',
  clauses: [
    ...lifeClauses,
    ...contentClauses,
    ...durabilityClauses,
    ...crashClauses,
    ...recoveryClauses,
    ...damageClauses,
    ...failureClauses,
    ...spaceClauses,
    ...threadClauses,
    ...readingClauses,
    ...archiveClauses,
    ...archiveReplayClauses,
  ],
};
