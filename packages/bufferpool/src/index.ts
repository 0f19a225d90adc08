/** The page store: a swizzled buffer pool over one page file, with copy-on-write checkpoints. */
export { BufferPool } from './buffer-pool.js';
export type { PoolCheckpoint, PoolEviction, PoolProvider, PoolRead, PoolStatistics } from './diagnostics.js';
export type { BufferPoolOptions } from './options.js';
export { bufferPool, bufferPool as default } from './plugin.js';
export type { PoolHandle } from './pool-memory.js';
export { builtInReplacements } from './replacement/choice.js';
export { builtInTranslations } from './translation/choice.js';
