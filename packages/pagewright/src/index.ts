/** Pagewright, composed: `open` a store with the default engine, and all that is needed to compose another. */
export * from '@pagewright/core';
export {
  type AttachStoreOptions,
  attach,
  type OpenStoreOptions,
  open,
  type PluginEntry,
  type RestoreStoreOptions,
  restore,
} from './open.js';
