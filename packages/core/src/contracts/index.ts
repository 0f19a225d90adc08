/**
 * What a part needs to be one: contracts, errors, tokens, and what threads and schedules are shared by. It loads nothing of composition, encodings or the engine, which a
 * thread that runs one part alone has no use for; `@pagewright/core` has it all.
 */
export * from '../byte-size.js';
export * from '../errors.js';
export { onAbort } from '../on-abort.js';
export { driveSchedule, POINT, POINT_NAMES, type ScheduleDriver, schedulePoint } from '../schedule.js';
export { hasSharedMemory } from '../threads/posted.js';
export { SharedLatch } from '../threads/shared-latch.js';
export { type Held, MOST_THREADS, Threads } from '../threads/threads.js';
export * from '../tokens.js';
export * from './archive.js';
export * from './backup.js';
export * from './compaction.js';
export * from './concurrency.js';
export * from './index-plugin.js';
export * from './io.js';
export * from './log.js';
export * from './log-reading.js';
export { refuseOccupied } from './occupied.js';
export * from './packed-entries.js';
export * from './page-layout.js';
export * from './pages.js';
export * from './replacement.js';
export * from './swip-list.js';
export * from './translation.js';
export * from './verification.js';
