/** Rare interleavings, forced: rounds of nested and overlapping operations, by seed. */
export {
  type RoundKind,
  runSchedules,
  ScheduleFailure,
  type ScheduleOptions,
  type ScheduleSubject,
  type ScheduleSummary,
} from './campaign.js';
export { ScheduleCoverage } from './coverage.js';
export type { EngineSubject, OpenEngine } from './engine-round.js';
export { type PausePolicy, policyFor } from './pause-policy.js';
export type { TreeSubject } from './tree-store.js';
