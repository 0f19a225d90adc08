/**
 * Pauses at schedule points, in a thread of its own: what happens between two steps of one thread happens seldom, unless that one waits
 * there. Which points it waits at is drawn as for rounds of one thread: one again and again, few anywhere, or all alike.
 *
 * Must hold: a pause is a wait that nobody ends, and takes nothing of what threads share; so the pool stands as the point left it.
 */
import { driveSchedule, POINT, POINT_NAMES } from '@pagewright/core';
import { type PausePolicy, policyFor, type Random } from '@pagewright/testkit';

/** A pause, in microseconds. */
const SHORTEST = 10;
const LONGEST = 500;
/** More of them would only take time. */
const MOST_PAUSES = 3000;
/** Points that a thread reaches, about: where there are few pauses, these are among so many. */
const STEPS = 30_000;

/** Those of a tree and of the store below it. */
const POINTS = POINT_NAMES.map((_, point) => point).filter((point) => point <= POINT.cursorCopied);

/** Lets the calling thread wait at points from now on; returns what ends that. */
export function pauseAtPoints(seed: number, random: Random): () => void {
  const policy: PausePolicy = policyFor(seed, random, STEPS, POINTS);
  const nothing = new Int32Array(new SharedArrayBuffer(4));
  let steps = 0;
  let pauses = 0;
  driveSchedule((point) => {
    steps++;
    if (pauses >= MOST_PAUSES || policy.intruders(point, steps) === 0) return;
    pauses++;
    Atomics.wait(nothing, 0, 0, random.between(SHORTEST, LONGEST) / 1000);
  });
  return () => {
    driveSchedule(null);
  };
}
