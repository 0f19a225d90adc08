/**
 * Gives a file real blocks beyond its end, by writing zeros there. The zeros are appended through a descriptor of their
 * own: an append never lands on bytes that another thread or process has written meanwhile, where a write at an offset
 * would wipe them out.
 */
import fs from 'node:fs';
import { PagewrightError } from '@pagewright/core/contracts';
import { faultOf, noProgress } from './fault.js';
import type { Target } from './transfer.js';

const CHUNK_BYTES = 1 << 20;

/** Never written to. Made when first needed. */
let zeros: Uint8Array | undefined;

/** Extends the file to at least `end` bytes. @throws PW_FULL, PW_IO, PW_PERMISSION */
export function zeroFillSync(target: Target, end: number): void {
  try {
    if (fs.fstatSync(target.fd).size >= end) return;
    const appender = openAppenderSync(target);
    try {
      for (let size = fs.fstatSync(appender).size; size < end; size = grownFrom(size, appender, target)) {
        const chunk = nextChunk(size, end);
        fs.writeSync(appender, chunk, 0, chunk.length);
      }
    } finally {
      fs.closeSync(appender);
    }
  } catch (error) {
    throw faultOf(error, { operation: 'allocate', path: target.path, offset: end });
  }
}

/** Like {@link zeroFillSync}, on libuv's threads. */
export async function zeroFill(target: Target, end: number): Promise<void> {
  try {
    if (fs.fstatSync(target.fd).size >= end) return;
    const appender = openAppenderSync(target);
    try {
      for (let size = fs.fstatSync(appender).size; size < end; size = grownFrom(size, appender, target)) {
        await append(appender, nextChunk(size, end));
      }
    } finally {
      fs.closeSync(appender);
    }
  } catch (error) {
    throw faultOf(error, { operation: 'allocate', path: target.path, offset: end });
  }
}

/** A second descriptor of the same file, whose writes all go to the end. */
function openAppenderSync(target: Target): number {
  const flags = fs.constants.O_WRONLY | fs.constants.O_APPEND;
  if (process.platform === 'linux') {
    try {
      return fs.openSync(`/proc/self/fd/${target.fd}`, flags); // also finds a file that was renamed or removed
    } catch {
      // No /proc here: by its path, then.
    }
  }
  const appender = fs.openSync(target.path, flags);
  const [ours, theirs] = [fs.fstatSync(target.fd), fs.fstatSync(appender)];
  if (ours.ino === theirs.ino && ours.dev === theirs.dev) return appender;
  fs.closeSync(appender);
  throw new PagewrightError(
    'PW_IO',
    `Cannot allocate in ${target.path}: another file has taken its name since it was opened. Open it again.`,
    { details: { errno: 'ESTALE', operation: 'allocate', path: target.path } },
  );
}

/** The size of the file after an append. What swallows bytes and has no size, as /dev/null, would go on for ever. */
function grownFrom(size: number, appender: number, target: Target): number {
  const grown = fs.fstatSync(appender).size;
  if (grown > size) return grown;
  throw noProgress({ operation: 'allocate', path: target.path, offset: size });
}

function nextChunk(size: number, end: number): Uint8Array {
  zeros ??= new Uint8Array(CHUNK_BYTES);
  // The first chunk ends on a boundary of chunks: appends that begin within a block cost a read of it.
  const length = Math.min(end - size, CHUNK_BYTES - (size % CHUNK_BYTES));
  return zeros.subarray(0, length);
}

function append(fd: number, chunk: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.write(fd, chunk, 0, chunk.length, null, (error) => (error ? reject(error) : resolve()));
  });
}
