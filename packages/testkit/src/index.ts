/** What the authors of parts test with: conformance suites, a simulated device, a crash explorer, fuzzers. */
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
