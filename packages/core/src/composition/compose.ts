/** Puts plugins together into a {@link Blueprint}, or says everything that keeps them from going together. */
import { Blueprint } from './blueprint.js';
import { makePlan } from './plan.js';
import { ProblemList } from './problem-list.js';
import { readSeats } from './seats.js';
import type { ComposeConfig } from './slots.js';

/**
 * Composes an engine from configured plugins. Opens nothing and sets nothing up; the blueprint can open any number of
 * stores. The types of index that its engines know follow from `indexes`.
 *
 * Errors: `PW_CONFIG`, whose `problems` list all that is wrong: unknown keys and empty slots, what is not a plugin or
 * stands in the wrong slot, other contract versions, duplicate names and tokens, tokens that nobody provides, options that
 * a schema does not accept (schemas must answer at once).
 */
export function compose<Type extends string>(config: ComposeConfig<Type>): Blueprint<Type> {
  const problems = new ProblemList();
  const plan = makePlan(
    readSeats(config, () => false, problems),
    problems,
  );
  problems.throwIfAny();
  return new Blueprint<Type>(plan);
}
