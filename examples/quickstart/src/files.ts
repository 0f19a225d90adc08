/** The data of the quickstart: every file below a directory, with its hash. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** What is stored for a file. */
export interface FileRecord {
  readonly size: number;
  /** Time of the last change, milliseconds since 1970. */
  readonly time: number;
  readonly sha256: Uint8Array;
  /** The first 4 KiB. */
  readonly head: Uint8Array;
  /** Number of the transaction that stored it. */
  readonly transaction: number;
}

const HEAD_BYTES = 4096;

/** Paths of all regular files below the directory, relative to it, in order. */
export async function listFiles(directory: string): Promise<string[]> {
  const paths: string[] = [];
  const pending = [directory];
  for (let folder = pending.pop(); folder !== undefined; folder = pending.pop()) {
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      // Links are neither: what they lead to may lie outside.
      if (entry.isDirectory()) pending.push(join(folder, entry.name));
      else if (entry.isFile()) paths.push(relative(directory, join(folder, entry.name)));
    }
  }
  return paths.sort();
}

/** Reads one file into what is stored of it. */
export async function readRecord(directory: string, path: string, transaction: number): Promise<FileRecord> {
  const file = join(directory, path);
  const [content, { mtimeMs }] = await Promise.all([readFile(file), stat(file)]);
  return {
    size: content.length,
    time: mtimeMs,
    sha256: createHash('sha256').update(content).digest(),
    head: content.subarray(0, HEAD_BYTES),
    transaction,
  };
}
