/**
 * Where an operation is held up. All policies are seeded, and ask for nothing but the point and how many points came
 * before, so that the same seed pauses at the same places.
 */
import { POINT_NAMES } from '@pagewright/core';
import type { Random } from '../random.js';

/** Says how many operations of others run at a point: 0 goes on at once. */
export interface PausePolicy {
  readonly name: string;
  intruders(point: number, step: number): number;
}

/** Every point alike. */
export function uniformPauses(random: Random, probability: number): PausePolicy {
  return {
    name: `uniform ${probability}`,
    intruders: () => (random.chance(probability) ? 1 : 0),
  };
}

/** Others do so much at a preemption that they get far ahead. */
const BURST = 12;

/**
 * Few preemptions, anywhere: most races need two or three context switches in the right places, and with few of them the
 * right ones are hit with a probability that has a lower bound (PCT: Burckhardt et al., A Randomized Scheduler with
 * Probabilistic Guarantees of Finding Bugs, ASPLOS 2010). `steps` is how many points a run is expected to reach.
 */
export function fewPreemptions(random: Random, preemptions: number, steps: number): PausePolicy {
  const at = new Set<number>();
  for (let i = 0; i < preemptions; i++) at.add(random.below(steps));
  return {
    name: `${preemptions} preemptions in ${steps} points`,
    intruders: (_, step) => (at.has(step) ? random.between(1, BURST) : 0),
  };
}

/** The first times that each point is reached: what happens seldom is paused at as often as what happens all the time. */
export function firstTimes(random: Random, times: number): PausePolicy {
  const counts: number[] = POINT_NAMES.map(() => 0);
  return {
    name: `the first ${times} times`,
    intruders: (point) => {
      const count = (counts[point] ?? 0) + 1;
      counts[point] = count;
      return count <= times && random.chance(0.5) ? random.between(1, 4) : 0;
    },
  };
}

/** One point again and again, the others hardly ever. */
export function hammer(random: Random, point: number): PausePolicy {
  return {
    name: `hammer ${POINT_NAMES[point]}`,
    intruders: (reached) => {
      if (reached !== point) return random.chance(0.002) ? 1 : 0;
      return random.chance(0.7) ? random.between(1, 3) : 0;
    },
  };
}

/**
 * The policy of a round. Every second round of a kind hammers a point, one after the other, so that a campaign which is long
 * enough has paused at all of them. `steps` is how many points the round is expected to reach, `points` are those that it may
 * pause at.
 */
export function policyFor(seed: number, random: Random, steps: number, points: readonly number[]): PausePolicy {
  // Rounds of the two kinds take turns.
  const round = seed >>> 1;
  if (round % 2 === 0) return hammer(random, points[(round >>> 1) % points.length] as number);
  const kind = random.below(3);
  if (kind === 0) return fewPreemptions(random, random.between(2, 24), steps);
  if (kind === 1) return firstTimes(random, random.pick([3, 10]));
  return uniformPauses(random, random.pick([0.01, 0.05, 0.2]));
}
