/**
 * Restores a store from a backup and archived segments of its log, to any commit between the end of the one and the end of the other. The backup is
 * copied as `backup` copies a store, page by page, each held against its checksum; what the archive has above it is done again as recovery does it.
 *
 * Must hold: at the path is nothing, or the restored store, whole and closed.
 */
import { dirname } from 'node:path';
import type { ArchiveReplay, ArchiveSource } from '../contracts/archive.js';
import type { IoBackend } from '../contracts/io.js';
import { BRANCH_LOG } from '../contracts/log.js';
import { refuseOccupied } from '../contracts/occupied.js';
import { isPagewrightError, PagewrightError } from '../errors.js';
import { checkArchive } from './archive-option.js';
import { Catalog } from './catalog.js';
import { namedByPath, partOf } from './part-names.js';
import type { EngineParts } from './parts.js';
import { Recovery } from './recovery.js';

/** How far a restoration is. */
export interface RestoreProgress {
  /** First the backup is copied, then commits are done again. */
  readonly phase: 'copy' | 'replay';
  /** Of the backup, that were copied and that there are: an estimate until it is copied. */
  readonly bytes: number;
  readonly totalBytes: number;
  /** Commits that were done again. */
  readonly commits: number;
  /** Segments of the archive that were begun, and that there are to read, at most. */
  readonly segments: number;
  readonly totalSegments: number;
}

export interface RestoreOptions {
  /** A file that `backup` wrote, or the file of a store that was closed. It is read, and not changed. */
  readonly backup: string;
  /** Where the log was archived: a directory, or an object that lists and reads. */
  readonly archive: string | ArchiveSource;
  /** Of the store to make. Nothing may be there, nor a log beside it. */
  readonly path: string;
  /**
   * The last commit that the store is to have, by its timestamp; a `Date`: all commits that were not made after it, by the clock of the machine
   * that made them. Default: all that there is.
   */
  readonly until?: number | Date | undefined;
  /** Ends it: the promise rejects with the signal's reason, and nothing is left at the path. */
  readonly signal?: AbortSignal | undefined;
  /** Told now and then how far it is. */
  readonly onProgress?: ((progress: RestoreProgress) => void) | undefined;
}

export interface RestoreReport {
  readonly path: string;
  /** Timestamp of the last commit that the store has. */
  readonly timestamp: number;
  /** When that was made; null if it is the last of the backup, which does not say. */
  readonly time: Date | null;
  /** Commits that were done again. */
  readonly commits: number;
  readonly durationMs: number;
}

const OPTIONS: readonly string[] = ['backup', 'archive', 'path', 'until', 'signal', 'onProgress'];

/** `reading` are parts for the backup, `writing` others for the store. Closes neither. Errors: see `Blueprint.restore`. */
export async function restoreStore(
  reading: EngineParts,
  writing: EngineParts,
  options: RestoreOptions,
): Promise<RestoreReport> {
  checkRestoreOptions(options);
  const begun = performance.now();
  const progress = new Progress(options);
  const { io } = writing;
  const { path } = options;
  const part = partOf(path);
  await refuseOccupied(io, path, 'No store was restored to');
  try {
    await removeRest(io, part);
    await copyBackup(reading, writing, part, options, progress);
  } catch (error) {
    throw namedByPath(error, path);
  }
  try {
    const restored = await replay(writing, part, options, progress);
    await refuseOccupied(io, path, 'No store was restored to');
    await io.rename(part, path);
    await io.syncDirectory(dirname(path));
    return { path, ...restored, durationMs: performance.now() - begun };
  } catch (error) {
    await writing.pages.close().catch(() => undefined);
    await io.remove(part).catch(() => undefined);
    throw namedByPath(error, path);
  }
}

/** Errors: `PW_ARGUMENT`. */
export function checkRestoreOptions(options: RestoreOptions): void {
  if (typeof options !== 'object' || options === null) throw wrong('restore takes an object with options.');
  const unknown = Object.keys(options).find((name) => !OPTIONS.includes(name));
  if (unknown !== undefined) throw wrong(`restore has no option '${unknown}'. There are: ${OPTIONS.join(', ')}.`);
  const { backup, path, archive, until, signal, onProgress } = options;
  for (const [name, value] of Object.entries({ backup, path })) {
    if (typeof value !== 'string' || value === '') throw wrong(`The option ${name} is a path.`);
  }
  checkArchive(archive);
  const isDate = until instanceof Date && !Number.isNaN(until.getTime());
  if (until !== undefined && !isDate && !(Number.isSafeInteger(until) && (until as number) >= 0))
    throw wrong('The option until is the timestamp of a commit, or a Date.');
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw wrong('The option signal is an AbortSignal.');
  if (onProgress !== undefined && !isFunction(onProgress)) throw wrong('The option onProgress is a function.');
}

