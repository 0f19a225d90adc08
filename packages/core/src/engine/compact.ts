/** A smaller file while the store is in use: what `engine.compact()` does beside the page store, which moves the pages. */
import type { CompactProgress } from '../contracts/compaction.js';
import type { EngineCore } from './engine-core.js';
import { PacedWork } from './paced-work.js';

export interface CompactOptions {
  /** Ends it: the promise rejects with the signal's reason. What was moved until then stays moved. */
  readonly signal?: AbortSignal | undefined;
  /** Told at the beginning, now and then, and at the end, how far it is. */
  readonly onProgress?: ((progress: CompactProgress) => void) | undefined;
  /** It moves no more than this, in steps of 512 KiB or a larger page; a number of bytes, or as in `'32MiB'`. Default: no limit. */
  readonly bytesPerSecond?: number | string | undefined;
}

export interface CompactReport {
  /** Length of the page file before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Pages that were moved, of whatever size. */
  readonly pages: number;
  /**
   * Bytes in the file that hold nothing the store needs, and are kept for the older superblock, a backup or verification that is under way,
   * or readers in other processes. If there are many, another call makes the file smaller once these have ended.
   */
  readonly retainedBytes: number;
  /** With the checkpoints that it writes, and the pauses that keep it slow. */
  readonly durationMs: number;
}

/** Errors: see `Engine.compact`. */
export async function compactEngine(core: EngineCore, options: CompactOptions): Promise<CompactReport> {
  const { pages, state, checkpoints, closing } = core;
  const work = new PacedWork('compact', options, closing, () => state.assertWritable());
  const result = await pages.compact({ checkpoint: () => checkpoints.run(work.interrupted), advanced: work.advanced });
  return { ...result, durationMs: work.durationMs };
}
