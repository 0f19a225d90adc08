/**
 * The conformance suite for index plugins: `contracts/index-plugin.ts` and the part of `contracts/pages.ts` that an
 * index must keep, clause by clause. An index that passes has been held against a sorted map on stores that do
 * everything that a store may do; what is not asked is how fast it is, and how full its pages are.
 */
import { BULK_LOAD_CLAUSES } from './index-plugin-bulk-load.js';
import { CHECK_CLAUSES } from './index-plugin-check.js';
import { COUNT_CLAUSES } from './index-plugin-count.js';
import { CURSOR_CLAUSES } from './index-plugin-cursor.js';
import { ENTRY_CLAUSES } from './index-plugin-entries.js';
import { FAILURE_CLAUSES } from './index-plugin-failures.js';
import { KEY_CLAUSES } from './index-plugin-keys.js';
import { PAGE_CLAUSES } from './index-plugin-pages.js';
import { PREFETCH_CLAUSES } from './index-plugin-prefetch.js';
import { ROOM_CLAUSES } from './index-plugin-room.js';
import { STAMP_CLAUSES } from './index-plugin-stamps.js';
import { STORE_CLAUSES } from './index-plugin-store.js';
import type { IndexCapability, IndexUnderTest } from './index-plugin-subject.js';
import { type Manifest, runSuite, type Suite, type TestRunner } from './suite.js';

/** All clauses, for {@link brokenClauses}; {@link indexConformance} registers them with a test runner. */
export const INDEX_SUITE: Suite<IndexUnderTest, IndexCapability> = {
  name: 'index',
  clauses: [
    ...ENTRY_CLAUSES,
    ...KEY_CLAUSES,
    ...CURSOR_CLAUSES,
    ...STAMP_CLAUSES,
    ...PAGE_CLAUSES,
    ...ROOM_CLAUSES,
    ...FAILURE_CLAUSES,
    ...PREFETCH_CLAUSES,
    ...BULK_LOAD_CLAUSES,
    ...COUNT_CLAUSES,
    ...CHECK_CLAUSES,
    ...STORE_CLAUSES,
  ],
};

/**
 * Registers the suite with a test runner (`{ describe, it }` of vitest, of `node:test`, …) for a type of index. The manifest
 * says what the index can do beyond what all must; clauses about anything else are skipped, by name.
 */
export function indexConformance(
  runner: TestRunner,
  index: IndexUnderTest,
  manifest: Manifest<Exclude<IndexCapability, 'store'>>,
): void {
  runSuite(INDEX_SUITE, runner, { create: () => index }, { ...manifest, store: index.store !== undefined });
}
