/** Schedules for hours: rounds of the default parts, each with the next seed, until the time is over or one fails. */
import { runSchedules, type ScheduleSummary } from '@pagewright/testkit';
import { DEFAULT_PARTS } from './subjects.js';

/** Told after each round: how many there were, and the seed of the next. */
export type OnProgress = (rounds: number, nextSeed: number) => void;

const MINUTE_MS = 60_000;

/**
 * Runs rounds for so many minutes, from this seed on; the last one is finished. The summary has the failure, if there is
 * one, and how often each point was paused at. Round `n` of the same seed is the same in every run.
 */
export function schedulesFor(minutes: number, seed: number, onProgress: OnProgress): Promise<ScheduleSummary> {
  const end = performance.now() + minutes * MINUTE_MS;
  return runSchedules(DEFAULT_PARTS, {
    seed,
    goesOn: () => performance.now() < end,
    onRound: (rounds) => onProgress(rounds, seed + rounds),
  });
}
