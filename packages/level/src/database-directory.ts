/** The directory that a database is in. The engine creates none. */
import { mkdir } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type ErrorCode, PagewrightError } from 'pagewright';

/** Creates it, and those that it is in, where they are missing. Errors: `PW_PERMISSION`, `PW_FULL`, `PW_IO`, as of the engine's own files. */
export async function makeDirectoryOf(location: string): Promise<void> {
  const path = dirname(location);
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    const errno = (error as NodeJS.ErrnoException).code ?? 'UNKNOWN';
    const [code, advice] = OF_ERRNO[errno] ?? ['PW_IO', 'Check the path, and the device.'];
    throw new PagewrightError(code, `Cannot create the directory ${path} of the database: ${errno}. ${advice}`, {
      cause: error,
      details: { errno, operation: 'mkdir', path },
    });
  }
}

const NOT_PERMITTED = ['PW_PERMISSION', 'Check the owner and mode of the directory that it is to be in.'] as const;
const FULL = ['PW_FULL', 'Free space on the device, or raise the quota.'] as const;
const NO_DIRECTORY = ['PW_IO', 'Part of the path is a file: correct the path.'] as const;

const OF_ERRNO: { readonly [errno: string]: readonly [ErrorCode, string] } = {
  EACCES: NOT_PERMITTED,
  EPERM: NOT_PERMITTED,
  EROFS: NOT_PERMITTED,
  ENOSPC: FULL,
  EDQUOT: FULL,
  EEXIST: NO_DIRECTORY,
  ENOTDIR: NO_DIRECTORY,
};
