/**
 * What swizzling is worth: look-ups in a B+-tree through the buffer pool with each translation, on one store file. Each cell
 * runs in a process of its own, so that nothing is compiled for more than one of them; in a round all translations take their turns, and
 * each round begins with another one, so that what the machine does meanwhile meets all alike. Every answer is checked. Where others
 * use the machine the processor's time tells more than the clock's.
 *
 *     npm run bench -- pool-translation [--keys 1000000] [--page-size 4096] [--rounds 7] [--ms 1000] [--json file]
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { summary, timesFaster } from './comparison/statistics.mjs';

const TRANSLATIONS = ['swizzled', 'array', 'hash'];
const HOT_KEYS = 2000;
const CELL = fileURLToPath(new URL('pool-translation.cell.mjs', import.meta.url));

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '1000000' },
    'page-size': { type: 'string', default: '4096' },
    rounds: { type: 'string', default: '7' },
    ms: { type: 'string', default: '1000' },
    json: { type: 'string' },
  },
});
const keys = Number(values.keys);
const pageSize = Number(values['page-size']);
const rounds = Number(values.rounds);
const ms = Number(values.ms);

const directory = mkdtempSync(join(tmpdir(), 'pagewright-bench-'));
try {
  const store = { path: join(directory, 'bench.pw'), keys, pageSize };
  runCell({ what: 'build', ...store });
  const bytes = statSync(store.path).size;
  const workloads = [
    { name: 'hot', span: Math.min(HOT_KEYS, keys), memory: 2 * bytes },
    { name: 'uniform', span: keys, memory: 2 * bytes },
    { name: 'larger than memory', span: keys, memory: Math.floor(bytes / 8) },
  ].flatMap((workload) => [1, 2].map((threads) => ({ ...workload, threads })));
  const before = loadavg();
  const results = workloads.map((workload) => measure(store, workload));
  const machine = {
    cpu: cpus()[0]?.model,
    cpus: availableParallelism(),
    node: process.version,
    loadBefore: before,
    loadAfter: loadavg(),
  };
  const report = { benchmark: 'pool-translation', keys, pageSize, fileBytes: bytes, rounds, ms, machine, results };
  print(report);
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(report, null, 2)}\n`);
} finally {
  rmSync(directory, { recursive: true, force: true });
}

function measure(store, workload) {
  const samples = Object.fromEntries(TRANSLATIONS.map((translation) => [translation, []]));
  let pagesRead = 0;
  let levels = 0;
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < TRANSLATIONS.length; turn++) {
      const translation = TRANSLATIONS[(turn + round) % TRANSLATIONS.length];
      const cell = runCell({ what: 'look up', ...store, ...workload, translation, ms, seed: round + 1 });
      samples[translation].push(cell);
      pagesRead = cell.pageReads / cell.lookups;
      levels = cell.hits / cell.lookups;
    }
  }
  const summaryOf = (translation, time) => {
    const ns = samples[translation].map((cell) => cell[time]);
    const ofSwizzled = samples.swizzled.map((cell) => cell[time]);
    return { ...summary(ns), ratio: timesFaster(ofSwizzled, ns), samples: ns };
  };
  return {
    workload: workload.name,
    threads: workload.threads,
    pagesReadPerLookup: pagesRead,
    levels,
    translations: Object.fromEntries(
      TRANSLATIONS.map((name) => [name, { cpuNs: summaryOf(name, 'cpuNs'), wallNs: summaryOf(name, 'wallNs') }]),
    ),
  };
}

function runCell(task) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [CELL, JSON.stringify(task)], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`A cell has failed: ${JSON.stringify(task)}\n${stderr}`);
  return JSON.parse(stdout);
}

function print({ results, machine, fileBytes }) {
  const { cpu, node, loadBefore, loadAfter } = machine;
  console.log(
    `${keys} keys, ${(fileBytes / 2 ** 20).toFixed(0)} MiB in pages of ${pageSize} bytes; ${rounds} rounds of ${ms} ms`,
  );
  console.log(
    `${machine.cpus} × ${cpu}, Node ${node}, load ${loadBefore[0].toFixed(1)} to ${loadAfter[0].toFixed(1)}\n`,
  );
  printTimes('processor time a look-up, ns', results, 'cpuNs');
  printTimes('time a look-up as a thread sees it, ns', results, 'wallNs');
  printLevels(results);
}

/** Median (least to most), and against swizzled: the median of the rounds. */
function printTimes(title, results, time) {
  console.log(`| ${title} | threads | ${TRANSLATIONS.join(' | ')} |`);
  console.log(`| --- | --- | ${TRANSLATIONS.map(() => '---').join(' | ')} |`);
  for (const { workload, threads, translations } of results) {
    const cells = TRANSLATIONS.map((translation) => {
      const { median, least, most, ratio } = translations[translation][time];
      const against = translation === 'swizzled' ? '' : `, × ${ratio.toFixed(2)}`;
      return `${median.toFixed(0)} (${least.toFixed(0)} to ${most.toFixed(0)})${against}`;
    });
    console.log(`| ${workload} | ${threads} | ${cells.join(' | ')} |`);
  }
  console.log('');
}

/** What each level of the tree takes longer than with swizzled, by the medians of the rounds' differences. */
function printLevels(results) {
  const others = TRANSLATIONS.filter((translation) => translation !== 'swizzled');
  console.log(`| processor time a level beyond swizzled, ns | threads | levels | ${others.join(' | ')} |`);
  console.log(`| --- | --- | --- | ${others.map(() => '---').join(' | ')} |`);
  for (const { workload, threads, levels, translations } of results) {
    const base = translations.swizzled.cpuNs.samples;
    const cells = others.map((translation) => {
      const { median, least, most } = summary(
        translations[translation].cpuNs.samples.map((ns, round) => (ns - base[round]) / levels),
      );
      return `${median.toFixed(1)} (${least.toFixed(1)} to ${most.toFixed(1)})`;
    });
    console.log(`| ${workload} | ${threads} | ${levels.toFixed(2)} | ${cells.join(' | ')} |`);
  }
  console.log('');
}
