/** What the authors of parts test with: conformance suites, a simulated device, a crash explorer, fuzzers. */

export {
  type CommitPolicyCapability,
  type CommitPolicyConformanceOptions,
  commitPolicyConformance,
  commitPolicySuite,
} from './conformance/commit-policy.js';
export {
  type ConcurrencyCapability,
  type ConcurrencyConformanceOptions,
  type ConcurrencyLimits,
  ConcurrencySubject,
  concurrencyConformance,
  concurrencySuite,
  type NewConcurrency,
} from './conformance/concurrency.js';
export {
  type LogCapability,
  type LogConformanceOptions,
  logConformance,
  logSuite,
  type NewLog,
} from './conformance/log.js';
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
export { Random } from './random.js';
export {
  bytes,
  ConcurrencyRig,
  codeOf,
  EVERYTHING,
  RIG_MAX_RECORD_SIZE,
  RigTarget,
  text,
} from './rig/concurrency-rig.js';
export { isPowerLoss, LogHistory } from './rig/log-history.js';
export { assertSameRecord, assertSameRecords, recordOf } from './rig/log-records.js';
export {
  LOG_DIRECTORY,
  LogStore,
  newSuperblock,
  type OpenedLog,
  openLog,
  readAll,
  recordsOn,
  STORE_ID,
  type Superblock,
  settled,
  stateOf,
} from './rig/log-store.js';
export { ScriptedStream } from './rig/scripted-stream.js';
export { type SortedEntry, SortedIndex, type SortedIndexHooks } from './rig/sorted-index.js';
