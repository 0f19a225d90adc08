/**
 * Opens a segment for recovery and makes sure that it is the one it should be. It is synced first: what an earlier
 * process wrote but did not sync is shown by the page cache, and must not be built upon before it is durable (L5).
 */
import { join } from 'node:path';
import { isPagewrightError, PagewrightError } from '@pagewright/core';
import { decodeSegmentHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from '../format/segment-header.js';
import { segmentName } from '../format/segment-name.js';
import { corruptLog } from './corrupt-log.js';
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

/** A reader at the segment, whose header is as it should be. `PW_CORRUPT_LOG`, `PW_FORMAT_VERSION`. */
export async function openSegment(location: LogLocation, incarnation: number, segment: number): Promise<SegmentReader> {
  const reader = await openReader(location, incarnation, segment);
  try {
    const header = await readHeader(reader);
    const details = { path: reader.path, segment };
    if (header === null) throw corruptLog('The header of a log segment is damaged', details);
    if (header.storeId !== location.storeId) throw corruptLog('A log segment belongs to another store', details);
    if (header.incarnation !== incarnation || header.segment !== segment) {
      throw corruptLog(`In place of log segment ${segment} there is segment ${header.segment}`, details);
    }
    if (reader.size < header.fileSize) throw corruptLog('A log segment is shorter than it was made', details);
    return reader;
  } catch (error) {
    await reader.close();
    throw error;
  }
}

/** A reader at the segment, whatever its header says. */
export async function openReader(
  { io, directory, readOnly }: LogLocation,
  incarnation: number,
  segment: number,
): Promise<SegmentReader> {
  const name = segmentName(incarnation, segment);
  const file = await io.open(join(directory, name), { readOnly }).catch((error) => {
    if (!isPagewrightError(error, 'PW_NOT_FOUND')) throw error;
    const what = `The log segment ${name} is missing: the log's directory was removed, belongs to another store, or has lost a file`;
    throw corruptLog(what, { path: directory, segment });
  });
  try {
    if (!readOnly) await file.sync();
    return new SegmentReader(file);
  } catch (error) {
    await file.close();
    throw error;
  }
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
