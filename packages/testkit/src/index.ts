/** What the authors of parts test with: conformance suites, a simulated device, a crash explorer, fuzzers. */
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
export {
  type CrashExploration,
  CrashExplorer,
  type CrashFinding,
  type ExplorerOptions,
} from './explorer/crash-explorer.js';
export {
  FAULTS,
  type Fault,
  type FaultExploration,
  FaultExplorer,
  type FaultFinding,
  type FaultOptions,
} from './explorer/fault-explorer.js';
export { type Content, differenceBetween, type Entry, History, type HistoryMark } from './explorer/history.js';
export { type Loss, type LossChoice, lossesOf, lossNamed } from './explorer/losses.js';
export { shrink } from './explorer/shrink.js';
export { type OpenOn, STORE_PATH, whatIsWrong } from './explorer/store-check.js';
export { labelOf, makeValue } from './explorer/value-labels.js';
export { makeWorkload, type Step, THEMES, type Theme, type Workload } from './explorer/workload.js';
export { readContent, WorkloadRun } from './explorer/workload-run.js';
export { type Finding, type FuzzOptions, type FuzzSummary, fuzz, replay } from './fuzz/fuzzer.js';
export { type MinimalFinding, minimize } from './fuzz/minimize.js';
export { type Field, type Mutation, mutated } from './fuzz/mutator.js';
export { assertSurroundingsUntouched, Surroundings, surrounded } from './fuzz/surroundings.js';
export type { FuzzSeed, FuzzTarget } from './fuzz/target.js';
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
