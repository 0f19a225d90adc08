/** Contracts, composition and engine façade of Pagewright. */
export * from './byte-size.js';
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
export * from './contracts/backup.js';
export * from './contracts/compaction.js';
export * from './contracts/concurrency.js';
export * from './contracts/index-plugin.js';
export * from './contracts/io.js';
export * from './contracts/log.js';
export * from './contracts/page-layout.js';
export * from './contracts/pages.js';
export * from './contracts/replacement.js';
export * from './contracts/swip-list.js';
export * from './contracts/translation.js';
export * from './contracts/verification.js';
export * from './encodings/index.js';
export * from './engine/index.js';
export * from './errors.js';
export * from './plugin.js';
export { driveSchedule, POINT, POINT_NAMES, type ScheduleDriver, schedulePoint } from './schedule.js';
export { hasSharedMemory } from './threads/posted.js';
export { SharedLatch } from './threads/shared-latch.js';
export { type Held, MOST_THREADS, Threads } from './threads/threads.js';
export * from './tokens.js';
