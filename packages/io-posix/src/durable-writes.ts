/**
 * A second descriptor of an open file, whose writes are durable when they return (`O_DSYNC`): a write and a sync cost one call, and one
 * turn of libuv's threads, instead of two. Linux alone: elsewhere `O_DSYNC` does not reach the device, or there is no way to
 * the file that does not go by its name, which another file may have by now.
 */
import fs from 'node:fs';
import type { Target } from './transfer.js';

/** Null where the system has none: then a sync follows each write. */
export function openDurableWrites({ fd, path }: Target): Target | null {
  if (process.platform !== 'linux' || fs.constants.O_DSYNC === undefined) return null;
  let own: number;
  try {
    own = fs.openSync(`/proc/self/fd/${fd}`, fs.constants.O_RDWR | fs.constants.O_DSYNC);
  } catch {
    return null; // no /proc, or no descriptor left
  }
  if (!isSameFile(own, fd)) {
    fs.closeSync(own);
    return null;
  }
  return { fd: own, path };
}

function isSameFile(a: number, b: number): boolean {
  const [one, other] = [fs.fstatSync(a, { bigint: true }), fs.fstatSync(b, { bigint: true })];
  return one.ino === other.ino && one.dev === other.dev;
}
