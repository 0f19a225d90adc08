/**
 * Rare interleavings of everything: an index and a whole engine under nested operations and I/O that ends in any order.
 * SCHEDULE_SEED and SCHEDULE_SECONDS choose other rounds and more of them; a failure says its seed.
 */
import { runSchedules, type ScheduleSummary } from '@pagewright/testkit';
import { beforeAll, expect, it } from 'vitest';
import { DEFAULT_PARTS } from '../soak/schedules/subjects.js';

const SEED = Number(process.env.SCHEDULE_SEED ?? 1);
const SECONDS = Number(process.env.SCHEDULE_SECONDS ?? 0);
/** Enough for every point to be hammered. */
const ROUNDS = 320;

let summary: ScheduleSummary;

beforeAll(
  async () => {
    const end = performance.now() + SECONDS * 1000;
    const goesOn = (rounds: number): boolean => (SECONDS === 0 ? rounds < ROUNDS : performance.now() < end);
    summary = await runSchedules(DEFAULT_PARTS, { seed: SEED, goesOn });
  },
  SECONDS * 1000 + 600_000,
);

it('every answer is one that an order of the operations explains, whatever runs while others stand at schedule points', () => {
  if (summary.failure !== null) throw summary.failure;
});

it('every schedule point was paused at', () => {
  if (summary.failure === null && SECONDS === 0) expect(summary.coverage.unpaused).toEqual([]);
});

// Two versions of a key without a byte, of which the checker took the first for the one that was read.
it.each([
  20_265_648, 20_267_236, 20_267_948,
])('round %i, in which a soak found something, finds nothing', async (seed) => {
  const { failure } = await runSchedules(DEFAULT_PARTS, { seed, goesOn: (rounds) => rounds < 1 });
  if (failure !== null) throw failure;
});
