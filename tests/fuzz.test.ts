/**
 * Every decoder that reads from disk, given damaged inputs: some thousand of a fixed seed, and as many of one that is new
 * in every run and printed with a finding. The soak run does the same for longer.
 *
 * `FUZZ_SEED` repeats a run, `FUZZ_INPUTS` makes it longer (inputs of the fastest targets; the others get their share).
 */
import { fuzz, minimize, replay } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { ALL_TARGETS } from '../soak/fuzz/all-targets.js';

const FIXED = 20_260_101;
const GIVEN = process.env.FUZZ_SEED;
const SEEDS = GIVEN === undefined ? [FIXED, Date.now() % 2 ** 31] : [Number(GIVEN)];
const INPUTS = Number(process.env.FUZZ_INPUTS ?? 1000);

/** What takes long gets fewer. */
const FRACTION: Readonly<Record<string, number>> = {
  'B+-tree pages, read': 0.5,
  'B+-tree pages, changed': 0.5,
  'radix tree pages, read': 0.5,
  'radix tree pages, changed': 0.5,
  'replays of damaged logs': 0.25,
  'whole page files': 0.1,
};

describe('damaged bytes are decoded rightly or refused', () => {
  for (const seed of SEEDS) {
    for (const { target } of ALL_TARGETS) {
      it(`${target.name} (FUZZ_SEED=${seed})`, async () => {
        const inputs = Math.ceil(INPUTS * (FRACTION[target.name] ?? 1));
        const { findings, inputs: tried } = await fuzz(target, { seed, inputs, mostFindings: 1 });
        const [finding] = findings;
        if (finding !== undefined) {
          const smallest = await minimize(target, seed, finding.index);
          throw new Error(`${finding.message}\nIn its smallest form: ${smallest?.message}`, { cause: finding.error });
        }
        expect(tried).toBe(inputs);
      });
    }
  }
});

/** Inputs by which something was found, with what it was. */
const FOUND = [
  ['catalog pages', 2_126_065_774, 770, 'the oracle did not know of trees that a bulk load has abandoned'],
  ['B+-tree pages, changed', 20_348_230, 23_672, 'a check let an empty block pass that is not aligned'],
  ['B+-tree pages, changed', 57_554, 9046, 'a put of a large value that failed half-way kept the latch of its page'],
  ['B+-tree pages, changed', 20_292_797, 14_529, 'a change split leaves more often than the rig had pages'],
] as const;

it.each(FOUND)('%s, seed %i, input %i, by which was found that %s', async (name, seed, index) => {
  const { target } = ALL_TARGETS.find((one) => one.target.name === name)!;
  expect(await replay(target, seed, index)).toBeTypeOf('string');
});
