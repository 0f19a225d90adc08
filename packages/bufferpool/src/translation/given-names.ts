/**
 * Names that are given to pages, for translations that look them up. A page that comes from the file is named after the place of its
 * extent, as in stores whose pages never change places, so that neighbours have neighbouring names; a new page is named by a count. If another page in memory has that
 * name, which happens because pages are written to new places, it gets one far away.
 */

/** Odd, so that steps come to every name of a power of two; and large, so that they leave a run of names at once. */
const STEP = 0x9e3779b1;

/** Below 2^30, as a swip has room for no more. */
export const MOST_NAMES = 2 ** 30;

/**
 * A name from 1 to `mask`, which is a power of two less 1, that is not taken. Word `at` of the state counts new pages. Most names
 * are free.
 */
export function freeName(
  unit: number,
  mask: number,
  state: Int32Array,
  at: number,
  isTaken: (name: number) => boolean,
): number {
  let name = unit & mask;
  if (unit === 0) {
    state[at] = (state[at] as number) + 1;
    name = (state[at] as number) & mask;
  }
  while (name === 0 || isTaken(name)) name = (name + STEP) & mask;
  return name;
}
