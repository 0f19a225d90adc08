/** The write-ahead log of Pagewright, and its commit policies. */
export type { WalOptions } from './options.js';
export { default, wal } from './plugin.js';
export { AutonomousPolicy, autonomousPolicy } from './policies/autonomous.js';
export { GroupPolicy, groupPolicy } from './policies/group.js';
export { PipelinedPolicy, pipelinedPolicy } from './policies/pipelined.js';
export { SyncPolicy, syncPolicy } from './policies/sync.js';
export { BUILT_IN_POLICIES, WriteAheadLog } from './write-ahead-log.js';
