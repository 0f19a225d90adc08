/** What the authors of parts test with: conformance suites, a simulated device, a crash explorer, fuzzers. */
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
export { Random } from './random.js';
