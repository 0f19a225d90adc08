/**
 * New orders and payments after TPC-C, the two transactions that most of its load consists of, in Pagewright and other engines. It is no TPC-C: three of its transactions
 * are left out, and so are thinking times, which would make any of these engines wait for terminals. Each cell is a process of its own, cells take turns, and the
 * tables are checked after each. `npm run bench -- orders --help` says what can be chosen.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { machineOf } from './comparison/machine.mjs';
import { installPeers } from './comparison/peers.mjs';
import { rowsOf } from './comparison/report.mjs';
import { runRounds } from './comparison/rounds.mjs';
import { withScratch } from './comparison/scratch.mjs';
import { tablesOf } from './comparison/table.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const PROGRAM = fileURLToPath(new URL('orders.cell.mjs', import.meta.url));
const OWN = 'pagewright';
const ENGINES = [OWN, 'lmdb', 'better-sqlite3'];
const PEER = 'lmdb';

const WORKLOAD = {
  needs: 'empty',
  measures: {
    durable: { title: 'a transaction, durable, 64 terminals', unit: 'ns' },
    relaxed: { title: 'a transaction, relaxed, one terminal', unit: 'ns' },
  },
};

const HELP = `npm run bench -- orders [options]

  --engines NAMES    ${ENGINES.join(', ')}, or modules by their paths; default: all
  --warehouses N     default 2, of some 60 MiB each
  --rounds N         default 3
  --seconds N        of each form; default 5
  --operations N     transactions at the most; default 500000
  --seed N           of all that is random; default 1
  --directory PATH   where stores are made; default the system's directory for temporary files
  --json FILE        default bench/results/orders-TIME.json
`;

const plan = planned();
if (plan.help) console.log(HELP);
else process.exitCode = await compare();

function planned() {
  try {
    return planOf(process.argv.slice(2));
  } catch (error) {
    console.error(`${error.message}\n\n${HELP}`);
    process.exit(1);
  }
}

function planOf(args) {
  const text = (value) => ({ type: 'string', default: value });
  const { values } = parseArgs({
    args,
    options: {
      engines: text(ENGINES.join(',')),
      warehouses: text('2'),
      rounds: text('3'),
      seconds: text('5'),
      operations: text('500000'),
      seed: text('1'),
      directory: text(tmpdir()),
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  const number = (name) => {
    const value = Number(values[name]);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    throw new Error(`--${name} is a whole number from 1 on, not "${values[name]}".`);
  };
  const warehouses = number('warehouses');
  return {
    help: values.help,
    engines: values.engines.split(',').map(engineNamed),
    workloads: [{ name: 'orders', workload: WORKLOAD }],
    data: [`${warehouses} ${warehouses === 1 ? 'warehouse' : 'warehouses'}`],
    rounds: number('rounds'),
    seed: number('seed'),
    directory: values.directory,
    json: values.json,
    program: PROGRAM,
    task: { warehouses, seconds: number('seconds'), operations: number('operations') },
  };
}

/** Errors: one that says what there is. */
function engineNamed(name) {
  if (ENGINES.includes(name))
    return {
      name,
      module: new URL(`orders/engines/${name}.mjs`, import.meta.url).href,
      isPeer: name !== OWN,
      isLimit: false,
    };
  const path = resolve(name);
  if (name.endsWith('.mjs') && existsSync(path))
    return { name, module: pathToFileURL(path).href, isPeer: false, isLimit: false };
  throw new Error(
    `There is no engine "${name}". There are: ${ENGINES.join(', ')}, and any module that is named by its path.`,
  );
}

/** The exit code: whether every cell that is there ran, and its tables were as they have to be. */
async function compare() {
  if (plan.engines.some(({ isPeer }) => isPeer) && !installPeers()) console.error('The peers could not be installed.');
  return withScratch(plan.directory, async (directory) => {
    const began = new Date();
    const loadBefore = loadavg();
    const file = plan.json ?? join(ROOT, 'bench', 'results', `orders-${began.toISOString().replaceAll(':', '')}.json`);
    mkdirSync(dirname(file), { recursive: true });
    const results = await runRounds(
      plan,
      directory,
      (line) => console.error(line),
      () => {},
    );
    const rows = rowsOf(results, plan.workloads, PEER);
    const { task, rounds, seed } = plan;
    const machine = machineOf(loadBefore);
    const seconds = Math.round((Date.now() - began.getTime()) / 1000);
    const report = {
      benchmark: 'orders',
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
    print(report);
    return results.some(({ failed }) => failed !== undefined) ? 1 : 0;
  });
}

function print({ machine, rounds, rows, results }) {
  const { cpu, cpus: count, node, loadBefore, loadAfter } = machine;
  console.log(
    `${rounds} rounds; ${count} × ${cpu}, Node.js ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  for (const { engine, version, settings, notThere } of results)
    console.log(`- ${[engine, version].filter(Boolean).join(' ')}: ${notThere ?? settings}`);
  console.log(`\n${tablesOf(rows, PEER, Object.fromEntries(plan.data.map((name) => [name, name])))}`);
  for (const { engine, failed } of results) if (failed !== undefined) console.error(`${engine} has failed: ${failed}`);
}
