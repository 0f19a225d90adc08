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
export { type Finding, type FuzzOptions, type FuzzSummary, fuzz, replay } from './fuzz/fuzzer.js';
export { type MinimalFinding, minimize } from './fuzz/minimize.js';
export { type Field, type Mutation, mutated } from './fuzz/mutator.js';
export { assertSurroundingsUntouched, Surroundings, surrounded } from './fuzz/surroundings.js';
export type { FuzzSeed, FuzzTarget } from './fuzz/target.js';
export { Random } from './random.js';
