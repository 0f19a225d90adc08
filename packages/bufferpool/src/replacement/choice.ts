/** The replacement policies that come with the pool, and the choice of one by name. */
import { PagewrightError, type ReplacementPolicyType } from '@pagewright/core';
import { Clock } from './clock.js';
import { Cooling } from './cooling.js';

/** Both keep this share of the frames cool. */
export function builtInReplacements(coolingFraction: number): readonly ReplacementPolicyType[] {
  return [
    {
      name: 'cooling',
      stateBytes: Cooling.stateBytes,
      attach: (frames, state) => new Cooling(frames, state, coolingFraction),
    },
    {
      name: 'clock',
      stateBytes: Clock.stateBytes,
      attach: (frames, state) => new Clock(frames, state, coolingFraction),
    },
  ];
}

/** Errors: `PW_OPTION_INVALID` if there is none of this name, `PW_PLUGIN_DUPLICATE` if there are two. */
export function findReplacement(name: string, types: readonly ReplacementPolicyType[]): ReplacementPolicyType {
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
  throw new PagewrightError('PW_OPTION_INVALID', `There is no replacement policy "${name}"; there are: ${known}.`, {
    details: { option: 'replacement', value: name },
  });
}
