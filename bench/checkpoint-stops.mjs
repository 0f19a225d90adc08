/**
 * What a checkpoint costs those who work meanwhile: latency of changes, and throughput of reads, of worker threads on one pool while
 * the thread that opened it writes one checkpoint after another, and while it writes none. Rounds are interleaved.
 *
 *   node bench/checkpoint-stops.mjs [--keys 200000] [--threads 1] [--rounds 5] [--seconds 3] [--memory 256MiB]
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, workerData } from 'node:worker_threads';
import { EntryReference, NO_LOG } from '@pagewright/core';
import { answering, attached, keyOf, SharedPool } from './comparison/shared-pool.mjs';
import { median } from './comparison/statistics.mjs';

if (isMainThread) await main();
else await work(workerData);

async function main() {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '200000' },
      threads: { type: 'string', default: '1' },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '3' },
      memory: { type: 'string', default: '256MiB' },
    },
  });
  const keys = Number(values.keys);
  const seconds = Number(values.seconds);
  const valueFor = (number) => Buffer.alloc(100, number & 0xff);
  const shared = await SharedPool.filled({ memory: values.memory, keys, valueFor });
  const { pool, index } = shared;
  const clock = new Int32Array(new SharedArrayBuffer(4));
  clock[0] = 1;
  const steps = { gate: () => ({ timestamp: Atomics.load(clock, 0), log: NO_LOG }), secureLog: async () => {} };
  await pool.checkpoint(steps);
  const threads = Number(values.threads);
  for (let thread = 0; thread < threads; thread++)
    await shared.start(new URL(import.meta.url), { keys, clock: clock.buffer, thread, threads });

  const change = () => {
    for (let i = 0; i < 2000; i++) {
      const number = Math.floor(Math.random() * keys);
      index.upsert(keyOf(number), 0, Buffer.alloc(100, i), Atomics.add(clock, 0, 1) + 1);
    }
  };

  /** One round: what each worker says, and how many checkpoints there were meanwhile. */
  const round = async (what, withCheckpoints) => {
    let over = false;
    const answers = shared.ask({ what, seconds }).finally(() => {
      over = true;
    });
    let checkpoints = 0;
    let pages = 0;
    while (!over) {
      // Beside reads this thread makes the pages dirty that are written.
      if (what === 'get') change();
      if (withCheckpoints) {
        pages += (await pool.checkpoint(steps)).pagesWritten;
        checkpoints++;
      }
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const each = await answers;
    return {
      rate: each.reduce((sum, { rate }) => sum + rate, 0),
      p50: Math.max(...each.map(({ p50 }) => p50)),
      p999: Math.max(...each.map(({ p999 }) => p999)),
      most: Math.max(...each.map(({ most }) => most)),
      checkpoints,
      pages,
    };
  };
  console.log(
    `${keys} keys, ${values.threads} worker threads, ${values.memory}; Node.js ${process.versions.node}, load ${os.loadavg()[0]}`,
  );
  for (const what of ['put', 'get']) {
    for (const withCheckpoints of [false, true]) await round(what, withCheckpoints); // warm-up
    const rounds = { false: [], true: [] };
    for (let i = 0; i < Number(values.rounds); i++)
      for (const withCheckpoints of [false, true]) rounds[withCheckpoints].push(await round(what, withCheckpoints));
    for (const withCheckpoints of [false, true]) {
      const list = rounds[withCheckpoints];
      const of = (field) => median(list.map((one) => one[field]));
      const rates = list.map(({ rate }) => Math.round(rate / 1000));
      console.log(
        `${what} ${withCheckpoints ? 'with   ' : 'without'} checkpoints: ${Math.round(of('rate') / 1000)} thousand/s (${Math.min(...rates)} to ${Math.max(...rates)}), ` +
          `p50 ${of('p50').toFixed(4)} ms, p99.9 ${of('p999').toFixed(3)} ms, longest ${of('most').toFixed(1)} ms` +
          (withCheckpoints
            ? `; ${of('checkpoints')} checkpoints of ${Math.round(of('pages') / of('checkpoints'))} pages`
            : ''),
      );
    }
    const [without, withThem] = [false, true].map((one) => median(rounds[one].map(({ rate }) => rate)));
    console.log(`${what}: ${((100 * withThem) / without).toFixed(0)} % of the throughput without`);
  }
  await shared.close();
}

async function work({ handle, keys, clock, thread, threads }) {
  const { pool, index } = await attached(handle);
  const reference = new EntryReference();
  const words = new Int32Array(clock);
  const numbers = Array.from({ length: 1 << 15 }, (_, i) => {
    const any = (Math.imul(i + 1, 0x9e3779b1) >>> 0) % Math.floor(keys / threads);
    return any * threads + thread;
  });
  const names = numbers.map(keyOf);
  const value = Buffer.alloc(100);
  answering(pool, ({ what, seconds }) => {
    const times = new Float64Array(20_000_000);
    const begun = performance.now();
    const end = begun + seconds * 1000;
    let count = 0;
    for (let before = begun; before < end && count < times.length; count++) {
      const name = names[count & 0x7fff];
      if (what === 'get') {
        if (!index.lookup(name, reference)) throw new Error('A key is missing');
      } else {
        value.fill(count);
        pool.enterGate();
        index.upsert(name, 0, value, Atomics.add(words, 0, 1) + 1);
        pool.leaveGate();
      }
      const after = performance.now();
      times[count] = after - before;
      before = after;
    }
    const sorted = times.subarray(0, count).sort();
    return {
      rate: (count * 1000) / (performance.now() - begun),
      p50: sorted[count >> 1],
      p999: sorted[Math.floor(count * 0.999)],
      most: sorted[count - 1],
    };
  });
}
