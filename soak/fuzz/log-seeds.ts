/** A log whose commits were all acknowledged and whose process was then killed: what the fuzzers of the log damage. */
import { basename } from 'node:path';
import {
  NO_LOG,
  OPERATION_DELETE,
  OPERATION_PUT,
  type ReplayedRecord,
  type StoreState,
  Threads,
} from '@pagewright/core';
import { type Random, SimulatedDevice } from '@pagewright/testkit';
import { WriteAheadLog } from '@pagewright/wal';
import { record as format, segmentHeader, segmentName } from './internals.js';

export const DIRECTORY = '/store/fuzzed.pw-wal';
const STORE_ID = '0123456789abcdef0123456789abcdef';
const SEGMENT_SIZE = 64 * 1024;

export interface KilledLog {
  readonly state: StoreState;
  readonly files: ReadonlyMap<string, Uint8Array>;
  /** All that was acknowledged, in order. */
  readonly acknowledged: readonly ReplayedRecord[];
  readonly records: readonly FoundRecord[];
}

/** A record, and where it lies. */
export interface FoundRecord {
  readonly path: string;
  readonly incarnation: number;
  readonly segment: number;
  readonly offset: number;
  readonly length: number;
  readonly kind: number;
  readonly durable: { readonly segment: number; readonly offset: number };
}

/** A log with records of these sizes. Its timers have written that all of it is durable. */
export async function killedLog(random: Random, sizes: readonly number[]): Promise<KilledLog> {
  const disk = new SimulatedDevice();
  const log = new WriteAheadLog({ segmentSize: SEGMENT_SIZE, commit: 'sync' });
  const empty = stateAt({ timestamp: 0, log: NO_LOG });
  const onFailure = (error: Error): never => {
    throw error;
  };
  const replay = await log.open({
    directory: DIRECTORY,
    io: disk,
    state: empty,
    threads: Threads.alone(),
    readOnly: false,
    onFailure,
  });
  for await (const _ of replay.records());
  const mark = log.begin();
  await log.secure(mark);
  const acknowledged = sizes.map((size, i) => commitOf(random, i + 1, size));
  for (const commit of acknowledged) {
    log.reserveSync(log.sizeOf(commit.operations));
    await log.commit(log.append(commit));
  }
  let files = contentsOf(disk);
  while (!tellsAllDurable(files)) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    files = contentsOf(disk);
  }
  await log.close({ discard: false });
  return { state: stateAt({ timestamp: 0, log: mark }), files, acknowledged, records: recordsIn(files) };
}

function stateAt(mark: StoreState['mark']): StoreState {
  return { created: false, storeId: STORE_ID, epoch: 1, mark, usedOlderSlot: false };
}

function commitOf(random: Random, timestamp: number, size: number): ReplayedRecord {
  const operations = Array.from({ length: random.between(1, 4) }, (_, i) => ({
    kind: i === 3 ? OPERATION_DELETE : OPERATION_PUT,
    index: random.between(1, 400),
    key: random.fill(new Uint8Array(random.between(1, 20))),
    value: i === 3 ? new Uint8Array(0) : random.fill(new Uint8Array(i === 0 ? size : random.below(30))),
  }));
  return { timestamp, dependsOn: timestamp - 1, time: 0, operations };
}

function contentsOf(disk: SimulatedDevice): Map<string, Uint8Array> {
  return new Map(disk.files().map((path) => [path, disk.contentOf(path)]));
}

function recordsIn(files: ReadonlyMap<string, Uint8Array>): FoundRecord[] {
  const found: FoundRecord[] = [];
  for (const [path, bytes] of files) {
    const [name] = segmentName.segmentsAmong([basename(path)]);
    if (name === undefined) continue;
    const { incarnation, segment } = name;
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const header = new format.RecordHeader();
    for (
      let offset = segmentHeader.SEGMENT_HEADER_SIZE;
      offset + format.RECORD_HEADER_SIZE <= bytes.length;
      offset += header.length
    ) {
      const seed = format.recordSeed(incarnation, segment, offset);
      if (!format.decodeHeader(bytes, view, offset, bytes.length - offset, seed, header)) break;
      const { length, kind, durable } = header;
      found.push({ path, incarnation, segment, offset, length, kind, durable });
    }
  }
  return found;
}

/** Whether the last record is a mark that says of all before it that it is durable. */
function tellsAllDurable(files: ReadonlyMap<string, Uint8Array>): boolean {
  const last = recordsIn(files).at(-1);
  return (
    last?.kind === format.RECORD_MARK && last.durable.segment === last.segment && last.durable.offset === last.offset
  );
}
