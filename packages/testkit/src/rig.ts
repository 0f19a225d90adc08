/** What the suites of logs and concurrency control stand on: records, a store with nothing but a log, an index in an array. For tests beside them. */
export {
  bytes,
  ConcurrencyRig,
  codeOf,
  EVERYTHING,
  RIG_MAX_RECORD_SIZE,
  RigTarget,
  RigThread,
  text,
} from './rig/concurrency-rig.js';
export { isPowerLoss, LogHistory } from './rig/log-history.js';
export { assertSameRecord, assertSameRecords, inObjects, recordOf } from './rig/log-records.js';
export {
  type AttachedLog,
  LOG_DIRECTORY,
  LogStore,
  newSuperblock,
  type OpenedLog,
  openLog,
  readAll,
  recordsOn,
  STORE_ID,
  type Superblock,
  settled,
  stateOf,
} from './rig/log-store.js';
export { type ArchivePart, MemoryArchive, recordsIn } from './rig/memory-archive.js';
export { ScriptedStream } from './rig/scripted-stream.js';
export { type SortedEntry, SortedIndex, type SortedIndexHooks } from './rig/sorted-index.js';
