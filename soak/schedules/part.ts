/** Schedules as a part of the soak. A round that fails is a finding, and the next seed goes on. */
import { runSchedules, ScheduleCoverage } from '@pagewright/testkit';
import type { Finding, Part } from '../part.js';
import { DEFAULT_PARTS } from './subjects.js';

const MOST_FINDINGS = 20;

export const schedules: Part = {
  name: 'schedules',
  does: 'stops operations at latch, swip and publish points, and lets others and I/O overtake them',
  async run({ minutes, seed, onProgress }) {
    const end = performance.now() + minutes * 60_000;
    const coverage = new ScheduleCoverage();
    const findings: Finding[] = [];
    let rounds = 0;
    while (performance.now() < end && findings.length < MOST_FINDINGS) {
      const before = rounds;
      const { failure } = await runSchedules(DEFAULT_PARTS, {
        seed: seed + before,
        coverage,
        goesOn: () => performance.now() < end,
        onRound: (done) => {
          rounds = before + done;
          onProgress({ rounds, findings: findings.length });
        },
      });
      if (failure === null) break;
      rounds++;
      findings.push({ message: failure.message, again: `npm run soak -- --only schedules --seed ${failure.seed}` });
    }
    return { counts: { rounds, pauses: coverage.pauses }, findings };
  },
};
