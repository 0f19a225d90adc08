/**
 * Makes the page file smaller while work goes on. In rounds: pages that lie above a ceiling, which leaves little more room than the
 * store needs, get new places below it (`moving.ts`); two checkpoints later nothing names the old ones. Then the units at the end, which
 * are free, are let go of, and when the maps of both superblocks say so, the file is cut off.
 *
 * Must hold: a map of more units than the file has is named by no superblock, or the store would be refused as cut off. So units go
 * first, then come maps that do not know them, and the file is cut off last. Whatever ends it in between leaves a file that is longer than it
 * must be, and the rest of it free.
 */
import type { CompactRequest, CompactResult } from '@pagewright/core/contracts';
import type { Checkpointer } from './checkpointer.js';
import type { FileSpace } from './file-space.js';
import type { Gate } from './gate.js';
import { Moving } from './moving.js';
import type { PoolParts } from './placement.js';
import type { Residency } from './residency.js';

/** Room below the ceiling beside what is in use: an eighth of that, for pages above those that move, whose old places are kept for a while. */
const ROOM_SHARE = 8;
/** What could not be moved, because there was no room where it fits, may find some when others have. */
const MOST_ROUNDS = 8;
/** Until both superblocks name maps of the smaller file: two, and more only if others write checkpoints meanwhile. */
const MOST_RENEWALS = 8;

export interface CompactParts extends PoolParts {
  readonly space: FileSpace;
  readonly residency: Residency;
  readonly checkpointer: Checkpointer;
  readonly gate: Gate;
  readonly rootFrame: number;
  /** Free units that the file must have for what is dirty, and for the next map (C6). Called with the pool latch. */
  readonly neededUnits: () => number;
  /** Errors: `PW_CLOSED` once the store is being closed. */
  readonly assertOpen: () => void;
}

/** Errors: see `PageStore.compact`. */
export function compactStore(parts: CompactParts, request: CompactRequest): Promise<CompactResult> {
  return new Compaction(parts, request).run();
}

class Compaction {
  readonly #moving: Moving;

  constructor(
    private readonly parts: CompactParts,
    private readonly request: CompactRequest,
  ) {
    this.#moving = new Moving(parts, () => this.#advanced());
  }

  async run(): Promise<CompactResult> {
    const { file, poolLatch, space } = this.parts;
    const bytesBefore = file.io.size();
    await this.#advanced();
    try {
      if (this.request.tailOnly !== true) await this.#moveDown();
      poolLatch.holding(() => space.shrink(this.parts.neededUnits()));
    } finally {
      poolLatch.holding(() => {
        space.ceiling = 0;
      });
    }
    await this.#cutOff();
    await this.#advanced();
    return {
      bytesBefore,
      bytesAfter: file.io.size(),
      pages: this.#moving.pages,
      retainedBytes: space.retainedUnits * file.pageSize,
    };
  }

  /** Moves what lies too high, until that gains nothing any more. */
  async #moveDown(): Promise<void> {
    const { poolLatch, space } = this.parts;
    // What was given up since the checkpoints before is free then, and is where pages are moved to.
    if (space.retainedUnits > 0) for (let renewals = 0; renewals < 2; renewals++) await this.#renew();
    for (let round = 0; round < MOST_ROUNDS; round++) {
      const { end, ceiling } = poolLatch.holding(() => this.#survey());
      if (end <= ceiling) return;
      space.ceiling = ceiling;
      await this.#moving.run();
      // After the first nothing but the older superblock names the old places, after the second nothing.
      await this.#renew();
      await this.#renew();
      if (poolLatch.holding(() => space.end) >= end) return;
    }
  }

  #survey(): { readonly end: number; readonly ceiling: number } {
    const { space, neededUnits } = this.parts;
    const used = space.units - space.freeUnits - space.retainedUnits;
    return { end: space.end, ceiling: used + Math.ceil(used / ROOM_SHARE) + neededUnits() };
  }

  async #cutOff(): Promise<void> {
    const { checkpointer, file, poolLatch, space } = this.parts;
    if (file.io.size() <= space.units * file.pageSize) return;
    const isKnown = (): boolean => checkpointer.mappedUnits <= space.units;
    for (let renewals = 0; !isKnown() && renewals < MOST_RENEWALS; renewals++) await this.#renew();
    // In one step: other threads add units.
    poolLatch.holding(() => {
      if (isKnown()) space.truncate();
    });
  }

  /** A checkpoint with a map of its own, though nothing may have changed. */
  async #renew(): Promise<void> {
    const { epochs, gate, latches, poolLatch, rootFrame } = this.parts;
    gate.enter();
    try {
      latches.latch(rootFrame);
      try {
        poolLatch.holding(() => epochs.markDirty(rootFrame));
      } finally {
        latches.unlatch(rootFrame);
      }
    } finally {
      gate.leave();
    }
    await this.request.checkpoint();
    await this.#advanced();
  }

  async #advanced(): Promise<void> {
    const { pages, bytes } = this.#moving;
    this.parts.assertOpen();
    await this.request.advanced({ pages, bytes, fileBytes: this.parts.file.io.size() });
    this.parts.assertOpen();
  }
}
