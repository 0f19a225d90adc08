/**
 * What a store is made to do while it is crashed: a list of plain steps, so that one that fails can be printed, run again
 * and made smaller. The same seed and theme give the same list.
 */
import { checkCount, checkOneOf } from '../option-check.js';
import { Random } from '../random.js';

/** How a commit is asked for. Those that end in `-sync` do it in place. */
export type Form = 'put' | 'batch' | 'transaction' | 'put-sync' | 'transaction-sync';

export type Step =
  | {
      readonly do: 'write';
      readonly form: Form;
      /** Number of the index. Synchronous forms have one of their own, because they overtake what is under way. */
      readonly index: number;
      readonly keys: readonly number[];
      /** Bytes in each value. */
      readonly size: number;
      /** Of every so many keys one is deleted instead; 0: none. */
      readonly deletes: number;
      /** Whether the workload waits for the answer. */
      readonly waits: boolean;
    }
  | { readonly do: 'clear' | 'drop'; readonly index: number }
  | {
      readonly do: 'load';
      readonly index: number;
      /** So many entries, from key 0 on. */
      readonly count: number;
      /** Bytes in each value; of every so many a large one of that size. */
      readonly size: number;
      readonly large: number;
      /** Of every so many entries one waits for a turn of the event loop; 0: the input is synchronous. */
      readonly turns: number;
      /** The input throws after so many entries, or one comes out of order; -1: it is sound. */
      readonly fails: number;
      /** Another index is written to while the input is read; -1: none. */
      readonly beside: number;
    }
  | { readonly do: 'checkpoint' | 'backup' | 'compact'; readonly waits: boolean }
  | { readonly do: 'read'; readonly keys: readonly number[] }
  | { readonly do: 'settle' | 'snapshot' | 'release' | 'reopen' | 'idle' };

/** What a workload dwells on. */
export const THEMES = [
  'mixed',
  'checkpoints',
  'growth',
  'recycling',
  'indexes',
  'loading',
  'merges',
  'snapshots',
  'backups',
  'compaction',
] as const;
export type Theme = (typeof THEMES)[number];

export interface Workload {
  readonly theme: Theme;
  readonly seed: number;
  readonly steps: readonly Step[];
}

/** Indexes of asynchronous writes, and the one of synchronous writes. */
export const INDEX_COUNT = 3;
export const SYNC_INDEX = INDEX_COUNT;

const MOST_KEYS = 240;
/** Bytes in a value: what an engine takes that has a pool of 64 pages of 4 KiB. */
const LARGEST = 16_000;

/** The workload of a seed, with this many steps, at least one. Errors: `RangeError`. */
export function makeWorkload(theme: Theme, seed: number, length: number): Workload {
  checkOneOf('theme', theme, THEMES);
  checkCount('length', length, 1);
  const random = new Random(seed).fork(theme);
  const steps: Step[] = [];
  while (steps.length < length) steps.push(makeStep(theme, random));
  return { theme, seed, steps };
}

function makeStep(theme: Theme, random: Random): Step {
  const dice = random.fraction();
  switch (theme) {
    case 'checkpoints':
      if (dice < 0.3) return { do: 'checkpoint', waits: random.chance(0.4) };
      break;
    case 'growth':
      if (dice < 0.7) return makeWrite(random, { sizes: [3000, LARGEST], most: 6, deletes: random.pick([0, 0, 3]) });
      break;
    case 'recycling':
      if (dice < 0.7) return makeWrite(random, { sizes: [2000, 9000], most: 6, deletes: 0 });
      if (dice < 0.85) return { do: 'checkpoint', waits: random.chance(0.7) };
      break;
    case 'indexes':
      if (dice < 0.35) return { do: random.pick(['clear', 'drop', 'drop'] as const), index: random.below(INDEX_COUNT) };
      break;
    case 'loading':
      if (dice < 0.35) return makeLoad(random);
      if (dice < 0.45) return { do: 'checkpoint', waits: random.chance(0.3) };
      if (dice < 0.55) return { do: 'clear', index: random.below(INDEX_COUNT) };
      break;
    case 'merges':
      if (dice < 0.7) return makeWrite(random, { sizes: [0, 200], most: 120, deletes: random.pick([0, 2, 1, 1]) });
      break;
    case 'snapshots':
      if (dice < 0.4)
        return random.chance(0.4)
          ? { do: 'read', keys: makeKeys(random, 5) }
          : { do: random.pick(['snapshot', 'release'] as const) };
      break;
    case 'backups':
      if (dice < 0.25) return { do: 'backup', waits: random.chance(0.4) };
      if (dice < 0.45) return makeWrite(random, { sizes: [0, LARGEST], most: 20, deletes: random.pick([0, 3]) });
      break;
    case 'compaction':
      if (dice < 0.3) return { do: 'compact', waits: random.chance(0.4) };
      if (dice < 0.6) return makeWrite(random, { sizes: [2000, LARGEST], most: 12, deletes: random.pick([0, 0, 1]) });
      if (dice < 0.7) return { do: random.pick(['clear', 'drop'] as const), index: random.below(INDEX_COUNT) };
      break;
    case 'mixed':
  }
  const other = random.fraction();
  if (other < 0.62) return makeWrite(random, { sizes: [0, 600], most: 30, deletes: random.pick([0, 0, 5, 2]) });
  if (other < 0.68) return makeWrite(random, { sizes: [4000, LARGEST], most: 3, deletes: 0 });
  if (other < 0.78) return { do: 'checkpoint', waits: random.chance(0.5) };
  if (other < 0.84) return { do: 'settle' };
  if (other < 0.88) return { do: random.pick(['clear', 'drop'] as const), index: random.below(INDEX_COUNT) };
  if (other < 0.93) return { do: 'read', keys: makeKeys(random, 10) };
  if (other < 0.97) return { do: random.pick(['snapshot', 'release'] as const) };
  return { do: random.pick(['reopen', 'idle'] as const) };
}

function makeWrite(
  random: Random,
  { sizes, most, deletes }: { sizes: readonly [number, number]; most: number; deletes: number },
): Step {
  const form = random.pick<Form>(['put', 'put', 'batch', 'transaction', 'put-sync', 'transaction-sync']);
  const single = form === 'put' || form === 'put-sync';
  return {
    do: 'write',
    form,
    index: form.endsWith('-sync') ? SYNC_INDEX : random.below(INDEX_COUNT),
    keys: makeKeys(random, single ? 1 : most),
    size: random.between(...sizes),
    deletes,
    waits: random.chance(0.5),
  };
}

function makeLoad(random: Random): Step {
  const index = random.below(INDEX_COUNT);
  const count = random.pick([0, 1, 30, 200, 600]);
  return {
    do: 'load',
    index,
    count,
    size: random.between(4, 400),
    large: random.pick([0, 0, 5000, LARGEST]),
    turns: random.pick([0, 0, 1, 40]),
    fails: random.chance(0.25) ? random.below(count + 1) : -1,
    beside: random.chance(0.5) ? (index + 1) % INDEX_COUNT : -1,
  };
}

function makeKeys(random: Random, most: number): number[] {
  const count = random.between(1, most);
  // In a row or all over: both happen, and trees take them differently.
  const first = random.below(MOST_KEYS);
  const inRow = random.chance(0.5);
  return Array.from({ length: count }, (_, at) => (inRow ? (first + at) % MOST_KEYS : random.below(MOST_KEYS)));
}
