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
