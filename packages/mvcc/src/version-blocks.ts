/**
 * The memory of old versions: blocks of one size, in shared memory. What is kept is a *record*, in one block or more, each of which names the next: so
 * nothing is ever lost to fragmentation, and a record fits if there are enough blocks. Under the version latch, but for filling and copying.
 *
 * Memory is touched as it comes: what was used before is used again first.
 */

export const BLOCK_BYTES = 64;
const BLOCK_SHIFT = 6;
/** The first word of a block is the next block of its record; 0 is none, as block 0 is the head of all. */
const NEXT = 0;
const NEXT_BYTES = 4;
const MORE_BYTES = BLOCK_BYTES - NEXT_BYTES;

/** Words of block 0. */
const UNUSED = 1;
const TOUCHED = 2;
const IN_USE = 3;

export class VersionBlocks {
  readonly words: Int32Array;
  readonly numbers: Float64Array;
  readonly #bytes: Uint8Array;
  readonly #blocks: number;

  /** Memory for so many bytes of records. */
  static bytes(bytes: number): number {
    return (1 + Math.floor(bytes / BLOCK_BYTES)) * BLOCK_BYTES;
  }

  constructor(readonly memory: SharedArrayBuffer) {
    this.words = new Int32Array(memory);
    this.numbers = new Float64Array(memory);
    this.#bytes = new Uint8Array(memory);
    this.#blocks = memory.byteLength >>> BLOCK_SHIFT;
  }

  begin(): void {
    this.clear();
  }

  /** All records are gone. */
  clear(): void {
    this.words[UNUSED] = 0;
    this.words[TOUCHED] = 1;
    this.words[IN_USE] = 0;
  }

  /** What records take, in bytes. */
  get used(): number {
    return this.words[IN_USE]! * BLOCK_BYTES;
  }

  /** Blocks there are for records. */
  get capacity(): number {
    return this.#blocks - 1;
  }

  hasRoom(blocks: number): boolean {
    return this.words[IN_USE]! + blocks <= this.capacity;
  }

  /** Index of a block's words in {@link words}; halved, of its numbers. */
  wordOf(block: number): number {
    return block << (BLOCK_SHIFT - 2);
  }

  /** A record of so many blocks, linked to one another. There is room. */
  allocate(blocks: number): number {
    const { words } = this;
    let first = 0;
    for (let i = 0; i < blocks; i++) {
      let block = words[UNUSED]!;
      if (block === 0) block = words[TOUCHED]!++;
      else words[UNUSED] = words[this.wordOf(block) + NEXT]!;
      words[this.wordOf(block) + NEXT] = first;
      first = block;
    }
    words[IN_USE]! += blocks;
    return first;
  }

  /** Gives back a record of so many blocks. */
  free(record: number, blocks: number): void {
    const { words } = this;
    let last = record;
    for (let i = 1; i < blocks; i++) last = words[this.wordOf(last) + NEXT]!;
    words[this.wordOf(last) + NEXT] = words[UNUSED]!;
    words[UNUSED] = record;
    words[IN_USE]! -= blocks;
  }

  /** Puts bytes into a record, from a byte of its first block on. */
  fill(record: number, from: number, content: Uint8Array): void {
    const bytes = this.#bytes;
    let at = (record << BLOCK_SHIFT) + from;
    for (let i = 0, room = BLOCK_BYTES - from; i < content.length; room = MORE_BYTES, at = this.#goOn(at)) {
      for (const end = Math.min(i + room, content.length); i < end; i++) bytes[at++] = content[i]!;
    }
  }

  /** Copies bytes out of a record that may be given back meanwhile: then it is not said what is copied, and nothing else goes wrong (M3). */
  copy(record: number, from: number, content: Uint8Array): void {
    const bytes = this.#bytes;
    let at = (record << BLOCK_SHIFT) + from;
    for (let i = 0, room = BLOCK_BYTES - from; i < content.length; room = MORE_BYTES, at = this.#goOn(at)) {
      for (const end = Math.min(i + room, content.length); i < end; i++) content[i] = bytes[at++]!;
    }
  }

  /** Whether a record has these bytes, from a byte of its first block on. */
  equals(record: number, from: number, content: Uint8Array): boolean {
    const bytes = this.#bytes;
    let at = (record << BLOCK_SHIFT) + from;
    for (let i = 0, room = BLOCK_BYTES - from; i < content.length; room = MORE_BYTES, at = this.#goOn(at)) {
      for (const end = Math.min(i + room, content.length); i < end; i++) if (bytes[at++] !== content[i]) return false;
    }
    return true;
  }

  /** Where a record goes on that has come to this end of one of its blocks. Of a record that was given back meanwhile it may be anywhere in this memory. */
  #goOn(end: number): number {
    const next = this.words[this.wordOf((end - 1) >>> BLOCK_SHIFT) + NEXT]!;
    return ((next % this.#blocks) << BLOCK_SHIFT) + NEXT_BYTES;
  }

  /** Blocks of a record that has so many bytes, from a byte of its first block on. */
  static count(from: number, bytes: number): number {
    const more = from + bytes - BLOCK_BYTES;
    return more <= 0 ? 1 : 1 + Math.ceil(more / MORE_BYTES);
  }
}
