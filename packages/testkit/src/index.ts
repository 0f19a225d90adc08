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
export { Random } from './random.js';
export { SCENARIOS, type Scenario, type ScenarioState } from './scenarios.js';
