/**
 * Logs that are written byte by byte, as a writer with several writes in flight leaves them: records have their places from the beginning, and any
 * of them may be missing when the power is back. What is missing is zeros, or what an earlier use of the file has left there.
 */
import type { ReplayedRecord, TimestampRange } from '@pagewright/core';
import { Random, SimulatedDevice } from '@pagewright/testkit';
import { LOG_DIRECTORY, recordOf, STORE_ID, type Superblock } from '@pagewright/testkit/rig';
import type { Place } from '../src/format/place.js';
import {
  commitRecordSize,
  encodeBare,
  encodeCommit,
  RECORD_HEADER_SIZE,
  RECORD_MARK,
  RECORD_SEGMENT_END,
  recordSeed,
} from '../src/format/record.js';
import { encodeSegmentHeader, type Origin, SEGMENT_HEADER_SIZE } from '../src/format/segment-header.js';
import { segmentName } from '../src/format/segment-name.js';

/** A record of a crafted log, and where it lies. */
export interface Entry {
  readonly kind: 'commit' | 'mark' | 'end';
  readonly segment: number;
  readonly offset: number;
  readonly bytes: Uint8Array;
  /** Of a commit. */
  readonly record: ReplayedRecord | null;
}

/** What became of a record on its way to the disk. */
export type Fate = 'whole' | 'missing' | 'torn';

export interface CraftedOptions {
  readonly incarnation?: number;
  readonly storeId?: string;
  /** B, and the place of the checkpoint is the beginning. */
  readonly timestamp?: number;
  readonly origin?: Partial<Origin>;
}

const FILE_SIZE = 64 * 1024;
/** When everything was appended. Not 0, as no clock says that: the last bytes of a header are never zeros, wherever a sector begins. */
export const TIME = 1_700_000_000_000;

export class CraftedLog {
  readonly incarnation: number;
  readonly storeId: string;
  readonly entries: Entry[] = [];
  readonly #first: number;
  readonly #origin: Partial<Origin>;
  #end: Place = { segment: 1, offset: SEGMENT_HEADER_SIZE };
  #timestamp: number;

  constructor({ incarnation = 0x5f3a9c01, storeId = STORE_ID, timestamp = 0, origin = {} }: CraftedOptions = {}) {
    this.incarnation = incarnation;
    this.storeId = storeId;
    this.#first = timestamp + 1;
    this.#timestamp = timestamp;
    this.#origin = origin;
  }

  /** Behind the last record. */
  get end(): Place {
    return this.#end;
  }

  /** The last timestamp. */
  get timestamp(): number {
    return this.#timestamp;
  }

