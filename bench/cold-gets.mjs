/**
 * `getMany` of keys whose pages are not in memory, from a store eight times as large as its pool, by each I/O backend, beside fio's random reads of the same file. Each cell is a
 * process of its own, and in each round all take turns. `npm run bench -- cold-gets --help` says what can be chosen.
 */
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { open } from 'pagewright';
import { entries, SCHEMA } from './cold-gets/entries.mjs';
import { BACKENDS } from './comparison/backends.mjs';
import { runCell } from './comparison/cells.mjs';
import { machineOf } from './comparison/machine.mjs';
import { withScratch } from './comparison/scratch.mjs';
import { summary, timesFaster } from './comparison/statistics.mjs';
import { takeTurns } from './comparison/turns.mjs';
import { runFio, whyNoFio } from './io/fio.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const CELL = fileURLToPath(new URL('cold-gets.cell.mjs', import.meta.url));
const PAGE = 16384;
const FIO_DEPTHS = [32, 64];

const OPTIONS = {
  mib: { type: 'string', default: '1024' },
  share: { type: 'string', default: '8' },
  keys: { type: 'string', default: '1000' },
  backends: { type: 'string', default: Object.keys(BACKENDS).join(',') },
  rounds: { type: 'string', default: '5' },
  seconds: { type: 'string', default: '3' },
  seed: { type: 'string', default: '1' },
  directory: { type: 'string', default: tmpdir() },
  json: { type: 'string' },
  help: { type: 'boolean', default: false },
};

const HELP = `npm run bench -- cold-gets [options]

  --mib N            size of the store, about; default ${OPTIONS.mib.default}
  --share N          the store is so many times as large as its pool; default ${OPTIONS.share.default}
  --keys N           of each call; default ${OPTIONS.keys.default}
  --backends NAMES   of: ${Object.keys(BACKENDS).join(', ')}; default: all
  --rounds N         default ${OPTIONS.rounds.default}
  --seconds N        of each cell; default ${OPTIONS.seconds.default}
  --seed N           default ${OPTIONS.seed.default}
  --directory PATH   where the store is made; default the system's directory for temporary files, which must be on the device to be measured
  --json FILE        default bench/results/cold-gets-TIME.json
`;

const { values } = parseArgs({ args: process.argv.slice(2), options: OPTIONS });
if (values.help) console.log(HELP);
else process.exitCode = await compare();

async function compare() {
  const [mib, share, keys, rounds, seconds, seed] = ['mib', 'share', 'keys', 'rounds', 'seconds', 'seed'].map((name) =>
    Number(values[name]),
  );
  const names = [
    ...values.backends.split(',').map((name) => name.trim()),
    ...FIO_DEPTHS.map((depth) => `fio, ${depth}`),
  ];
  const began = new Date();
  const loadBefore = loadavg();
  return withScratch(values.directory, async (directory) => {
    const path = join(directory, 'bench.pw');
    const count = await fill(path, mib);
    const bytes = statSync(path).size;
    const memory = Math.floor(bytes / share);
    const cells = names.map((name) => ({ name, rounds: [] }));
    const pages = Math.floor(bytes / PAGE);
    await takeTurns(cells, rounds, (backend, round) =>
      run({ backend, path, memory, count, keys, seconds, seed: seed + round }, pages),
    );
    const report = {
      benchmark: 'cold-gets',
      began: began.toISOString(),
      asked: values,
      entries: count,
      bytes,
      memory,
      machine: machineOf(loadBefore),
      cells,
    };
    const file =
      values.json ?? join(ROOT, 'bench', 'results', `cold-gets-${began.toISOString().replaceAll(':', '')}.json`);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
    console.error(`\n${file}\n`);
    print(report);
    return cells.some(({ left }) => left?.startsWith('FAILED')) ? 1 : 0;
  });
}

/** A store of about so many MiB. Returns how many entries it has. */
async function fill(path, mib) {
  const count = Math.floor((mib * 2 ** 20) / 640);
  const db = await open(path, { memory: '256MiB' });
  const index = await db.index('bench', SCHEMA);
  await index.bulkLoad(entries(count));
  await db.close();
  return count;
}

async function run(task, pages) {
  if (!task.backend.startsWith('fio')) return runCell(task, { program: CELL, limitMs: (task.seconds + 120) * 1000 });
  const why = whyNoFio();
  if (why !== undefined) return { notThere: why };
  const depth = task.backend.slice('fio, '.length);
  return runFio({ ...task, kind: 'read', pages, pageBytes: PAGE }, ['--ioengine=io_uring', `--iodepth=${depth}`]);
}

/** A table of pages a second, the median of the rounds, with the least and the most, what a key takes, and the processor's time of it. Ratios are of the same round. */
function print({ machine, entries: count, bytes, memory, asked, cells }) {
  const { cpu, cpus, node, loadBefore, loadAfter } = machine;
  const mib = (size) => `${Math.round(size / 2 ** 20)} MiB`;
  console.log(
    `getMany of ${asked.keys} of ${count} keys, ${mib(bytes)} with a pool of ${mib(memory)}; ${cpus} × ${cpu}, Node.js ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  const there = cells.filter(({ left }) => left === undefined);
  const costs = (cell) => Array.from(cell.rounds, (round) => round?.wallNs);
  const [bestFio] = there
    .filter(({ name }) => name.startsWith('fio'))
    .sort((a, b) => summary(costs(a)).median - summary(costs(b)).median);
  console.log(
    '| by | pages/s | of the best of fio | a key | pages a key | CPU a key |\n| --- | --- | --- | --- | --- | --- |',
  );
  for (const cell of there) {
    const { median, least, most } = summary(costs(cell));
    const rate = (ns) => Math.round(1e9 / ns).toLocaleString('en');
    const of = bestFio === undefined ? '–' : `${(100 * timesFaster(costs(cell), costs(bestFio))).toFixed(0)} %`;
    const middle = (field) => summary(cell.rounds.map((round) => round[field])).median;
    const ofKeys = cell.name.startsWith('fio')
      ? '– | – | –'
      : `${(middle('keyNs') / 1000).toFixed(1)} µs | ${middle('pagesAKey').toFixed(2)} | ${(middle('keyCpuNs') / 1000).toFixed(1)} µs`;
    console.log(`| ${cell.name} | ${rate(median)} (${rate(most)} to ${rate(least)}) | ${of} | ${ofKeys} |`);
  }
  for (const { name, left } of cells) if (left !== undefined) console.log(`\nLeft out: ${name}: ${left}`);
}
