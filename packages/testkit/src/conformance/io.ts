/**
 * The conformance suite of I/O backends: every clause of the I/O contract, for whatever reaches files. A backend that
 * breaks none of them can stand under an engine.
 */
import { BATCH_CLAUSES } from './io-batches.js';
import { DIRECTORY_CLAUSES } from './io-directories.js';
import { DURABILITY_CLAUSES } from './io-durability.js';
import { LOCK_CLAUSES } from './io-locks.js';
import { OPENING_CLAUSES } from './io-opening.js';
import { PIN_CLAUSES } from './io-pins.js';
import { SIZE_CLAUSES } from './io-sizes.js';
import type { IoCapability, IoSubject } from './io-subject.js';
import { TRANSFER_CLAUSES } from './io-transfers.js';
import { WRITE_BACK_CLAUSES } from './io-write-back.js';
import { type Manifest, runSuite, type SubjectFactory, type Suite, type TestRunner } from './suite.js';

/** All clauses about I/O backends. */
export const IO_SUITE: Suite<IoSubject, IoCapability> = {
  name: 'I/O backend',
  clauses: [
    ...OPENING_CLAUSES,
    ...TRANSFER_CLAUSES,
    ...SIZE_CLAUSES,
    ...BATCH_CLAUSES,
    ...DIRECTORY_CLAUSES,
    ...LOCK_CLAUSES,
    ...PIN_CLAUSES,
    ...DURABILITY_CLAUSES,
    ...WRITE_BACK_CLAUSES,
  ],
};

/** How the suite gets a backend, and what the backend can. */
export interface IoConformanceOptions extends SubjectFactory<IoSubject> {
  readonly capabilities: Manifest<IoCapability>;
}

/** Registers the suite of I/O backends with a test runner. */
export function ioConformance(runner: TestRunner, options: IoConformanceOptions): void {
  runSuite(IO_SUITE, runner, options, options.capabilities);
}
