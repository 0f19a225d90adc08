/** What a backend does with names: directories, and how files get and lose theirs. By `node:fs`, whatever moves the bytes of files. */
import fs from 'node:fs';
import type { IoBackend } from '@pagewright/core/contracts';
import { ask, askUnless } from './ask.js';
import { faultOf, shown } from './fault.js';

/** The part of a backend that opens no file. */
export class Directories implements Omit<IoBackend, 'name' | 'probe' | 'open' | 'openSync'> {
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
    await ask({ operation: `rename to ${shown(to)}`, path: from }, (done) => fs.rename(from, to, done));
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
}
