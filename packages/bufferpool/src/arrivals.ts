/**
 * What becomes of a page that was read into a frame while other work went on. The frame is named by nothing until then;
 * the swip is looked for again, because everything may have changed meanwhile.
 *
 * Must hold: what arrives is used only if the swip that it was read for still names it, and if it matches the checksum there.
 */
import { PAGE_SWIP_COUNT, PAGE_SWIP_OFFSET, PAGE_SWIP_STRIDE, SWIP_COLD } from '@pagewright/core';
import { tellRead } from './diagnostics.js';
import { SIZE_CLASS, STATE, STATE_COOL, STATE_HOT } from './frames.js';
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
      const offset = this.#findSwip(parent, word, checksum);
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

  /** Byte offset of the swip with these words in the page, or 0. The frame may hold any page by now, or none. */
  #findSwip(parent: number, word: number, checksum: number): number {
    const state = this.parts.frames.get(parent, STATE);
    if ((word & 3) !== SWIP_COLD || (state !== STATE_HOT && state !== STATE_COOL)) return 0;
    const segment = this.parts.arena.segmentOf(parent);
    const base = this.parts.arena.baseOf(parent);
    const size = this.parts.arena.pageSize << this.parts.frames.get(parent, SIZE_CLASS);
    const first = segment.u32[(base + PAGE_SWIP_OFFSET) >>> 2] as number;
    const stride = segment.u16[(base + PAGE_SWIP_STRIDE) >>> 1] as number;
    let left = segment.u16[(base + PAGE_SWIP_COUNT) >>> 1] as number;
    for (let offset = first; left > 0 && offset < size; left--, offset += stride) {
      const at = (base + offset) >>> 2;
      if (segment.u32[at] === word && segment.u32[at + 1] === checksum) return offset;
    }
    return 0;
  }
}
