/**
 * The segment files that this thread has open. It opens one when it first writes there, and closes those behind what is durable.
 *
 * A file is open twice, for flushes in the background and for flushes in place. The kernel reports a failed write-back once for each open
 * file: on a shared one, the flush in the background could take the report that the one in place, under way at the same time, needs in
 * order not to acknowledge (IO1). For the same reason no thread uses the files of another.
 */
import { join } from 'node:path';
import type { IoBackend, IoFile } from '@pagewright/core';
import { segmentName } from '../format/segment-name.js';

interface OpenSegment {
  background: Promise<IoFile> | null;
  inPlace: IoFile | null;
}

export class OpenSegments {
  readonly #io: IoBackend;
  readonly #directory: string;
  readonly #incarnation: number;
  readonly #open = new Map<number, OpenSegment>();
  readonly #closing = new Set<Promise<unknown>>();

  constructor(io: IoBackend, directory: string, incarnation: number) {
    this.#io = io;
    this.#directory = directory;
    this.#incarnation = incarnation;
  }

  pathOf(segment: number): string {
    return join(this.#directory, segmentName(this.#incarnation, segment));
  }

  /** The file for transfers in the background. `PW_NOT_FOUND` if the segment was removed. */
  background(segment: number): Promise<IoFile> {
    const files = this.#filesOf(segment);
    if (files.background === null) {
      const opening = this.#io.open(this.pathOf(segment), {});
      files.background = opening;
      opening.catch(() => {
        files.background = null;
      });
    }
    return files.background;
  }

  /** The file for transfers in place. */
  inPlace(segment: number): IoFile {
    const files = this.#filesOf(segment);
    files.inPlace ??= this.#io.openSync(this.pathOf(segment), {});
    return files.inPlace;
  }

  /** Takes over the files of a segment that this thread has made. */
  add(segment: number, background: IoFile, inPlace: IoFile): void {
    this.#open.set(segment, { background: Promise.resolve(background), inPlace });
  }

  /** Closes the files of segments before this one, each when operations on it are over. */
  closeBelow(segment: number): void {
    for (const number of this.#open.keys()) {
      if (number < segment) this.#close(number);
    }
  }

  /** Closes all, and resolves when operations are over. */
  async close(): Promise<void> {
    this.closeBelow(Number.POSITIVE_INFINITY);
    await Promise.all(this.#closing);
  }

  #filesOf(segment: number): OpenSegment {
    let files = this.#open.get(segment);
    if (files === undefined) {
      files = { background: null, inPlace: null };
      this.#open.set(segment, files);
    }
    return files;
  }

  #close(segment: number): void {
    const { background, inPlace } = this.#open.get(segment) as OpenSegment;
    this.#open.delete(segment);
    // What is closed here has nothing left to be written, so there is nothing that a failure could say.
    const closing = Promise.allSettled([background?.then((file) => file.close()), inPlace?.close()]);
    this.#closing.add(closing);
    void closing.then(() => this.#closing.delete(closing));
  }
}
