/**
 * What a checkpoint costs reads that need the device: a store several times larger than its memory, of which the system has nothing in its cache either, is read by worker threads at
 * random while the thread that opened it writes one checkpoint of many pages, and while it writes none. Rounds take turns. Puts, if asked for, are durable and go on in a worker of their
 * own meanwhile, and began so many milliseconds before what is counted (`--before`): what is evicted in that time the checkpoint finds written and not yet on the device. `dd` empties
 * the system's cache, so this needs Linux.
 *
 * With `--seconds` checkpoints come by themselves, as by default, or not at all, and all is counted for so long, in rounds that take turns and open the store anew; threads are at work from `--before`
 * on, and caches are as they are.
 *
 *     npm run bench -- checkpoint-reads [--keys 1500000] [--dirty 3000] [--threads 1] [--in-flight 8] [--writers 0] [--before 200] [--duty-cycle 0.25] [--rounds 5] [--memory 128MiB]
 *       [--io io-uring] [--seconds 40]
 */
import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { attach, open } from 'pagewright';
import { backendNamed } from './comparison/backends.mjs';
import { median } from './comparison/statistics.mjs';

const VALUE = new Uint8Array(600);
const [KIND, SCHEMA] = ['bench', { key: 'u32', value: 'buffer' }];

if (isMainThread) await main();
else await work(workerData);

async function main() {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '1500000' },
      dirty: { type: 'string', default: '3000' },
      threads: { type: 'string', default: '1' },
      'in-flight': { type: 'string', default: '8' },
      writers: { type: 'string', default: '0' },
      before: { type: 'string', default: '200' },
      'duty-cycle': { type: 'string', default: '0.25' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '0' },
      memory: { type: 'string', default: '128MiB' },
      io: { type: 'string', default: 'node:fs' },
      directory: { type: 'string', default: tmpdir() },
    },
  });
  const [keys, dirty, threads, inFlight, writers, before, rounds, seconds] = [
    'keys',
    'dirty',
    'threads',
    'in-flight',
    'writers',
    'before',
    'rounds',
    'seconds',
  ].map((name) => Number(values[name]));
  const directory = mkdtempSync(join(values.directory, 'pagewright-bench-'));
  const path = join(directory, 'bench.pw');
  const dutyCycle = Number(values['duty-cycle']);
  // No checkpoints but those that are asked for.
  const asked = { logBytes: 2 ** 32, intervalMs: 3_600_000, dutyCycle };
  const stop = new Int32Array(new SharedArrayBuffer(4));
  const opened = async (checkpoint) =>
    open(path, { memory: values.memory, checkpoint, io: await backendNamed(values.io) });
  /** What its threads answer, all of them, when they are asked. */
  const asking = (db) => {
    const start = (what) =>
      new Worker(new URL(import.meta.url), {
        workerData: { handle: db.share(), keys, what, inFlight, stop, io: values.io },
      });
    const workers = [...Array(threads).fill('get'), ...Array(writers).fill('put')].map(start);
    return (task) =>
      Promise.all(
        workers.map(async (worker) => {
          worker.postMessage(task);
          return (await once(worker, 'message'))[0];
        }),
      );
  };
  const begins = () =>
    console.log(
      `${keys} keys, ${(statSync(path).size / 2 ** 20).toFixed(0)} MiB in ${values.memory}, ${threads} reading threads with ${inFlight} gets in flight each, ` +
        `${writers} writing ones, at work for ${before} ms before, duty cycle ${dutyCycle}, by ${values.io}; Node.js ${process.versions.node}, load ${loadavg()[0].toFixed(1)}`,
    );
  let db = await opened(asked);
  try {
    await (await db.index(KIND, SCHEMA)).bulkLoad(entries(keys));
    if (seconds > 0) await byThemselves();
    else await byRequest();
  } finally {
    await db.close();
    rmSync(directory, { recursive: true, force: true });
  }

  async function byThemselves() {
    begins();
    const seen = { false: [], true: [] };
    for (let i = 0; i < rounds; i++)
      for (const withCheckpoints of [true, false]) {
        await db.close();
        db = await opened(withCheckpoints ? { dutyCycle } : asked);
        const ask = asking(db);
        Atomics.store(stop, 0, 0);
        const answers = ask('go');
        await sleep(before);
        const durations = [];
        const note = ({ durationMs, bytesWritten }) => durations.push([durationMs, bytesWritten]);
        subscribe('pagewright:pool:checkpoint', note);
        Atomics.store(stop, 0, 1);
        await sleep(seconds * 1000);
        Atomics.store(stop, 0, 2);
        unsubscribe('pagewright:pool:checkpoint', note);
        const each = await answers;
        await ask(null);
        const sum = (at) => durations.reduce((total, one) => total + one[at], 0);
        const result = { count: durations.length, durationMs: sum(0), bytesWritten: sum(1) };
        seen[withCheckpoints].push({ reads: of('get', each), puts: of('put', each), result });
      }
    report(seen);
  }

  async function byRequest() {
    const index = await db.index(KIND, SCHEMA);
    const ask = asking(db);
    let durationMs = 1000;
    const round = async (withCheckpoint) => {
      // In both, so that what is in memory is the same.
      for (let i = 0; i < dirty; i += 500)
        await db.batch(Array.from({ length: 500 }, () => ({ type: 'put', index, key: below(keys), value: VALUE })));
      if (!withCheckpoint) await db.checkpoint();
      execFileSync('sync');
      execFileSync('dd', [`of=${path}`, 'oflag=nocache', 'conv=notrunc,fdatasync', 'count=0'], { stdio: 'ignore' });
      Atomics.store(stop, 0, 0);
      const written = db.stats().pages.pageWrites;
      const answers = ask('go');
      await sleep(before); // What is read first tells nothing of the rest.
      const evictedBytes = (db.stats().pages.pageWrites - written) * db.stats().pages.pageSize;
      Atomics.store(stop, 0, 1);
      const checkpoint = withCheckpoint ? await db.checkpoint() : await sleep(durationMs);
      if (withCheckpoint) ({ durationMs } = checkpoint);
      Atomics.store(stop, 0, 2);
      const each = await answers;
      return { reads: of('get', each), puts: of('put', each), result: { ...checkpoint, evictedBytes } };
    };
    begins();
    const seen = { false: [], true: [] };
    for (const withCheckpoint of [true, false]) await round(withCheckpoint); // warm-up
    for (let i = 0; i < rounds; i++)
      for (const withCheckpoint of [true, false]) seen[withCheckpoint].push(await round(withCheckpoint));
    await ask(null);
    report(seen);
  }

  function report(seen) {
    for (const what of [...(threads > 0 ? ['reads'] : []), ...(writers > 0 ? ['puts'] : [])]) {
      for (const withCheckpoint of [false, true]) print(what, withCheckpoint, seen[withCheckpoint]);
      const shares = seen.true.map((one, i) => (100 * one[what].rate) / seen.false[i][what].rate);
      console.log(
        `${what}: ${median(shares).toFixed(0)} % of the throughput without (${Math.min(...shares).toFixed(0)} to ${Math.max(...shares).toFixed(0)})`,
      );
    }
  }
}

