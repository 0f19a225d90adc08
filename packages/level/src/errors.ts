/**
 * Errors as users of Level tell them apart. Each code of the engine stands for one of Level's; the engine's error, which has the values that a person
 * needs to act, is the cause.
 */
import { type ErrorCode, isPagewrightError, type PagewrightError } from 'pagewright';

/** Codes of abstract-level and classic-level; those below the line are of this package. */
export type LevelErrorCode =
  | 'LEVEL_ABORTED'
  | 'LEVEL_CORRUPTION'
  | 'LEVEL_DATABASE_NOT_OPEN'
  | 'LEVEL_DECODE_ERROR'
  | 'LEVEL_INVALID_KEY'
  | 'LEVEL_INVALID_VALUE'
  | 'LEVEL_IO_ERROR'
  | 'LEVEL_LOCKED'
  | 'LEVEL_NOT_SUPPORTED'
  | 'LEVEL_READONLY'
  // ──
  | 'LEVEL_COMMIT_UNKNOWN'
  | 'LEVEL_ENGINE_FAILED'
  | 'LEVEL_EXISTS'
  | 'LEVEL_INVALID_OPTION'
  | 'LEVEL_NOT_FOUND'
  | 'LEVEL_OUT_OF_SPACE'
  | 'LEVEL_SNAPSHOT_TOO_OLD'
  | 'LEVEL_TRANSACTION_CONFLICT'
  | 'LEVEL_TRANSACTION_NOT_OPEN'
  | 'LEVEL_TRANSACTION_TOO_LARGE';

export interface ErrorOptions {
  readonly cause?: unknown;
}

/** What this package throws and rejects with. Tell errors apart by {@link PagewrightLevelError.code}. */
export class PagewrightLevelError extends Error {
  readonly code: LevelErrorCode;

  constructor(code: LevelErrorCode, message: string, { cause }: ErrorOptions = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    // As on the web, and in abstract-level.
    this.name = code === 'LEVEL_ABORTED' ? 'AbortError' : 'PagewrightLevelError';
  }
}

