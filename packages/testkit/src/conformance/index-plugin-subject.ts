/** What the index suite tests, and what its clauses are made of. */
import { type IndexType, isPagewrightError, type PageStore } from '@pagewright/core';
import { HostilePages } from '../pages/hostile-pages.js';
import type { HostilePagesOptions } from '../pages/options.js';
import { ModeledIndex } from './index-plugin-model.js';
import type { Clause } from './suite.js';

/** A page store with a file, that can be closed and opened again. */
export interface ReopenableStore {
  /** Opens the store: with nothing in it at first, later with what the last checkpoint wrote. The suite closes it. */
  open(): Promise<PageStore>;
  /** Called at the end, when the store is closed. */
  dispose?(): void | Promise<void>;
}

/** An index plugin, and what to test it with. */
export interface IndexUnderTest {
  readonly type: IndexType;
  /** A new store of the kind that engines use, with as little memory as it works with. Without it the clauses about it are skipped. */
  readonly store?: () => ReopenableStore | Promise<ReopenableStore>;
  /** Where the random clauses begin. Default: 1. */
  readonly seed?: number;
  /** How often each random clause runs, each time with the next seed. Default: 1. */
  readonly rounds?: number;
}

/** What only some indexes can do. */
export type IndexCapability =
  /** Keeps its entries on pages of the store, all of them below its root swip. */
  | 'pages'
  /** Its `check` finds damage: an index of one level without bounds may have nothing to look at. */
  | 'check'
  /** Gives back pages that it has emptied. */
  | 'shrinks'
  /** Has the optional method `prefetch`. */
  | 'prefetches'
  /** Has the optional method `bulkLoad`. */
  | 'loads'
  /** Its cursors have the optional method `count`. */
  | 'counts'
  /** Has the optional method `estimate`. */
  | 'estimates'
  /** There is a store to try it on: follows from {@link IndexUnderTest.store}. */
  | 'store';

export type IndexClause = Clause<IndexUnderTest, IndexCapability>;

/** Timestamps jump by 2 ** 32 after each crash: those of a new index begin just below, and soon have a low word below that of earlier ones. */
const FIRST_TIMESTAMP = 2 ** 32 - 40;

/** A new index on a hostile store, which is not hostile and watches nothing unless it is told to. */
export function modelOf({ type }: IndexUnderTest, options: HostilePagesOptions = {}): ModeledIndex<HostilePages> {
  const model = new ModeledIndex(type, new HostilePages({ watch: false, ...options }));
  model.timestamp = FIRST_TIMESTAMP;
  return model;
}

/** Runs what happens by chance with each seed that is wanted; what it throws names the seed. */
export function withSeeds({ seed = 1, rounds = 1 }: IndexUnderTest, run: (seed: number) => void): void {
  for (let round = 0; round < rounds; round++) {
    try {
      run(seed + round);
    } catch (error) {
      throw naming(`with seed ${seed + round}`, error);
    }
  }
}

/** The error with where it happened in front of its message. */
export function naming(where: string, error: unknown): Error {
  return new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
}

/** The code of the error that it throws; 'no error' if there is none. */
export function codeOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    return isPagewrightError(error) ? error.code : String(error);
  }
  return 'no error';
}

/** Throws with the message unless it holds. */
export function expect(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(message);
}
