/** The life of a page store that keeps nothing: there is no file, so opening, checkpoints and closing have no effect. */
import {
  type BackupResult,
  type CheckpointResult,
  type CheckpointSteps,
  type CompactResult,
  NO_LOG,
  type StoreState,
  type VerifyProgress,
} from '@pagewright/core';

export abstract class VolatileStore {
  async open(): Promise<StoreState> {
    const mark = { timestamp: 0, log: NO_LOG };
    return { created: true, storeId: '0'.repeat(32), epoch: 0, mark, usedOlderSlot: false };
  }

  /** Nobody else writes it. */
  async follow(): Promise<null> {
    return null;
  }

  /** Goes through the steps; writes nothing. */
  async checkpoint(steps: CheckpointSteps): Promise<CheckpointResult> {
    const mark = steps.gate();
    await steps.secureLog(mark);
    return { epoch: 1, mark, olderMark: mark, pagesWritten: 0, bytesWritten: 0, durationMs: 0 };
  }

  async verify(): Promise<VerifyProgress> {
    throw new Error('There is no file, so there is nothing to verify');
  }

  share(): unknown {
    throw new Error('These pages are of one thread');
  }

  async attach(): Promise<void> {
    throw new Error('These pages are of one thread');
  }

  async backup(): Promise<BackupResult> {
    throw new Error('There is no file, so there is nothing to copy');
  }

  async compact(): Promise<CompactResult> {
    throw new Error('There is no file, so there is nothing to make smaller');
  }

  async close(): Promise<void> {}

  /** There is always room. */
  secureSpace(): void {}

  giveSpace(): void {}
}

/** What such a store has no numbers for. */
export const NO_FILE_STATS = {
  coolFrames: 0,
  dirtyFrames: 0,
  pageWrites: 0,
  pageWritesAhead: 0,
  evictionsAhead: 0,
  hits: 0,
  latchWaits: 0,
  bySizeClass: [],
  cooled: 0,
  rewarmed: 0,
  restarts: 0,
  checkpoints: 0,
  fileBytes: 0,
  freeFileBytes: 0,
  retainedFileBytes: 0,
  readers: 0,
  pinnedEpoch: null,
} as const;