const CODES: { readonly [Code in ErrorCode]: LevelErrorCode } = {
  PW_CONFIG: 'LEVEL_INVALID_OPTION',
  PW_PLUGIN_UNKNOWN: 'LEVEL_INVALID_OPTION',
  PW_PLUGIN_INVALID: 'LEVEL_INVALID_OPTION',
  PW_PLUGIN_CONTRACT: 'LEVEL_INVALID_OPTION',
  PW_PLUGIN_DUPLICATE: 'LEVEL_INVALID_OPTION',
  PW_PLUGIN_MISSING: 'LEVEL_INVALID_OPTION',
  PW_OPTION_INVALID: 'LEVEL_INVALID_OPTION',
  PW_PAGE_SIZE: 'LEVEL_INVALID_OPTION',
  PW_ARGUMENT: 'LEVEL_INVALID_OPTION',
  PW_INDEX_NAME: 'LEVEL_INVALID_OPTION',

  PW_UNSUPPORTED: 'LEVEL_NOT_SUPPORTED',
  PW_FORMAT_VERSION: 'LEVEL_NOT_SUPPORTED',
  PW_INDEX_MISMATCH: 'LEVEL_NOT_SUPPORTED',

  PW_NOT_FOUND: 'LEVEL_NOT_FOUND',
  PW_INDEX_UNKNOWN: 'LEVEL_NOT_FOUND',
  PW_INDEX_DROPPED: 'LEVEL_NOT_FOUND',
  PW_EXISTS: 'LEVEL_EXISTS',
  PW_LOCKED: 'LEVEL_LOCKED',
  PW_PERMISSION: 'LEVEL_IO_ERROR',

  PW_NOT_A_STORE: 'LEVEL_CORRUPTION',
  PW_CORRUPT_FILE: 'LEVEL_CORRUPTION',
  PW_CORRUPT_PAGE: 'LEVEL_CORRUPTION',
  PW_CORRUPT_LOG: 'LEVEL_CORRUPTION',
  // Bytes that no encoding of this package has made; what the program gives is told by what it is for.
  PW_ENCODING: 'LEVEL_CORRUPTION',
  PW_UNSORTED: 'LEVEL_CORRUPTION',

  PW_ARCHIVE_FAILED: 'LEVEL_IO_ERROR',
  PW_ARCHIVE_GAP: 'LEVEL_IO_ERROR',
  PW_RESTORE_POINT: 'LEVEL_IO_ERROR',
  PW_LOG_GONE: 'LEVEL_IO_ERROR',
  PW_IO: 'LEVEL_IO_ERROR',
  PW_FULL: 'LEVEL_OUT_OF_SPACE',
  PW_POOL_EXHAUSTED: 'LEVEL_OUT_OF_SPACE',

  PW_CLOSED: 'LEVEL_DATABASE_NOT_OPEN',
  PW_READ_ONLY: 'LEVEL_READONLY',
  PW_INDEX_LOADING: 'LEVEL_TRANSACTION_CONFLICT',
  PW_KEY_EMPTY: 'LEVEL_INVALID_KEY',
  PW_KEY_TOO_LARGE: 'LEVEL_INVALID_KEY',
  PW_VALUE_TOO_LARGE: 'LEVEL_INVALID_VALUE',

  PW_CONFLICT: 'LEVEL_TRANSACTION_CONFLICT',
  PW_WRITER_BUSY: 'LEVEL_TRANSACTION_CONFLICT',
  PW_SNAPSHOT_TOO_OLD: 'LEVEL_SNAPSHOT_TOO_OLD',
  PW_TXN_CLOSED: 'LEVEL_TRANSACTION_NOT_OPEN',
  PW_TXN_TOO_LARGE: 'LEVEL_TRANSACTION_TOO_LARGE',
  PW_COMMIT_UNKNOWN: 'LEVEL_COMMIT_UNKNOWN',
  PW_THREAD_LOST: 'LEVEL_ENGINE_FAILED',
  PW_ENGINE_FAILED: 'LEVEL_ENGINE_FAILED',
  PW_INTERNAL: 'LEVEL_ENGINE_FAILED',
};

/** The error that users of Level get for one of the engine; all others as they are. */
export function levelError(error: unknown): unknown {
  return isPagewrightError(error) ? of(error, error.message) : error;
}

/** The same when a database is opened, with the words that Level has for it. */
export function openingError(error: unknown, location: string): unknown {
  if (!isPagewrightError(error)) return error;
  if (error.code === 'PW_NOT_FOUND') {
    return of(error, `The database '${location}' does not exist, and was not to be created. ${error.message}`);
  }
  if (error.code === 'PW_EXISTS') return of(error, `The database '${location}' exists already. ${error.message}`);
  return of(error, error.message);
}

/** Throws what {@link levelError} makes of it. For promises. */
export function rethrow(error: unknown): never {
  throw levelError(error);
}

export function notOpen(): PagewrightLevelError {
  return new PagewrightLevelError('LEVEL_DATABASE_NOT_OPEN', 'Database is not open');
}

export function aborted(signal: AbortSignal): PagewrightLevelError {
  return new PagewrightLevelError('LEVEL_ABORTED', 'Operation has been aborted', { cause: signal.reason });
}

function of(error: PagewrightError, message: string): PagewrightLevelError {
  return new PagewrightLevelError(codeOf(error), message, { cause: error });
}

function codeOf({ code, details }: PagewrightError): LevelErrorCode {
  // Only what cannot be encoded has a purpose: what cannot be decoded is of the file.
  if (code !== 'PW_ENCODING' || details.what === undefined) return CODES[code];
  return details.what === 'value' ? 'LEVEL_INVALID_VALUE' : 'LEVEL_INVALID_KEY';
}
