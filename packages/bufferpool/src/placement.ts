/**
 * Which pages may leave their frames, or move to others, and where their swips are. A page that is latched or pinned, or
 * whose image is on its way to the file, stays where it is.
 */
import { PagewrightError, SWIP_COOL, SWIP_HOT, SWIP_TAG_MASK } from '@pagewright/core';
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
import { readSwipTable, type SwipTable } from './page-image.js';

/** What the parts of a pool that deal with frames share. */
export interface PoolParts {
  readonly arena: Arena;
  readonly frames: FrameTable;
  readonly latches: Latches;
  /** Which blocks of the arena are free. */
  readonly blocks: BuddyAllocator;
  readonly epochs: Epochs;
  readonly file: PageFile;
  readonly counters: Counters;
}

export class Placement {
  readonly #table: SwipTable = { offset: 0, count: 0, stride: 0 };

  constructor(private readonly parts: PoolParts) {}

  /** Whether the page may be evicted now (P1). */
  mayLeave(frame: number, ofLatched: boolean): boolean {
    return this.parts.frames.get(frame, RESIDENT_CHILDREN) === 0 && this.mayMove(frame, ofLatched);
  }

  /** Whether the page may go to another frame now. Children of pages that this thread has latched only if asked. */
  mayMove(frame: number, ofLatched: boolean): boolean {
    const { frames, latches, epochs } = this.parts;
    const state = frames.get(frame, STATE);
    const parent = frames.get(frame, PARENT);
    return (
      (state === STATE_HOT || state === STATE_COOL) &&
      parent !== NO_FRAME &&
      frames.get(frame, PINS) === 0 &&
      !latches.isHeld(frame) &&
      (!latches.isHeld(parent) || (ofLatched && latches.isOwn(parent))) &&
      !epochs.isBeingWritten(frame)
    );
  }

  /** Index of the word of the parent's swip that names the frame. */
  findSwip(parent: number, frame: number): number {
    const segment = this.parts.arena.segmentOf(parent);
    const base = this.parts.arena.baseOf(parent);
    const table = this.swipTableOf(parent);
    const step = table.stride >>> 2;
    for (let left = table.count, at = (base + table.offset) >>> 2; left > 0; left--, at += step) {
      const word = segment.u32[at] as number;
      const tag = word & SWIP_TAG_MASK;
      if (word >>> 2 === frame && (tag === SWIP_HOT || tag === SWIP_COOL)) return at;
    }
    throw new PagewrightError(
      'PW_INTERNAL',
      `The page in frame ${frame} is not in the swip table of its parent. An index wrote over it.`,
    );
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
