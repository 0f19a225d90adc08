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
export { IO_SUITE, type IoConformanceOptions, ioConformance } from './conformance/io.js';
export type { IoCapability, IoSubject } from './conformance/io-subject.js';
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
export type { Fault, FaultRule, InjectedFault, Place } from './device/fault-plan.js';
export { type DiskOperation, ioError, type OperationKind, SECTOR } from './device/operation.js';
export { type DeviceOptions, SimulatedDevice } from './device/simulated-device.js';
export {
  dropAll,
  everySurvival,
  keepAll,
  keepSome,
  type Survival,
  sampledSurvivals,
  survivalOf,
  type Unsynced,
} from './device/survival.js';
export type { Schedule } from './device/turns.js';
export {
  type CrashExploration,
  CrashExplorer,
  type CrashFinding,
  type ExplorerOptions,
} from './explorer/crash-explorer.js';
export {
  type DiskFailure,
  FAILURES,
  type FaultExploration,
  FaultExplorer,
  type FaultFinding,
  type FaultOptions,
} from './explorer/fault-explorer.js';
export { type Content, differenceBetween, type Entry, History, type HistoryMark } from './explorer/history.js';
export { type LossChoice, lossesOf } from './explorer/losses.js';
export { type OpenOn, STORE_PATH, whatIsWrong } from './explorer/store-check.js';
export { labelOf, makeValue } from './explorer/value-labels.js';
export { makeWorkload, type Step, THEMES, type Theme, type Workload } from './explorer/workload.js';
export { readContent, WorkloadRun } from './explorer/workload-run.js';
export { type Finding, type FuzzOptions, type FuzzSummary, fuzz, replay } from './fuzz/fuzzer.js';
export { type MinimalFinding, minimize } from './fuzz/minimize.js';
export { type Field, type Mutation, mutated } from './fuzz/mutator.js';
export { assertSurroundingsUntouched, Surroundings, surrounded } from './fuzz/surroundings.js';
export type { FuzzSeed, FuzzTarget } from './fuzz/target.js';
export { GuardedPages } from './pages/guarded-pages.js';
export { HostilePages } from './pages/hostile-pages.js';
export type { Chances, HostileCounts } from './pages/hostility.js';
export type { HostilePagesOptions } from './pages/options.js';
export { Random } from './random.js';
export {
  type EngineSubject,
  type OpenEngine,
  type RoundKind,
  runSchedules,
  ScheduleCoverage,
  ScheduleFailure,
  type ScheduleOptions,
  type ScheduleSubject,
  type ScheduleSummary,
  type TreeSubject,
} from './schedules/index.js';
export { shrink } from './shrink.js';
