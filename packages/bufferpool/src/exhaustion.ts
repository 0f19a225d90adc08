/** A pool without a frame to give: who has them, and whether that may change by itself. */
import { PagewrightError } from '@pagewright/core/contracts';
import {
  NO_FRAME,
  PARENT,
  PINS,
  READER,
  RESIDENT_CHILDREN,
  SIZE_CLASS,
  STATE,
  STATE_CLAIMED,
  STATE_COOL,
  STATE_FREE,
  STATE_HOT,
  STATE_LOADING,
} from './frames.js';
import type { PoolParts } from './placement.js';

/** Whether other threads have pages on their way to the file or from it. Looks at every frame. */
export function othersTransfer({ epochs, frames, threads }: PoolParts): boolean {
  for (let frame = 0; frame < frames.count; frame++) {
    const state = frames.get(frame, STATE);
    if (state === STATE_LOADING && frames.get(frame, READER) !== threads.slot + 1) return true;
    if ((state === STATE_HOT || state === STATE_COOL) && epochs.isBeingWritten(frame)) return true;
  }
  return false;
}

/** The error `PW_POOL_EXHAUSTED`, with how many pages are held by what. */
export function exhausted({ arena, epochs, frames, latches }: PoolParts, sizeClass: number): PagewrightError {
  const by = {
    free: 0,
    claimed: 0,
    loading: 0,
    pinned: 0,
    latched: 0,
    withChildren: 0,
    placeless: 0,
    beingWritten: 0,
    evictable: 0,
  };
  for (let frame = 0; frame < frames.count; ) {
    const state = frames.get(frame, STATE);
    if (state === STATE_FREE) by.free++;
    else if (state === STATE_CLAIMED) by.claimed++;
    else if (state === STATE_LOADING) by.loading++;
    else if (frames.get(frame, PINS) > 0) by.pinned++;
    else if (latches.isHeld(frame)) by.latched++;
    else if (frames.get(frame, PARENT) === NO_FRAME) by.placeless++;
    else if (frames.get(frame, RESIDENT_CHILDREN) > 0) by.withChildren++;
    else if (epochs.isBeingWritten(frame)) by.beingWritten++;
    else by.evictable++;
    frame += state === STATE_FREE || state === STATE_CLAIMED ? 1 : 1 << frames.get(frame, SIZE_CLASS);
  }
  const pageBytes = arena.pageSize * 2 ** sizeClass;
  return new PagewrightError(
    'PW_POOL_EXHAUSTED',
    `No frame for a page of ${pageBytes} bytes can be made free in a pool of ${frames.count} frames. Give the pool more memory, or use fewer large values at a time.`,
    { details: { frames: frames.count, pageBytes, heldBy: by } },
  );
}
