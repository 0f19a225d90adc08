/**
 * Makes a finding small: which of the changes to the valid input are needed for it (Zeller and Hildebrandt, "Simplifying
 * and isolating failure-inducing input", 2002: ddmin).
 */
import { FuzzSession } from './fuzzer.js';
import type { Mutation } from './mutator.js';
import type { FuzzTarget } from './target.js';

/** A finding with no change that could be left out. */
export interface MinimalFinding {
  readonly bytes: Uint8Array;
  readonly mutations: readonly Mutation[];
  /** Which input it was made of, what was changed, and what came of it. */
  readonly message: string;
  readonly error: Error;
}

/** The smallest form of the finding at this seed and number; null if it is none. */
export async function minimize<Context>(
  target: FuzzTarget<Context>,
  seed: number,
  index: number,
): Promise<MinimalFinding | null> {
  const session = await FuzzSession.open(target, seed);
  const input = session.input(index);
  const failure = async (mutations: readonly Mutation[]): Promise<Error | null> => {
    const outcome = await session.attempt({ ...input, mutations });
    return typeof outcome === 'string' ? null : outcome;
  };
  if ((await failure(input.mutations)) === null) return null;
  const mutations = await ddmin(input.mutations, async (some) => (await failure(some)) !== null);
  const error = (await failure(mutations)) as Error;
  const minimal = { ...input, mutations };
  return { bytes: session.bytes(minimal), mutations, message: session.describe(index, error, minimal), error };
}

/** A list of which no part can be left out without `fails` becoming false. It is true for the whole. */
export async function ddmin<Item>(
  items: readonly Item[],
  fails: (items: readonly Item[]) => Promise<boolean>,
): Promise<readonly Item[]> {
  let kept = items;
  let parts = 2;
  while (kept.length > 0) {
    const size = Math.ceil(kept.length / parts);
    let smaller: readonly Item[] | null = null;
    for (let start = 0; start < kept.length && smaller === null; start += size) {
      const rest = [...kept.slice(0, start), ...kept.slice(start + size)];
      if (await fails(rest)) smaller = rest;
    }
    if (smaller !== null) {
      kept = smaller;
      parts = Math.max(2, parts - 1);
    } else if (size === 1) {
      return kept;
    } else {
      parts = Math.min(kept.length, parts * 2);
    }
  }
  return kept;
}
