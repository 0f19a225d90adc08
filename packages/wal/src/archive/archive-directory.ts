/**
 * An archive that is a directory: a segment is written under a name that ends in `.pw-part`, synced, and renamed, and the directory is synced.
 *
 * Must hold: under the name of a segment is nothing, or all of it, durable.
 */
import { dirname, join } from 'node:path';
import type { ArchivedSegment, IoBackend } from '@pagewright/core';

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
