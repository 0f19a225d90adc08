/** What the log of this package finds in archives. */
import type { ArchiveSource, ReplayedRecord } from '@pagewright/core';
import { type ArchivePart, recordsIn as recordsOf } from '@pagewright/testkit/rig';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { timestampsOf } from './crafted-log.js';

export function recordsIn(archive: ArchiveSource | string, part?: ArchivePart): Promise<ReplayedRecord[]> {
  return recordsOf(new WriteAheadLog(), archive, part);
}

/** Timestamps of that. */
export async function commitsIn(archive: ArchiveSource | string, part?: ArchivePart): Promise<number[]> {
  return timestampsOf(await recordsIn(archive, part));
}

export const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
