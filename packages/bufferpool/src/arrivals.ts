/**
 * What becomes of a page that was read into a frame while other work went on. The frame is named by nothing until then;
 * the swip is looked for again, because everything may have changed meanwhile.
 *
 * Must hold: what arrives is used only if the swip that it was read for still names it, and if it matches the checksum there.
 */
import { offsetOfColdSwip } from './cold-swips.js';
import { tellRead } from './diagnostics.js';
import type { PoolParts } from './placement.js';
import type { Residency } from './residency.js';

/** A page that has arrived. */
export interface Arrival {
  readonly frame: number;
  readonly bytes: Uint8Array;
  /** The page that had its swip. */
  readonly parent: number;
  /** The words of that swip. */
  readonly word: number;
  readonly checksum: number;
}

export class Arrivals {
  constructor(
    private readonly parts: PoolParts,
    private readonly residency: Residency,
  ) {}

  /**
   * Puts the page where its swip is. If it was given up, moved, or brought in by someone else, its frame is given back: who
   * wants it will see on the way down. Errors: `PW_CORRUPT_PAGE`; the frame was given back then, too.
   */
  settle({ frame, bytes, parent, word, checksum }: Arrival): void {
    const { file, latches, poolLatch } = this.parts;
    let adopted = false;
    // Whatever page is in that frame by now: the latch keeps it as it is.
    latches.latch(parent);
    try {
      const offset = offsetOfColdSwip(this.parts, parent, word, checksum);
      if (offset === 0) return;
      this.residency.admit(frame, bytes, word >>> 2, checksum);
      poolLatch.holding(() => this.residency.swizzle(parent, offset, frame));
      adopted = true;
      tellRead(file, word >>> 2, bytes.length, false);
    } finally {
      latches.unlatch(parent);
      if (!adopted) poolLatch.holding(() => this.residency.release(frame));
    }
  }

  /** Whether the swip still names the page. */
  isAwaited(parent: number, word: number, checksum: number): boolean {
    const { latches } = this.parts;
    latches.latch(parent);
    try {
      return offsetOfColdSwip(this.parts, parent, word, checksum) !== 0;
    } finally {
      latches.unlatch(parent);
    }
  }
}
