/** The engine façade: what programs use of an open store. */
export { type AttachOptions, attachEngine } from './attach.js';
export type { BackupOptions, BackupReport } from './backup.js';
export type { BulkLoadOptions, BulkLoadProgress, BulkLoadReport } from './bulk-load.js';
export type { CheckpointOptions } from './checkpoints.js';
export type { CompactOptions, CompactReport } from './compact.js';
export {
  Engine,
  type EngineBatch,
  type EngineBatchOperation,
  type EngineStats,
  type IndexInfo,
  type TransactionOptions,
} from './engine.js';
export type { EngineHandle } from './engine-handle.js';
export {
  EngineLog,
  type LoggedIndex,
  type LoggedOperation,
  type LoggedOperations,
  type LoggedOperationType,
  type LoggedTransaction,
  LoggedTransactions,
  type LogReadOptions,
} from './engine-log.js';
export type { EntryStream } from './entry-stream.js';
export {
  type BatchOperation,
  type DurableReadOptions,
  type IndexChange,
  IndexHandle,
  type KeyReadOptions,
  type ReadOptions,
} from './index-handle.js';
export type { IndexOptions } from './index-options.js';
export { type OpenOptions, openEngine } from './open.js';
export type { OpenSnapshotReport } from './open-snapshots.js';
export type { OpenTransactionOptions, OpenTransactionReport } from './open-transactions.js';
export type { EngineParts } from './parts.js';
export type { KeyRange, RangeOptions, TransactionRangeOptions } from './range.js';
export type { RecoveryProgress, RecoveryResult } from './recovery.js';
export type { RestoreOptions, RestoreProgress, RestoreReport } from './restore.js';
export { EngineSnapshot, type SnapshotOptions } from './snapshot.js';
export type { EngineStateName } from './state.js';
export { Transaction } from './transaction.js';
export type { VerifyOptions, VerifyReport } from './verify.js';
export type { BeginOptions, WriteOptions } from './write-options.js';
