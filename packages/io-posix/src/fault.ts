/**
 * What the operating system reports, as Pagewright's errors: one code for each thing that a person can do about it, with
 * errno, path, operation and offset in the details.
 */
import { type ErrorCode, PagewrightError } from '@pagewright/core/contracts';

/** What was being done when the operating system refused. */
export interface Attempt {
  /** As a verb: `read`, `write`, `sync`, `open` … */
  readonly operation: string;
  readonly path: string;
  /** In bytes from the beginning of the file, where the operation has a place. */
  readonly offset?: number;
}

/** The error to raise for one that `node:fs` reported. Errors that are Pagewright's already are passed through. */
export function faultOf(error: unknown, attempt: Attempt): PagewrightError {
  if (error instanceof PagewrightError) return error;
  const errno = errnoOf(error);
  const code = codeOf(errno, attempt.operation);
  const place = attempt.offset === undefined ? '' : ` at offset ${attempt.offset}`;
  return new PagewrightError(
    code,
    `Cannot ${attempt.operation} ${shown(attempt.path)}${place}: ${errno}. ${adviceFor(code, errno, attempt)}`,
    { cause: error, details: { errno, ...attempt } },
  );
}

/** The error for a call whose arguments are not what it takes; `what` is wrong with them, as a sentence. */
export function wrongArgument(what: string, attempt: Attempt): PagewrightError {
  return new PagewrightError('PW_ARGUMENT', `Cannot ${attempt.operation} ${shown(attempt.path)}: ${what}`, {
    details: { ...attempt },
  });
}

/** A value of any kind as text. Of those that come from outside some throw when they are made a string. */
export function shown(value: unknown): string {
  if (value === null || (typeof value !== 'object' && typeof value !== 'function')) return String(value);
  return Object.prototype.toString.call(value);
}

/** The error for reading beyond the end of a file. */
export function endOfFile(path: string, offset: number): PagewrightError {
  return new PagewrightError(
    'PW_IO',
    `Cannot read ${path} at offset ${offset}: the file ends there. It is shorter than what refers to it says; if it was copied, copy it again whole.`,
    { details: { errno: 'EOF', operation: 'read', path, offset } },
  );
}

/** The error for a transfer that the system accepts again and again without moving a byte. */
export function noProgress(attempt: Attempt, cause?: unknown): PagewrightError {
  const errno = cause === undefined ? 'EIO' : errnoOf(cause);
  return new PagewrightError(
    'PW_IO',
    `Cannot ${attempt.operation} ${attempt.path} at offset ${attempt.offset}: the system moves no bytes. Check the device and the system's log.`,
    { cause, details: { errno, ...attempt } },
  );
}

/** The error for a call on a file that is closed. */
export function closed(operation: string, path: string): PagewrightError {
  return new PagewrightError('PW_CLOSED', `Cannot ${operation} ${path}: the file was closed. Open it again.`, {
    details: { errno: 'EBADF', operation, path },
  });
}

/** The error for changing a file that was opened for reading alone. */
export function readOnly(operation: string, path: string, offset?: number): PagewrightError {
  return new PagewrightError(
    'PW_READ_ONLY',
    `Cannot ${operation} ${path}: it was opened read-only. Open it without readOnly to change it.`,
    { details: { errno: 'EBADF', operation, path, ...(offset === undefined ? {} : { offset }) } },
  );
}

/** Errno as a name: `ENOSPC`; `UNKNOWN` for what is no system error. */
export function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  return typeof code === 'string' ? code : 'UNKNOWN';
}

/** Whether the call was only interrupted, and did nothing. */
export function isTransient(error: unknown): boolean {
  const errno = errnoOf(error);
  return errno === 'EINTR' || errno === 'EAGAIN';
}

function codeOf(errno: string, operation: string): ErrorCode {
  switch (errno) {
    case 'ENOSPC':
    case 'EDQUOT':
    case 'EFBIG':
      return 'PW_FULL';
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return 'PW_PERMISSION';
    case 'ENOENT':
    case 'ENOTDIR':
      return operation === 'open' ? 'PW_NOT_FOUND' : 'PW_IO';
    default:
      return errno.startsWith('ERR_') ? 'PW_ARGUMENT' : 'PW_IO';
  }
}

function adviceFor(code: ErrorCode, errno: string, attempt: Attempt): string {
  if (errno === 'EMFILE' || errno === 'ENFILE') return 'Too many files are open: close some, or raise `ulimit -n`.';
  switch (code) {
    case 'PW_FULL':
      return 'Free space on the device, or raise the quota or the file size limit.';
    case 'PW_PERMISSION':
      return 'Check the owner and mode of the file and its directory, and that the file system is not mounted read-only.';
    case 'PW_NOT_FOUND':
      return 'Check the path, and that its directory exists.';
    case 'PW_ARGUMENT':
      return 'The arguments are not of the form that this operation takes.';
    default:
      return attempt.operation === 'sync'
        ? 'What was written since the last sync may be lost. Check the device and the system’s log before the file is used again.'
        : 'Check the device and the system’s log.';
  }
}
