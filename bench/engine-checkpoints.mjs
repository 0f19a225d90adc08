/**
 * What checkpoints cost commits of the whole engine: a worker thread keeps some durable puts in flight, or reads, while the thread that opened the store writes one checkpoint after
 * another, and while it writes none. Rounds take turns. The latency of a put is from the call until it is durable.
 *
 *     npm run bench -- engine-checkpoints [--keys 200000] [--in-flight 64] [--rounds 5] [--seconds 3] [--pause 200] [--io io-uring]
 */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { attach, open } from 'pagewright';
import { backendNamed } from './comparison/backends.mjs';
import { median } from './comparison/statistics.mjs';

const VALUE = new Uint8Array(100);

if (isMainThread) await main();
else await work(workerData);

async function main() {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '200000' },
      'in-flight': { type: 'string', default: '64' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      pause: { type: 'string', default: '200' },
      io: { type: 'string', default: 'node:fs' },
    },
  });
  const [keys, inFlight, rounds, seconds, pause] = ['keys', 'in-flight', 'rounds', 'seconds', 'pause'].map((name) =>
    Number(values[name]),
  );
  const directory = mkdtempSync(join(tmpdir(), 'pagewright-bench-'));
  // No checkpoints but those that are asked for.
  const db = await open(join(directory, 'bench.pw'), {
    memory: '512MiB',
    io: await backendNamed(values.io),
    checkpoint: { logBytes: 2 ** 32, intervalMs: 3_600_000 },
  });
  try {
    const index = await db.index('bench', { key: 'u32', value: 'buffer' });
    await index.bulkLoad(entries(keys));
    const worker = new Worker(new URL(import.meta.url), { workerData: { handle: db.share(), keys, io: values.io } });
    const ask = async (task) => {
      worker.postMessage(task);
      const [answer] = await once(worker, 'message');
      return answer;
    };
    const round = async (what, withCheckpoints) => {
      let over = false;
      const answer = ask({ what, seconds, inFlight }).finally(() => {
        over = true;
      });
      let checkpoints = 0;
      let pages = 0;
      while (!over) {
        if (what === 'get')
          await db.batch(Array.from({ length: 500 }, () => ({ type: 'put', index, key: below(keys), value: VALUE })));
        if (withCheckpoints) {
          pages += (await db.checkpoint()).pagesWritten;
          checkpoints++;
        }
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
      return { ...(await answer), checkpoints, pages };
    };
    console.log(
      `${keys} keys, ${inFlight} puts in flight, by ${values.io}; Node.js ${process.versions.node}, load ${loadavg()[0].toFixed(1)}`,
    );
    for (const what of ['put', 'get']) {
      const seen = { false: [], true: [] };
      for (const withCheckpoints of [false, true]) await round(what, withCheckpoints); // warm-up
      for (let i = 0; i < rounds; i++)
        for (const withCheckpoints of [false, true]) seen[withCheckpoints].push(await round(what, withCheckpoints));
      for (const withCheckpoints of [false, true]) print(what, withCheckpoints, seen[withCheckpoints]);
      const [without, withThem] = [false, true].map((each) => median(seen[each].map(({ rate }) => rate)));
      console.log(`${what}: ${((100 * withThem) / without).toFixed(0)} % of the throughput without`);
    }
    await ask(null);
  } finally {
    await db.close();
    rmSync(directory, { recursive: true, force: true });
  }
}

function print(what, withCheckpoints, rounds) {
  const of = (field) => median(rounds.map((round) => round[field]));
  const rates = rounds.map(({ rate }) => rate / 1000);
  console.log(
    `${what} ${withCheckpoints ? 'with   ' : 'without'} checkpoints: ${(of('rate') / 1000).toFixed(1)} thousand/s (${Math.min(...rates).toFixed(1)} to ${Math.max(...rates).toFixed(1)}), ` +
      `p50 ${of('p50').toFixed(4)} ms, p99.9 ${of('p999').toFixed(3)} ms, longest ${of('most').toFixed(1)} ms` +
      (withCheckpoints
        ? `; ${of('checkpoints')} checkpoints of ${Math.round(of('pages') / of('checkpoints'))} pages`
        : ''),
  );
}

function* entries(count) {
  for (let key = 0; key < count; key++) yield [key, VALUE];
}

function below(end) {
  return Math.floor(Math.random() * end);
}

async function work({ handle, keys, io }) {
  const db = await attach(handle, { io: await backendNamed(io) });
  const index = await db.index('bench', { key: 'u32', value: 'buffer' });
  for (;;) {
    const [task] = await once(parentPort, 'message');
    if (task === null) break;
    parentPort.postMessage(await (task.what === 'get' ? gets(index, keys, task) : puts(index, keys, task)));
  }
  await db.close();
  parentPort.postMessage(null);
}

async function puts(index, keys, { seconds, inFlight }) {
  const times = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  const one = async () => {
    for (let before = performance.now(); before < end; ) {
      await index.put(below(keys), VALUE);
      const after = performance.now();
      times.push(after - before);
      before = after;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, one));
  return summary(times, begun);
}

function gets(index, keys, { seconds }) {
  const times = [];
  const begun = performance.now();
  const end = begun + seconds * 1000;
  for (let before = begun; before < end; ) {
    if (index.getSync(below(keys)) === undefined) throw new Error('A key is missing');
    const after = performance.now();
    times.push(after - before);
    before = after;
  }
  return summary(times, begun);
}

function summary(times, begun) {
  const sorted = Float64Array.from(times).sort();
  const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return { rate: (1000 * sorted.length) / (performance.now() - begun), p50: at(0.5), p999: at(0.999), most: at(1) };
}