/** What the threads of one kind have done. */
function of(kind, answers) {
  const list = answers.filter(({ what }) => what === kind);
  const most = (field) => Math.max(...list.map((one) => one[field]));
  return {
    rate: list.reduce((sum, { rate }) => sum + rate, 0),
    p50: most('p50'),
    p99: most('p99'),
    p999: most('p999'),
  };
}

function print(what, withCheckpoint, rounds) {
  const of = (field) => median(rounds.map((round) => round[what][field]));
  const rates = rounds.map((round) => round[what].rate);
  const results = rounds.map(({ result }) => result);
  const mebibytes = (field) => (median(results.map((each) => each[field])) / 2 ** 20).toFixed(0);
  console.log(
    `${what} ${withCheckpoint ? 'with   ' : 'without'} a checkpoint: ${of('rate').toFixed(0)}/s (${Math.min(...rates).toFixed(0)} to ${Math.max(...rates).toFixed(0)}), ` +
      `p50 ${of('p50').toFixed(2)} ms, p99 ${of('p99').toFixed(1)} ms, p99.9 ${of('p999').toFixed(1)} ms` +
      (results[0].evictedBytes === undefined ? '' : `; ${mebibytes('evictedBytes')} MiB evicted before`) +
      (withCheckpoint
        ? `; ${results[0].count === undefined ? '' : `${results.map(({ count }) => count).join(', ')} of them, `}${mebibytes('bytesWritten')} MiB in ${(median(results.map(({ durationMs }) => durationMs)) / 1000).toFixed(2)} s`
        : ''),
  );
}

function* entries(count) {
  for (let key = 0; key < count; key++) yield [key, VALUE];
}

function below(end) {
  return Math.floor(Math.random() * end);
}

function sleep(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function work({ handle, keys, what, inFlight, stop, io }) {
  const db = await attach(handle, { io: await backendNamed(io) });
  const index = await db.index(KIND, SCHEMA);
  for (;;) {
    const [task] = await once(parentPort, 'message');
    if (task === null) break;
    const times = [];
    let begun = 0;
    const one = async () => {
      for (let state = 0; state < 2; state = Atomics.load(stop, 0)) {
        const before = performance.now();
        const key = below(keys);
        if (what === 'put') await index.put(key, VALUE);
        else if ((await index.get(key)) === undefined) throw new Error('A key is missing');
        if (state === 0) continue;
        if (begun === 0) begun = performance.now();
        times.push(performance.now() - before);
      }
    };
    await Promise.all(Array.from({ length: inFlight }, one));
    const rate = (1000 * times.length) / (performance.now() - begun);
    const sorted = Float64Array.from(times).sort();
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    parentPort.postMessage({ what, rate, p50: at(0.5), p99: at(0.99), p999: at(0.999) });
  }
  await db.close();
  parentPort.postMessage(null);
}
