/** Pagewright, composed: `open` a store with the default engine, and all that is needed to compose another. */
export * from '@pagewright/core';
export { open, type OpenStoreOptions, type PluginEntry } from './open.js';
