/**
 * Commits as the log has them, read while it is written: for those who carry changes elsewhere.
 *
 * Must hold: what a reader gets is durable, each commit once, in order of timestamps, and none that counts is left out; who goes on from the last one that
 * it has got gets the next one. What is not there any more is told (`PW_LOG_GONE`), never passed over.
 */
import type { ArchiveSource } from './archive.js';

export interface LogReadRequest {
  /** The last commit that the reader has: it gets those above it. 0: it has none. */
  readonly after: number;
  /** True: at the end it waits for what will be committed. False: it ends with the last commit that was appended when it was called, once that is durable. */
  readonly follow: boolean;
  /** Where segments are looked for that the log does not have any more. Default: where this log archives them, if that is a directory. */
  readonly archive?: string | ArchiveSource | undefined;
  /** Ends it with the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}
