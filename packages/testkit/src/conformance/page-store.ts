/**
 * What a page store must do for the indexes on it, and for whoever opens it after a crash. Everything is done through the
 * contract, on a simulated device; a store that keeps pages in memory alone runs the clauses that need no file.
 */
import { backupClauses } from './page-store-backups.js';
import { checkpointClauses } from './page-store-checkpoints.js';
import { compactionClauses } from './page-store-compaction.js';
import { fileClauses } from './page-store-files.js';
import { pageClauses } from './page-store-pages.js';
import { prefetchClauses } from './page-store-prefetch.js';
import { reachingClauses } from './page-store-reaching.js';
import { readerClauses } from './page-store-readers.js';
import { roomClauses } from './page-store-room.js';
import type { PageStoreCapability, PageStoreSubject } from './page-store-subject.js';
import { threadClauses } from './page-store-threads.js';
import { type Manifest, runSuite, type SubjectFactory, type Suite, type TestRunner } from './suite.js';

/** Clauses for what is registered under `PAGES`. */
export const pageStoreSuite: Suite<PageStoreSubject, PageStoreCapability> = {
  name: 'page store',
  clauses: [
    ...pageClauses,
    ...reachingClauses,
    ...prefetchClauses,
    ...checkpointClauses,
    ...backupClauses,
    ...compactionClauses,
    ...fileClauses,
    ...roomClauses,
    ...readerClauses,
    ...threadClauses,
  ],
};

/** Registers the clauses for page stores with a test runner. */
export function pageStoreConformance(
  runner: TestRunner,
  factory: SubjectFactory<PageStoreSubject>,
  manifest: Manifest<PageStoreCapability>,
): void {
  runSuite(pageStoreSuite, runner, factory, manifest);
}
