/** How far a workload had come at an instant: what must be there after a crash at that instant, and what may be. */
import type { HistoryMark } from './history.js';

/** How far both histories had come at an instant. */
export interface RunMark {
  readonly ordered: HistoryMark;
  readonly inPlace: HistoryMark;
  /** Backups that had been asked for. */
  readonly backups: readonly BackupMark[];
}

/** How far a backup had come at an instant. */
export interface BackupMark {
  /** Where it is, when it is whole. */
  readonly path: string;
  /** What was acknowledged before it was asked for is in it, and nothing that was asked for after this instant, or its answer. */
  readonly ordered: HistoryMark;
  readonly inPlace: HistoryMark;
  readonly outcome: 'open' | 'made' | 'failed';
}
