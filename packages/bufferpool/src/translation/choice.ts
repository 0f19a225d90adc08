/** The translations that come with the pool, the choice of one by name, and the memory for its state. */
import { PagewrightError, type TranslationType } from '@pagewright/core/contracts';
import { assertParts, stateMemory } from '../parts-check.js';
import { HashTable } from './hash-table.js';
import { PageArray } from './page-array.js';
import { Swizzled } from './swizzled.js';

export const DEFAULT_TRANSLATION = 'swizzled';

export const builtInTranslations: readonly TranslationType[] = [
  {
    name: DEFAULT_TRANSLATION,
    namesFrames: true,
    stateBytes: Swizzled.stateBytes,
    attach: (frames) => new Swizzled(frames),
  },
  {
    name: 'hash',
    namesFrames: false,
    stateBytes: HashTable.stateBytes,
    attach: (frames, state) => new HashTable(frames, state),
  },
  {
    name: 'array',
    namesFrames: false,
    stateBytes: PageArray.stateBytes,
    attach: (frames, state) => new PageArray(frames, state),
  },
];

/** Errors: `PW_OPTION_INVALID` if there is none of this name, or one is no translation, `PW_PLUGIN_DUPLICATE` if there are two. */
export function findTranslation(name: string, types: readonly TranslationType[]): TranslationType {
  assertParts(types, 'translation');
  const [found, other] = types.filter((type) => type.name === name);
  if (other !== undefined) {
    throw new PagewrightError(
      'PW_PLUGIN_DUPLICATE',
      `Two translations have the name "${name}". Leave one of them out.`,
      { details: { name } },
    );
  }
  if (found !== undefined) return found;
  const known = types.map((type) => type.name).join(', ');
  throw new PagewrightError(
    'PW_OPTION_INVALID',
    `There is no translation "${name}"; there are: ${known === '' ? 'none' : known}.`,
    {
      details: { option: 'translation', value: name },
    },
  );
}

/** Memory for a new pool. `PW_PLUGIN_INVALID` if the translation asks for what cannot be. */
export function translationMemory(type: TranslationType, frames: number, units: number): SharedArrayBuffer {
  return stateMemory(`translation "${type.name}"`, type.stateBytes(frames, units));
}
