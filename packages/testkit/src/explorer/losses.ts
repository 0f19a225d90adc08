/**
 * What a crash may leave of what was not synced: every outcome where there are few; where there are many, nothing, all, and
 * some by seed. Losses are labels: they can be printed, and `survivalOf` makes a crash of them.
 */
import { everySurvival, type Unsynced } from '../device/survival.js';
import type { Random } from '../random.js';

export interface LossChoice {
  /** Every outcome is tried if there are at most two to the power of this. */
  readonly exhaustive: number;
  /** If there are more, so many by seed are tried besides nothing and all. */
  readonly samples: number;
}

/** Labels of the losses to try on a device as it is now. */
export function lossesOf(device: Unsynced, random: Random, { exhaustive, samples }: LossChoice): string[] {
  const every = everySurvival(device, exhaustive);
  if (every !== null) return Array.from(every, ({ label }) => label as string);
  const losses = ['none', 'all'];
  for (let sample = 0; sample < samples; sample++) {
    losses.push(`seed:${random.below(2 ** 32)}@${random.pick([0.1, 0.5, 0.5, 0.9])}`);
  }
  return losses;
}
