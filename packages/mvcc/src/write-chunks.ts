/** Memory for the bytes of a transaction, which only grows, in chunks: what was written stays where it is, and is never copied because more comes. */

/** Of the first chunk, and the most that the next one has, if nothing larger is written. */
const FIRST_CHUNK = 1024;
const LARGEST_CHUNK = 16 * 1024 * 1024;

/** A place that bytes are in use up to. */
export interface ChunkMark {
  readonly chunk: number;
  readonly used: number;
}

export class WriteChunks {
  readonly bytes: Uint8Array[] = [];
  readonly views: DataView[] = [];
  /** The chunk that is being filled, and how far. */
  #chunk = -1;
  #used = 0;

  get current(): number {
    return this.#chunk;
  }

  get mark(): ChunkMark {
    return { chunk: this.#chunk, used: this.#used };
  }

  /** Whether it takes so little that it may be kept for the next transaction. */
  get isSmall(): boolean {
    return this.bytes.length === 0 || this.bytes[0]!.length === FIRST_CHUNK;
  }

  /** Forgets all, and keeps the first chunk. */
  clear(): void {
    this.#keep(Math.min(0, this.bytes.length - 1), 0);
  }

  /** Nothing behind the mark is in use any more. */
  cutTo({ chunk, used }: ChunkMark): void {
    if (chunk < 0) this.clear();
    else this.#keep(chunk, used);
  }

  /** Where so many bytes may be written in the {@link current} chunk. */
  room(bytes: number): number {
    const current = this.bytes[this.#chunk];
    if (current !== undefined && this.#used + bytes <= current.length) return this.#used;
    const size = current === undefined ? FIRST_CHUNK : Math.min(2 * current.length, LARGEST_CHUNK);
    // Not zeroed: what is read of it has been written before.
    const { buffer } = Buffer.allocUnsafeSlow(Math.max(size, bytes));
    this.bytes.push(new Uint8Array(buffer));
    this.views.push(new DataView(buffer));
    this.#chunk++;
    this.#used = 0;
    return 0;
  }

  /** What was written there ends here. */
  use(end: number): void {
    this.#used = end;
  }

  #keep(chunk: number, used: number): void {
    this.bytes.length = chunk + 1;
    this.views.length = chunk + 1;
    this.#chunk = chunk;
    this.#used = used;
  }
}
