/** What the authors of parts test with: conformance suites, a simulated device, a crash explorer, fuzzers. */
export { INDEX_SUITE, indexConformance } from './conformance/index-plugin.js';
export {
  entriesOf,
  keyBytes,
  keyText,
  type ModelEntry,
  ModeledIndex,
  readAll,
  type ScanForm,
  type ScannedEntry,
  valueBytes,
} from './conformance/index-plugin-model.js';
export type { IndexCapability, IndexUnderTest, ReopenableStore } from './conformance/index-plugin-subject.js';
export { checkTree } from './conformance/index-plugin-verification.js';
export {
  BrokenClause,
  brokenClauses,
  type Clause,
  type Manifest,
  runSuite,
  type SubjectFactory,
  type Suite,
  type TestRunner,
} from './conformance/suite.js';
export {
  type DiskOperation,
  dropAll,
  ioError,
  keepAll,
  keepSome,
  type OperationKind,
  SimulatedDevice,
  type Survival,
} from './device/simulated-device.js';
export { GuardedPages } from './pages/guarded-pages.js';
export { HostilePages } from './pages/hostile-pages.js';
export type { Chances, HostileCounts } from './pages/hostility.js';
export type { HostilePagesOptions } from './pages/options.js';
export { Random } from './random.js';
