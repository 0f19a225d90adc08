/** A comparison that has one workload, and a program of its own for its cells. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { machineOf } from './machine.mjs';
import { installPeers } from './peers.mjs';
import { rowsOf } from './report.mjs';
import { runRounds } from './rounds.mjs';
import { withScratch } from './scratch.mjs';
import { tablesOf } from './table.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

/** Of the help, what every such comparison can be told. */
export const COMMON_HELP = `  --rounds N         default 3
  --seed N           of all that is random; default 1
  --directory PATH   where stores are made; default the system's directory for temporary files
  --json FILE        default a file in bench/results/`;

/**
 * Runs it, prints its table and writes all figures as JSON. Resolves to the exit code: whether every cell that is there ran, and gave what it should.
 *
 * @param {object} comparison
 * @param {string} comparison.name
 * @param {string} comparison.help
 * @param {string[]} comparison.engines Names of all that there are; the first is Pagewright.
 * @param {(name: string) => object} comparison.engineNamed An engine as `runRounds` takes it. Errors: one that says what there is.
 * @param {Record<string, string>} comparison.numbers Names and defaults of what else it can be told, which are whole numbers; they are in the tasks of cells.
 * @param {object} comparison.workload
 * @param {string} comparison.program Of a cell: its path.
 * @param {string} comparison.peer What ratios are held against.
 * @param {(task: object) => string} comparison.title Of what is compared.
 */
export async function compareOneWorkload(comparison) {
  let plan;
  try {
    plan = planOf(comparison, process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${comparison.help}`);
    return 1;
  }
  if (plan.help) {
    console.log(comparison.help);
    return 0;
  }
  if (plan.engines.some(({ isPeer }) => isPeer) && !installPeers()) console.error('The peers could not be installed.');
  return withScratch(plan.directory, (directory) => compare(comparison, plan, directory));
}

function planOf({ engines, engineNamed, numbers, workload, program, title }, args) {
  const text = (value) => ({ type: 'string', default: value });
  const options = {
    engines: text(engines.join(',')),
    ...Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, text(value)])),
    rounds: text('3'),
    seed: text('1'),
    directory: text(tmpdir()),
    json: { type: 'string' },
    help: { type: 'boolean', default: false },
  };
  const { values } = parseArgs({ args, options });
  const number = (name) => {
    const value = Number(values[name]);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw new Error(`--${name} is a whole number from 1 on, not "${values[name]}".`);
  };
  const task = Object.fromEntries(Object.keys(numbers).map((name) => [name, number(name)]));
  return {
    help: values.help,
    engines: values.engines.split(',').map(engineNamed),
    workloads: [{ name: 'cells', workload }],
    data: [title(task)],
    rounds: number('rounds'),
    seed: number('seed'),
    directory: values.directory,
    json: values.json,
    program,
    task,
  };
}

async function compare({ name, peer }, plan, directory) {
  const began = new Date();
  const loadBefore = loadavg();
  const file = plan.json ?? join(ROOT, 'bench', 'results', `${name}-${began.toISOString().replaceAll(':', '')}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const results = await runRounds(
    plan,
    directory,
    (line) => console.error(line),
    () => {},
  );
  const rows = rowsOf(results, plan.workloads, peer);
  const { task, rounds, seed } = plan;
  const machine = machineOf(loadBefore);
  const seconds = Math.round((Date.now() - began.getTime()) / 1000);
  const report = {
    benchmark: name,
    began: began.toISOString(),
    seconds,
    ...task,
    rounds,
    seed,
    machine,
    rows,
    results,
  };
  writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  console.error(`\n${file}\n`);
  print(report, peer, plan.data);
  return results.some(({ failed }) => failed !== undefined) ? 1 : 0;
}

function print({ machine, rounds, rows, results }, peer, data) {
  const { cpu, cpus: count, node, loadBefore, loadAfter } = machine;
  console.log(
    `${rounds} rounds; ${count} × ${cpu}, Node.js ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  for (const { engine, version, settings, notThere } of results) {
    const name = [engine, version].filter(Boolean).join(' ');
    console.log(`- ${[name, notThere ?? settings].filter(Boolean).join(': ')}`);
  }
  console.log(`\n${tablesOf(rows, peer, Object.fromEntries(data.map((name) => [name, name])))}`);
  for (const { engine, failed } of results) if (failed !== undefined) console.error(`${engine} has failed: ${failed}`);
}
