/**
 * The order in which cells run: for each data set and each workload all engines take their turns, round after round, and each round
 * begins with another one. What the machine does meanwhile meets all alike.
 */
import { cpSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { runCell } from './cells.mjs';

/**
 * @param {object} plan As `options.mjs` makes it; `program` if its cells have one of their own.
 * @param {string} directory For stores; empty, and cleared by whoever made it.
 * @param {(line: string) => void} tell What is going on.
 * @param {(results: object[]) => void} keep Told all results so far whenever the rounds of a workload are over.
 * @returns One result for each data set, workload and engine: `rounds`, each as the cell measured it, or why there are none.
 */
export async function runRounds(plan, directory, tell, keep) {
  const results = [];
  for (const data of plan.data) {
    const filled = new Map();
    for (const { name, workload } of plan.workloads) {
      const ofEngines = plan.engines.map((engine) => ({ data, workload: name, engine: engine.name, rounds: [] }));
      for (let round = 0; round < plan.rounds; round++) {
        for (let turn = 0; turn < plan.engines.length; turn++) {
          const at = (turn + round) % plan.engines.length;
          const engine = plan.engines[at];
          const result = ofEngines[at];
          if (result.notThere !== undefined || result.failed !== undefined) continue;
          const task = { ...plan.task, module: engine.module, data, workload: name, seed: plan.seed + round };
          const answer = await runOn(workload.needs, task, engine, filled, directory, { program: plan.program });
          take(result, answer, round);
          tell(line(result, round, answer));
        }
      }
      results.push(...ofEngines);
      keep(results);
    }
    for (const store of filled.values())
      if (store.directory !== undefined) rmSync(store.directory, { recursive: true });
  }
  return results;
}

/** Gives the cell the store that it needs: an empty one, or a place to make its `own`, or the one that was filled for this engine, once, by random puts, or a copy of that. */
async function runOn(needs, task, engine, filled, directory, how) {
  if (needs === 'empty' || needs === 'own' || engine.isLimit) {
    const empty = join(directory, 'empty');
    mkdirSync(empty);
    const answer = await runCell({ ...task, directory: empty }, how);
    rmSync(empty, { recursive: true });
    return answer;
  }
  let store = filled.get(engine.name);
  if (store === undefined) {
    const place = join(directory, String(filled.size));
    const answer = await runCell({ ...task, workload: 'random-load', directory: place }, how);
    store = answer.measured === undefined ? { answer } : { directory: place };
    filled.set(engine.name, store);
  }
  if (store.directory === undefined) return store.answer;
  if (needs !== 'copy') return runCell({ ...task, directory: store.directory }, how);
  const copy = join(directory, 'copy');
  cpSync(store.directory, copy, { recursive: true });
  const answer = await runCell({ ...task, directory: copy }, how);
  rmSync(copy, { recursive: true });
  return answer;
}

function take(result, answer, round) {
  if (answer.measured === undefined) Object.assign(result, answer);
  else {
    result.version = answer.version;
    if (answer.settings !== undefined) result.settings = answer.settings;
    result.rounds[round] = answer.measured;
  }
}

function line({ data, workload, engine }, round, { measured, notThere, failed }) {
  const said = measured === undefined ? (notThere ?? `FAILED: ${failed}`) : JSON.stringify(measured);
  return `${data}, ${workload}, round ${round + 1}, ${engine}: ${said}`;
}
