/** An abstract-level database on Pagewright's engine, with transactions. */
export { type ErrorOptions, type LevelErrorCode, PagewrightLevelError } from './errors.js';
export {
  type IteratorOptions,
  type KeyIteratorOptions,
  PagewrightIterator,
  PagewrightKeyIterator,
  PagewrightValueIterator,
  type ReadAheadOptions,
  type ValueIteratorOptions,
} from './iterators.js';
export {
  type BatchOperation,
  type BatchOptions,
  type ChainedBatch,
  type ChainedBatchWriteOptions,
  type ClearOptions,
  type DatabaseOptions,
  type DelOptions,
  type OpenOptions,
  PagewrightLevel,
  type PutOptions,
} from './level.js';
export type { Format } from './stored-bytes.js';
export {
  type KeyOptions,
  LevelTransaction,
  type TransactionOptions,
  type TransactionRangeOptions,
  type ValueOptions,
} from './transaction.js';
export type { WriteOptions } from './write-options.js';
