/**
 * How long a store takes to open that was killed at full write load: a process keeps puts in flight, durable ones unless said, with checkpoints as they come by default, and is killed at a random moment; another one opens the store, and says
 * what recovery did. For a store that fits into memory, and for one that is four times as large. With the right to do so, what the operating system keeps of files is given up before, as after a loss of power.
 *
 *     npm run bench -- recovery [--keys 400000] [--memory 256MiB] [--small 16MiB] [--in-flight 64] [--changes 1] [--value-bytes 100] [--durability relaxed] [--rounds 5] [--seconds 12] [--warm]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { statSync, writeFileSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { withScratch } from './comparison/scratch.mjs';
import { summary } from './comparison/statistics.mjs';

const CELL = fileURLToPath(new URL('./recovery.cell.mjs', import.meta.url));

const { values } = parseArgs({
  options: {
    keys: { type: 'string', default: '400000' },
    memory: { type: 'string', default: '256MiB' },
    small: { type: 'string', default: '16MiB' },
    'in-flight': { type: 'string', default: '64' },
    changes: { type: 'string', default: '1' },
    'value-bytes': { type: 'string', default: '100' },
    durability: { type: 'string', default: 'durable' },
    rounds: { type: 'string', default: '5' },
    seconds: { type: 'string', default: '12' },
    warm: { type: 'boolean', default: false },
  },
});
const [keys, inFlight, changes, valueBytes, rounds, seconds] = [
  'keys',
  'in-flight',
  'changes',
  'value-bytes',
  'rounds',
  'seconds',
].map((name) => Number(values[name]));
const { durability } = values;
await withScratch(tmpdir(), measure);

async function measure(directory) {
  const isCold = !values.warm && dropsCaches();
  console.log(
    `${keys} keys, ${inFlight} ${durability} commits of ${changes} puts of ${valueBytes} bytes in flight, killed after ${seconds / 2} to ${seconds} s, files ${isCold ? 'not ' : ''}in the cache of the operating system; Node.js ${process.versions.node}, load ${loadavg()[0]}`,
  );
  const stores = [
    { name: 'fits into memory', path: join(directory, 'fits.pw'), memory: values.memory },
    { name: 'larger than memory', path: join(directory, 'larger.pw'), memory: values.small },
  ];
  const found = stores.map(() => []);
  for (const { path } of stores) await cell({ task: 'fill', path, memory: values.memory, keys, valueBytes });
  for (let round = 0; round < rounds; round++) {
    for (const [at, { name, path, memory }] of stores.entries()) {
      const acknowledged = await killed({
        task: 'write',
        path,
        memory,
        keys,
        inFlight,
        changes,
        valueBytes,
        durability,
      });
      if (isCold) dropsCaches();
      const opened = await cell({ task: 'open', path, memory });
      console.error(`${name}, round ${round + 1}: ${acknowledged} commits in all, ${JSON.stringify(opened)}`);
      found[at].push(opened);
    }
  }
  for (const [at, { name, path, memory }] of stores.entries()) {
    const of = (field) => summary(found[at].map((one) => one[field]));
    const [open, replay, records, bytes] = ['openMs', 'replayMs', 'records', 'logBytes'].map(of);
    const shown = ({ median, least, most }, unit) =>
      `${(median / unit).toFixed(2)} (${(least / unit).toFixed(2)} to ${(most / unit).toFixed(2)})`;
    console.log(
      `${name} (${(statSync(path).size / 2 ** 20).toFixed(0)} MiB, memory ${memory}): opened in ${shown(open, 1000)} s, of which replay ${shown(replay, 1000)} s, of ${shown(records, 1000)} thousand commits in ${shown(bytes, 2 ** 20)} MiB of log`,
    );
  }
}

/** What a process answers that does the task. */
async function cell(task) {
  const child = spawn(process.execPath, [CELL, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = [];
  createInterface(child.stdout).on('line', (line) => lines.push(line));
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error(`A cell ended with ${code}: ${JSON.stringify(task)}`);
  return JSON.parse(lines.at(-1));
}

/** Begins the task, and kills it after a while. Resolves to the last line that it has written. */
async function killed(task) {
  const child = spawn(process.execPath, [CELL, JSON.stringify(task)], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout);
  let last = '';
  lines.on('line', (line) => {
    last = line;
  });
  await once(lines, 'line');
  const timer = setTimeout(() => child.kill('SIGKILL'), (seconds / 2 + (Math.random() * seconds) / 2) * 1000);
  const [code] = await once(child, 'close');
  clearTimeout(timer);
  if (code !== null) throw new Error(`A cell ended by itself: ${JSON.stringify(task)}`);
  return last;
}

function dropsCaches() {
  try {
    writeFileSync('/proc/sys/vm/drop_caches', '3');
    return true;
  } catch {
    return false;
  }
}