/** Copies the backup, if the archive leads on from it. */
async function copyBackup(
  { pages, io }: EngineParts,
  writing: EngineParts,
  part: string,
  options: RestoreOptions,
  progress: Progress,
): Promise<void> {
  const { storeId, mark } = await pages.open({
    path: options.backup,
    io,
    create: false,
    errorIfExists: false,
    readOnly: true,
  });
  try {
    await openArchive(writing, options, storeId, mark.timestamp);
    await pages.backup({
      path: part,
      io: writing.io,
      advanced: ({ bytes, totalBytes }) => progress.tell({ bytes, totalBytes }),
    });
  } finally {
    await pages.close();
  }
}

/** Does again what the archive has above the backup, and closes the store. */
async function replay(
  parts: EngineParts,
  part: string,
  options: RestoreOptions,
  progress: Progress,
): Promise<Pick<RestoreReport, 'timestamp' | 'time' | 'commits'>> {
  const { io, pages, indexes } = parts;
  const { storeId, mark: backup } = await pages.open({
    path: part,
    io,
    create: false,
    errorIfExists: false,
    readOnly: false,
  });
  const catalog = Catalog.open(pages, indexes, { create: true, timestamp: backup.timestamp });
  const archive = await openArchive(parts, options, storeId, backup.timestamp);
  const recovery = new Recovery(pages, catalog, catalog.types, backup.timestamp);
  const tell = (commits: number): void => {
    progress.tell({ phase: 'replay', commits, segments: archive.segments, totalSegments: archive.totalSegments });
  };
  tell(0);
  const { records: commits } = await recovery
    .replay(archive, ({ records }) => tell(records))
    .catch((error) => {
      throw explained(error, recovery.timestamp);
    });
  const { timestamp } = recovery;
  // With all that there is also timestamps are there that were left out at the end: then the archive goes on from it.
  const end = options.until === undefined ? Math.max(timestamp, archive.lastTimestamp()) : timestamp;
  const steps = { gate: () => ({ timestamp: end, log: BRANCH_LOG }), secureLog: async () => undefined };
  // Two, as when a store is closed: both superblocks have the same.
  await pages.checkpoint(steps);
  await pages.checkpoint(steps);
  await pages.close();
  return { timestamp, time: archive.lastTime === null ? null : new Date(archive.lastTime), commits };
}

async function openArchive(
  { log, io }: EngineParts,
  { archive, until }: RestoreOptions,
  storeId: string,
  timestamp: number,
): Promise<ArchiveReplay> {
  if (log.replayArchive === undefined)
    throw new PagewrightError(
      'PW_UNSUPPORTED',
      'The log of this engine cannot be archived, so there is no archive to restore from.',
    );
  return log.replayArchive({ io, archive, storeId, timestamp, until: until ?? null });
}

/** What a commit that cannot be done again means here: its entries were loaded in bulk, and the log does not have them (T7). */
function explained(error: unknown, last: number): unknown {
  if (!isPagewrightError(error, 'PW_CORRUPT_LOG') || error.details.index === undefined) return error;
  const { index, timestamp } = error.details;
  return new PagewrightError(
    'PW_ARCHIVE_GAP',
    `Commit ${String(timestamp)} gives the index '${String(index)}' what was loaded into it in bulk, which is not in the log, and the backup is older. The last commit that can be restored from this backup is ${last}. Give an \`until\` of ${last} at most, or use a backup that was made after the load.`,
    { cause: error, details: { ...error.details, last } },
  );
}

class Progress {
  #progress: RestoreProgress = { phase: 'copy', bytes: 0, totalBytes: 0, commits: 0, segments: 0, totalSegments: 0 };

  constructor(private readonly options: RestoreOptions) {
    options.signal?.throwIfAborted();
  }

  /** Throws what ends it. */
  tell(changed: Partial<RestoreProgress>): void {
    const { signal, onProgress } = this.options;
    signal?.throwIfAborted();
    this.#progress = { ...this.#progress, ...changed };
    onProgress?.(this.#progress);
    signal?.throwIfAborted();
  }
}

/** What an earlier attempt has left is not whole, and of no use. `PW_LOCKED` if it is under way. */
async function removeRest(io: IoBackend, part: string): Promise<void> {
  if (!(await io.exists(part))) return;
  const file = await io.open(part, {});
  try {
    const lock = await file.lock();
    await io.remove(part).finally(() => lock.release());
  } finally {
    await file.close();
  }
}

function isFunction(value: unknown): boolean {
  return typeof value === 'function';
}

function wrong(message: string): PagewrightError {
  return new PagewrightError('PW_ARGUMENT', message);
}
