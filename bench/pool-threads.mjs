/**
 * Reads of one tree by 1, 2, 4 … threads on one pool: how much more several threads read than one. All is in memory, keys are
 * chosen uniformly. Rounds with different numbers of threads are interleaved; printed are medians, and how far they spread.
 *
 *   node bench/pool-threads.mjs [--keys 200000] [--threads 1,2] [--rounds 7] [--seconds 2]
 *
 * Every answer is checked by its length and its first bytes.
 */
import os from 'node:os';
import { parseArgs } from 'node:util';
import { isMainThread, workerData } from 'node:worker_threads';
import { EntryReference } from '@pagewright/core';
import { answering, attached, keyOf, SharedPool } from './comparison/shared-pool.mjs';
import { summary } from './comparison/statistics.mjs';

if (isMainThread) await main();
else await work(workerData);

async function main() {
  const { values } = parseArgs({
    options: {
      keys: { type: 'string', default: '200000' },
      threads: { type: 'string', default: `1,${os.availableParallelism()}` },
      rounds: { type: 'string', default: '7' },
      seconds: { type: 'string', default: '2' },
    },
  });
  const keys = Number(values.keys);
  const counts = values.threads.split(',').map(Number);
  const valueFor = (number) => {
    const value = Buffer.alloc(100, number & 0xff);
    value.writeUInt32LE(number);
    return value;
  };
  const shared = await SharedPool.filled({ memory: '256MiB', keys, valueFor });
  for (let i = 0; i < Math.max(...counts); i++) await shared.start(new URL(import.meta.url), { keys, seed: i + 1 });
  const read = async (count, seconds) => (await shared.ask(seconds, count)).reduce((sum, rate) => sum + rate, 0);
  for (const count of counts) await read(count, Number(values.seconds)); // warm-up
  const rates = new Map(counts.map((count) => [count, []]));
  for (let round = 0; round < Number(values.rounds); round++)
    for (const count of counts) rates.get(count).push(await read(count, Number(values.seconds)));
  const base = summary(rates.get(counts[0])).median;
  console.log(
    `${keys} keys of 16 bytes, values of 100, all in memory; Node.js ${process.versions.node}, load ${os.loadavg()[0]}`,
  );
  for (const [count, list] of rates) {
    const { median, least, most } = summary(list);
    const spread = `${(least / 1e6).toFixed(3)} to ${(most / 1e6).toFixed(3)}`;
    console.log(
      `${String(count).padStart(2)} threads  ${(median / 1e6).toFixed(3)} million look-ups a second (${spread})  ${(median / base).toFixed(2)} ×`,
    );
  }
  await shared.close();
}

async function work({ handle, keys, seed }) {
  const { pool, index } = await attached(handle);
  const reference = new EntryReference();
  const names = Array.from({ length: 1 << 16 }, (_, i) => (Math.imul(i + seed * 7919, 0x9e3779b1) >>> 0) % keys);
  const asked = names.map(keyOf);
  answering(pool, (seconds) => {
    const begun = performance.now();
    const end = begun + seconds * 1000;
    let count = 0;
    for (; performance.now() < end; count += 4096) {
      for (let i = 0; i < 4096; i++) {
        const at = (count + i) & 0xffff;
        if (!index.lookup(asked[at], reference) || reference.value.length !== 100) throw new Error('A wrong answer');
        if (Buffer.from(reference.value.buffer, reference.value.byteOffset).readUInt32LE(0) !== names[at])
          throw new Error('The answer of another key');
      }
    }
    return (count * 1000) / (performance.now() - begun);
  });
}
