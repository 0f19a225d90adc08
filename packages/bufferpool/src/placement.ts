/**
 * Which pages may leave their frames, or move to others, and where their swips are. A page that is latched or pinned stays
 * where it is. One whose image is on its way to the file may move, because the image is a private copy (P4), but not leave.
 */

import {
  PagewrightError,
  SWIP_COOL,
  SWIP_HOT,
  SWIP_TAG_MASK,
  type Threads,
  type Translation,
} from '@pagewright/core/contracts';
import type { Arena } from './arena.js';
import type { BuddyAllocator } from './buddy.js';
import type { Counters } from './counters.js';
import type { Epochs } from './epochs.js';
import {
  type FrameTable,
  NO_FRAME,
  PARENT,
  PINS,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_COOL,
  STATE_HOT,
} from './frames.js';
import type { Latches } from './latches.js';
import type { PageFile } from './page-file.js';
import { isSwipTable, peekSwipTable, readSwipTable, type SwipTable } from './page-image.js';
import type { PoolLatch } from './pool-latch.js';

/** What the parts of a pool that deal with frames share. */
export interface PoolParts {
  readonly arena: Arena;
  readonly frames: FrameTable;
  /** Which frame a swip names. */
  readonly translation: Translation;
  readonly latches: Latches;
  /** Which blocks of the arena are free. */
  readonly blocks: BuddyAllocator;
  readonly epochs: Epochs;
  readonly file: PageFile;
  readonly threads: Threads;
  readonly poolLatch: PoolLatch;
  readonly counters: Counters;
}

export class Placement {
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(private readonly parts: PoolParts) {}

  /** Whether the page may be evicted now (P1). */
  mayLeave(frame: number, ofLatched: boolean): boolean {
    return this.isEvictable(frame) && !this.#isLatched(frame, ofLatched);
  }

  /** The same but for latches, which other threads take and give back at any time: all else changes under the pool latch alone. */
  isEvictable(frame: number): boolean {
    const { frames, epochs } = this.parts;
    return frames.get(frame, RESIDENT_CHILDREN) === 0 && this.#isSettled(frame) && !epochs.isBeingWritten(frame);
  }

  /** Whether the page may go to another frame now. Children of pages that this thread has latched only if asked. */
  mayMove(frame: number, ofLatched: boolean): boolean {
    return this.#isSettled(frame) && !this.#isLatched(frame, ofLatched);
  }

  #isSettled(frame: number): boolean {
    const { frames } = this.parts;
    const state = frames.get(frame, STATE);
    return (
      (state === STATE_HOT || state === STATE_COOL) &&
      frames.get(frame, PARENT) !== NO_FRAME &&
      frames.get(frame, PINS) === 0
    );
  }

  #isLatched(frame: number, ofLatched: boolean): boolean {
    const { frames, latches } = this.parts;
    const parent = frames.get(frame, PARENT);
    return latches.isHeld(frame) || (latches.isHeld(parent) && !(ofLatched && latches.isOwn(parent)));
  }

  /** Index of the word of the parent's swip that names the frame. */
  findSwip(parent: number, frame: number): number {
    const name = this.parts.frames.nameOf(frame);
    const segment = this.parts.arena.segmentOf(parent);
    const base = this.parts.arena.baseOf(parent);
    const table = this.swipTableOf(parent);
    const step = table.stride >>> 2;
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += step) {
      const word = segment.u32[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (word >>> 2 === name && (tag === SWIP_HOT || tag === SWIP_COOL)) return at;
    }
    throw new PagewrightError(
      'PW_INTERNAL',
      `The page in frame ${frame} is not in the swip table of its parent. An index wrote over it.`,
    );
  }

  /** The same for a page that is not latched: without entries where the table cannot be. */
  tornSwipTableOf(frame: number): SwipTable {
    const { arena, frames } = this.parts;
    const table = this.#table;
    peekSwipTable(arena.segmentOf(frame), arena.baseOf(frame), table);
    if (!isSwipTable(table, arena.pageSize << frames.get(frame, SIZE_CLASS))) table.count = 0;
    return table;
  }

  /** The swip table of the page in a frame. The object is used again by the next call. */
  swipTableOf(frame: number): SwipTable {
    const { arena, frames } = this.parts;
    readSwipTable(
      arena.segmentOf(frame),
      arena.baseOf(frame),
      arena.pageSize << frames.get(frame, SIZE_CLASS),
      this.#table,
    );
    return this.#table;
  }
}
