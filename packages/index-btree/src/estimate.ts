/**
 * About how many entries lie between two keys, from the paths to both and one to the middle between them: where the two part, so many
 * children lie between them, and each is taken to hold what the pages on the third path say of pages like it.
 *
 * Nothing is latched, and each level is read at a moment of its own: between changes the answer is an estimate of either side.
 */
import { LEAF_LEVEL, MOST_RESTARTS, TO_FIRST, TO_KEY, TO_LAST, TOO_LOW } from './descent.js';
import { heightOf } from './height.js';
import { INNER_SLOT_SIZE } from './inner-layout.js';
import { compareKeys } from './key-order.js';
import { LEAF_SLOT_SIZE } from './leaf-layout.js';
import { copyKey } from './node-keys.js';
import { countOf } from './node-layout.js';
import { DAMAGED, findSlot } from './search.js';
import type { TreeParts } from './tree-parts.js';

/** Of each level, from the leaf up: entries or children of the page on the path, and how many of them lie before it. */
interface Path {
  readonly sizes: number[];
  readonly before: number[];
}

/** From `lower` up to, and without, `upper`; null is open. May throw `PageFault`. */
export function estimateEntries(parts: TreeParts, lower: Uint8Array | null, upper: Uint8Array | null): number {
  if (lower !== null && upper !== null && compareKeys(lower, lower.length, upper, upper.length) >= 0) return 0;
  // Where a page of the way is missing, that is a fault like any other; the height is read in place.
  parts.descent.descend(lower, lower === null ? TO_FIRST : TO_KEY, LEAF_LEVEL);
  const height = heightOf(parts.context);
  const left = pathTo(parts, lower, lower === null ? TO_FIRST : TO_KEY, height);
  const right = pathTo(parts, upper, upper === null ? TO_LAST : TO_KEY, height);
  let parting = height - 1;
  while (parting > LEAF_LEVEL && left.before[parting] === right.before[parting]) parting--;
  if (parting === LEAF_LEVEL) return Math.max(0, right.before[LEAF_LEVEL]! - left.before[LEAF_LEVEL]!);
  const between = right.before[parting]! - left.before[parting]! - 1;
  // Of different moments, or a range without keys.
  if (between < 0) return 0;
  const sizes = between === 0 ? averageOf(left, right) : middleOf(parts, lower, left, right, parting, height);
  let entries = Math.max(0, left.sizes[LEAF_LEVEL]! - left.before[LEAF_LEVEL]!) + right.before[LEAF_LEVEL]!;
  let below = sizes[LEAF_LEVEL]!;
  for (let level = LEAF_LEVEL + 1; level <= parting; level++) {
    const children = level === parting ? between : left.sizes[level]! - 1 - left.before[level]! + right.before[level]!;
    entries += children * below;
    below *= sizes[level]!;
  }
  return Math.round(entries);
}

function averageOf(left: Path, right: Path): number[] {
  return left.sizes.map((size, level) => (size + right.sizes[level]!) / 2);
}

/** What pages hold in the middle between the two paths, or if that cannot be seen on both. */
function middleOf(
  parts: TreeParts,
  lower: Uint8Array | null,
  left: Path,
  right: Path,
  parting: number,
  height: number,
): number[] {
  const { context, descent, workspace } = parts;
  const { pages } = context;
  const slot = (left.before[parting]! + right.before[parting]!) >>> 1;
  const frame = descent.descend(lower, lower === null ? TO_FIRST : TO_KEY, parting);
  if (frame < 0) return averageOf(left, right);
  const { version } = descent;
  const segment = pages.segmentOf(frame);
  const base = pages.baseOf(frame);
  // The separator before a child leads to it.
  const length = copyKey(segment, base, pages.pageSize, INNER_SLOT_SIZE, slot - 1, workspace.keyB);
  if (length < 0 || !pages.validate(frame, version)) return averageOf(left, right);
  return pathTo(parts, workspace.keyB.slice(0, length), TO_KEY, height).sizes;
}

function pathTo(parts: TreeParts, key: Uint8Array | null, mode: number, height: number): Path {
  const path: Path = { sizes: new Array<number>(height).fill(1), before: new Array<number>(height).fill(0) };
  for (let level = height - 1; level >= LEAF_LEVEL; level--) {
    let attempts = 0;
    while (attempts < MOST_RESTARTS && !step(parts, key, mode, level, path)) attempts++;
    if (attempts === MOST_RESTARTS) stepLatched(parts, key, mode, level, path);
  }
  return path;
}

/** Reads the page of a path on one level. False: it has changed meanwhile. */
function step(parts: TreeParts, key: Uint8Array | null, mode: number, level: number, path: Path): boolean {
  const { context, descent } = parts;
  const frame = descent.descend(key, mode, level);
  if (frame < 0) return frame === TOO_LOW;
  const { version } = descent;
  const seen = look(parts, frame, key, mode, level);
  if (seen === null || !context.pages.validate(frame, version)) return false;
  note(parts, seen, level, path);
  return true;
}

/** The same with latches, where the page does not come to rest (M2). */
function stepLatched(parts: TreeParts, key: Uint8Array | null, mode: number, level: number, path: Path): void {
  const { context, descent } = parts;
  const frame = descent.descendLatched(key, mode, level, false);
  if (frame === TOO_LOW) return;
  const seen = look(parts, frame, key, mode, level);
  if (seen !== null) note(parts, seen, level, path);
  context.pages.unlatch(frame);
}

interface Seen {
  /** Entries, or children. */
  readonly size: number;
  /** Entries of a leaf that lie before the key. */
  readonly before: number;
}

/** What there is on a page; null if it is torn, or damaged. Nothing of it is validated. */
function look({ context }: TreeParts, frame: number, key: Uint8Array | null, mode: number, level: number): Seen | null {
  const { pages } = context;
  const segment = pages.segmentOf(frame);
  const base = pages.baseOf(frame);
  const count = countOf(segment, base);
  if (level > LEAF_LEVEL) return { size: count + 1, before: 0 };
  if (key === null) return { size: count, before: mode === TO_LAST ? count : 0 };
  const found = findSlot(segment, base, pages.pageSize, LEAF_SLOT_SIZE, key);
  if (found === DAMAGED) return null;
  return { size: count, before: found < 0 ? ~found : found };
}

function note({ descent }: TreeParts, { size, before }: Seen, level: number, path: Path): void {
  if (!descent.atRoot) path.before[level + 1] = descent.slot;
  path.sizes[level] = size;
  if (level === LEAF_LEVEL) path.before[level] = before;
}
