/** Says what is there in place of a record that had been durable. */
import type { LogDamageKind } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { RECORD_COMMIT, RECORD_HEADER_SIZE } from '../format/record.js';
import { DamageFound } from './log-damage.js';
import { RecordScan } from './record-scan.js';
import { type LogLocation, openSegment } from './segment-opening.js';
import type { SegmentReader } from './segment-reader.js';

const SECTOR = 512;

/** The damage at the place. `why` says how it is known that there was a record, as a clause. */
export async function damagedRecord(
  location: LogLocation,
  incarnation: number,
  place: Place,
  why: string,
): Promise<DamageFound> {
  const { reader } = await openSegment(location, incarnation, place.segment);
  try {
    const { kind, state } = await stateOf(reader, incarnation, place);
    const what = `The log is damaged at offset ${place.offset} of segment ${place.segment}: ${state}, and ${why}`;
    return new DamageFound({ kind, what, path: reader.path, ...place });
  } finally {
    await reader.close();
  }
}

interface RecordState {
  readonly kind: LogDamageKind;
  readonly state: string;
}

async function stateOf(reader: SegmentReader, incarnation: number, { segment, offset }: Place): Promise<RecordState> {
  if (offset + RECORD_HEADER_SIZE > reader.size) return { kind: 'cut-short', state: 'the file ends there' };
  const scan = new RecordScan(reader, incarnation, segment, offset);
  const hasHeader = await scan.readAt(offset);
  const end = hasHeader ? scan.end : offset + RECORD_HEADER_SIZE;
  const zeros = await firstZeros(reader, offset, end);
  if (zeros >= 0) return { kind: 'zeroed', state: `from offset ${zeros} on there are zeros` };
  if (!hasHeader) return { kind: 'damaged-record', state: 'no record there has the right checksum' };
  const which = scan.header.kind === RECORD_COMMIT ? ` of commit ${scan.header.timestamp}` : '';
  return { kind: 'damaged-record', state: `the operations${which} do not have the right checksum` };
}

/** Where the first sector of zeros among those that the range touches begins in the range, or -1; or the range itself, if it is all zeros. */
async function firstZeros(reader: SegmentReader, from: number, to: number): Promise<number> {
  const begin = Math.floor(from / SECTOR) * SECTOR;
  const end = Math.min(Math.ceil(to / SECTOR) * SECTOR, reader.size);
  await reader.load(begin, end - begin);
  const areZeros = (first: number, last: number): boolean =>
    reader.bytes.subarray(reader.indexOf(first), reader.indexOf(last)).every((byte) => byte === 0);
  if (areZeros(from, to)) return from;
  for (let sector = begin; sector < end; sector += SECTOR) {
    if (areZeros(sector, Math.min(sector + SECTOR, end))) return Math.max(sector, from);
  }
  return -1;
}
