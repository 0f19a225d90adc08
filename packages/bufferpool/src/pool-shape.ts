/** How large a pool is, and how large the pages in it may be: what all threads have to agree on follows from the options and the file. */
import { LARGEST_PAGE } from '@pagewright/core/contracts';
import { type CheckedOptions, checkMemory } from './options.js';
import type { PoolShape } from './pool-memory.js';

/** The largest page that can be written takes at most this share of the pool. */
export const LARGEST_PAGE_SHARE = 16;
/** A store that was written with a larger pool may have larger pages: up to this share they can be read. */
const LARGEST_READ_SHARE = 4;

/** Errors: `PW_OPTION_INVALID` if there is too little memory for the pages that the store has. */
export function shapeFor(
  { memory, coolingFraction, replacement, translation }: CheckedOptions,
  pageSize: number,
  readOnly: boolean,
): PoolShape {
  checkMemory(memory, pageSize);
  const frames = Math.floor(memory / pageSize);
  const largestClass = (share: number): number =>
    Math.floor(Math.log2(Math.min(LARGEST_PAGE / pageSize, frames / share)));
  return {
    frames,
    pageSize,
    maxSizeClass: largestClass(LARGEST_PAGE_SHARE),
    largestReadClass: largestClass(LARGEST_READ_SHARE),
    replacement,
    translation,
    coolingFraction,
    readOnly,
  };
}
