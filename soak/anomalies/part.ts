/** Anomalies as a part of the soak: one round of transactions after another, each of another shape. */
import { fileURLToPath } from 'node:url';
import { Random } from '@pagewright/testkit';
import type { Finding, Part } from '../part.js';
import { anomalyRound, type RoundOptions } from './round.js';

const MOST_FINDINGS = 10;

export const anomalies: Part = {
  name: 'anomalies',
  does: 'threads run random transactions on one engine, and their history is checked for what the isolation level does not allow',
  async run({ minutes, seed, onProgress }) {
    const end = performance.now() + minutes * 60_000;
    const findings: Finding[] = [];
    const counts = { rounds: 0, transactions: 0, aborted: 0, dependencies: 0, skews: 0, checkpoints: 0, lost: 0 };
    while (performance.now() < end && findings.length < MOST_FINDINGS) {
      const options = shapeOf(seed + counts.rounds);
      try {
        const { report, history, aborted, checkpoints, lost } = await anomalyRound(options);
        counts.transactions += history.transactions.length;
        counts.aborted += aborted;
        counts.dependencies += report.dependencies;
        counts.skews += (report.counts.get('G2-item') ?? 0) + (report.counts.get('G2') ?? 0);
        counts.checkpoints += checkpoints;
        if (lost) counts.lost++;
      } catch (error) {
        findings.push({
          message: (error as Error).message,
          again: `npm run soak -- --only anomalies --seed ${options.seed}`,
        });
      }
      counts.rounds++;
      onProgress(counts);
    }
    return { counts, findings };
  },
};

const SNAPSHOT = { level: 'snapshot', begin: { isolation: 'snapshot' } } as const;
const SERIALIZABLE = { level: 'serializable', begin: { isolation: 'serializable' } } as const;

/** Which round follows from a seed. */
function shapeOf(seed: number): RoundOptions {
  const random = new Random(seed);
  return {
    program: fileURLToPath(new URL('./worker.js', import.meta.url)),
    seed,
    ...random.pick([SNAPSHOT, SERIALIZABLE]),
    threads: Array.from({ length: random.between(2, 4) }, () => random.pick([null, 1, 2, 4, 8])),
    transactions: random.between(1_000, 20_000),
    keys: random.pick([4, 8, 16, 64]),
    commit: random.pick(['autonomous', 'autonomous', 'group', 'pipelined', 'sync']),
    evicts: random.chance(0.5),
    checkpoints: random.chance(0.5),
    pauses: random.chance(0.3),
    lose: random.chance(0.2),
    oneWriter: random.chance(0.25),
    inFunctions: random.chance(0.4),
  };
}
