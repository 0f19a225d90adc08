/**
 * What dividing entries between two neighbours needs to know of them, leaves or inner pages: a split is the division
 * with an empty page, a merge the one that leaves nothing on the right.
 */
import type { NodeBounds } from './node-bounds.js';

export interface NodeEntries {
  readonly count: number;
  readonly leftCount: number;
  readonly leftGuaranteed: number;
  load(left: number, right: number): void;
  leftFence(into: Uint8Array): number;
  rightFence(into: Uint8Array): number;
  prefixFor(from: number, to: number, bounds: NodeBounds): number;
  size(from: number, to: number, prefix: number, bounds: NodeBounds): number;
  write(frame: number, from: number, to: number, prefix: number, bounds: NodeBounds): void;
  restoreSwips(frame: number, from: number, to: number, wasLeft: boolean): void;
  moveSwips(giver: number, receiver: number, from: number, to: number, first: number): void;
  /** Bytes that an entry takes, as a weight for finding the middle. */
  weight(index: number): number;
  /** Copies a bound between the entries before and from `cut` on, as short as can be; its length. */
  separator(cut: number, into: Uint8Array): number;
  /** Length of that bound. */
  separatorLength(cut: number): number;
}

/** Bytes of a node with these entries, with the best prefix. */
export function sizeOf(entries: NodeEntries, from: number, to: number, bounds: NodeBounds): number {
  return entries.size(from, to, entries.prefixFor(from, to, bounds), bounds);
}

/**
 * Writes the left page with the entries below `cut` and the right one with the others, and moves the swips. Both are
 * latched and `modify`ed, and the entries were loaded after that. If nothing is left for the right page it is not written.
 */
export function divide(
  entries: NodeEntries,
  left: number,
  right: number,
  cut: number,
  leftBounds: NodeBounds,
  rightBounds: NodeBounds,
): void {
  const { count, leftCount } = entries;
  if (cut <= leftCount) {
    write(entries, right, cut, count, rightBounds, false);
    entries.moveSwips(left, right, cut, leftCount, cut);
    write(entries, left, 0, cut, leftBounds, true);
  } else {
    write(entries, left, 0, cut, leftBounds, true);
    entries.moveSwips(right, left, leftCount, cut, 0);
    if (cut < count) write(entries, right, cut, count, rightBounds, false);
  }
}

function write(entries: NodeEntries, frame: number, from: number, to: number, bounds: NodeBounds, isLeft: boolean) {
  entries.write(frame, from, to, entries.prefixFor(from, to, bounds), bounds);
  entries.restoreSwips(frame, from, to, isLeft);
}

/** Cuts are looked for within this share of the entries around the middle. */
const WINDOW = 1 / 16;

/**
 * Where to cut into halves of about the same size, near which the separator is shortest (Bayer and Unterauer's split
 * interval). Both halves have at least `least` entries.
 */
export function balancedCut(entries: NodeEntries, least: number): number {
  const { count } = entries;
  let total = 0;
  for (let i = 0; i < count; i++) total += entries.weight(i);
  let middle = 0;
  for (let sum = 0; middle < count && sum * 2 < total; middle++) sum += entries.weight(middle);
  const lowest = least;
  const highest = count - least;
  const clamp = (cut: number) => Math.max(lowest, Math.min(highest, cut));
  const reach = Math.floor(count * WINDOW);
  let best = clamp(middle);
  let shortest = entries.separatorLength(best);
  for (let cut = clamp(middle - reach); cut <= clamp(middle + reach); cut++) {
    const length = entries.separatorLength(cut);
    if (length < shortest) {
      best = cut;
      shortest = length;
    }
  }
  return best;
}
