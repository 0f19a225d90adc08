/**
 * The segment files of one incarnation: making them, keeping a few old ones to be used again, removing the rest. A
 * segment is handed out only when its header, its blocks and its name in the directory are durable: whatever is
 * acknowledged in it later can be found.
 */
import { dirname, join } from 'node:path';
import { type IoBackend, type IoFile, isPagewrightError, type PagewrightError } from '@pagewright/core';
import { encodeSegmentHeader } from '../format/segment-header.js';
import { type SegmentName, segmentsAmong } from '../format/segment-name.js';
import type { LogShape } from '../sharing/log-memory.js';
import type { RetiredFile } from '../sharing/log-state.js';
import type { OpenSegments } from './open-segments.js';

export interface SegmentFilesContext {
  readonly io: IoBackend;
  readonly shape: LogShape;
  readonly open: OpenSegments;
  /** Called when a write or sync has failed: it is final (IO1). */
  fail(error: unknown): PagewrightError;
}

export class SegmentFiles {
  readonly #context: SegmentFilesContext;

  constructor(context: SegmentFilesContext) {
    this.#context = context;
  }

  /** Makes the directory, if there is none. A failed sync fails the log. */
  async makeDirectory(): Promise<void> {
    const { io, shape, fail } = this.#context;
    await io.makeDirectory(shape.directory);
    try {
      await io.syncDirectory(dirname(shape.directory));
    } catch (error) {
      fail(error);
      throw error;
    }
  }

  /**
   * A new segment with a file of `wanted` bytes, or of `least` if the disk does not have that, or the file that was given up. Returns its size.
   * `PW_FULL`: nothing is left behind. A failed write or sync fails the log.
   */
  async create(segment: number, wanted: number, least: number, reused?: RetiredFile): Promise<number> {
    const { io, open } = this.#context;
    const path = open.pathOf(segment);
    if (reused !== undefined) await io.rename(open.pathOf(reused.segment), path);
    const files: IoFile[] = [];
    let size = reused?.size ?? 0;
    try {
      // One that ended while it made this segment may have left a file.
      files.push(await io.open(path, { create: true }), await io.open(path, {}));
      if (reused === undefined) size = await allocate(files[0]!, wanted, least);
    } catch (error) {
      await Promise.all(files.map((file) => file.close()));
      await io.remove(path);
      throw error;
    }
    const [background, inPlace] = files as [IoFile, IoFile];
    await this.#makeDurable(segment, size, files);
    open.add(segment, background, inPlace);
    return size;
  }

  /** Removes the file of a segment that no replay needs any more. Whoever still writes to it does no harm. */
  remove(segment: number): Promise<void> {
    const { io, open } = this.#context;
    return io.remove(open.pathOf(segment));
  }

  /** The header of a segment whose file durably has so many bytes. */
  headerOf(segment: number, fileSize: number): Uint8Array {
    const { storeId, incarnation, origin } = this.#context.shape;
    return encodeSegmentHeader({ storeId, incarnation, segment, origin, fileSize });
  }

  /** Segments of other incarnations that are in the directory. */
  async others(): Promise<SegmentName[]> {
    const { io, shape } = this.#context;
    return segmentsAmong(await io.list(shape.directory)).filter(({ incarnation }) => incarnation !== shape.incarnation);
  }

  /** Removes the segments of other incarnations, but for those with these names. */
  async removeOthers(kept: ReadonlySet<string> = new Set()): Promise<void> {
    const { incarnation: own } = this.#context.shape;
    await this.#removeWhere(({ incarnation, name }) => incarnation !== own && !kept.has(name));
  }

  /** Removes one of them. */
  removeOther(name: string): Promise<void> {
    const { io, shape } = this.#context;
    return io.remove(join(shape.directory, name));
  }

  /** Removes every segment, and the directory if nothing else is in it. */
  async removeAll(): Promise<void> {
    const { io, shape } = this.#context;
    await this.#removeWhere(() => true);
    await io.removeDirectory(shape.directory);
    await io.syncDirectory(dirname(shape.directory));
  }

  async #removeWhere(unwanted: (name: SegmentName) => boolean): Promise<void> {
    const { io, shape } = this.#context;
    const names = segmentsAmong(await io.list(shape.directory)).filter(unwanted);
    for (const { name } of names) await io.remove(join(shape.directory, name));
    if (names.length > 0) await io.syncDirectory(shape.directory);
  }

  async #makeDurable(segment: number, size: number, files: readonly IoFile[]): Promise<void> {
    const { io, shape, fail } = this.#context;
    const [file] = files as [IoFile];
    try {
      // Nothing is acknowledged in this file yet: its header need not wait for its blocks.
      await file.write(this.headerOf(segment, size), 0);
      await file.sync();
      await io.syncDirectory(shape.directory);
    } catch (error) {
      fail(error);
      await Promise.all(files.map((each) => each.close()));
      throw error;
    }
  }
}

async function allocate(file: IoFile, wanted: number, least: number): Promise<number> {
  try {
    await file.allocate(0, wanted);
    return wanted;
  } catch (error) {
    if (least >= wanted || !isPagewrightError(error, 'PW_FULL')) throw error;
    await file.allocate(0, least);
    return least;
  }
}
