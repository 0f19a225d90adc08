/** The allocation map as the file has it. A superblock names it by its address and checksum; it is trusted only if it matches that, and the file has all that it names. */
import { crc32 } from 'node:zlib';
import { PagewrightError } from '@pagewright/core/contracts';
import { type AllocationMap, decodeMap } from './allocation-map.js';
import type { PageFile } from './page-file.js';
import type { Superblock } from './superblock.js';

/** The newest map that can be read: a reader that could not pin it may find that its space was used again. Errors: `PW_CORRUPT_FILE`, `PW_IO`. */
export async function readMap(file: PageFile): Promise<AllocationMap | null> {
  for (;;) {
    try {
      return await mapOf(file, file.superblock);
    } catch (error) {
      const newer = (await file.reader?.newer()) ?? null;
      if (newer === null) throw error;
      file.adopt(newer);
    }
  }
}

/** The map that this superblock names; null if it names none. Errors: `PW_CORRUPT_FILE`, `PW_IO`. */
export async function mapOf(file: PageFile, { mapAddress, mapChecksum }: Superblock): Promise<AllocationMap | null> {
  const { path } = file.io;
  if (mapAddress === 0) return null;
  const bytes = file.bytesOf(mapAddress);
  if (file.offsetOf(mapAddress) + bytes > file.io.size()) throw truncated(path, file.io.size());
  const block = Buffer.alloc(bytes);
  await file.io.read(block, file.offsetOf(mapAddress));
  if (crc32(block) !== mapChecksum) {
    throw new PagewrightError(
      'PW_CORRUPT_FILE',
      `The allocation map of ${path} does not match its checksum. Restore the file from a backup.`,
      { details: { path, offset: file.offsetOf(mapAddress) } },
    );
  }
  const map = decodeMap(block, file.reservedUnits, path);
  if (map.units * file.pageSize > file.io.size()) throw truncated(path, file.io.size(), map.units * file.pageSize);
  return map;
}

function truncated(path: string, bytes: number, expected?: number): PagewrightError {
  const should = expected === undefined ? '' : `; it had ${expected}`;
  return new PagewrightError(
    'PW_CORRUPT_FILE',
    `${path} is cut off at ${bytes} bytes${should}. Restore the file from a backup.`,
    {
      details: { path, bytes, ...(expected === undefined ? {} : { expected }) },
    },
  );
}
