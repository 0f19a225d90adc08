/**
 * The archive: segments of the log that are kept after the store has no use for them. With a backup they give the state after any commit from
 * the backup's B on. What writes them is the log; where they go is a directory, or whatever a function does with them.
 *
 * Must hold: a segment is neither removed nor used again before it is archived. One that was archived may be archived again, with the same
 * bytes: a crash may come between archiving it and forgetting it.
 */
import type { IoBackend } from './io.js';
import type { LogReplay } from './log.js';

/** A segment of the log on its way to the archive. */
export interface ArchivedSegment {
  /** Under which the archive keeps it: `5f3a9c01-00000001.log`. It has the incarnation and the number; no two segments share one. */
  readonly name: string;
  /** Of the store, 32 hexadecimal digits: the same in its backups. */
  readonly storeId: string;
  /** The log from one opening of the store to the next. */
  readonly incarnation: number;
  /** Counted from 1 within the incarnation. */
  readonly segment: number;
  /** Bytes that {@link read} gives. */
  readonly bytes: number;
  /** Timestamp of the first commit in it; null if there is none. */
  readonly firstTimestamp: number | null;
  /** Timestamp of the last commit in it; null if there is none. */
  readonly lastTimestamp: number | null;
  /** When that was committed; null if there is none. */
  readonly lastTime: Date | null;
  /** True if the log goes on in the segment with the next number; false if it ended in this one, because the store was closed, or after a crash. */
  readonly complete: boolean;
  /** The bytes, in chunks, from the beginning: each call reads them anew. To be used before the function's promise is settled. */
  read(): AsyncGenerator<Uint8Array, void, void>;
}

/**
 * Archives a segment: resolves when it is safe. If it rejects, it is called again, later, with the same segment. Calls come one at a time, in the
 * order of the log, and may come again for a segment that was archived.
 */
export type ArchiveFunction = (segment: ArchivedSegment) => Promise<void>;

/** Where archived segments are read that are not in a directory: the counterpart of {@link ArchiveFunction}. */
export interface ArchiveSource {
  /** Names of what there is, in any order. Those that are no names of segments are left out. */
  list(): AsyncIterable<string> | Iterable<string> | Promise<Iterable<string>>;
  /** The bytes of one, whole. May be called more than once for a name. */
  read(name: string): Promise<Uint8Array>;
}

/** How far the archive is, in `stats()` of the log. */
export interface ArchiveStats {
  /** Segments that were archived since the log was opened. */
  readonly archivedSegments: number;
  /** Segments that wait for it, and keep their files. */
  readonly waitingSegments: number;
  /** Why the last attempt failed; null if it did not. */
  readonly lastError: Error | null;
}

export interface ArchiveReplayRequest {
  readonly io: IoBackend;
  /** A directory, or an object that lists and reads. */
  readonly archive: string | ArchiveSource;
  /** Of the backup. */
  readonly storeId: string;
  /** B: what the backup has. */
  readonly timestamp: number;
  /** The last commit that counts; a date stands for the last one that was not made after it; null for all that there is. */
  readonly until: number | Date | null;
}

/** What an archive has above a backup. */
export interface ArchiveReplay extends LogReplay {
  /** Segments that were opened, and that there are to read, at most. */
  readonly segments: number;
  readonly totalSegments: number;
  /** When the last commit that was read was made, in milliseconds since 1970; null before there was one. */
  readonly lastTime: number | null;
}
