/**
 * The segments that the stream goes through, oldest first: the current one, those before it that a replay may still
 * need, and the next one, prepared in the background. A record lies in one segment whole. A segment has a size that it
 * is meant to have, and may grow beyond it: when a record is larger than that, or when the next one could not be prepared
 * because the event loop was not yielded to.
 */
import { invariant, isPagewrightError, type LogPosition, POINT, schedulePoint } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { RECORD_HEADER_SIZE } from '../format/record.js';
import { fileSizeFor, type Segment } from './segment.js';
import { FIRST_FILE_SIZE, type SegmentFiles } from './segment-files.js';

/** Up to this much is allocated in place for a `reserve`; more is prepared in a new segment, without blocking. */
const IN_PLACE_LIMIT = 256 * 1024;

export class SegmentSequence {
  readonly #files: SegmentFiles;
  readonly #segmentSize: number;
  readonly #segments: Segment[] = [];
  #next: Segment | null = null;
  #preparing: Promise<void> | null = null;
  /** How far the current segment is filled when the next one is prepared in the background. */
  #prepareAt: number;

  constructor(files: SegmentFiles, segmentSize: number) {
    this.#files = files;
    this.#segmentSize = segmentSize;
    this.#prepareAt = segmentSize / 2;
  }

  /** Makes the first segment. */
  async start(): Promise<void> {
    const size = Math.min(FIRST_FILE_SIZE, this.#segmentSize);
    this.#segments.push(await this.#files.create(1, size, size));
  }

  get isStarted(): boolean {
    return this.#segments.length > 0;
  }

  /** The segment that was appended to last. */
  get current(): Segment {
    const current = this.#segments[this.#segments.length - 1];
    invariant(current !== undefined, 'The log was appended to before its first segment was ready');
    return current;
  }

  /** Segment files that exist. */
  get count(): number {
    return this.#segments.length + (this.#next === null ? 0 : 1) + this.#files.retired;
  }

  /** The segment in which the next record of this size goes; null if none has the room. */
  select(size: number): Segment | null {
    const current = this.current;
    const fits = current.room >= size;
    if (fits && (current.isEmpty || current.used + size + RECORD_HEADER_SIZE <= this.#segmentSize)) return current;
    if (this.#next !== null && this.#next.room >= size) return this.#next;
    return fits ? current : null;
  }

  /** Makes room for a record of this size, now. `PW_FULL`, and nothing has changed. */
  extendSync(size: number): void {
    if (this.select(size) === null) (this.#next ?? this.current).growSync(size);
  }

  /** Makes room for a record of this size. `PW_FULL`, and nothing has changed. */
  async extend(size: number): Promise<void> {
    while (this.select(size) === null) {
      const withinSize = this.current.used + size + RECORD_HEADER_SIZE <= this.#segmentSize;
      if (size <= IN_PLACE_LIMIT && withinSize) {
        this.extendSync(size);
        return;
      }
      try {
        await this.#prepare(size);
      } catch (error) {
        if (!isPagewrightError(error, 'PW_FULL')) throw error;
        this.extendSync(size); // a whole segment does not fit on the disk, the record may
        return;
      }
    }
  }

  /** Goes on to the next segment. The record that ends the current one has been appended to it. */
  advance(to: Segment): void {
    invariant(to === this.#next, 'The log went on to a segment that is not the next');
    to.begins = this.current.ends;
    this.#segments.push(to);
    this.#next = null;
    this.#prepareAt = this.#segmentSize / 2;
  }

  /** Called after a flush: closes the files of full segments that are durable, and prepares the next in good time. */
  maintain(durable: LogPosition): void {
    for (let i = this.#segments.length - 2; i >= 0 && this.#segments[i]!.ends <= durable; i--) {
      if (this.#segments[i]!.isClosing) break;
      this.#segments[i]!.close().catch(() => undefined); // nothing was left to be written; `retire` reports it
    }
    if (this.#next === null && this.#preparing === null && this.current.used >= this.#prepareAt) {
      this.#prepareAt = this.current.used + this.#segmentSize / 4; // when it is tried again, should it fail
      this.#prepare(0).catch(() => undefined); // who needs the room meets the error
    }
  }

  /** The stream position of a place; the beginning if its segment is gone. */
  positionOf(place: Place): LogPosition {
    const segment = this.#segments.find(({ number }) => number === place.segment);
    return segment === undefined ? 0 : segment.positionOf(place.offset);
  }

  /** Gives up the segments wholly before a place, as far as they are durable. */
  async release(place: Place, durable: LogPosition): Promise<void> {
    while (this.#segments.length > 1) {
      const oldest = this.#segments[0]!;
      if (oldest.number >= place.segment || oldest.ends > durable) return;
      this.#segments.shift();
      schedulePoint(POINT.segmentRetiring);
      await this.#files.retire(oldest);
    }
  }

  /** Closes all files when what is under way is over. */
  async close(): Promise<void> {
    await this.#preparing?.catch(() => undefined);
    const open = this.#next === null ? this.#segments : [...this.#segments, this.#next];
    await Promise.all(open.map((segment) => segment.close()));
  }

  #prepare(size: number): Promise<void> {
    this.#preparing ??= this.#makeNext(size).finally(() => {
      this.#preparing = null;
    });
    return this.#preparing;
  }

  async #makeNext(size: number): Promise<void> {
    const small = this.#next;
    if (small === null) {
      const least = Math.max(fileSizeFor(size), Math.min(FIRST_FILE_SIZE, this.#segmentSize));
      this.#next = await this.#files.create(this.current.number + 1, Math.max(least, this.#segmentSize), least);
      return;
    }
    this.#next = null; // not to be used while it grows
    try {
      await small.grow(size);
    } finally {
      this.#next = small;
    }
  }
}
