/** A copy of the whole store while it is in use: what `engine.backup()` does beside the page store, which copies the pages. */
import type { BackupProgress } from '../contracts/backup.js';
import { PagewrightError } from '../errors.js';
import type { EngineCore } from './engine-core.js';
import { PacedWork } from './paced-work.js';
import { namedByPath } from './part-names.js';

export interface BackupOptions {
  /** Ends it: the promise rejects with the signal's reason, and nothing is left of the copy. */
  readonly signal?: AbortSignal | undefined;
  /** Told at the beginning, now and then, and at the end, how far it is. */
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined;
  /** It copies no more than this, in steps of 512 KiB or a larger page; a number of bytes, or as in `'32MiB'`. Default: no limit. */
  readonly bytesPerSecond?: number | string | undefined;
}

export interface BackupReport {
  /** Where the copy is. */
  readonly path: string;
  /** Timestamp of the last commit that is in it. */
  readonly timestamp: number;
  /** Number of the checkpoint that was copied. */
  readonly epoch: number;
  /** Pages in the copy, of whatever size. */
  readonly pages: number;
  /** Length of its file. */
  readonly bytes: number;
  /** With the checkpoint that it begins with, and the pauses that keep it slow. */
  readonly durationMs: number;
}

/** Errors: see `Engine.backup`. */
export async function backupEngine(core: EngineCore, path: string, options: BackupOptions): Promise<BackupReport> {
  const { pages, io, state, checkpoints, closing } = core;
  checkPath(path);
  const work = new PacedWork('backup', options, closing, () => state.assertUsable());
  // What is copied is a checkpoint, so a new one: it has all that was committed before the call.
  if (!state.openedReadOnly) await checkpoints.run(work.interrupted);
  work.assertGoesOn();
  const { epoch, mark, ...copied } = await pages.backup({ path, io, advanced: work.advanced }).catch((error) => {
    throw namedByPath(error, path);
  });
  return {
    path,
    timestamp: mark.timestamp,
    epoch,
    pages: copied.pages,
    bytes: copied.bytes,
    durationMs: work.durationMs,
  };
}

function checkPath(path: string): void {
  if (typeof path !== 'string' || path === '')
    throw new PagewrightError('PW_ARGUMENT', 'backup takes the path of the copy.');
}
