/**
 * Encodes a record in memory of this thread's own, aligned, from where one copy brings it into the shared memory: that is
 * faster than encoding there, where copies to odd addresses go byte by byte.
 */
import { type CommitRecord, EncodedOperations, OPERATIONS_HEADROOM } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { encodeBare, encodeCommit, headerAt, RECORD_HEADER_SIZE } from '../format/record.js';

/** Records up to this size use the same memory again. */
const KEPT_SIZE = 256 * 1024;

/** A record in bytes, from the beginning of this memory on. */
export class EncodedRecord {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  readonly header: Uint8Array;

  constructor(memory: ArrayBufferLike, at: number, size: number) {
    this.bytes = new Uint8Array(memory, at, size);
    this.words = new Int32Array(memory, at, size >>> 2);
    this.view = new DataView(memory, at, size);
    this.header = headerAt(this.bytes, 0);
  }
}

export class RecordEncoder {
  #kept: EncodedRecord | null = null;

  /** The record, until the next is encoded. */
  commit(record: CommitRecord, size: number, seed: number, durable: Place, time: number): EncodedRecord {
    const { operations } = record;
    // What is large and encoded already gets its header where room was left for it.
    const encoded =
      operations instanceof EncodedOperations && size > KEPT_SIZE
        ? new EncodedRecord(operations.bytes.buffer, OPERATIONS_HEADROOM - RECORD_HEADER_SIZE, size)
        : this.#memoryFor(size);
    encodeCommit(encoded.bytes, encoded.view, 0, size, seed, durable, record, time, encoded.header);
    return encoded;
  }

  /** A record without operations. */
  bare(kind: number, seed: number, durable: Place, time: number, timestamp = 0): EncodedRecord {
    const encoded = this.#memoryFor(RECORD_HEADER_SIZE);
    encodeBare(encoded.bytes, encoded.view, 0, kind, seed, durable, time, timestamp);
    return encoded;
  }

  #memoryFor(size: number): EncodedRecord {
    if (size > KEPT_SIZE) return newRecord(size);
    this.#kept ??= newRecord(KEPT_SIZE);
    return this.#kept;
  }
}

/** Not zeroed: all that is copied from it has been encoded before. */
function newRecord(size: number): EncodedRecord {
  return new EncodedRecord(Buffer.allocUnsafeSlow(size).buffer, 0, size);
}
