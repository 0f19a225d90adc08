/**
 * An archive that is a directory: a segment is written under a name that ends in `.pw-part`, synced, and renamed, and the directory is synced.
 *
 * Must hold: under the name of a segment is nothing, or all of it, durable.
 */
import { dirname, join } from 'node:path';
import { type ArchivedSegment, type IoBackend, isPagewrightError, PagewrightError } from '@pagewright/core';

/** What says that the path is wrong. A full disk, or one that does not answer, may do so later: then archiving is tried again. */
const WRONG_PATH: readonly unknown[] = 'EEXIST ENOTDIR ENOENT EACCES EPERM EROFS ELOOP ENAMETOOLONG'.split(' ');

/** Makes the directory when the store is opened, so that a path at which none can be is known before there is anything to archive. Errors: `PW_OPTION_INVALID`. */
export async function makeArchive(io: IoBackend, directory: string): Promise<void> {
  try {
    await io.makeDirectory(directory);
  } catch (error) {
    if (!isPagewrightError(error) || !WRONG_PATH.includes(error.details.errno)) return;
    const { errno } = error.details;
    throw new PagewrightError(
      'PW_OPTION_INVALID',
      `The option archive cannot be used: ${directory} ${whatIsWrong(errno)} (${String(errno)}). Give the path of a directory, or of one that can be made in a directory that is there.`,
      { cause: error, details: { option: 'archive', path: directory, errno } },
    );
  }
}

function whatIsWrong(errno: unknown): string {
  if (errno === 'EEXIST') return 'is a file';
  if (errno === 'ENOENT') return 'is not there, and neither is the directory in which it would be';
  return 'cannot be made';
}

/** Archives into a directory, which is made when there is none; its parent must exist. */
export async function archiveInto(io: IoBackend, directory: string, segment: ArchivedSegment): Promise<void> {
  const path = join(directory, segment.name);
  await io.makeDirectory(directory);
  await io.syncDirectory(dirname(directory));
  if (!(await isThere(io, path, segment.bytes))) {
    await write(io, `${path}.pw-part`, segment);
    await io.rename(`${path}.pw-part`, path);
  }
  // Also when it was there: the crash may have come before this.
  await io.syncDirectory(directory);
}

/** Whether an earlier attempt has come so far: what has its name is whole. */
async function isThere(io: IoBackend, path: string, bytes: number): Promise<boolean> {
  if (!(await io.exists(path))) return false;
  const file = await io.open(path, { readOnly: true });
  const size = file.size();
  await file.close();
  return size === bytes;
}

async function write(io: IoBackend, path: string, segment: ArchivedSegment): Promise<void> {
  const file = await io.open(path, { create: true });
  try {
    // What an attempt left that failed is written anew: none of it is known to be durable (IO1).
    await file.truncate(0);
    let offset = 0;
    for await (const chunk of segment.read()) {
      await file.write(chunk, offset);
      offset += chunk.length;
    }
    await file.sync();
  } finally {
    await file.close();
  }
}
