/** Losses of power on real files as a part of the soak. What is lost ends one run, and the next one begins. */
import type { Finding, Part } from '../part.js';
import { powerCutFor } from './power-cut-for.js';

const MOST_FINDINGS = 10;

export const powerCuts: Part = {
  name: 'power',
  does: 'kills writers on real files, and drops what they had not synced',
  async run({ minutes, seed, onProgress }) {
    const end = performance.now() + minutes * 60_000;
    const findings: Finding[] = [];
    let rounds = 0;
    let checked = 0;
    for (let run = seed; performance.now() < end && findings.length < MOST_FINDINGS; run++) {
      const before = { rounds, checked };
      try {
        const left = (end - performance.now()) / 60_000;
        await powerCutFor(left, run, (progress) => {
          rounds = before.rounds + progress.rounds;
          checked = before.checked + progress.checked;
          onProgress({ rounds, checked, findings: findings.length });
        });
        if (rounds === before.rounds) break; // this machine has no stand-in
      } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        findings.push({ message, again: `npm run soak -- --only power --seed ${run}` });
      }
    }
    return { counts: { rounds, checked }, findings };
  },
};
