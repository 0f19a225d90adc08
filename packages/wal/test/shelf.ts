/** An archive in memory, for logs that are archived and read back. */
import type { ArchivedSegment, ArchiveSource, IoBackend, ReplayedRecord } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { STORE_ID } from '@pagewright/testkit/rig';
import { expect } from 'vitest';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { timestampsOf } from './crafted-log.js';

/** It can be told to fail, and to take only so many segments more. */
export class Shelf implements ArchiveSource {
  readonly kept = new Map<string, Uint8Array>();
  /** Names, as they were asked to be archived, and of what was said of them. */
  readonly asked: string[] = [];
  readonly told = new Map<string, Omit<ArchivedSegment, 'read'>>();
  failure: Error | null = null;
  room = Number.POSITIVE_INFINITY;

  readonly archive = async (segment: ArchivedSegment): Promise<void> => {
    this.asked.push(segment.name);
    if (this.failure !== null) throw this.failure;
    if (this.room <= 0) throw new Error('the shelf is full');
    this.room--;
    const chunks: Uint8Array[] = [];
    for await (const chunk of segment.read()) chunks.push(chunk);
    const bytes = new Uint8Array(Buffer.concat(chunks));
    expect(bytes.length).toBe(segment.bytes);
    const before = this.kept.get(segment.name);
    if (before !== undefined) expect(Buffer.compare(before, bytes), `${segment.name}, archived again`).toBe(0);
    this.kept.set(segment.name, bytes);
    const { name, storeId, incarnation, segment: number, bytes: size, complete } = segment;
    const { firstTimestamp, lastTimestamp, lastTime } = segment;
    const rest = { storeId, bytes: size, complete, firstTimestamp, lastTimestamp, lastTime };
    this.told.set(name, { name, incarnation, segment: number, ...rest });
  };

  list(): Iterable<string> {
    return this.kept.keys();
  }

  async read(name: string): Promise<Uint8Array> {
    return this.kept.get(name) as Uint8Array;
  }
}

interface From {
  readonly from?: number;
  readonly until?: number | Date | null;
  readonly io?: IoBackend;
  readonly storeId?: string;
}

/** What an archive has above a backup. */
export async function recordsIn(
  archive: ArchiveSource | string,
  { from = 0, until = null, io = new SimulatedDevice(), storeId = STORE_ID }: From = {},
): Promise<ReplayedRecord[]> {
  const request = { io, archive, storeId, timestamp: from, until };
  const replay = await new WriteAheadLog().replayArchive(request);
  const found: ReplayedRecord[] = [];
  for await (const record of replay.records()) found.push(record);
  return found;
}

/** Timestamps of that. */
export async function commitsIn(archive: ArchiveSource | string, options?: From): Promise<number[]> {
  return timestampsOf(await recordsIn(archive, options));
}

export const upTo = (last: number, first = 1): number[] =>
  Array.from({ length: last - first + 1 }, (_, i) => first + i);
