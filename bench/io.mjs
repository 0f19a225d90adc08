/**
 * What moves bytes: random reads past the page cache at several depths, and writes that are durable one by one, by each backend that there is, beside fio with the same block size, depth and
 * way into the kernel. Each cell is a process of its own, and in each round all take turns. Prints a table, and writes all figures as JSON. `npm run bench -- io --help` says what can be chosen.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { runCell } from './comparison/cells.mjs';
import { machineOf } from './comparison/machine.mjs';
import { withScratch } from './comparison/scratch.mjs';
import { summary, timesFaster } from './comparison/statistics.mjs';
import { takeTurns } from './comparison/turns.mjs';
import { CONTESTANTS } from './io/contestants.mjs';
import { runFio, whyNoFio } from './io/fio.mjs';
import { PAGE, writePages } from './io/pages.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CELL = fileURLToPath(new URL('io.cell.mjs', import.meta.url));

const OPTIONS = {
  depths: { type: 'string', default: '1,8,32,128' },
  contestants: { type: 'string', default: Object.keys(CONTESTANTS).join(',') },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  mib: { type: 'string', default: '1024' },
  seed: { type: 'string', default: '1' },
  directory: { type: 'string', default: tmpdir() },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
};

const HELP = `npm run bench -- io [options]

  --depths NUMBERS      reads in flight; default ${OPTIONS.depths.default}. 0 leaves reads out
  --contestants NAMES   of: ${Object.keys(CONTESTANTS).join('; ')}. Separated by commas within quotes, "io-posix; node:fs" for one with a comma
  --rounds N            default ${OPTIONS.rounds.default}
  --seconds N           of each cell; default ${OPTIONS.seconds.default}
  --mib N               size of the file; default ${OPTIONS.mib.default}
  --seed N              default ${OPTIONS.seed.default}
  --directory PATH      where the file is made; default the system's directory for temporary files, which must be on the device to be measured
  --json FILE           default bench/results/io-TIME.json
`;

const { values } = parseArgs({ args: process.argv.slice(2), options: OPTIONS });
if (values.help) console.log(HELP);
else process.exitCode = await compare();

async function compare() {
  const [rounds, seconds, seed] = [values.rounds, values.seconds, values.seed].map(Number);
  const pages = Math.floor((Number(values.mib) * 2 ** 20) / PAGE);
  const depths = values.depths
    .split(',')
    .map(Number)
    .filter((depth) => depth > 0);
  const names = namesOf(values.contestants);
  const noFio = whyNoFio();
  const began = new Date();
  const loadBefore = loadavg();
  return withScratch(values.directory, async (directory) => {
    const path = join(directory, 'pages');
    writePages(path, pages);
    const work = [...depths.map((depth) => ({ kind: 'read', depth })), { kind: 'flush', depth: 1 }];
    const rows = [];
    // Writes go last: they wipe out what is read.
    for (const { kind, depth } of work) {
      const row = { kind, depth, cells: names.map((name) => ({ name, rounds: [] })) };
      rows.push(row);
      const taskOf = (contestant, round) => ({
        ...{ contestant, path, kind, depth, pages, pageBytes: PAGE, seconds },
        seed: seed + round,
      });
      await takeTurns(row.cells, rounds, (name, round) => run(taskOf(name, round), noFio), `${kind}, depth ${depth}, `);
    }
    const report = { benchmark: 'io', began: began.toISOString(), asked: values, machine: machineOf(loadBefore), rows };
    const file = values.json ?? join(ROOT, 'bench', 'results', `io-${began.toISOString().replaceAll(':', '')}.json`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
    console.error(`\n${file}\n`);
    print(report);
    return rows.some(({ cells }) => cells.some(({ left }) => left?.startsWith('FAILED'))) ? 1 : 0;
  });
}

/** The name of one contestant has a comma. */
function namesOf(list) {
  const names = Object.keys(CONTESTANTS).filter((name) => list === OPTIONS.contestants.default || isNamed(list, name));
  if (names.length === 0)
    throw new Error(`Nothing is named in "${list}". There are: ${Object.keys(CONTESTANTS).join('; ')}.`);
  return names;
}

function isNamed(list, name) {
  return list.split(',').some((one) => one.trim().replace(';', ',') === name);
}

async function run(task, noFio) {
  const { fio } = CONTESTANTS[task.contestant];
  if (fio === undefined) return runCell(task, { program: CELL, limitMs: (task.seconds + 60) * 1000 });
  const options = task.kind === 'read' ? fio.read?.(task.depth) : fio.flush;
  if (options === undefined) return { notThere: 'it is for the other kind of work' };
  return noFio === undefined ? runFio(task, options) : { notThere: noFio };
}

/** A table of operations per second, the median of the rounds, with the least and the most, and the processor's time for each. Ratios are of the same round. */
function print({ machine, rows }) {
  const { cpu, cpus, node, loadBefore, loadAfter } = machine;
  console.log(
    `16 KiB at random, past the page cache, and 4 KiB made durable; ${cpus} × ${cpu}, Node.js ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  console.log(
    '| work | by | operations/s | of the best of fio | × node:fs | CPU each |\n| --- | --- | --- | --- | --- | --- |',
  );
  for (const { kind, depth, cells } of rows) {
    const costs = (cell) => Array.from(cell?.rounds ?? [], (round) => round?.wallNs);
    const medianOf = (cell) => summary(costs(cell)).median;
    const [bestFio] = cells
      .filter(({ name, left }) => name.startsWith('fio') && left === undefined)
      .sort((a, b) => medianOf(a) - medianOf(b));
    const base = cells.find(({ name }) => name === 'node:fs');
    for (const cell of cells) {
      if (cell.left !== undefined) continue;
      const { median, least, most } = summary(costs(cell));
      const rate = (ns) => Math.round(1e9 / ns).toLocaleString('en');
      const times = (peer) => (peer === undefined ? NaN : timesFaster(costs(cell), costs(peer)));
      const share = times(bestFio);
      const cpuNs = summary(cell.rounds.map((round) => round.cpuNs)).median;
      console.log(
        `| ${kind === 'read' ? `reads, ${depth} in flight` : 'write and flush'} | ${cell.name} | ${rate(median)} (${rate(most)} to ${rate(least)}) | ${textOf(share * 100, 0)} % | ${textOf(times(base), 2)} | ${(cpuNs / 1000).toFixed(1)} µs |`,
      );
    }
  }
  const left = new Set(
    rows.flatMap(({ kind, cells }) =>
      cells.filter((cell) => cell.left).map((cell) => `${kind} by ${cell.name}: ${cell.left}`),
    ),
  );
  for (const line of left) console.log(`\nLeft out: ${line}`);
}

function textOf(value, digits) {
  return Number.isNaN(value) ? '–' : value.toFixed(digits);
}
