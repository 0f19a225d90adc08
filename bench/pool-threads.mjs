/**
 * Reads of one tree by 1, 2, 4 … threads on one pool: how much more several threads read than one. All is in memory, keys are
 * chosen uniformly. Rounds with different numbers of threads are interleaved; printed are medians, and how far they spread.
 *
 *   node bench/pool-threads.mjs [--keys 200000] [--threads 1,2] [--rounds 7] [--seconds 2]
 *
 * Every answer is checked by its length and its first bytes.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import { EntryReference } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { summary } from './comparison/statistics.mjs';

const INDEX = 7;
const key = (number) => Buffer.from(`key/${String(number).padStart(12, '0')}`);

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
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-bench-'));
  const pool = new BufferPool({ memory: '256MiB' });
  await pool.open({
    path: join(directory, 'bench.pw'),
    io: new NodeFiles(),
    create: true,
    errorIfExists: true,
    readOnly: false,
  });
  const index = new BtreeType().create({ pages: pool, number: INDEX, root: pool.root }, 1);
  for (let i = 0; i < keys; i++) {
    const value = Buffer.alloc(100, i & 0xff);
    value.writeUInt32LE(i);
    index.upsert(key(i), 0, value, 1);
  }
  const workers = [];
  for (let i = 0; i < Math.max(...counts); i++) {
    const worker = new Worker(new URL(import.meta.url), { workerData: { handle: pool.share(), keys, seed: i + 1 } });
    await new Promise((resolve) => worker.once('message', resolve));
    workers.push(worker);
  }
  const read = (count, seconds) =>
    Promise.all(
      workers.slice(0, count).map((worker) => {
        worker.postMessage(seconds);
        return new Promise((resolve) => worker.once('message', resolve));
      }),
    ).then((rates) => rates.reduce((sum, rate) => sum + rate, 0));
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
  for (const worker of workers) {
    worker.postMessage('close');
    await new Promise((resolve) => worker.once('exit', resolve));
  }
  await pool.close();
  fs.rmSync(directory, { recursive: true });
}

async function work({ handle, keys, seed }) {
  const pool = new BufferPool();
  await pool.attach({ io: new NodeFiles(), handle });
  const index = new BtreeType().open({ pages: pool, number: INDEX, root: pool.root });
  const reference = new EntryReference();
  const names = Array.from({ length: 1 << 16 }, (_, i) => (Math.imul(i + seed * 7919, 0x9e3779b1) >>> 0) % keys);
  const asked = names.map(key);
  parentPort.postMessage('ready');
  parentPort.on('message', async (seconds) => {
    if (seconds === 'close') {
      await pool.close();
      parentPort.close();
      return;
    }
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
    parentPort.postMessage((count * 1000) / (performance.now() - begun));
  });
}
