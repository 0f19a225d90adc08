/** Changes the files of a log as a crash of many writes in flight, or decay, would have: commits that are missing, or that depend on others than they did. */
import { basename } from 'node:path';
import type { SimulatedDevice } from '@pagewright/testkit';
import {
  decodeCommit,
  decodeHeader,
  encodeCommit,
  RECORD_COMMIT,
  RecordHeader,
  recordSeed,
} from '../packages/wal/src/format/record.js';
import { segmentsAmong } from '../packages/wal/src/format/segment-name.js';
import { recordsOf } from './log-anatomy.js';

/** A commit, and where it lies. */
export interface LoggedCommit {
  readonly path: string;
  readonly incarnation: number;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly timestamp: number;
}

/** The commits in the segments of a disk, in order, as the page cache shows them. */
export function commitsOn(disk: SimulatedDevice): LoggedCommit[] {
  const commits: LoggedCommit[] = [];
  for (const path of disk.files()) {
    const [name] = segmentsAmong([basename(path)]);
    if (name === undefined) continue;
    const { incarnation, segment } = name;
    const bytes = disk.contentOf(path);
    for (const { kind, offset, length } of recordsOf(path, bytes)) {
      if (kind !== RECORD_COMMIT) continue;
      const { timestamp } = headerIn(bytes, incarnation, segment, offset);
      commits.push({ path, incarnation, segment, offset, length, timestamp });
    }
  }
  return commits.sort((a, b) => a.timestamp - b.timestamp);
}

/** As if the commit had never reached the disk. */
export function erase(disk: SimulatedDevice, { path, offset, length }: LoggedCommit): void {
  disk.put(
    path,
    disk
      .contentOf(path)
      .slice()
      .fill(0, offset, offset + length),
  );
}

/** As if the commit had depended on another one, or less had been durable when it was appended. */
export function rewrite(
  disk: SimulatedDevice,
  commit: LoggedCommit,
  { dependsOn, durable }: { readonly dependsOn?: number; readonly durable?: LoggedCommit },
): void {
  const { path, incarnation, segment, offset, length } = commit;
  const bytes = disk.contentOf(path).slice();
  const header = headerIn(bytes, incarnation, segment, offset);
  const found = decodeCommit(bytes.slice(), offset, header)!;
  const record = { ...found, dependsOn: dependsOn ?? found.dependsOn };
  const seed = recordSeed(incarnation, segment, offset);
  encodeCommit(bytes, new DataView(bytes.buffer), offset, length, seed, durable ?? header.durable, record, record.time);
  disk.put(path, bytes);
}

function headerIn(bytes: Uint8Array, incarnation: number, segment: number, offset: number): RecordHeader {
  const header = new RecordHeader();
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const seed = recordSeed(incarnation, segment, offset);
  if (!decodeHeader(bytes, view, offset, bytes.length - offset, seed, header))
    throw new Error('There is no record there');
  return header;
}
