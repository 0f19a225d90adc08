/** What lies where in the files of a log, for tests that damage them or wait for what is written to them. */
import { basename } from 'node:path';
import { comparePlaces, type Place } from '../packages/wal/src/format/place.js';
import {
  bodyIsWhole,
  decodeHeader,
  RECORD_COMMIT,
  RECORD_HEADER_SIZE,
  RECORD_LOG_END,
  RECORD_MARK,
  RECORD_SEGMENT_END,
  RecordHeader,
  recordSeed,
} from '../packages/wal/src/format/record.js';
import { SEGMENT_HEADER_SIZE } from '../packages/wal/src/format/segment-header.js';
import { segmentsAmong } from '../packages/wal/src/format/segment-name.js';
import type { Region } from './page-file-anatomy.js';

/** A record, and where it lies. */
export interface FoundRecord {
  readonly kind: number;
  readonly offset: number;
  readonly length: number;
  readonly durable: Place;
}

/** The whole records of a segment file, one after another from the first on. */
export function recordsOf(path: string, bytes: Uint8Array): FoundRecord[] {
  const [name] = segmentsAmong([basename(path)]);
  if (name === undefined) return [];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = new RecordHeader();
  const records: FoundRecord[] = [];
  for (let offset = SEGMENT_HEADER_SIZE; offset + RECORD_HEADER_SIZE <= bytes.length; offset += header.length) {
    const seed = recordSeed(name.incarnation, name.segment, offset);
    if (!decodeHeader(bytes, view, offset, bytes.length - offset, seed, header)) break;
    if (!bodyIsWhole(bytes, view, offset, header.length, seed)) break;
    records.push({ kind: header.kind, offset, length: header.length, durable: header.durable });
  }
  return records;
}

/** The regions of a segment file, in order, without gaps. What lies before `checkpointed` is not replayed. */
export function regionsOfSegment(path: string, bytes: Uint8Array, checkpointed: Place): Region[] {
  const records = recordsOf(path, bytes);
  const [name] = segmentsAmong([basename(path)]);
  if (name === undefined || records.length === 0) {
    return [{ what: 'log segment not in use', start: 0, end: bytes.length, header: HEADER_FIELDS }];
  }
  const regions: Region[] = [
    { what: 'log segment header', start: 0, end: HEADER_FIELDS, header: HEADER_FIELDS },
    { what: 'rest of a log segment header', start: HEADER_FIELDS, end: SEGMENT_HEADER_SIZE, header: 0 },
  ];
  let end = SEGMENT_HEADER_SIZE;
  for (const { kind, offset, length } of records) {
    const before = comparePlaces({ segment: name.segment, offset }, checkpointed) < 0;
    const what = before ? 'log record before the checkpoint' : RECORD_NAMES[kind]!;
    end = offset + length;
    regions.push({ what, start: offset, end, header: RECORD_HEADER_SIZE });
  }
  regions.push({ what: 'log tail', start: end, end: bytes.length, header: 0 });
  return regions.filter(({ start, end }) => start < end);
}

const HEADER_FIELDS = 84;
const RECORD_NAMES: Readonly<Record<number, string>> = {
  [RECORD_COMMIT]: 'log record',
  [RECORD_MARK]: 'log mark',
  [RECORD_SEGMENT_END]: 'log segment end',
  [RECORD_LOG_END]: 'end of the log',
};

/** Whether the last record of the log says that all before it is durable: then no loss of any of it is taken for a torn tail. */
export function tellsAllDurable(files: ReadonlyMap<string, Uint8Array>): boolean {
  const names = segmentsAmong([...files.keys()].map((path) => basename(path)));
  for (const { name, segment } of names.reverse()) {
    const [path, bytes] = [...files].find(([candidate]) => basename(candidate) === name) as [string, Uint8Array];
    const last = recordsOf(path, bytes).at(-1);
    if (last !== undefined)
      return last.kind === RECORD_MARK && comparePlaces(last.durable, { segment, offset: last.offset }) === 0;
  }
  return false;
}

/** Resolves when the idle log has written down that all of it is durable. */
export async function untilIdle(files: () => ReadonlyMap<string, Uint8Array>): Promise<void> {
  while (!tellsAllDurable(files())) await new Promise((resolve) => setTimeout(resolve, 5));
}
