/** The file system through `node:fs`, as Pagewright's I/O contract has it. Works wherever Node.js does. */
import fs from 'node:fs';
import {
  type IoBackend,
  type IoFile,
  type IoModule,
  type OpenFlags,
  PagewrightError,
} from '@pagewright/core/contracts';
import { type Attempt, errnoOf, faultOf } from './fault.js';
import { NodeFile } from './file.js';

/** How {@link NodeFiles} works. */
export interface NodeFilesOptions {
  /**
   * Transfers of one `submit` that are in flight at a time, 1 to 1024. More than libuv has threads (4, or
   * `UV_THREADPOOL_SIZE`) keeps these busy, and makes other users of the pool wait. Default: 8.
   */
  readonly depth?: number;
}

const DEFAULT_DEPTH = 8;

/** Files by `node:fs`. Needs no native code; holds no state but its options, so that one may serve many engines. */
export class NodeFiles implements IoBackend {
  readonly name = '@pagewright/io-posix';
  readonly #depth: number;

  /** @throws PW_OPTION_INVALID */
  constructor(options: NodeFilesOptions = {}) {
    const depth = options.depth ?? DEFAULT_DEPTH;
    if (!Number.isInteger(depth) || depth < 1 || depth > 1024) {
      throw new PagewrightError('PW_OPTION_INVALID', `depth is ${depth}; it must be a whole number from 1 to 1024.`, {
        details: { option: 'depth', value: depth },
      });
    }
    this.#depth = depth;
  }

  /** None of a class that extends this one: it knows better. */
  get module(): IoModule | undefined {
    if (this.constructor !== NodeFiles) return undefined;
    return { url: new URL('./in-thread.js', import.meta.url).href, options: { depth: this.#depth } };
  }

  probe(): { readonly supported: boolean; readonly reason?: string } {
    return { supported: true };
  }

  /** @throws PW_NOT_FOUND, PW_PERMISSION, PW_FULL, PW_IO (`EISDIR` for a directory, `ENOTSUP` for a pipe) */
  async open(path: string, flags: OpenFlags): Promise<IoFile> {
    const fd = await ask<number>({ operation: 'open', path }, (done) => fs.open(path, modeOf(flags), done));
    try {
      const stats = await ask<fs.Stats>({ operation: 'open', path }, (done) => fs.fstat(fd, done));
      return this.#fileOf(fd, stats, path, flags);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  /** @throws the same as {@link open} */
  openSync(path: string, flags: OpenFlags): IoFile {
    const attempt = { operation: 'open', path };
    const fd = askSync(attempt, () => fs.openSync(path, modeOf(flags)));
    try {
      const stats = askSync(attempt, () => fs.fstatSync(fd));
      return this.#fileOf(fd, stats, path, flags);
    } catch (error) {
      fs.closeSync(fd);
      throw error;
    }
  }

  async exists(path: string): Promise<boolean> {
    return await askUnless(['ENOENT', 'ENOTDIR'], { operation: 'look up', path }, (done) => fs.stat(path, done));
  }

  async list(directory: string): Promise<string[]> {
    let entries: fs.Dirent[] = [];
    await askUnless(['ENOENT', 'ENOTDIR'], { operation: 'list', path: directory }, (done) =>
      fs.readdir(directory, { withFileTypes: true }, (error, found) => {
        if (!error) entries = found;
        done(error);
      }),
    );
    return entries.filter((entry) => !entry.isDirectory()).map((entry) => entry.name);
  }

  async makeDirectory(directory: string): Promise<void> {
    const attempt = { operation: 'make directory', path: directory };
    const made = await askUnless(['EEXIST'], attempt, (done) => fs.mkdir(directory, done));
    if (made) return;
    const stats = await ask<fs.Stats>(attempt, (done) => fs.stat(directory, done));
    if (!stats.isDirectory()) throw faultOf({ code: 'EEXIST' }, attempt);
  }

  async remove(path: string): Promise<void> {
    await askUnless(['ENOENT', 'ENOTDIR'], { operation: 'remove', path }, (done) => fs.unlink(path, done));
  }

  async removeDirectory(directory: string): Promise<void> {
    await askUnless(['ENOENT', 'ENOTEMPTY', 'EEXIST'], { operation: 'remove directory', path: directory }, (done) =>
      fs.rmdir(directory, done),
    );
  }

  async rename(from: string, to: string): Promise<void> {
    await ask({ operation: `rename to ${to}`, path: from }, (done) => fs.rename(from, to, done));
  }

  /** Does nothing on Windows, which has no such call, and on file systems that answer that they have none (`EINVAL`). */
  async syncDirectory(directory: string): Promise<void> {
    if (process.platform === 'win32') return;
    const attempt = { operation: 'sync', path: directory };
    const fd = await ask<number>(attempt, (done) =>
      fs.open(directory, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY, done),
    );
    try {
      await askUnless(['EINVAL'], attempt, (done) => fs.fsync(fd, done));
    } finally {
      fs.closeSync(fd);
    }
  }

  #fileOf(fd: number, stats: fs.Stats, path: string, flags: OpenFlags): NodeFile {
    // A directory opens for reading like a file, and fails at the first transfer; a pipe takes what nobody will read.
    if (stats.isDirectory()) throw faultOf({ code: 'EISDIR' }, { operation: 'open', path });
    if (stats.isFIFO()) throw faultOf({ code: 'ENOTSUP' }, { operation: 'open', path });
    return new NodeFile(fd, path, { readOnly: flags.readOnly === true, depth: this.#depth });
  }
}

function modeOf({ readOnly, create }: OpenFlags): number {
  return (
    (readOnly === true ? fs.constants.O_RDONLY : fs.constants.O_RDWR) |
    (create === true ? fs.constants.O_CREAT : 0) |
    (fs.constants.O_NONBLOCK ?? 0) // a pipe would wait for its other end
  );
}

type Callback<T> = (error: NodeJS.ErrnoException | null, value?: T) => void;

/** Calls back once, so that a call costs one promise; `fs/promises` costs several and a handle. */
function ask<T = void>(attempt: Attempt, start: (done: Callback<T>) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    try {
      start((error, value) => (error ? reject(faultOf(error, attempt)) : resolve(value as T)));
    } catch (error) {
      reject(faultOf(error, attempt)); // an argument that node:fs refuses at once, as a path with a NUL
    }
  });
}

function askSync<T>(attempt: Attempt, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw faultOf(error, attempt);
  }
}

/** Whether the call succeeded; false for one of the errors that its caller expects. */
async function askUnless(
  expected: readonly string[],
  attempt: Attempt,
  start: (done: Callback<unknown>) => void,
): Promise<boolean> {
  try {
    await ask(attempt, start);
    return true;
  } catch (error) {
    if (error instanceof PagewrightError && expected.includes(errnoOf(error.cause))) return false;
    throw error;
  }
}
