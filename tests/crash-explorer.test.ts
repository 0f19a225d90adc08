/** The default engine, crashed at every I/O operation of workloads of every kind, and with a disk that fails at every operation. */
import { CrashExplorer, FaultExplorer, makeWorkload, type OpenOn, THEMES } from '@pagewright/testkit';
import { describe, expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31));
const STEPS = Number(process.env.CRASH_STEPS ?? 10);
/** By seed: one of forty took six times as long as most, with three recoveries that were cut off at each of their operations. */
const LONGEST_MS = 600_000;

const CHOICES = [
  { pageSize: 4096, commit: 'pipelined', memory: 64 * 4096 },
  { pageSize: 16_384, commit: 'sync', memory: 2 ** 21 },
  { pageSize: 4096, commit: 'sync', memory: 64 * 4096, translation: 'hash' },
  { pageSize: 4096, commit: 'autonomous', memory: 64 * 4096, translation: 'array' },
] as const;
/** Those that are about changes side by side, where one writes at a time. */
const WITH_TURNS = ['mixed', 'indexes', 'loading', 'snapshots'] as const;

const CASES = [
  ...THEMES.map((theme, at) => ({ theme, choice: CHOICES[at % CHOICES.length]!, turns: '' })),
  ...WITH_TURNS.map((theme, at) => ({
    theme,
    choice: { ...CHOICES[at % CHOICES.length]!, concurrency: 'single-writer' as const },
    turns: ', one writer at a time',
  })),
];

for (const [at, { theme, choice, turns }] of CASES.entries()) {
  const open: OpenOn = (io, path) => engineOn(io, path, choice);
  const workload = makeWorkload(theme, SEED + at, STEPS);
  // On every other device what is in flight overtakes what was issued before.
  const device = at % 2 === 0 ? {} : { seed: SEED, schedule: {} };

  describe(`a store that is used with a bent for ${theme}${turns}`, () => {
    it(
      'has, after a crash at any operation, what was acknowledged, is whole, and takes writes',
      async () => {
        const losses = { exhaustive: 2, samples: 1 };
        const explorer = new CrashExplorer(open, { seed: SEED, losses, recrash: 0.005, device });
        const { findings, ...counts } = await explorer.explore(workload);
        console.log(`CRASH_SEED=${SEED}, ${theme}: ${JSON.stringify(counts)}`);
        expect(findings.map(describeFinding), `CRASH_SEED=${SEED}`).toEqual([]);
      },
      LONGEST_MS,
    );

    it(
      'has, after a failure at any operation, what was acknowledged and nothing that was refused',
      async () => {
        const { findings, ...counts } = await new FaultExplorer(open, { seed: SEED, stride: 3, device }).explore(
          workload,
        );
        console.log(`CRASH_SEED=${SEED}, ${theme}: ${JSON.stringify(counts)}`);
        expect(findings.map(describeFinding), `CRASH_SEED=${SEED}`).toEqual([]);
      },
      LONGEST_MS,
    );
  });
}

/** In one line, steps last. */
function describeFinding({ workload, ...finding }: { readonly workload: { readonly steps: unknown } }): string {
  return `${JSON.stringify(finding)} ${JSON.stringify(workload.steps)}`;
}
