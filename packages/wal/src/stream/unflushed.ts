/**
 * The bytes of the stream that are not durable yet, in private memory. A chunk is a stretch of one segment. Bytes are
 * written once and stay as they are until they are durable and no transfer reads them: a flush in place writes what a
 * flush in the background is writing, and both must write the same.
 */
import type { IoOperation, LogPosition } from '@pagewright/core';
import type { Segment } from './segment.js';

/** Bytes in a chunk; a larger record gets a chunk of its own. */
const CHUNK_SIZE = 256 * 1024;
/** Chunks kept for reuse. */
const SPARE_LIMIT = 4;

/** A stretch of the stream in memory. */
export class Chunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Bytes in use. */
  used = 0;
  /** Transfers that read these bytes. */
  transfers = 0;
  segment!: Segment;
  /** Offset of the first byte in the segment. */
  offset = 0;
  /** Stream position of the first byte. */
  position: LogPosition = 0;

  constructor(size: number) {
    // Not zeroed: all that is written to the file has been encoded before.
    this.bytes = new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
    this.view = new DataView(this.bytes.buffer);
  }

  get end(): LogPosition {
    return this.position + this.used;
  }

  begin(segment: Segment, position: LogPosition): void {
    this.segment = segment;
    this.offset = segment.used;
    this.position = position;
    this.used = 0;
  }
}

/** What is to be written to one segment. */
export interface SegmentWrites {
  readonly segment: Segment;
  readonly operations: IoOperation[];
}

/** All that a flush writes. Its memory stays as it is until `done`. */
export class Batch {
  readonly writes: SegmentWrites[] = [];
  readonly #chunks: Chunk[] = [];
  #header: Segment | null = null;

  add(chunk: Chunk, from: number): void {
    chunk.transfers++;
    this.#chunks.push(chunk);
    const buffer = chunk.bytes.subarray(from, chunk.used);
    this.#operationsOn(chunk.segment).push({ kind: 'write', offset: chunk.offset + from, buffer });
  }

  /** The header of the last segment, whose file has grown. */
  addHeader(segment: Segment): void {
    this.#header = segment;
    this.#operationsOn(segment).push({ kind: 'write', offset: 0, buffer: segment.beginHeader() });
  }

  /** The transfers are over, whatever came of them. */
  done(): void {
    for (const chunk of this.#chunks) chunk.transfers--;
    this.#header?.endHeader();
  }

  #operationsOn(segment: Segment): IoOperation[] {
    let last = this.writes[this.writes.length - 1];
    if (last?.segment !== segment) {
      last = { segment, operations: [] };
      this.writes.push(last);
    }
    return last.operations;
  }
}

export class Unflushed {
  readonly #chunks: Chunk[] = [];
  readonly #spare: Chunk[] = [];

  /** A chunk with room for `size` bytes, which belong at `segment.used` and at this position of the stream. */
  place(segment: Segment, position: LogPosition, size: number): Chunk {
    const last = this.#chunks[this.#chunks.length - 1];
    if (last !== undefined && last.segment === segment && last.bytes.length - last.used >= size) return last;
    const chunk = size > CHUNK_SIZE ? new Chunk(size) : (this.#spare.pop() ?? new Chunk(CHUNK_SIZE));
    chunk.begin(segment, position);
    this.#chunks.push(chunk);
    return chunk;
  }

  /** All bytes from a position on. */
  collect(from: LogPosition): Batch {
    const batch = new Batch();
    for (const chunk of this.#chunks) {
      if (chunk.end > from) batch.add(chunk, Math.max(0, from - chunk.position));
    }
    return batch;
  }

  /** Forgets what lies before a position. Memory that a transfer still reads is left to it. */
  release(before: LogPosition): void {
    while (this.#chunks.length > 0 && this.#chunks[0]!.end <= before) {
      const chunk = this.#chunks.shift()!;
      const reusable = chunk.transfers === 0 && chunk.bytes.length === CHUNK_SIZE;
      if (reusable && this.#spare.length < SPARE_LIMIT) this.#spare.push(chunk);
    }
  }
}
