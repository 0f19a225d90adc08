/**
 * How much room the page file must have, so that nothing which has begun meets a full disk (C6): for what is dirty, for what threads have made sure
 * of and not used yet, and for the next allocation map.
 */
import type { Threads } from '@pagewright/core/contracts';
import type { Epochs } from './epochs.js';
import type { FileSpace } from './file-space.js';
import type { PoolLatch } from './pool-latch.js';
import { SpaceClaims } from './space-claims.js';

/** Units kept free beside what is known to be needed: for allocation maps and for extents that do not fit side by side. */
const SPARE_UNITS = 16;

export class SpaceNeeds {
  readonly #claims: SpaceClaims;

  constructor(
    private readonly epochs: Epochs,
    private readonly space: FileSpace,
    claims: SharedArrayBuffer,
    threads: Threads,
    private readonly poolLatch: PoolLatch,
    private readonly pageSize: number,
  ) {
    this.#claims = new SpaceClaims(claims, threads);
  }

  /** Free units that the file must have. The caller has the pool latch. */
  get units(): number {
    return this.epochs.dirtyUnits + this.epochs.owedUnits + this.#claims.pages + this.#mapUnits() + SPARE_UNITS;
  }

  /** Makes sure of room for so many pages more, and claims it. Errors: `PW_FULL`. */
  secure(pages: number): void {
    this.poolLatch.take();
    try {
      this.space.secure(this.units + pages);
      this.#claims.add(pages);
    } finally {
      this.poolLatch.give();
    }
  }

  /** The calling thread needs so many of those that it has claimed no more. */
  give(pages: number): void {
    this.#claims.give(pages);
  }

  #mapUnits(): number {
    return 2 ** Math.ceil(Math.log2(Math.max(1, this.space.closedMapBytes() / this.pageSize)));
  }
}
