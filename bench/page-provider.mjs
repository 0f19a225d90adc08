// What the page provider brings: puts of random keys into a store eight times as large as its pool, with and without it, in turns.
// `node bench/page-provider.mjs [rounds] [puts] [memory in MiB] [page size in KiB]`, after a build; BENCH_DIRECTORY says on which device.
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bufferPool } from '@pagewright/bufferpool';
import { open } from 'pagewright';

const given = process.argv.slice(2).map(Number);
const [rounds = 3, puts = 40_000, memoryMiB = 16, pageKiB = 16] = given;
const VALUE_BYTES = 240;
const DATA_SHARE = 8;
/** Asked for at a time, as a server has requests. */
const CONCURRENT = 16;

const directory = mkdtempSync(join(process.env.BENCH_DIRECTORY ?? tmpdir(), 'pagewright-bench-'));
const path = join(directory, 'bench.pw');
const keys = Math.floor((memoryMiB * DATA_SHARE * 2 ** 20) / (VALUE_BYTES + 8));
const value = Buffer.alloc(VALUE_BYTES);

async function opened(pageProvider) {
  const pages = bufferPool({ memory: `${memoryMiB}MiB`, pageSize: `${pageKiB}KiB`, pageProvider });
  const db = await open(path, { pages });
  return { db, index: await db.index('bench', { key: 'u32', value: 'buffer' }) };
}

async function fill() {
  const { db, index } = await opened(true);
  for (let from = 0; from < keys; from += 500) {
    const count = Math.min(500, keys - from);
    await db.batch(Array.from({ length: count }, (_, at) => ({ index, type: 'put', key: from + at, value })));
  }
  await db.close();
}

async function measure(pageProvider) {
  const begun = performance.now();
  const { db, index } = await opened(pageProvider);
  const openMs = performance.now() - begun;
  const latencies = new Float64Array(puts);
  let next = 0;
  const work = async () => {
    while (next < puts) {
      const at = next++;
      const since = performance.now();
      await index.put(Math.floor(Math.random() * keys), value);
      latencies[at] = performance.now() - since;
    }
  };
  const before = db.stats().pages;
  const started = performance.now();
  await Promise.all(Array.from({ length: CONCURRENT }, work));
  const seconds = (performance.now() - started) / 1000;
  const after = db.stats().pages;
  const memory = process.memoryUsage().rss;
  const closing = performance.now();
  await db.close();
  latencies.sort();
  const percentile = (share) => latencies[Math.floor(puts * share)].toFixed(2);
  const counted = (name) => after[name] - before[name];
  return {
    provider: pageProvider,
    'puts/s': Math.round(puts / seconds),
    'p50 ms': percentile(0.5),
    'p99 ms': percentile(0.99),
    'p99.9 ms': percentile(0.999),
    evictions: counted('evictions'),
    ahead: counted('evictionsAhead'),
    'written/put': (counted('pageWrites') / puts).toFixed(2),
    'ahead/put': (counted('pageWritesAhead') / puts).toFixed(2),
    'open ms': openMs.toFixed(1),
    'close ms': (performance.now() - closing).toFixed(0),
    'RSS MiB': Math.round(memory / 2 ** 20),
  };
}

try {
  await fill();
  console.log(`${keys} keys, ${Math.round(statSync(path).size / 2 ** 20)} MiB of file, ${memoryMiB} MiB of pool`);
  const results = [];
  for (let round = 0; round < rounds; round++) {
    for (const pageProvider of round % 2 === 0 ? [false, true] : [true, false])
      results.push(await measure(pageProvider));
  }
  console.table(results);
} finally {
  rmSync(directory, { recursive: true, force: true });
}
