/** Fuzzing as a part of the soak. */
import type { Part } from '../part.js';
import { type FuzzSummary, fuzzFor } from './main.js';

export const fuzzing: Part = {
  name: 'fuzzing',
  does: 'tries mutated pages, superblocks, maps, records, catalogs and encodings on whatever decodes them',
  async run({ minutes, seed, onProgress }) {
    const summary = await fuzzFor(minutes, seed, (soFar) => onProgress(countsOf(soFar)));
    return {
      counts: countsOf(summary),
      findings: summary.findings.map((finding) => ({
        message: `${finding.target}: ${finding.message}`,
        again: `node soak/dist/fuzz/main.js --target '${finding.target}' --seed ${finding.seed} --input ${finding.index}`,
      })),
    };
  },
};

function countsOf({ inputs, targets }: FuzzSummary): Record<string, number> {
  return { inputs, ...Object.fromEntries(targets.map(({ target, inputs }) => [`of ${target}`, inputs])) };
}
