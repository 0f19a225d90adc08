/** What the authors of parts test with: conformance suites, a simulated device, a crash explorer, fuzzers. */

export {
  ANOMALY_NAMES,
  type Anomaly,
  type AnomalyKind,
  type AnomalyReport,
  allowedBy,
  type CheckOptions,
  fillLists,
  findAnomalies,
  forbiddenBy,
  HistoryCollector,
  HistoryError,
  INITIAL_TAG,
  type Interval,
  type IsolationLevel,
  initialKeys,
  type List,
  type LoadMemory,
  type LoadPlan,
  type LoadShare,
  type Outcome,
  type RecordedOperation,
  type RecordedTransaction,
  readLists,
  runTransactions,
  SharedClock,
  sharedMemoryOf,
  type Tag,
  type TransactionHistory,
  type TransactionId,
  TransactionRecorder,
  tagOf,
  transactionId,
} from './anomalies/index.js';
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
export { INDEX_SUITE, indexConformance } from './conformance/index-plugin.js';
export {
  entriesOf,
  keyBytes,
  keyText,
  type ModelEntry,
  ModeledIndex,
  readCursor,
  type ScanForm,
  type ScannedEntry,
  valueBytes,
} from './conformance/index-plugin-model.js';
export type { IndexCapability, IndexUnderTest, ReopenableStore } from './conformance/index-plugin-subject.js';
export { checkTree } from './conformance/index-plugin-verification.js';
export { IO_SUITE, type IoConformanceOptions, ioConformance } from './conformance/io.js';
export type { IoCapability, IoSubject } from './conformance/io-subject.js';
export {
  type LogCapability,
  type LogConformanceOptions,
  logConformance,
  logSuite,
  type NewLog,
} from './conformance/log.js';
export { pageStoreConformance, pageStoreSuite } from './conformance/page-store.js';
export type { PageStoreCapability, PageStoreSubject } from './conformance/page-store-subject.js';
export { copyOfModel, FANOUT, newModel, type PageModel, PageTree, pagesOf } from './conformance/page-tree.js';
export { PageTreeDriver } from './conformance/page-tree-driver.js';
export { replacementConformance, replacementSuite } from './conformance/replacement.js';
export { SimulatedFrames } from './conformance/replacement-frames.js';
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
export { translationConformance, translationSuite } from './conformance/translation.js';
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
export { readContent } from './explorer/reading.js';
export { type OpenOn, STORE_PATH, whatIsWrong } from './explorer/store-check.js';
export { labelOf, makeValue } from './explorer/value-labels.js';
export { makeWorkload, type Step, THEMES, type Theme, type Workload } from './explorer/workload.js';
export { WorkloadRun } from './explorer/workload-run.js';
export { type Finding, type FuzzOptions, type FuzzSummary, fuzz, replay } from './fuzz/fuzzer.js';
export { type MinimalFinding, minimize } from './fuzz/minimize.js';
export { type Field, type Mutation, mutated } from './fuzz/mutator.js';
export { assertSurroundingsUntouched, Surroundings, surrounded } from './fuzz/surroundings.js';
export type { FuzzSeed, FuzzTarget } from './fuzz/target.js';
export { GuardedPages } from './pages/guarded-pages.js';
export { HostilePages } from './pages/hostile-pages.js';
export type { Chances, HostileCounts } from './pages/hostility.js';
export type { HostilePagesOptions } from './pages/options.js';
// Loss of power on real files.
export { CuttableFileSystem, canCutFileSystems } from './power-cut/cuttable-file-system.js';
export { checkEndlessWork } from './power-cut/endless-check.js';
export { EndlessWork } from './power-cut/endless-work.js';
export { FileSystemPowerCuts } from './power-cut/file-system-power-cuts.js';
export { type ProcessPlan, runUntilKilled } from './power-cut/killed-process.js';
export { LayerPowerCuts } from './power-cut/layer-power-cuts.js';
export { everythingSurvives, type Loss, nothingSurvives, someSurvives } from './power-cut/loss.js';
export { type DirectoryImage, lossOfPower } from './power-cut/loss-of-power.js';
export type { Obtained } from './power-cut/native-programs.js';
export { type PowerCutOptions, type PowerCutSubject, PowerCuts, type RoundSummary } from './power-cut/power-cuts.js';
export { ProcessKills } from './power-cut/process-kills.js';
export { describeStandIns, type PowerCutStandIn, powerCutStandIns } from './power-cut/stand-ins.js';
export { type LayerSettings, VolatileLayer } from './power-cut/volatile-layer.js';
export { WriterRecord } from './power-cut/writer-record.js';
export { Random } from './random.js';
export { SCENARIOS, type Scenario, type ScenarioState } from './scenarios.js';
export {
  type EngineSubject,
  type OpenEngine,
  type PausePolicy,
  policyFor,
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
