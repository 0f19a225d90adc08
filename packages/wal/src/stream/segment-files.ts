/**
 * The segment files of one incarnation: making them, keeping a few old ones to be used again, removing the rest. A
 * segment is handed out only when its header, its blocks and its name in the directory are durable: whatever is
 * acknowledged in it later can be found.
 */
import { dirname, join } from 'node:path';
import { type IoBackend, isPagewrightError, type PagewrightError } from '@pagewright/core';
import { type Origin, SEGMENT_HEADER_SIZE } from '../format/segment-header.js';
import { segmentName, segmentsAmong } from '../format/segment-name.js';
import { Segment } from './segment.js';

/** Old segments that are kept for reuse. Written blocks are overwritten faster than new ones are filled. */
const RETIRED_LIMIT = 2;

export interface SegmentFilesContext {
  readonly io: IoBackend;
  readonly directory: string;
  readonly storeId: string;
  readonly incarnation: number;
  readonly origin: Origin;
  readonly segmentSize: number;
  /** Called when a write or sync has failed: it is final (IO1). */
  fail(error: unknown): PagewrightError;
}

export class SegmentFiles {
  readonly #context: SegmentFilesContext;
  readonly #retired: { readonly path: string; readonly size: number }[] = [];
  #directoryMade = false;

  constructor(context: SegmentFilesContext) {
    this.#context = context;
  }

  /** Old segments that wait for reuse. */
  get retired(): number {
    return this.#retired.length;
  }

  /**
   * A new segment with a file of `wanted` bytes, or of `least` if the disk does not have that. `PW_FULL`: nothing is
   * left behind. A failed write or sync fails the log.
   */
  async create(number: number, wanted: number, least: number): Promise<Segment> {
    const { io, directory, storeId, incarnation, origin } = this.#context;
    await this.#makeDirectory();
    const path = join(directory, segmentName(incarnation, number));
    const reused = wanted <= this.#context.segmentSize ? this.#retired.pop() : undefined;
    if (reused !== undefined) await io.rename(reused.path, path);
    const file = await io.open(path, { create: true });
    let segment: Segment | null = null;
    try {
      const identity = { storeId, incarnation, segment: number, origin };
      segment = new Segment(identity, path, file, await io.open(path, {}), reused?.size ?? 0);
      if (reused === undefined) await allocate(segment, wanted, least);
    } catch (error) {
      await (segment ?? file).close();
      await io.remove(path);
      throw error;
    }
    await this.#makeDurable(segment);
    return segment;
  }

  /** Ends the use of a segment that no replay needs any more: keeps its file for reuse, or removes it. */
  async retire(segment: Segment): Promise<void> {
    const { io, segmentSize } = this.#context;
    // Only when both files are closed is no write under way that could reach the file's next life.
    await segment.close();
    const fits = segment.allocated >= segmentSize && segment.allocated <= 2 * segmentSize;
    if (fits && this.#retired.length < RETIRED_LIMIT) {
      this.#retired.push({ path: segment.path, size: segment.allocated });
    } else {
      await io.remove(segment.path);
    }
  }

  /** Removes the segments of other incarnations. */
  async removeOthers(): Promise<void> {
    await this.#removeWhere((incarnation) => incarnation !== this.#context.incarnation);
  }

  /** Removes every segment, and the directory if nothing else is in it. All files of this incarnation are closed. */
  async removeAll(): Promise<void> {
    const { io, directory } = this.#context;
    await this.#removeWhere(() => true);
    await io.removeDirectory(directory);
    await io.syncDirectory(dirname(directory));
  }

  async #removeWhere(unwanted: (incarnation: number) => boolean): Promise<void> {
    const { io, directory } = this.#context;
    const names = segmentsAmong(await io.list(directory)).filter(({ incarnation }) => unwanted(incarnation));
    for (const { name } of names) await io.remove(join(directory, name));
    if (names.length > 0) await io.syncDirectory(directory);
  }

  async #makeDirectory(): Promise<void> {
    if (this.#directoryMade) return;
    const { io, directory } = this.#context;
    await io.makeDirectory(directory);
    try {
      await io.syncDirectory(dirname(directory));
    } catch (error) {
      this.#context.fail(error);
      throw error;
    }
    this.#directoryMade = true;
  }

  async #makeDurable(segment: Segment): Promise<void> {
    const { io, directory } = this.#context;
    // Nothing is acknowledged in this file yet: its header need not wait for its blocks.
    segment.sizeIsDurable(segment.allocated);
    try {
      await segment.file.write(segment.beginHeader(), 0);
      segment.endHeader();
      await segment.file.sync();
      await io.syncDirectory(directory);
    } catch (error) {
      this.#context.fail(error);
      await segment.close();
      throw error;
    }
  }
}

async function allocate(segment: Segment, wanted: number, least: number): Promise<void> {
  try {
    await segment.file.allocate(0, wanted);
    segment.allocated = wanted;
  } catch (error) {
    if (least >= wanted || !isPagewrightError(error, 'PW_FULL')) throw error;
    await segment.file.allocate(0, least);
    segment.allocated = least;
  }
}

/** The size of the first segment's file: an empty store stays small. */
export const FIRST_FILE_SIZE = SEGMENT_HEADER_SIZE + 64 * 1024;
