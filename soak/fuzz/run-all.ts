/**
 * All targets, one after the other, each for its share of the time; then again with another seed, until the time is over.
 * Rounds are short, so that a run which is cut off has tried every target.
 */
import { type Finding, fuzz, type FuzzSummary as TargetSummary } from '@pagewright/testkit';
import { ALL_TARGETS } from './all-targets.js';

/** What came of all targets together. */
export interface FuzzSummary {
  readonly seed: number;
  readonly minutes: number;
  readonly inputs: number;
  readonly inputsPerSecond: number;
  readonly targets: readonly TargetTotal[];
  readonly findings: readonly Finding[];
}

export interface TargetTotal {
  readonly target: string;
  readonly inputs: number;
  readonly inputsPerSecond: number;
  /** How often what came of an input. */
  readonly outcomes: Readonly<Record<string, number>>;
}

/** Where a run is: enough to repeat the input that is being tried. */
export interface Place {
  readonly target: number;
  readonly seed: number;
  readonly index: number;
}

export interface RunOptions {
  readonly minutes: number;
  readonly seed: number;
  readonly onFinding?: (finding: Finding) => void;
  readonly onPlace?: (place: Place) => void;
  /** After each target of each round. */
  readonly onProgress?: (soFar: FuzzSummary) => void;
}

const ROUND_MINUTES = 1;
/** After a round with so many findings the run ends: there is enough to do. */
const MOST_FINDINGS = 100;

export async function runAll(options: RunOptions): Promise<FuzzSummary> {
  const { minutes, seed } = options;
  const totals = new Map<string, { inputs: number; seconds: number; outcomes: Record<string, number> }>();
  const findings: Finding[] = [];
  const begun = performance.now();
  const elapsed = (): number => (performance.now() - begun) / 60_000;
  const summary = (): FuzzSummary => summaryOf(seed, elapsed(), totals, findings);
  const shares = ALL_TARGETS.reduce((sum, { share }) => sum + share, 0);
  for (let round = 0; elapsed() < minutes && findings.length < MOST_FINDINGS; round++) {
    const roundMinutes = Math.max(0, Math.min(ROUND_MINUTES, minutes - elapsed()));
    for (const [number, { target, share }] of ALL_TARGETS.entries()) {
      const roundSeed = (seed + round * 7919) >>> 0;
      const result = await fuzz(target, {
        seed: roundSeed,
        minutes: (roundMinutes * share) / shares,
        ...(options.onFinding && { onFinding: options.onFinding }),
        ...(options.onPlace && {
          onInput: (index: number) => options.onPlace?.({ target: number, seed: roundSeed, index }),
        }),
      });
      add(totals, result);
      findings.push(...result.findings);
      options.onProgress?.(summary());
    }
  }
  return summary();
}

function add(
  totals: Map<string, { inputs: number; seconds: number; outcomes: Record<string, number> }>,
  result: TargetSummary,
) {
  const total = totals.get(result.target) ?? { inputs: 0, seconds: 0, outcomes: {} };
  total.inputs += result.inputs;
  total.seconds += result.inputs / result.inputsPerSecond;
  for (const [outcome, times] of result.outcomes) total.outcomes[outcome] = (total.outcomes[outcome] ?? 0) + times;
  totals.set(result.target, total);
}

function summaryOf(
  seed: number,
  minutes: number,
  totals: ReadonlyMap<string, { inputs: number; seconds: number; outcomes: Record<string, number> }>,
  findings: readonly Finding[],
): FuzzSummary {
  const targets = [...totals].map(([target, { inputs, seconds, outcomes }]) => ({
    target,
    inputs,
    inputsPerSecond: Math.round(inputs / seconds),
    outcomes: { ...outcomes },
  }));
  const inputs = targets.reduce((sum, target) => sum + target.inputs, 0);
  return {
    seed,
    minutes,
    inputs,
    inputsPerSecond: Math.round(inputs / (minutes * 60)),
    targets,
    findings: [...findings],
  };
}
