/**
 * Compaction: how a page store is asked to make its file smaller, while other work goes on. What the pages mean is of no concern to it; how
 * fast it goes, and when it ends early, is of none to the store.
 *
 * Must hold: at every instant, and however it ends, the store is whole and can be opened; what a superblock, a reader or a backup
 * names stays where it is.
 */

/** How far a compaction is. */
export interface CompactProgress {
  /** Pages that were moved, or will be by the next checkpoint, of whatever size. One that has to be moved again counts again. */
  readonly pages: number;
  /** Bytes of these pages. */
  readonly bytes: number;
  /** Length of the file. */
  readonly fileBytes: number;
}

export interface CompactRequest {
  /** Only what is free at the end of the file is let go of: no page is moved, and none is read. Default: false. */
  readonly tailOnly?: boolean;
  /** Writes a checkpoint of now, with the store's `checkpoint`. It is asked for several, one after the other. What it rejects with ends the compaction. */
  checkpoint(): Promise<unknown>;
  /**
   * Called at the beginning, after each batch of 512 KiB or larger page, after each checkpoint, and at the end. What it returns is waited
   * for, so that it sets the pace; what it throws ends the compaction.
   */
  advanced(progress: CompactProgress): Promise<void> | void;
}

export interface CompactResult {
  /** Length of the file before and after. */
  readonly bytesBefore: number;
  readonly bytesAfter: number;
  /** Pages that were moved. */
  readonly pages: number;
  /**
   * Bytes of extents in the file that hold nothing the store needs, and are kept for the older superblock, a backup or verification that is
   * under way, or readers in other processes.
   */
  readonly retainedBytes: number;
}
