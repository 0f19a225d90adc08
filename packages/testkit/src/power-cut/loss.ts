/** What a loss of power takes, of all that no sync has made durable. Every choice comes from a seed, or is always the same. */
import { Random } from '../random.js';

export interface Loss {
  /** For messages: it says how to have the same loss again. */
  readonly name: string;
  /**
   * Of a sector, or of a file's size, that was changed so many times since it was last durable: how many of the changes
   * count, from 0, none, to all.
   */
  survivors(changes: number): number;
  /** Which of so many changes of names count. */
  names(changes: number): boolean[];
}

/** A device that wrote nothing before it was told to. */
export const nothingSurvives: Loss = {
  name: 'nothing unsynced survives',
  survivors: () => 0,
  names: (changes) => new Array<boolean>(changes).fill(false),
};

/** A device that wrote everything at once: what is left is what a killed process leaves. */
export const everythingSurvives: Loss = {
  name: 'everything unsynced survives',
  survivors: (changes) => changes,
  names: (changes) => new Array<boolean>(changes).fill(true),
};

/**
 * A device that wrote some of it, in any order. Each sector and each size is as it was after any one of its changes, each for
 * itself. Names are as some file systems keep them, up to a certain change, or any of the changes without the others.
 * The share of what survives is chosen by the seed too: almost none, half, almost all.
 */
export function someSurvives(seed: number): Loss {
  const random = new Random(seed);
  const share = random.pick([0.03, 0.5, 0.97]);
  const inOrder = random.chance(0.5);
  return {
    name: `some of what was unsynced survives, by seed ${seed}`,
    survivors: (changes) => {
      if (!random.chance(share)) return 0;
      return random.chance(0.5) ? changes : random.between(1, changes);
    },
    names: (changes) => {
      const first = random.between(0, changes);
      return Array.from({ length: changes }, (_, at) => (inOrder ? at < first : random.chance(share)));
    },
  };
}
