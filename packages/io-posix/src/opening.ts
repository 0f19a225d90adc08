/** How a file is opened: what is no file is refused, and no descriptor is left of it. */
import fs from 'node:fs';
import type { OpenFlags, PagewrightError } from '@pagewright/core/contracts';
import { ask, askSync } from './ask.js';
import { errnoOf, faultOf, wrongArgument } from './fault.js';
import type { Target } from './transfer.js';

/** @throws PW_NOT_FOUND, PW_PERMISSION, PW_FULL, PW_ARGUMENT, PW_IO (`EISDIR` for a directory, `ENOTSUP` for a pipe) */
export async function openTarget(path: string, flags: OpenFlags): Promise<Target> {
  assertArguments(path, flags);
  const fd = await ask<number>({ operation: 'open', path }, (done) => fs.open(path, modeOf(flags), done));
  try {
    assertFile(await ask<fs.Stats>({ operation: 'open', path }, (done) => fs.fstat(fd, done)), path);
    return { fd, path };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/** @throws the same as {@link openTarget} */
export function openTargetSync(path: string, flags: OpenFlags): Target {
  assertArguments(path, flags);
  const attempt = { operation: 'open', path };
  const fd = askSync(attempt, () => fs.openSync(path, modeOf(flags)));
  try {
    assertFile(
      askSync(attempt, () => fs.fstatSync(fd)),
      path,
    );
    return { fd, path };
  } catch (error) {
    fs.closeSync(fd);
    throw error;
  }
}

/**
 * A second descriptor of the same file, for transfers past the page cache; -1 where its file system has none. By `node:fs`, which closes with a thread what
 * was opened there.
 * @throws PW_IO (`EMFILE`, `ENFILE`) and what else opening a file meets
 */
export function openDirectFd({ fd, path }: Target, readOnly: boolean): number {
  const { O_DIRECT = 0, O_RDONLY, O_RDWR } = fs.constants;
  // By its descriptor where there is such a name: another file may have its own by now.
  const name = process.platform === 'linux' ? `/proc/self/fd/${fd}` : path;
  try {
    return fs.openSync(name, (readOnly ? O_RDONLY : O_RDWR) | O_DIRECT);
  } catch (error) {
    if (errnoOf(error) === 'EINVAL') return -1;
    throw faultOf(error, { operation: 'open', path });
  }
}

/** Closes a descriptor. Returns what went wrong: another of the same file is still to be closed. */
export function closeDescriptor({ fd, path }: Target): PagewrightError | null {
  try {
    fs.closeSync(fd);
    return null;
  } catch (error) {
    return faultOf(error, { operation: 'close', path });
  }
}

function assertArguments(path: unknown, flags: unknown): void {
  const attempt = { operation: 'open', path: path as string };
  if (typeof path !== 'string') throw wrongArgument('the path must be a string.', attempt);
  if (typeof flags !== 'object' || flags === null) {
    throw wrongArgument('the flags must be an object: { create, readOnly }, or an empty one.', attempt);
  }
}

/** A directory opens for reading like a file, and fails at the first transfer; a pipe takes what nobody will read. */
function assertFile(stats: fs.Stats, path: string): void {
  if (stats.isDirectory()) throw faultOf({ code: 'EISDIR' }, { operation: 'open', path });
  if (stats.isFIFO()) throw faultOf({ code: 'ENOTSUP' }, { operation: 'open', path });
}

function modeOf({ readOnly, create }: OpenFlags): number {
  return (
    (readOnly === true ? fs.constants.O_RDONLY : fs.constants.O_RDWR) |
    (create === true ? fs.constants.O_CREAT : 0) |
    (fs.constants.O_NONBLOCK ?? 0) // a pipe would wait for its other end
  );
}
