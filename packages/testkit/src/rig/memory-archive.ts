/** An archive in memory: segments as a log has archived them, to be read back. It can be told to fail, and notes what a log has done wrong with it. */
import assert from 'node:assert/strict';
import type { ArchivedSegment, ArchiveFunction, ArchiveSource, IoBackend, Log, ReplayedRecord } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { inObjects } from './log-records.js';
import { STORE_ID } from './log-store.js';

export class MemoryArchive implements ArchiveSource {
  readonly kept = new Map<string, Uint8Array>();
  /** Names, as they were asked to be archived, and what was said of them. */
  readonly asked: string[] = [];
  readonly told = new Map<string, Omit<ArchivedSegment, 'read'>>();
  /** What every call fails with. */
  failure: Error | null = null;
  /** Takes so many segments more. */
  room = Number.POSITIVE_INFINITY;
  /** Called before a segment is taken. What it throws is found in the end. */
  onSegment: ((segment: ArchivedSegment) => Promise<void>) | null = null;
  #wrong: unknown = null;

  /** What one log is given. */
  get archive(): ArchiveFunction {
    let isBusy = false;
    return async (segment) => {
      this.asked.push(segment.name);
      if (this.failure !== null) throw this.failure;
      if (this.room <= 0) throw new Error('The archive is full.');
      this.room--;
      try {
        assert.ok(!isBusy, `${segment.name} is archived while another segment is.`);
        isBusy = true;
        await this.onSegment?.(segment).catch((error) => {
          this.#wrong ??= error;
        });
        this.#keep(segment, await bytesOf(segment));
      } catch (error) {
        if (error instanceof assert.AssertionError) this.#wrong ??= error;
        throw error;
      } finally {
        isBusy = false;
      }
    };
  }

  list(): Iterable<string> {
    return this.kept.keys();
  }

  async read(name: string): Promise<Uint8Array> {
    const bytes = this.kept.get(name);
    assert.ok(bytes !== undefined, `${name} was read, and is not in the archive.`);
    return bytes;
  }

  /** The same once more, without a segment, or with other bytes in its place. */
  with(name: string, bytes: Uint8Array | null): MemoryArchive {
    const copy = new MemoryArchive();
    for (const [each, kept] of this.kept) copy.kept.set(each, kept);
    if (bytes === null) copy.kept.delete(name);
    else copy.kept.set(name, bytes);
    return copy;
  }

  /** Throws if a log has archived two segments at a time, or other bytes than before, or than it said. */
  assertSound(): void {
    if (this.#wrong !== null) throw this.#wrong;
  }

  #keep(segment: ArchivedSegment, bytes: Uint8Array): void {
    const { name, storeId, incarnation, segment: number, complete, firstTimestamp, lastTimestamp, lastTime } = segment;
    const before = this.kept.get(name);
    assert.equal(bytes.length, segment.bytes, `${name} has not as many bytes as was said.`);
    const isSame = before === undefined || Buffer.compare(before, bytes) === 0;
    assert.ok(isSame, `${name} was archived again with other bytes.`);
    this.kept.set(name, bytes);
    const rest = { complete, firstTimestamp, lastTimestamp, lastTime, bytes: bytes.length };
    this.told.set(name, { name, storeId, incarnation, segment: number, ...rest });
  }
}

/** What of an archive is asked for. Default: all. */
export interface ArchivePart {
  readonly from?: number;
  readonly until?: number | Date | null;
  readonly io?: IoBackend;
  readonly storeId?: string;
}

/** The records that a log which was just made finds in an archive. */
export async function recordsIn(
  log: Log,
  archive: ArchiveSource | string,
  { from = 0, until = null, io = new SimulatedDevice(), storeId = STORE_ID }: ArchivePart = {},
): Promise<ReplayedRecord[]> {
  assert.ok(log.replayArchive !== undefined, 'The log has no replayArchive().');
  if (archive instanceof MemoryArchive) archive.assertSound();
  const replay = await log.replayArchive({ io, archive, storeId, timestamp: from, until });
  const found: ReplayedRecord[] = [];
  for await (const record of replay.records()) found.push(inObjects(record));
  return found;
}

async function bytesOf(segment: ArchivedSegment): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of segment.read()) chunks.push(new Uint8Array(chunk));
  return new Uint8Array(Buffer.concat(chunks));
}
