/**
 * About how many entries lie between two keys, from the paths to both and one to the middle between them: where the two part, so many
 * children lie between them, and each is taken to hold what the pages on the third path say of pages like it.
 *
 * Nothing is latched, and each level is read at a moment of its own: between changes the answer is an estimate of either side.
 */
import { LEAF_LEVEL, MOST_RESTARTS, TO_FIRST, TO_KEY, TO_LAST } from './descent.js';
import { heightOf } from './height.js';
import { INNER_SLOT_SIZE } from './inner-layout.js';
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
  const height = heightOf(parts.context, parts.descent);
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
    for (let attempt = 0; attempt < MOST_RESTARTS; attempt++) if (step(parts, key, mode, level, path)) break;
  }
  return path;
}

/** Reads the page of a path on one level. False: it has changed meanwhile, or is not there any more. */
function step(
  { context, descent }: TreeParts,
  key: Uint8Array | null,
  mode: number,
  level: number,
  path: Path,
): boolean {
  const { pages } = context;
  const frame = descent.descend(key, mode, level);
  if (frame < 0) return false;
  const { version, slot, atRoot } = descent;
  const segment = pages.segmentOf(frame);
  const base = pages.baseOf(frame);
  const size = countOf(segment, base);
  const found = level > LEAF_LEVEL || key === null ? 0 : findSlot(segment, base, pages.pageSize, LEAF_SLOT_SIZE, key);
  if (found === DAMAGED || !pages.validate(frame, version)) return false;
  if (!atRoot) path.before[level + 1] = slot;
  if (level > LEAF_LEVEL) {
    path.sizes[level] = size + 1;
  } else {
    path.sizes[level] = size;
    if (key === null) path.before[level] = mode === TO_LAST ? size : 0;
    else path.before[level] = found < 0 ? ~found : found;
  }
  return true;
}
