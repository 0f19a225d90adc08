/**
 * Crashes, and failing disks: one workload after the other, of every theme, on engines put together at random, explored at
 * every I/O operation. What is found is made as small as it gets in a minute or two, and goes with all that shows it again.
 */
import {
  CrashExplorer,
  type DeviceOptions,
  FaultExplorer,
  makeWorkload,
  type OpenOn,
  Random,
  shrink,
  THEMES,
  type Workload,
} from '@pagewright/testkit';
import { chooseEngine, type EngineChoice, engineOn } from '../engine-on.js';
import type { Budget, Finding, Part, PartResult } from '../part.js';

const MOST_FINDINGS = 20;
/** Runs of a smaller workload while one that fails is shrunk. */
const MOST_TRIES = 60;

/** Explores one workload; what it has counted, and the first finding. */
export type Explore = (
  open: OpenOn,
  workload: Workload,
  seed: number,
  isOver: () => boolean,
) => Promise<{ counts: Record<string, number>; finding: { readonly message: string } | null }>;

/** What each part does with a workload. */
export const EXPLORATIONS: { readonly [part: string]: Explore } = {
  async crashes(open, workload, seed, isOver) {
    const random = new Random(seed);
    const explorer = new CrashExplorer(open, {
      seed,
      losses: random.pick([
        { exhaustive: 5, samples: 2 },
        { exhaustive: 2, samples: 1 },
      ]),
      recrash: random.pick([0, 0.005, 0.03]),
      device: deviceOf(random, seed),
      isOver,
    });
    const { findings, operations, commits, crashes, recrashes } = await explorer.explore(workload);
    return { counts: { operations, commits, crashes, recrashes }, finding: findings[0] ?? null };
  },

  async faults(open, workload, seed, isOver) {
    const device = deviceOf(new Random(seed), seed);
    const { findings, operations, faults } = await new FaultExplorer(open, { seed, isOver, device }).explore(workload);
    return { counts: { operations, faults }, finding: findings[0] ?? null };
  },
};

export const crashes: Part = {
  name: 'crashes',
  does: 'crashes at every I/O operation, with every kind of loss, and again during recovery',
  run: (budget) => exploreFor('crashes', budget),
};

export const faults: Part = {
  name: 'faults',
  does: 'lets every I/O operation fail, once or from then on, with EIO, ENOSPC or a failed sync',
  run: (budget) => exploreFor('faults', budget),
};

/** Half of the devices let what is in flight overtake what was issued before. */
function deviceOf(random: Random, seed: number): DeviceOptions {
  return random.chance(0.5) ? { seed, schedule: { turns: random.between(2, 8) } } : { seed };
}

async function exploreFor(part: string, { minutes, seed, onProgress }: Budget): Promise<PartResult> {
  const explore = EXPLORATIONS[part] as Explore;
  const until = Date.now() + minutes * 60_000;
  const isOver = () => Date.now() >= until;
  const counts: Record<string, number> = { workloads: 0 };
  const findings: Finding[] = [];
  for (let round = 0; !isOver() && findings.length < MOST_FINDINGS; round++) {
    const random = new Random(seed + round);
    const choice = chooseEngine(random);
    const open: OpenOn = (io, path) => engineOn(io, path, choice);
    const workload = makeWorkload(random.pick(THEMES), seed + round, random.between(5, 60));
    const { counts: more, finding } = await explore(open, workload, seed + round, isOver).catch((error: unknown) => ({
      counts: {},
      finding: { message: `the workload failed by itself: ${error instanceof Error ? error.stack : String(error)}` },
    }));
    counts.workloads = (counts.workloads ?? 0) + 1;
    for (const [name, count] of Object.entries(more)) counts[name] = (counts[name] ?? 0) + count;
    if (finding !== null) findings.push(await describe(part, open, choice, workload, seed + round, finding, explore));
    onProgress({ ...counts, findings: findings.length });
  }
  return { counts, findings };
}

async function describe(
  part: string,
  open: OpenOn,
  choice: EngineChoice,
  workload: Workload,
  seed: number,
  first: { readonly message: string },
  explore: Explore,
): Promise<Finding> {
  let { message } = first;
  let place: object = first;
  const stillFails = async ([steps]: readonly Workload['steps'][]) => {
    if (steps === undefined) return false;
    const { finding } = await explore(open, { ...workload, steps }, seed, () => false).catch(() => ({ finding: null }));
    if (finding !== null) {
      message = finding.message;
      place = { ...finding, workload: undefined };
    }
    return finding !== null;
  };
  const [steps = workload.steps] = await shrink([workload.steps], stillFails, MOST_TRIES);
  const finding = { part, seed, choice, place, workload: { ...workload, steps } };
  return { message, again: `node soak/dist/crashes/again.js '${JSON.stringify(finding)}'` };
}
