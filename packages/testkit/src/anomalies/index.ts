/** Histories of concurrent transactions, and the anomalies in them. */
export { ANOMALY_NAMES, type AnomalyKind, allowedBy, type IsolationLevel } from './anomaly-kinds.js';
export { type AnomalyReport, type CheckOptions, findAnomalies, forbiddenBy } from './checker.js';
export type { Anomaly } from './findings.js';
export { HistoryCollector, SharedClock, TransactionRecorder } from './recorder.js';
export {
  HistoryError,
  INITIAL_TAG,
  type Interval,
  type List,
  type Outcome,
  type RecordedOperation,
  type RecordedTransaction,
  type Tag,
  type TransactionHistory,
  type TransactionId,
  tagOf,
  transactionId,
} from './transaction-history.js';
export {
  fillLists,
  initialKeys,
  type LoadMemory,
  type LoadPlan,
  type LoadShare,
  readLists,
  runTransactions,
  sharedMemoryOf,
} from './transaction-load.js';
