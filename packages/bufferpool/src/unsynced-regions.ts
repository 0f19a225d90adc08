/**
 * How much was written to the page file since it was last brought to the device, by region of the file: what a checkpoint begins with, which brings it out in pieces, so that no
 * sync has much left to do, behind which a flush of the log would wait. In shared memory, as all threads write.
 *
 * It decides nothing but when work is done: what is told of too late, or twice, the sync of the checkpoint covers all the same.
 */

const REGION_BYTES = 2 ** 20;
/** Regions that are told apart; those so far from one another share a count. */
const REGIONS = 2 ** 14;
/** Behind the regions: the sum of all. Where one thread adds to a region and another takes it, it is short of what was not added to it yet. */
const TOTAL = REGIONS;
/** What is counted: no page is smaller. */
const BLOCK_BYTES = 4096;

/** What is to be brought out at once: so many bytes, in these ranges of the file. */
export interface Piece {
  readonly bytes: number;
  readonly ranges: readonly { readonly offset: number; readonly length: number }[];
}

export const NO_PIECE: Piece = { bytes: 0, ranges: [] };

export class UnsyncedRegions {
  readonly #counts: Int32Array;
  /** Where this thread goes on. */
  #next = 0;

  static bytes(): number {
    return (REGIONS + 1) * 4;
  }

  constructor(memory: SharedArrayBuffer) {
    this.#counts = new Int32Array(memory);
  }

  /** In bytes. */
  get total(): number {
    return Math.max(0, Atomics.load(this.#counts, TOTAL)) * BLOCK_BYTES;
  }

  /** What was written, once it was. */
  add(offset: number, length: number): void {
    const end = offset + length;
    for (let from = offset; from < end; ) {
      const region = Math.floor(from / REGION_BYTES);
      const to = Math.min(end, (region + 1) * REGION_BYTES);
      const blocks = Math.ceil((to - from) / BLOCK_BYTES);
      Atomics.add(this.#counts, region % REGIONS, blocks);
      Atomics.add(this.#counts, TOTAL, blocks);
      from = to;
    }
  }

  /** About so much, up to a whole region more, of a file of this length; nothing if there is none. It counts no more. */
  take(bytes: number, fileBytes: number): Piece {
    const wanted = Math.ceil(bytes / BLOCK_BYTES);
    const first = this.#firstFrom(this.#next);
    if (first < 0) return NO_PIECE;
    let taken = 0;
    let end = first;
    for (let region = first; region < REGIONS && taken < wanted; region++) {
      const blocks = this.#empty(region);
      if (blocks === 0) continue;
      taken += blocks;
      end = region + 1;
    }
    this.#next = end % REGIONS;
    const ranges: Piece['ranges'][number][] = [];
    for (let base = 0; base < fileBytes; base += REGIONS * REGION_BYTES) {
      const offset = base + first * REGION_BYTES;
      const length = Math.min(fileBytes, base + end * REGION_BYTES) - offset;
      if (length > 0) ranges.push({ offset, length });
    }
    return { bytes: taken * BLOCK_BYTES, ranges };
  }

  /** All of it is about to be synced. */
  clear(): void {
    for (let region = 0; region < REGIONS; region++) this.#empty(region);
  }

  #firstFrom(start: number): number {
    for (let passed = 0; passed < REGIONS; passed++) {
      const region = (start + passed) % REGIONS;
      if (Atomics.load(this.#counts, region) > 0) return region;
    }
    return -1;
  }

  #empty(region: number): number {
    if (Atomics.load(this.#counts, region) === 0) return 0;
    const blocks = Atomics.exchange(this.#counts, region, 0);
    Atomics.sub(this.#counts, TOTAL, blocks);
    return blocks;
  }
}
