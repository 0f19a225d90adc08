/**
 * What a crash may leave of what was not synced: every subset of the independent parts (sectors, sizes, directory entries)
 * where they are few; where they are many, all, none, each one alone missing or alone there, and random ones by seed.
 */
import type { SimulatedDevice, Survival } from '../device/simulated-device.js';
import { Random } from '../random.js';

export interface Loss {
  /** Says how to get the same loss again. */
  readonly name: string;
  /** A new one for each crash: it is asked once for each part, in order. */
  survival(): Survival;
}

export interface LossChoice {
  /** Up to so many parts every subset is tried. */
  readonly exhaustive: number;
  /** With more parts, so many losses are tried besides all and nothing. */
  readonly samples: number;
}

/** The losses to try on a device as it is now. */
export function lossesOf(device: SimulatedDevice, random: Random, { exhaustive, samples }: LossChoice): Loss[] {
  const parts = countParts(device);
  if (parts <= exhaustive) return Array.from({ length: 2 ** parts }, (_, subset) => subsetOf(subset, parts));
  const losses = [loss('nothing is left', () => () => false), loss('all is left', () => () => true)];
  for (let sample = 0; sample < samples; sample++) {
    const part = random.below(parts);
    const kind = random.below(4);
    if (kind === 0) losses.push(loss(`all but part ${part} of ${parts}`, () => only(part, false)));
    else if (kind === 1) losses.push(loss(`part ${part} of ${parts} alone`, () => only(part, true)));
    else losses.push(sampleOf(random.below(2 ** 32), random.pick([0.1, 0.5, 0.5, 0.9])));
  }
  return losses;
}

/** The loss of a name that `lossesOf` gave. */
export function lossNamed(name: string): Loss {
  const subset = /^subset (\d+) of (\d+)$/.exec(name);
  if (subset !== null) return subsetOf(Number(subset[1]), Number(subset[2]));
  const sample = /^sample (\d+) at ([\d.]+)$/.exec(name);
  if (sample !== null) return sampleOf(Number(sample[1]), Number(sample[2]));
  const but = /^all but part (\d+)/.exec(name);
  if (but !== null) return loss(name, () => only(Number(but[1]), false));
  const alone = /^part (\d+) .*alone$/.exec(name);
  if (alone !== null) return loss(name, () => only(Number(alone[1]), true));
  return loss(name, () => () => name === 'all is left');
}

function countParts(device: SimulatedDevice): number {
  let parts = 0;
  device.copy().afterCrash(() => {
    parts++;
    return true;
  });
  return parts;
}

function subsetOf(subset: number, parts: number): Loss {
  return loss(`subset ${subset} of ${parts}`, () => {
    let part = 0;
    return () => ((subset >>> part++) & 1) === 1;
  });
}

function sampleOf(seed: number, share: number): Loss {
  return loss(`sample ${seed} at ${share}`, () => {
    const random = new Random(seed);
    return () => random.chance(share);
  });
}

function only(part: number, survives: boolean): Survival {
  let next = 0;
  return () => (next++ === part) === survives;
}

function loss(name: string, survival: () => Survival): Loss {
  return { name, survival };
}
