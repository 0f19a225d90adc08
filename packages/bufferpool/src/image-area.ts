/**
 * The memory in which a checkpoint keeps images of pages that have gone on (C2): a quota, shared by all threads, taken in
 * runs of pages that are aligned to their size, as in the arena. When there is no room the caller makes some, or does
 * without.
 *
 * Must hold: an image belongs to one entry of the closed epoch, and its bytes change no more but for its swips.
 */

const USED = 0;
const NEXT = 1;
/** Pages from the first on that have been used, ever: the rest of the memory is not the process's yet. */
const TOUCHED = 2;
const HEADER_WORDS = 3;
/** What follows the first page of an image. */
const TAIL = -1;
const ALIGNMENT = 64;

export class ImageArea {
  /** All images, to be used from `offsetOf` on. */
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  readonly #header: Int32Array;
  /** For each page of the area: the entry whose image begins there, `TAIL`, or 0. */
  readonly #owners: Int32Array;

  /** Bytes of memory for an area of so many pages. */
  static bytes(pages: number, pageSize: number): number {
    return headerBytes(pages) + pages * pageSize;
  }

  /** Over memory of zeros, or what another thread has made of it. */
  constructor(
    memory: SharedArrayBuffer,
    offset: number,
    readonly pages: number,
    private readonly pageSize: number,
  ) {
    this.#header = new Int32Array(memory, offset, HEADER_WORDS);
    this.#owners = new Int32Array(memory, offset + HEADER_WORDS * 4, pages);
    const first = offset + headerBytes(pages);
    this.bytes = new Uint8Array(memory, first, pages * pageSize);
    this.words = new Uint32Array(memory, first, (pages * pageSize) >>> 2);
  }

  get usedPages(): number {
    return this.#header[USED] as number;
  }

  /** Room for an image of this class: the number of its first page, or -1. */
  take(sizeClass: number, entry: number): number {
    const size = 2 ** sizeClass;
    const runs = Math.floor(this.pages / size);
    if (this.pages - this.usedPages < size) return -1;
    let page = Math.floor((this.#header[NEXT] as number) / size) * size;
    for (let left = runs; left > 0; left--, page += size) {
      if (page + size > this.pages) page = 0;
      if (!this.#isFree(page, size)) continue;
      this.#owners.fill(TAIL, page, page + size);
      this.#owners[page] = entry;
      this.#header[USED] = this.usedPages + size;
      this.#header[NEXT] = page + size;
      this.#header[TOUCHED] = Math.max(this.#header[TOUCHED] as number, page + size);
      return page;
    }
    return -1;
  }

  give(page: number, sizeClass: number): void {
    this.#owners.fill(0, page, page + 2 ** sizeClass);
    this.#header[USED] = this.usedPages - 2 ** sizeClass;
  }

  clear(): void {
    this.#owners.fill(0);
    this.#header[USED] = this.#header[NEXT] = 0;
  }

  /** Bytes of images that there have been room for at one time or another. */
  get touchedBytes(): number {
    return (this.#header[TOUCHED] as number) * this.pageSize;
  }

  /** Byte offset of an image in `bytes`. */
  offsetOf(page: number): number {
    return page * this.pageSize;
  }

  /** Calls back for the entry of each image until the answer is false. Images may be given back meanwhile. */
  forEachEntry(visit: (entry: number) => boolean): void {
    if (this.usedPages === 0) return;
    for (let page = 0; page < this.pages; page++) {
      const entry = this.#owners[page] as number;
      if (entry > 0 && !visit(entry)) return;
    }
  }

  #isFree(page: number, size: number): boolean {
    for (let at = page; at < page + size; at++) if (this.#owners[at] !== 0) return false;
    return true;
  }
}

function headerBytes(pages: number): number {
  return Math.ceil(((HEADER_WORDS + pages) * 4) / ALIGNMENT) * ALIGNMENT;
}
