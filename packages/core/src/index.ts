/** Contracts, composition and engine façade of Pagewright. */
export {
  type Blueprint,
  type Composition,
  compositionOf,
  type PluginDescription,
  type SkippedIo,
} from './composition/blueprint.js';
export { compose } from './composition/compose.js';
export { composeFrom } from './composition/compose-from.js';
export { inject, injectAll, injectable, Lifecycle } from './composition/container.js';
export type { ComposeFromOptions } from './composition/plugin-loader.js';
export { type ComposeConfig, type OneOrMore, SHARED_TOKENS } from './composition/slots.js';
export { type Release, TEARDOWN, TeardownStack } from './composition/teardown.js';
export * from './contracts/index.js';
export { copyOf } from './encodings/byte-slab.js';
export * from './encodings/index.js';
export * from './engine/index.js';
export * from './index-parts/index.js';
export { copyRange } from './operations/copy-range.js';
export { DecodedOperations, decodeOperations } from './operations/decoded-operations.js';
export { EncodedOperations, OPERATIONS_HEADROOM } from './operations/encoded-operations.js';
export {
  encodeOperationHead,
  encodeOperations,
  MOST_OPERATION_HEAD,
  OperationPlace,
  operationSize,
  operationsSize,
} from './operations/operation-encoding.js';
export * from './plugin.js';
