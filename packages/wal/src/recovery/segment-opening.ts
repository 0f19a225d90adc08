/**
 * Opens a segment for recovery and finds out whether it is the one it should be. It is synced first: what an earlier
 * process wrote but did not sync is shown by the page cache, and must not be built upon before it is durable (L5).
 */
import { join } from 'node:path';
import { isPagewrightError, type LogDamageKind, PagewrightError } from '@pagewright/core';
import { decodeSegmentHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from '../format/segment-header.js';
import { segmentName } from '../format/segment-name.js';
import { corruptLog, DamageFound } from './log-damage.js';
import { type SegmentFile, SegmentReader } from './segment-reader.js';

/** What opens segments: an I/O backend, or what stands for one where an archive is no directory. */
export interface SegmentSource {
  open(path: string, flags: { readonly readOnly: boolean }): Promise<SegmentFile>;
}

/** Where recovery reads. */
export interface LogLocation {
  readonly io: SegmentSource;
  readonly directory: string;
  readonly storeId: string;
  readonly readOnly: boolean;
  /** It is an archive: every segment in it ends with the record that says how the log goes on, and what is missing at the end is not there yet. */
  readonly isArchive?: boolean;
}

/** What is found where a segment should be. */
export interface InspectedSegment {
  /** Null if there is no file. */
  readonly reader: SegmentReader | null;
  /** Null if there is none that is whole. */
  readonly header: SegmentHeader | null;
  /** Why it is not the segment that it should be; null if it is. */
  readonly problem: DamageFound | null;
}

/** A segment that is as it should be. */
export interface OpenedSegment {
  readonly reader: SegmentReader;
  readonly header: SegmentHeader;
}

/** The segment, whose header is as it should be. Throws {@link DamageFound}, `PW_FORMAT_VERSION`. */
export async function openSegment(location: LogLocation, incarnation: number, segment: number): Promise<OpenedSegment> {
  const { reader, header, problem } = await inspectSegment(location, incarnation, segment);
  if (problem === null) return { reader: reader!, header: header! };
  await reader?.close();
  throw problem;
}

/** What is there in place of the segment, whatever it is. `PW_FORMAT_VERSION` if a later release wrote it. */
export async function inspectSegment(
  location: LogLocation,
  incarnation: number,
  segment: number,
): Promise<InspectedSegment> {
  const reader = await openReader(location, incarnation, segment);
  if (reader === null) {
    const name = segmentName(incarnation, segment);
    const what = `The log segment ${name} is missing: the log's directory was removed, belongs to another store, or has lost a file`;
    const damage = { kind: 'missing-segment', what, path: location.directory, segment, offset: 0 } as const;
    return { reader, header: null, problem: new DamageFound(damage) };
  }
  try {
    const header = await readHeader(reader);
    const wrong = await whatIsWrong(location, reader, header, incarnation, segment);
    if (wrong === null) return { reader, header, problem: null };
    const offset = wrong.kind === 'cut-short' ? reader.size : 0;
    return { reader, header, problem: new DamageFound({ ...wrong, path: reader.path, segment, offset }) };
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/** A reader at the segment, whatever its header says; null if there is no such file. */
export async function openReader(
  { io, directory, readOnly }: LogLocation,
  incarnation: number,
  segment: number,
): Promise<SegmentReader | null> {
  const file = await io.open(join(directory, segmentName(incarnation, segment)), { readOnly }).catch((error) => {
    if (!isPagewrightError(error, 'PW_NOT_FOUND')) throw error;
    return null;
  });
  if (file === null) return null;
  try {
    if (!readOnly) await file.sync();
    return new SegmentReader(file);
  } catch (error) {
    await file.close();
    throw error;
  }
}

/** The same for one that is there, as its directory says. `PW_CORRUPT_LOG` if it is not. */
export async function openExisting(
  location: LogLocation,
  incarnation: number,
  segment: number,
): Promise<SegmentReader> {
  const reader = await openReader(location, incarnation, segment);
  if (reader !== null) return reader;
  const what = `The log segment ${segmentName(incarnation, segment)} is missing`;
  const damage = { kind: 'missing-segment', what, path: location.directory, segment, offset: 0 } as const;
  throw corruptLog(new DamageFound(damage), location);
}

/** The header of a segment; null if there is no whole one. `PW_FORMAT_VERSION` if a later release wrote it. */
export async function readHeader(reader: SegmentReader): Promise<SegmentHeader | null> {
  if (reader.size < SEGMENT_HEADER_SIZE) return null;
  await reader.load(0, SEGMENT_HEADER_SIZE);
  const found = decodeSegmentHeader(reader.bytes);
  if (found.kind === 'unknown-version') {
    throw new PagewrightError(
      'PW_FORMAT_VERSION',
      `The log segment ${reader.path} has format version ${found.version}, which this release does not know. Open the store with the release that wrote it.`,
      { details: { path: reader.path, version: found.version } },
    );
  }
  return found.kind === 'header' ? found.header : null;
}

interface Wrong {
  readonly kind: LogDamageKind;
  readonly what: string;
}

/** In a file whose beginning was read. */
async function whatIsWrong(
  location: LogLocation,
  reader: SegmentReader,
  header: SegmentHeader | null,
  incarnation: number,
  segment: number,
): Promise<Wrong | null> {
  if (header === null) {
    if (reader.size < SEGMENT_HEADER_SIZE) {
      return { kind: 'cut-short', what: `Of log segment ${segment} there are only ${reader.size} bytes` };
    }
    const isZero = reader.bytes.subarray(0, FIELDS).every((byte) => byte === 0);
    if (isZero) return { kind: 'zeroed', what: `The header of log segment ${segment} is zeros` };
    return { kind: 'damaged-header', what: `The header of log segment ${segment} is damaged` };
  }
  if (header.storeId !== location.storeId) {
    return { kind: 'foreign-segment', what: `Log segment ${segment} belongs to another store, ${header.storeId}` };
  }
  if (header.incarnation !== incarnation) {
    const what = `In place of log segment ${segment} there is one of another log of this store, of incarnation ${header.incarnation.toString(16)}`;
    return { kind: 'stale-segment', what };
  }
  if (header.segment !== segment) return misplaced(location, incarnation, segment, header.segment);
  if (reader.size >= header.fileSize) return null;
  const what = `Log segment ${segment} is shorter than it was made: ${reader.size} bytes of ${header.fileSize}`;
  return { kind: 'cut-short', what };
}

/** Named fields of a segment header end before this. */
const FIELDS = 128;

/** Segment `found` of the same log is in the place of another: what is in its own place tells how that came. */
async function misplaced(location: LogLocation, incarnation: number, segment: number, found: number): Promise<Wrong> {
  const here = `In place of log segment ${segment} there is segment ${found}`;
  const own = await openReader(location, incarnation, found);
  if (own === null) {
    return { kind: 'stale-segment', what: `${here}: a file that was to be used again, and was not begun anew` };
  }
  try {
    const header = await readHeader(own);
    const isOfThisLog = header?.storeId === location.storeId && header.incarnation === incarnation;
    if (isOfThisLog && header.segment === segment) {
      return { kind: 'swapped-segments', what: `${here}, and the other way round: they were swapped` };
    }
    if (isOfThisLog && header.segment === found) {
      return { kind: 'duplicated-segment', what: `${here}, which is in its own place as well: it was copied over` };
    }
    return { kind: 'stale-segment', what: `${here}, and something else in place of that` };
  } finally {
    await own.close();
  }
}
