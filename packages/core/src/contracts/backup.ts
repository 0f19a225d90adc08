/**
 * Backup: how a page store is asked for a copy of its last checkpoint, while other work goes on. What the pages mean is of no
 * concern to it; how fast it goes, and when it ends early, is of none to the store.
 *
 * Must hold: at the path of the copy there is nothing, or the whole copy; whatever goes wrong with it, the store goes on.
 */
import type { IoBackend } from './io.js';
import type { CheckpointMark } from './pages.js';

/** How far a backup is. */
export interface BackupProgress {
  /** Pages that were copied, of whatever size. */
  readonly pages: number;
  /** Bytes of these pages. */
  readonly bytes: number;
  /** Bytes that there are to copy: an estimate until the last call, in which it is what was copied. */
  readonly totalBytes: number;
}

export interface BackupRequest {
  /** Where the copy will be. Nothing is there, nor a log beside it. */
  readonly path: string;
  /** Makes the copy. */
  readonly io: IoBackend;
  /**
   * Called before the first page is copied, then after every 512 KiB or larger page, and when all are copied. What it returns is waited
   * for, so that it sets the pace; what it throws ends the backup, and nothing is left of the copy.
   */
  advanced(progress: BackupProgress): Promise<void> | void;
}

export interface BackupResult {
  /** Number of the checkpoint that was copied. */
  readonly epoch: number;
  /** What that checkpoint stands for in the store: the copy itself names no log. */
  readonly mark: CheckpointMark;
  /** Pages in the copy. */
  readonly pages: number;
  /** Length of the copy's file. */
  readonly bytes: number;
}
