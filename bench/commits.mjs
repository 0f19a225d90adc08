/**
 * Durable commits: how long one takes, how many there are with many in flight, what they take under a load that does not wait for them, and who really flushes. Pagewright with each of
 * its commit policies, beside other engines and what the machine itself takes. Each cell is a process of its own, cells take turns, and what was acknowledged is looked for in
 * a store whose process was killed. Prints tables, and writes all figures as JSON. `npm run bench -- commits --help` says what can be chosen.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { drawChart } from './commits/chart.mjs';
import { whyNotCounted } from './commits/flushes.mjs';
import { HELP, planOf } from './commits/options.mjs';
import { PARTS } from './commits/parts.mjs';
import { bestThroughput, rowsOf } from './commits/report.mjs';
import { runPart } from './commits/rounds.mjs';
import { reasonsOf, tablesOf } from './commits/table.mjs';
import { machineOf } from './comparison/machine.mjs';
import { NotThere } from './comparison/not-there.mjs';
import { installPeers } from './comparison/peers.mjs';
import { withScratch } from './comparison/scratch.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));

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

/** The exit code: whether every cell that is there ran, and its store had what was acknowledged. */
async function compare() {
  const needsPeers = plan.contestants.some(({ isPeer }) => isPeer) || plan.chart !== undefined;
  if (needsPeers && !installPeers()) console.error('The peers could not be installed.');
  return withScratch(plan.directory, async (directory) => {
    const began = new Date();
    const loadBefore = loadavg();
    const file = plan.json ?? join(ROOT, 'bench', 'results', `commits-${began.toISOString().replaceAll(':', '')}.json`);
    mkdirSync(dirname(file), { recursive: true });
    const results = [];
    const notes = [];
    let report;
    for (const name of plan.parts) {
      const why = name === 'flushes' ? whyNotCounted(directory) : undefined;
      if (why !== undefined) notes.push(`Flushes were not counted: ${why}.`);
      const best = name === 'open-loop' ? (plan.best ?? bestThroughput(results, plan.contestants)) : undefined;
      if (name === 'open-loop' && best === undefined)
        notes.push('No load was offered: no policy has committed anything.');
      else if (why === undefined) {
        const settings = PARTS[name].settings(plan, best);
        results.push(...(await runPart(name, settings, plan, directory, (line) => console.error(line))));
      }
      // Written after each part, so that a run which is cut off was not for nothing.
      report = reportOf(results, notes, began, loadBefore);
      writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
    }
    console.error(`\n${file}\n`);
    print(report);
    if (plan.chart !== undefined) await draw(report);
    return results.some(({ failed }) => failed !== undefined) ? 1 : 0;
  });
}

function reportOf(results, notes, began, loadBefore) {
  const { rounds, seconds, inFlight, threads, offered, commits, seed, peer, policies } = plan;
  return {
    benchmark: 'commits',
    began: began.toISOString(),
    seconds: Math.round((Date.now() - began.getTime()) / 1000),
    asked: { rounds, seconds, inFlight, threads, offered, commits, seed, peer, policies },
    machine: { ...machineOf(loadBefore), libuvThreads: Number(process.env.UV_THREADPOOL_SIZE ?? 4) },
    engines: enginesOf(results),
    notes,
    rows: rowsOf(results, plan.contestants, peer),
    results,
  };
}

/** Of each contestant its version and settings. */
function enginesOf(results) {
  const engines = {};
  for (const { engine, version, settings } of results) {
    engines[engine] ??= {};
    if (version !== undefined) Object.assign(engines[engine], { version, settings });
  }
  return engines;
}

function print({ asked, machine, engines, notes, rows }) {
  const { cpu, cpus: count, node, loadBefore, loadAfter } = machine;
  console.log(
    `Values of 100 bytes, ${asked.rounds} rounds of ${asked.seconds} s; ${count} × ${cpu}, Node.js ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  for (const [name, { version, settings }] of Object.entries(engines))
    console.log(`- ${[name, version].filter(Boolean).join(' ')}${settings === undefined ? '' : `: ${settings}`}`);
  console.log(`\n${tablesOf(rows, asked.peer)}`);
  for (const line of [...notes, ...reasonsOf(rows)]) console.log(line);
}

async function draw({ rows }) {
  try {
    mkdirSync(dirname(plan.chart), { recursive: true });
    writeFileSync(plan.chart, await drawChart(rows));
    console.error(plan.chart);
  } catch (error) {
    if (!(error instanceof NotThere)) throw error;
    console.error(`There is no chart: ${error.message}.`);
  }
}
