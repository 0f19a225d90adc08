/**
 * A segment file in use: how far it is filled, and how far it has real blocks. Always `used` + one bare record ≤
 * `allocated`, so that the record which ends the segment has its place, and no write of the log extends a file.
 */
import type { IoFile, LogPosition } from '@pagewright/core';
import { RECORD_HEADER_SIZE } from '../format/record.js';
import { encodeSegmentHeader, SEGMENT_HEADER_SIZE, type SegmentHeader } from '../format/segment-header.js';

/** Files grow by multiples of this. */
const BLOCK = 4096;
/** Growing in place doubles the file, but adds no more than this beyond what is needed: it holds up the event loop. */
const GROWTH_LIMIT = 1024 * 1024;

/** What the header of a segment says, but for the size of the file. */
export type SegmentIdentity = Omit<SegmentHeader, 'fileSize'>;

export class Segment {
  /** Offset behind the last record. */
  used = SEGMENT_HEADER_SIZE;
  /** Stream position of the first record. */
  begins: LogPosition = 0;
  /** Bytes of the file that a sync has covered. */
  #durableSize = 0;
  /** The size that the header gives, or will when the write that is under way is over. */
  #toldSize = 0;
  #telling = false;
  #closed: Promise<void> | null = null;

  /**
   * The file is open twice, for flushes in the background and for flushes in place. The kernel reports a failed
   * write-back once for each open file: on a shared one, the flush in the background could take the report that the one
   * in place, under way at the same time, needs in order not to acknowledge (IO1).
   */
  constructor(
    readonly identity: SegmentIdentity,
    readonly path: string,
    readonly file: IoFile,
    readonly fileInPlace: IoFile,
    public allocated: number,
  ) {}

  get number(): number {
    return this.identity.segment;
  }

  /** Bytes that the next record may have. */
  get room(): number {
    return this.allocated - this.used - RECORD_HEADER_SIZE;
  }

  get isEmpty(): boolean {
    return this.used === SEGMENT_HEADER_SIZE;
  }

  get isClosing(): boolean {
    return this.#closed !== null;
  }

  /** Stream position of an offset. */
  positionOf(offset: number): LogPosition {
    return this.begins + offset - SEGMENT_HEADER_SIZE;
  }

  /** Stream position behind the last record. */
  get ends(): LogPosition {
    return this.positionOf(this.used);
  }

  /**
   * Makes room for a record of this size, now. Never runs while `grow` does: an allocation that fills with zeros must
   * not meet a record. `PW_FULL`, and nothing has changed.
   */
  growSync(size: number): void {
    const needed = this.#sizeFor(size);
    const wanted = Math.max(needed, Math.min(this.allocated * 2, this.allocated + GROWTH_LIMIT));
    try {
      this.fileInPlace.allocateSync(this.allocated, wanted - this.allocated);
      this.allocated = wanted;
    } catch (error) {
      if (wanted === needed) throw error;
      this.fileInPlace.allocateSync(this.allocated, needed - this.allocated);
      this.allocated = needed;
    }
  }

  /** The same without blocking, for a segment that is not in use yet. */
  async grow(size: number): Promise<void> {
    const needed = this.#sizeFor(size);
    await this.file.allocate(this.allocated, needed - this.allocated);
    this.allocated = needed;
  }

  /** A sync has succeeded that began when the file had this many bytes. */
  sizeIsDurable(size: number): void {
    this.#durableSize = Math.max(this.#durableSize, size);
  }

  /**
   * Whether the header is to be written: the file has grown, durably, so that a header which says so cannot be there
   * without the blocks. Not while it is being written already: the older of two writes could be the one to stay.
   */
  get headerIsDue(): boolean {
    return !this.#telling && this.#toldSize < this.#durableSize;
  }

  /** The header with the size that is durable. `endHeader` follows when it has been written. */
  beginHeader(): Uint8Array {
    this.#telling = true;
    this.#toldSize = this.#durableSize;
    return encodeSegmentHeader({ ...this.identity, fileSize: this.#toldSize });
  }

  endHeader(): void {
    this.#telling = false;
  }

  /** Closes the files when operations on them are over. Idempotent. */
  close(): Promise<void> {
    this.#closed ??= Promise.all([this.file.close(), this.fileInPlace.close()]).then(() => undefined);
    return this.#closed;
  }

  #sizeFor(record: number): number {
    return roundToBlocks(this.used + record + RECORD_HEADER_SIZE);
  }
}

/** The size of a file whose first record may have this many bytes. */
export function fileSizeFor(record: number): number {
  return roundToBlocks(SEGMENT_HEADER_SIZE + record + RECORD_HEADER_SIZE);
}

function roundToBlocks(size: number): number {
  return Math.ceil(size / BLOCK) * BLOCK;
}
