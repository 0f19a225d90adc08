/** What a planted fault of an index is. */
import type { IndexType } from '@pagewright/core';
import { type Alteration, altered } from './altered-index.js';

export interface IndexFault {
  readonly name: string;
  /** Ids of the clauses that catch it. */
  readonly caughtBy: readonly string[];
  plant(sound: IndexType): IndexType;
}

export function fault(
  name: string,
  caughtBy: readonly string[],
  alteration: Alteration | (() => Alteration),
): IndexFault {
  // State of an alteration lasts for one planting.
  const plant = (sound: IndexType) => altered(sound, typeof alteration === 'function' ? alteration() : alteration);
  return { name, caughtBy, plant };
}
