/**
 * Encodes a record in memory of this thread's own, aligned, from where one copy brings it into the shared memory: that is
 * faster than encoding there, where copies to odd addresses go byte by byte.
 */
import type { CommitRecord } from '@pagewright/core';
import type { Place } from '../format/place.js';
import { encodeBare, encodeCommit, headerAt, RECORD_HEADER_SIZE } from '../format/record.js';

/** Records up to this size use the same memory again. */
const KEPT_SIZE = 64 * 1024;

/** A record in bytes, from the beginning of this memory on. */
export class EncodedRecord {
  readonly bytes: Uint8Array;
  readonly words: Int32Array;
  readonly view: DataView;
  readonly header: Uint8Array;

  constructor(size: number) {
    // Not zeroed: all that is copied from it has been encoded before.
    const { buffer } = Buffer.allocUnsafeSlow(size);
    this.bytes = new Uint8Array(buffer);
    this.words = new Int32Array(buffer, 0, size >>> 2);
    this.view = new DataView(buffer);
    this.header = headerAt(this.bytes, 0);
  }
}

export class RecordEncoder {
  #kept: EncodedRecord | null = null;

  /** The record, until the next is encoded. */
  commit(record: CommitRecord, size: number, seed: number, durable: Place): EncodedRecord {
    const encoded = this.#memoryFor(size);
    encodeCommit(encoded.bytes, encoded.view, 0, size, seed, durable, record, encoded.header);
    return encoded;
  }

  /** A record without operations. */
  bare(kind: number, seed: number, durable: Place): EncodedRecord {
    const encoded = this.#memoryFor(RECORD_HEADER_SIZE);
    encodeBare(encoded.bytes, encoded.view, 0, kind, seed, durable);
    return encoded;
  }

  #memoryFor(size: number): EncodedRecord {
    if (size > KEPT_SIZE) return new EncodedRecord(size);
    this.#kept ??= new EncodedRecord(KEPT_SIZE);
    return this.#kept;
  }
}
