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
  /** Bytes of the file, or of the part that is read. */
  readonly size: number;
  bytes: Uint8Array = new Uint8Array(0);
  view = new DataView(new ArrayBuffer(0));
  readonly #file: SegmentFile;
  #begin = 0;

  /** `size`: of a file that is written to, how much of it is to be read. */
  constructor(file: SegmentFile, size = file.size()) {
    this.#file = file;
    this.size = size;
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

  /** The file as it is now, up to this place, or as long as it is. */
  upTo(size?: number): SegmentReader {
    return new SegmentReader(this.#file, size);
  }

  close(): Promise<void> {
    return this.#file.close();
  }
}
