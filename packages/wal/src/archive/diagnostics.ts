/** What the archive tells those who listen, by `node:diagnostics_channel`. A message is made only if somebody has subscribed. */
import { channel } from 'node:diagnostics_channel';

/** A segment was archived, or could not be. On `pagewright:log:archive`. */
export interface LogArchived {
  /** Of the log's directory. */
  readonly path: string;
  readonly event: 'archived' | 'failed';
  /** Of the segment. */
  readonly name: string;
  /** Segments that wait, this one among them if it failed. */
  readonly waiting: number;
  /** Why it failed. */
  readonly error?: unknown;
}

const ARCHIVE_CHANNEL = channel('pagewright:log:archive');

export function tellArchived(path: string, name: string, waiting: number): void {
  if (!ARCHIVE_CHANNEL.hasSubscribers) return;
  ARCHIVE_CHANNEL.publish({ path, event: 'archived', name, waiting } satisfies LogArchived);
}

export function tellArchiveFailed(path: string, name: string, waiting: number, error: unknown): void {
  if (!ARCHIVE_CHANNEL.hasSubscribers) return;
  ARCHIVE_CHANNEL.publish({ path, event: 'failed', name, waiting, error } satisfies LogArchived);
}
