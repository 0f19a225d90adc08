/**
 * Pagewright beside other engines: the same work on the same data in one run. Each cell is a process of its own, cells take turns, every
 * answer is checked. Prints tables, and writes all figures as JSON. `npm run bench -- engines --help` says what can be chosen.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DATA_SETS } from './comparison/data-sets.mjs';
import { machineOf } from './comparison/machine.mjs';
import { HELP, planOf } from './comparison/options.mjs';
import { collectPaths } from './comparison/paths.mjs';
import { installPeers } from './comparison/peers.mjs';
import { rowsOf } from './comparison/report.mjs';
import { runRounds } from './comparison/rounds.mjs';
import { withScratch } from './comparison/scratch.mjs';
import { tablesOf } from './comparison/table.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

const plan = await planOf(process.argv.slice(2)).catch((error) => {
  console.error(`${error.message}\n\n${HELP}`);
  process.exit(1);
});
if (plan.help) console.log(HELP);
else process.exitCode = await compare();

/** The exit code: whether every cell that is there ran, and gave what was stored. */
async function compare() {
  if (plan.engines.some(({ isPeer }) => isPeer) && !installPeers()) console.error('The peers could not be installed.');
  return withScratch(plan.directory, async (directory) => {
    const began = new Date();
    const loadBefore = loadavg();
    const file = plan.json ?? join(ROOT, 'bench', 'results', `${began.toISOString().replaceAll(':', '')}.json`);
    mkdirSync(dirname(file), { recursive: true });
    const pathsFile = plan.data.includes('path') ? writePaths(directory) : null;
    const task = { ...plan.task, pathsFile };
    // Written whenever something was measured, so that a run which is cut off was not for nothing.
    const keep = (results) => {
      const report = reportOf(results, began, loadBefore);
      writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
      return report;
    };
    const results = await runRounds({ ...plan, task }, directory, (line) => console.error(line), keep);
    console.error(`\n${file}\n`);
    print(keep(results));
    return results.some(({ failed }) => failed !== undefined) ? 1 : 0;
  });
}

function reportOf(results, began, loadBefore) {
  return {
    benchmark: 'engines',
    began: began.toISOString(),
    seconds: Math.round((Date.now() - began.getTime()) / 1000),
    ...plan.task,
    rounds: plan.rounds,
    seed: plan.seed,
    machine: machineOf(loadBefore),
    engines: enginesOf(results),
    rows: rowsOf(results, plan.workloads, plan.peer),
    results,
  };
}

function writePaths(directory) {
  const file = join(directory, 'paths');
  writeFileSync(file, collectPaths(plan.pathsFrom).join('\n'));
  return file;
}

/** Of each engine its version and settings, or why it is not there. */
function enginesOf(results) {
  const engines = {};
  for (const { engine, version, settings, notThere } of results) {
    engines[engine] ??= {};
    if (version !== undefined) Object.assign(engines[engine], { version });
    if (settings !== undefined) Object.assign(engines[engine], { settings });
    if (notThere !== undefined) engines[engine].notThere ??= notThere;
  }
  return engines;
}

function print({ keys, rounds, machine, engines, rows, results }) {
  const { cpu, cpus: count, node, loadBefore, loadAfter } = machine;
  console.log(
    `${keys} keys, values of 100 bytes, ${rounds} rounds; ${count} × ${cpu}, Node.js ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  for (const [name, { version, settings, notThere }] of Object.entries(engines)) {
    const about = [version, settings, notThere && `not everything was there: ${notThere}`].filter(Boolean);
    console.log(`- ${name} ${about.join('; ')}`);
  }
  const titles = Object.fromEntries(Object.entries(DATA_SETS).map(([name, { title }]) => [name, `Keys: ${title}`]));
  console.log(`\n${tablesOf(rows, plan.peer, titles)}`);
  for (const { data, workload, engine, failed } of results) {
    if (failed !== undefined) console.error(`${engine} has failed at ${workload} with ${data}: ${failed}`);
  }
}
