/** The stress over threads as a part of the soak: one run after another, each of another shape. */
import { fileURLToPath } from 'node:url';
import { Random } from '@pagewright/testkit';
import type { Finding, Part } from '../part.js';
import { type StressOptions, stress } from './stress.js';

const MOST_FINDINGS = 10;

export const threads: Part = {
  name: 'threads',
  does: 'workers change and read one tree in a pool much smaller than it, while checkpoints run and threads are lost',
  async run({ minutes, seed, onProgress }) {
    const end = performance.now() + minutes * 60_000;
    const findings: Finding[] = [];
    const counts = { runs: 0, operations: 0, checkpoints: 0, evictions: 0, evictionsAhead: 0, lost: 0 };
    while (performance.now() < end && findings.length < MOST_FINDINGS) {
      const options = shapeOf(seed + counts.runs);
      try {
        const result = await stress(options);
        counts.operations += result.operations;
        counts.checkpoints += result.checkpoints;
        counts.evictions += result.evictions;
        counts.evictionsAhead += result.evictionsAhead;
        if (result.lost) counts.lost++;
      } catch (error) {
        findings.push({ message: (error as Error).message, again: `a run of threads with ${JSON.stringify(options)}` });
      }
      counts.runs++;
      onProgress(counts);
    }
    return { counts, findings };
  },
};

/** Which run follows from a seed. */
export function shapeOf(seed: number): StressOptions {
  const random = new Random(seed);
  return {
    program: fileURLToPath(new URL('./worker.js', import.meta.url)),
    seed,
    threads: random.between(2, 5),
    operations: random.between(500, 6000),
    keys: random.pick([200, 2000, 8000]),
    frames: random.pick([64, 96, 200, 1000]),
    lose: random.chance(0.3),
    stall: random.chance(0.15),
    replacement: random.pick(['cooling', 'clock']),
    pauses: random.chance(0.5),
    provider: random.chance(0.6),
    endProvider: random.chance(0.2),
    translation: random.pick(['swizzled', 'swizzled', 'hash', 'array']),
  };
}
