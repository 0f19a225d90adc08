/**
 * The order in which cells run: in each round of a part, for each of its settings, all who take part take their turns, and each round begins with another one. So what the machine does
 * meanwhile meets all alike.
 */
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runCell } from '../comparison/cells.mjs';
import { countFlushes, underStrace } from './flushes.mjs';
import { PARTS } from './parts.mjs';

const CELL = fileURLToPath(new URL('../commits.cell.mjs', import.meta.url));
/** However slow the machine is: a cell that has not answered by then never will. */
const LIMIT_MS = 180_000;

/**
 * @param {string} name Of the part.
 * @param {object[]} settings Of the part.
 * @param {object} plan As `options.mjs` makes it.
 * @param {string} directory For stores; empty, and cleared by whoever made it.
 * @param {(line: string) => void} tell What is going on.
 * @returns One result for each setting and contestant: `rounds`, each as the cell measured it, or why there are none.
 */
export async function runPart(name, settings, plan, directory, tell) {
  const part = PARTS[name];
  const contestants = plan.contestants.filter(part.takes);
  const results = settings.map((setting) =>
    contestants.map(({ name: engine }) => ({ part: name, setting, engine, rounds: [] })),
  );
  // What is counted does not change from round to round.
  const rounds = name === 'flushes' ? 1 : plan.rounds;
  for (let round = 0; round < rounds; round++) {
    for (const [number, setting] of settings.entries()) {
      for (let turn = 0; turn < contestants.length; turn++) {
        const at = (turn + round) % contestants.length;
        const result = results[number][at];
        if (result.notThere !== undefined || result.failed !== undefined) continue;
        const answer = await runOn(part, setting, contestants[at], plan, round, directory);
        take(result, answer, round);
        tell(line(result, round, answer));
      }
    }
  }
  return results.flat();
}

/** Gives the cell an empty store, and another cell what is left of it, to be checked. */
async function runOn(part, setting, contestant, plan, round, directory) {
  const place = join(directory, 'cell');
  const trace = join(directory, 'strace');
  mkdirSync(place);
  const { module, options } = contestant;
  const task = { ...part.task(setting, plan), ...options, module, seed: plan.seed + round, directory: place };
  const isCounted = task.load === 'flushes';
  const env = part.env?.(setting, contestant);
  const limitMs = LIMIT_MS + 2000 * plan.seconds;
  const answer = await runCell(task, { program: CELL, under: isCounted ? underStrace(trace) : [], env, limitMs });
  try {
    if (answer.measured === undefined) return answer;
    const { failed, notThere, checked } = await runCell({ ...task, isCheck: true }, { program: CELL, limitMs });
    if (checked === undefined) return { failed: failed ?? notThere };
    const flushes = isCounted ? countFlushes(trace) : {};
    return { ...answer, measured: { ...answer.measured, ...flushes, checked } };
  } finally {
    rmSync(place, { recursive: true });
  }
}

function take(result, answer, round) {
  if (answer.measured === undefined) Object.assign(result, answer);
  else {
    result.version = answer.version;
    result.settings = answer.settings;
    result.rounds[round] = answer.measured;
  }
}

function line({ part, setting, engine }, round, { measured, notThere, failed }) {
  const said = measured === undefined ? (notThere ?? `FAILED: ${failed}`) : JSON.stringify(measured);
  const where = Object.entries(setting).map(([name, value]) => `${name} ${value}`);
  return `${[PARTS[part].title, ...where].join(', ')}, round ${round + 1}, ${engine}: ${said}`;
}
