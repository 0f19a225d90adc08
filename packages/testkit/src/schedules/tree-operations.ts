/** What the actors of a tree round do, drawn from a seed; and the keys that they do it to. */
import type { Random } from '../random.js';

export interface TreeOperation {
  readonly kind: 'lookup' | 'scan' | 'upsert' | 'remove' | 'read-many' | 'checkpoint';
  /** Number of the key, or of the first one. */
  readonly key: number;
  /** Bytes of a value; entries of a scan; keys of many. */
  readonly size: number;
  /** Without blocking: what is not in memory is loaded between two attempts. Scans from the last key down. */
  readonly later: boolean;
  readonly reverse: boolean;
}

/** Keys that there may be. */
export const KEYS = 1400;
/** Every so many of them there is at the beginning, and the others not. */
export const PREFILLED = 2;
/** Keys that share all but their ends, so that what separates them is long and inner pages have few children. */
const GROUP = 16;
const GROUP_PREFIX = 180;
/** Keys next to each other that most operations of a round are about. */
const HOT_KEYS = 60;

/** Bytes of values. What is above a quarter of a page goes to pages of their own, of which the bulky ones take several frames. */
const SMALL = [0, 20, 300, 700, 900];
const MIXED = [0, 300, 900, 1100, 5000];
const BULKY = [300, 5000, 9000, 12_000];

export function keyOf(number: number): string {
  const group = Math.floor(number / GROUP);
  return `${String(group).padStart(4, '0')}${'x'.repeat(group % 3 === 0 ? 4 : GROUP_PREFIX)}${String(number % GROUP).padStart(2, '0')}`;
}

export function treeOperations(random: Random, count: number, top: boolean): TreeOperation[] {
  const first = random.below(KEYS - HOT_KEYS);
  const shrinks = random.chance(0.4);
  const sizes = random.chance(0.4) ? BULKY : random.chance(0.5) ? MIXED : SMALL;
  const operations: TreeOperation[] = [];
  for (let i = 0; i < count; i++) {
    const key = random.chance(0.7) ? first + random.below(HOT_KEYS) : random.below(KEYS);
    const later = top && random.chance(0.6);
    operations.push({ ...oneOf(random, shrinks, top, sizes), key, later, reverse: random.chance(0.4) });
  }
  return operations;
}

function oneOf(
  random: Random,
  shrinks: boolean,
  top: boolean,
  sizes: readonly number[],
): Pick<TreeOperation, 'kind' | 'size'> {
  const roll = random.below(100);
  if (roll < 22) return { kind: 'lookup', size: 0 };
  if (roll < 32) return { kind: 'scan', size: random.pick([3, 20, 90]) };
  if (roll < 40) return { kind: 'read-many', size: random.pick([4, 20, 60]) };
  if (roll < 43 && top) return { kind: 'checkpoint', size: 0 };
  if (roll < (shrinks ? 85 : 58)) return { kind: 'remove', size: 0 };
  return { kind: 'upsert', size: random.pick(sizes) };
}
