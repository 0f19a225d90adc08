/** The replacement policies that come with the pool, and the choice of one by name. */
import { PagewrightError, type ReplacementPolicyType } from '@pagewright/core/contracts';
import { DEFAULT_COOLING_FRACTION } from '../options.js';
import { assertParts } from '../parts-check.js';
import { Clock } from './clock.js';
import { Cooling } from './cooling.js';
import { Probation, type ProvenPolicyType } from './probation.js';

/** Those that any thread can make by itself, from their names. */
const BUILT_IN = new WeakSet<ReplacementPolicyType>();

/** Pages that come in are on probation with both; of those that have proven themselves this share of all frames cools. */
export function builtInReplacements(coolingFraction = DEFAULT_COOLING_FRACTION): readonly ReplacementPolicyType[] {
  return [
    withProbation('cooling', {
      stateBytes: Cooling.stateBytes,
      attach: (frames, state) => new Cooling(frames, state, coolingFraction),
    }),
    withProbation('clock', {
      stateBytes: Clock.stateBytes,
      attach: (frames, state) => new Clock(frames, state, coolingFraction),
    }),
  ];
}

function withProbation(name: string, proven: ProvenPolicyType): ReplacementPolicyType {
  const type: ReplacementPolicyType = {
    name,
    stateBytes: (frames) => Probation.stateBytes(frames, proven),
    attach: (frames, state) => new Probation(frames, state, proven),
  };
  BUILT_IN.add(type);
  return type;
}

/** Whether it is one of this package, and no plugin's. */
export function isBuiltIn(type: ReplacementPolicyType): boolean {
  return BUILT_IN.has(type);
}

/** Errors: `PW_OPTION_INVALID` if there is none of this name, or one is no policy, `PW_PLUGIN_DUPLICATE` if there are two. */
export function findReplacement(name: string, types: readonly ReplacementPolicyType[]): ReplacementPolicyType {
  assertParts(types, 'replacement');
  const [found, other] = types.filter((type) => type.name === name);
  if (other !== undefined) {
    throw new PagewrightError(
      'PW_PLUGIN_DUPLICATE',
      `Two replacement policies have the name "${name}". Leave one of them out.`,
      { details: { name } },
    );
  }
  if (found !== undefined) return found;
  const known = types.map((type) => type.name).join(', ');
  throw new PagewrightError(
    'PW_OPTION_INVALID',
    `There is no replacement policy "${name}"; there are: ${known === '' ? 'none' : known}.`,
    {
      details: { option: 'replacement', value: name },
    },
  );
}
