/** The segments of an archive, wherever they are: in a directory, or behind an object that lists and reads. */
import { basename } from 'node:path';
import { type ArchiveSource, type IoBackend, PagewrightError } from '@pagewright/core';
import { type SegmentName, segmentsAmong } from '../format/segment-name.js';
import type { SegmentSource } from '../recovery/segment-opening.js';
import type { SegmentFile } from '../recovery/segment-reader.js';

export interface ArchiveFiles extends SegmentSource {
  /** The directory; or what stands for it in messages. */
  readonly path: string;
  /** Whether there is a directory, or what stands for it. */
  readonly isThere: boolean;
  readonly names: readonly SegmentName[];
  /** How many segments were opened since it was asked to count anew. */
  readonly opened: number;
  countAnew(): void;
}

export async function openArchive(io: IoBackend, archive: string | ArchiveSource): Promise<ArchiveFiles> {
  if (typeof archive === 'string') {
    const names = segmentsAmong(await io.list(archive));
    const isThere = names.length > 0 || (await io.exists(archive));
    return new CountedFiles(archive, isThere, names, (path) => io.open(path, { readOnly: true }));
  }
  const unique = segmentsAmong([...new Set(await namesIn(archive))]);
  return new CountedFiles('the archive', true, unique, async (path) =>
    contentOf(path, await archive.read(basename(path))),
  );
}

/** Errors: `PW_ARGUMENT` for what are no names; what `list` throws. */
async function namesIn(archive: ArchiveSource): Promise<string[]> {
  const listed: unknown = await archive.list();
  if (!isIterable(listed)) throw noNames(listed);
  const names: string[] = [];
  for await (const name of listed) {
    if (typeof name !== 'string') throw noNames(name);
    names.push(name);
  }
  return names;
}

function isIterable(value: unknown): value is Iterable<unknown> | AsyncIterable<unknown> {
  if (typeof value !== 'object' || value === null) return false;
  return Symbol.iterator in value || Symbol.asyncIterator in value;
}

function noNames(given: unknown): PagewrightError {
  const message = `list() of the archive gave ${String(given)} where names are expected. It returns an iterable of the names of what there is, or a promise of one.`;
  return new PagewrightError('PW_ARGUMENT', message, { details: { given } });
}

class CountedFiles implements ArchiveFiles {
  readonly #opened = new Set<string>();

  constructor(
    readonly path: string,
    readonly isThere: boolean,
    readonly names: readonly SegmentName[],
    private readonly openFile: (path: string) => Promise<SegmentFile>,
  ) {}

  get opened(): number {
    return this.#opened.size;
  }

  countAnew(): void {
    this.#opened.clear();
  }

  open(path: string): Promise<SegmentFile> {
    this.#opened.add(path);
    return this.openFile(path);
  }
}

/** Bytes in memory, as a file. */
function contentOf(path: string, bytes: Uint8Array): SegmentFile {
  if (!(bytes instanceof Uint8Array)) {
    const message = `read() of the archive gave no bytes for ${basename(path)}. It returns a Uint8Array, or a promise of one.`;
    throw new PagewrightError('PW_ARGUMENT', message, { details: { path } });
  }
  return {
    path,
    size: () => bytes.length,
    read: async (buffer, offset) => buffer.set(bytes.subarray(offset, offset + buffer.length)),
    sync: async () => undefined,
    close: async () => undefined,
  };
}
