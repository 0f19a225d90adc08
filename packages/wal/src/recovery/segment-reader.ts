/**
 * Reads one segment file from front to back in chunks. Each chunk is new memory, so that what was decoded from an earlier
 * one stays as it is; nothing is kept here but the newest.
 */

/** What is needed of a file to read a segment from it. */
export interface SegmentFile {
  readonly path: string;
  size(): number;
  read(buffer: Uint8Array, offset: number): Promise<void>;
  sync(): Promise<void>;
  close(): Promise<void>;
}

const CHUNK_SIZE = 256 * 1024;

export class SegmentReader {
  /** Bytes of the file. */
  readonly size: number;
  bytes: Uint8Array = new Uint8Array(0);
  view = new DataView(new ArrayBuffer(0));
  readonly #file: SegmentFile;
  #begin = 0;

  constructor(file: SegmentFile) {
    this.#file = file;
    this.size = file.size();
  }

  get path(): string {
    return this.#file.path;
  }

  /** Index into `bytes` of an offset of the file. */
  indexOf(offset: number): number {
    return offset - this.#begin;
  }

  /** Whether the range is in memory: if not, `load` it. Saves an await for each record. */
  has(offset: number, length: number): boolean {
    return offset >= this.#begin && offset + length <= this.#begin + this.bytes.length;
  }

  /** Brings a range of the file, which ends within it, into memory. */
  async load(offset: number, length: number): Promise<void> {
    const wanted = Math.min(Math.max(length, CHUNK_SIZE), this.size - offset);
    const bytes = new Uint8Array(wanted);
    await this.#file.read(bytes, offset);
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
    this.#begin = offset;
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
