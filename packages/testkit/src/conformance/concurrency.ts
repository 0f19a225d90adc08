/**
 * What every concurrency control keeps, over any index: what a snapshot sees never changes (T2, T3), versions live as
 * long as they are needed and no longer (T4), of two that change a key the first to commit wins, and an error leaves
 * everything as it was, or fails the engine (T6). One thread, which plays several where they are asked for; the index, the log and the page store are the suite's own.
 */

import {
  type ConcurrencyCapability,
  type ConcurrencyClause,
  ConcurrencySubject,
  type NewConcurrency,
} from './concurrency-clause.js';
import { collectionClauses } from './concurrency-collection.js';
import { commitClauses } from './concurrency-commits.js';
import { conflictClauses } from './concurrency-conflicts.js';
import { countingClauses } from './concurrency-counting.js';
import { deletedClauses } from './concurrency-deleted.js';
import { dependenceClauses } from './concurrency-dependence.js';
import { failureClauses } from './concurrency-failures.js';
import { followingClauses } from './concurrency-following.js';
import { interleavingClauses } from './concurrency-interleavings.js';
import { modelClauses } from './concurrency-model.js';
import { revocationClauses } from './concurrency-revocation.js';
import { serializableClauses } from './concurrency-serializable.js';
import { snapshotClauses } from './concurrency-snapshots.js';
import { threadClauses } from './concurrency-threads.js';
import { transactionClauses } from './concurrency-transactions.js';
import { turnClauses } from './concurrency-turns.js';
import { writerClauses } from './concurrency-writers.js';
import type { Manifest, Suite, TestRunner } from './suite.js';
import { runSuite } from './suite.js';

export {
  type ConcurrencyCapability,
  type ConcurrencyLimits,
  ConcurrencySubject,
  type NewConcurrency,
} from './concurrency-clause.js';

export interface ConcurrencyConformanceOptions {
  /** New concurrency control, with the limits that a clause asks for. */
  readonly create: NewConcurrency;
  /** Default: all but `turns`. */
  readonly manifest?: Manifest<ConcurrencyCapability>;
}

/** Registers the suite for one concurrency control with a test runner. */
export function concurrencyConformance(runner: TestRunner, { create, manifest }: ConcurrencyConformanceOptions): void {
  const everything = {
    snapshots: true,
    'write-conflicts': true,
    savepoints: true,
    revocation: true,
    threads: true,
    serializable: true,
  };
  runSuite(concurrencySuite, runner, { create: () => new ConcurrencySubject(create) }, manifest ?? everything);
}

/** The suite itself, for those who test suites. */
export const concurrencySuite: Suite<ConcurrencySubject, ConcurrencyCapability> = {
  name: 'concurrency control',
  clauses: [
    ...snapshotClauses,
    ...countingClauses,
    ...transactionClauses,
    ...conflictClauses,
    ...commitClauses,
    ...dependenceClauses,
    ...failureClauses,
    ...collectionClauses,
    ...deletedClauses,
    ...revocationClauses,
    ...followingClauses,
    ...threadClauses,
    ...interleavingClauses,
    ...turnClauses,
    ...serializableClauses,
    ...writerClauses,
    ...modelClauses,
  ].map(watched),
};

/** A clause holds only if the host was given its due besides. */
function watched(clause: ConcurrencyClause): ConcurrencyClause {
  return {
    ...clause,
    async check(subject) {
      await clause.check(subject);
      subject.assertSound();
    },
  };
}