  get superblock(): Superblock {
    const { incarnation, storeId } = this;
    const log = { incarnation, segment: 1, offset: SEGMENT_HEADER_SIZE };
    return { mark: { timestamp: this.#first - 1, log }, storeId };
  }

  /** The next commit. `durable` is what its record says of the time when it was appended; by default that nothing is. */
  commit({ dependsOn = this.#timestamp, size = 200, durable = BEGINNING }: CommitChoices = {}): Entry {
    const record = { ...recordOf(this.#timestamp + 1, 0, size), dependsOn, time: TIME };
    const length = commitRecordSize(record.operations);
    const bytes = new Uint8Array(length);
    encodeCommit(bytes, viewOf(bytes), 0, length, this.#seed, durable, record, record.time);
    this.#timestamp = record.timestamp;
    return this.#add('commit', bytes, record);
  }

  mark(durable: Place): Entry {
    return this.#add('mark', this.#bare(RECORD_MARK, durable), null);
  }

  /** Goes on to the next segment. */
  goOn(durable: Place = BEGINNING): Entry {
    const entry = this.#add('end', this.#bare(RECORD_SEGMENT_END, durable), null);
    this.#end = { segment: entry.segment + 1, offset: SEGMENT_HEADER_SIZE };
    return entry;
  }

  pathOf(segment: number): string {
    return `${LOG_DIRECTORY}/${segmentName(this.incarnation, segment)}`;
  }

  /** The disk with what is left. `leftovers` seeds what lies in the files from an earlier use; without it that is zeros. */
  disk(fateOf: (entry: Entry) => Fate = () => 'whole', leftovers?: number): SimulatedDevice {
    const disk = new SimulatedDevice();
    for (let segment = 1; segment <= this.#end.segment; segment++) {
      disk.put(this.pathOf(segment), this.#contentOf(segment, fateOf, leftovers));
    }
    return disk;
  }

  #contentOf(segment: number, fateOf: (entry: Entry) => Fate, leftovers?: number): Uint8Array {
    const bytes = leftovers === undefined ? new Uint8Array(FILE_SIZE) : earlierUse(leftovers + segment, segment);
    const nowhere = { incarnation: 0, segment: 0, offset: 0 };
    const origin = { end: nowhere, timestamp: this.#first - 1, keptRanges: 0, first: this.#first, ...this.#origin };
    const { storeId, incarnation } = this;
    bytes.set(encodeSegmentHeader({ storeId, incarnation, segment, fileSize: FILE_SIZE, origin }));
    for (const entry of this.entries) {
      const fate = entry.segment === segment ? fateOf(entry) : 'missing';
      if (fate === 'whole') bytes.set(entry.bytes, entry.offset);
      else if (fate === 'torn') bytes.set(entry.bytes.subarray(0, entry.bytes.length - 8), entry.offset);
    }
    return bytes;
  }

  get #seed(): number {
    return recordSeed(this.incarnation, this.#end.segment, this.#end.offset);
  }

  #bare(kind: number, durable: Place): Uint8Array {
    const bytes = new Uint8Array(RECORD_HEADER_SIZE);
    encodeBare(bytes, viewOf(bytes), 0, kind, this.#seed, durable, TIME);
    return bytes;
  }

  #add(kind: Entry['kind'], bytes: Uint8Array, record: ReplayedRecord | null): Entry {
    const { segment, offset } = this.#end;
    if (offset + bytes.length > FILE_SIZE) throw new Error('The segment of a crafted log is full');
    const entry = { kind, segment, offset, bytes, record };
    this.entries.push(entry);
    this.#end = { segment, offset: offset + bytes.length };
    return entry;
  }
}

interface CommitChoices {
  readonly dependsOn?: number;
  readonly size?: number;
  readonly durable?: Place;
}

/** Nothing is durable but what was there when the log began. */
export const BEGINNING: Place = { segment: 1, offset: SEGMENT_HEADER_SIZE };

/** Commits one after another, some of which are missing: what there is of them, by timestamps. */
export function timestampsOf(records: readonly { readonly timestamp: number }[]): number[] {
  return records.map(({ timestamp }) => timestamp);
}

export function rangesOf(timestamps: readonly number[]): TimestampRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (const timestamp of timestamps) {
    const newest = ranges.at(-1);
    if (newest?.last === timestamp - 1) newest.last = timestamp;
    else ranges.push({ first: timestamp, last: timestamp });
  }
  return ranges;
}

/** Records of an earlier use of the file, of another place or another log, one after the other. */
function earlierUse(seed: number, segment: number): Uint8Array {
  const random = new Random(seed);
  const bytes = new Uint8Array(FILE_SIZE);
  const view = viewOf(bytes);
  for (let offset = SEGMENT_HEADER_SIZE; ; ) {
    const record = recordOf(random.below(1000) + 1, 7, random.below(600));
    const length = commitRecordSize(record.operations);
    if (offset + length > FILE_SIZE) return bytes;
    const durable = { segment: 1000, offset: 8 * random.below(1000) };
    const otherSeed = random.chance(0.5)
      ? recordSeed(0x1234, segment, offset)
      : recordSeed(0x5f3a9c01, segment + 7, offset);
    encodeCommit(bytes, view, offset, length, otherSeed, durable, record, 0);
    offset += length;
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
