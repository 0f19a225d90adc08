/**
 * Every error that Pagewright raises on purpose, in one place. `docs/errors.md` has a section for each code; a test
 * holds the two together. A message says what happened, to what, and what to do.
 */

/** What is wrong and what to do, for each stable code. The text is the code's meaning, not the message of an instance. */
export const ERROR_CODES = {
  // Composition
  PW_CONFIG: 'The engine cannot be composed as asked; `problems` lists everything that is wrong.',
  PW_PLUGIN_UNKNOWN: 'A plugin of that name cannot be found.',
  PW_PLUGIN_INVALID:
    'What was given as a plugin is not one, stands where another kind is wanted, or does not do what its definition says.',
  PW_PLUGIN_CONTRACT: 'A plugin was built for another version of the contracts.',
  PW_PLUGIN_DUPLICATE: 'Two plugins have the same name, or provide the same token.',
  PW_PLUGIN_MISSING: 'A plugin requires what no plugin provides.',
  PW_OPTION_INVALID: 'An option has a value that its plugin does not accept.',
  PW_UNSUPPORTED:
    'What was asked for cannot be had here: none of the I/O plugins works on this machine, or a part cannot do it.',

  // Opening
  PW_NOT_FOUND: 'There is no store at that path.',
  PW_EXISTS: 'There is a store at that path already.',
  PW_NOT_A_STORE: 'The file is not a Pagewright store.',
  PW_FORMAT_VERSION: 'The store was written in a format that this release does not know.',
  PW_PAGE_SIZE: 'The store has another page size than was asked for.',
  PW_LOCKED: 'Another process, or this one, has the store open for writing.',
  PW_PERMISSION: 'The operating system does not permit access to the file.',

  // Damage
  PW_CORRUPT_FILE: 'The page file is damaged in a place without which it cannot be opened.',
  PW_CORRUPT_PAGE: 'A page does not match the checksum that is kept where it is named.',
  PW_CORRUPT_LOG: 'The log is damaged, or a part of it is missing, below what was acknowledged.',

  // Archive
  PW_ARCHIVE_FAILED:
    'The log could not be archived when the store was closed; it is kept until the store is opened again.',
  PW_ARCHIVE_GAP: 'The archive does not have all commits that lead from the backup to where it is to be restored.',
  PW_RESTORE_POINT: 'What is to be restored is before the backup, or beyond the end of the archive.',
  PW_LOG_GONE: 'The log does not have the commits any more that a reader is to go on with.',

  // Use
  PW_CLOSED: 'The engine, index or file was used after it was closed.',
  PW_READ_ONLY: 'The engine was opened read-only, or turned read-only after a failure.',
  PW_INDEX_NAME: 'The name cannot be that of an index.',
  PW_INDEX_UNKNOWN: 'There is no index of that name, or no index plugin of that type.',
  PW_INDEX_MISMATCH: 'The index exists with another type or other encodings.',
  PW_INDEX_DROPPED: 'The index was dropped.',
  PW_INDEX_LOADING: 'The index is being loaded in bulk, and takes no change in place until that is over.',
  PW_KEY_EMPTY: 'The key has no bytes.',
  PW_KEY_TOO_LARGE: 'The key is larger than a quarter of a page.',
  PW_VALUE_TOO_LARGE: 'The value is larger than the largest page.',
  PW_UNSORTED: 'The entries of a bulk load are not in order of their keys, or two have the same key.',
  PW_ENCODING: 'A key or value cannot be encoded, or its bytes cannot be decoded.',
  PW_ARGUMENT: 'An argument of a call is not of the form that the call takes.',

  // Transactions
  PW_CONFLICT: 'Another transaction committed a change to the same key first.',
  PW_WRITER_BUSY: 'Another transaction writes, and this change can wait for it no longer.',
  PW_SNAPSHOT_TOO_OLD: 'The versions that the snapshot needs are gone.',
  PW_TXN_CLOSED: 'The transaction was committed or aborted already.',
  PW_TXN_TOO_LARGE:
    'The transaction writes more than the log takes in one record, or has read more than a serializable one remembers.',
  PW_COMMIT_UNKNOWN: 'The log failed while the commit was under way: after reopening it is there whole, or not at all.',

  // Resources and failures
  PW_IO: 'The operating system reported an error for a file operation.',
  PW_FULL: 'There is no room: the disk is full, or the store or its catalog has reached its largest size.',
  PW_POOL_EXHAUSTED: 'No page of the pool can be evicted.',
  PW_THREAD_LOST: 'A thread ended while it was changing what is in shared memory; reopening recovers from the log.',
  PW_ENGINE_FAILED: 'The engine met an error after which it cannot go on; reopening recovers from the log.',
  PW_INTERNAL: 'An invariant of the engine does not hold. This is a fault in Pagewright, or in a plugin.',
} as const;

/** One of the stable codes of {@link ERROR_CODES}. */
export type ErrorCode = keyof typeof ERROR_CODES;

/** One of several things that are wrong at once, as `PW_CONFIG` lists them. */
export interface Problem {
  readonly code: ErrorCode;
  /** Where in the config, as in `pages.memory` or `indexes[1]`. */
  readonly path: string;
  readonly message: string;
}

/** The values that a person needs to act on an error: file, offset, errno, sizes, names, the holder's pid. */
export type ErrorDetails = Readonly<Record<string, unknown>>;

/** The only class of error that Pagewright throws or rejects with. Tell errors apart by {@link PagewrightError.code}. */
export class PagewrightError extends Error {
  override readonly name = 'PagewrightError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
  /** All that is wrong, for `PW_CONFIG`; else empty. */
  readonly problems: readonly Problem[];

  constructor(
    code: ErrorCode,
    message: string,
    options: { cause?: unknown; details?: ErrorDetails; problems?: readonly Problem[] } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.details = options.details ?? {};
    this.problems = options.problems ?? [];
  }
}

/** Whether a value is a {@link PagewrightError}, of the given code if one is given. Works across copies of this package. */
export function isPagewrightError(error: unknown, code?: ErrorCode): error is PagewrightError {
  if (!(error instanceof Error) || error.name !== 'PagewrightError') return false;
  return code === undefined || (error as PagewrightError).code === code;
}

/** Throws `PW_INTERNAL` if an invariant does not hold. For places where the check is cheap beside what it guards. */
export function invariant(condition: boolean, message: string): asserts condition {
  if (!condition) throw new PagewrightError('PW_INTERNAL', `${message}. Please report this with what led to it.`);
}
