// Sorted entries into an empty index: bulkLoad, batches of puts, and appends in one transaction of lmdb where that can be imported; then counts
// and estimates. Beside it what is the least of a load: the same entries taken, put one behind the other in memory, and written to a file. Each turn has a new store. `node bench/bulk-load.mjs [rounds] [entries] [memory in MiB]`, after a build;
// BENCH_DIRECTORY says on which device, BENCH_LMDB where lmdb is (it is no dependency).
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { open } from 'pagewright';

const given = process.argv.slice(2).map(Number);
const [rounds = 5, entries = 1_000_000, memoryMiB = 256] = given;
const VALUE_BYTES = 100;
const BATCH = 1000;

const value = new Uint8Array(VALUE_BYTES).fill(7);
const keys = Array.from({ length: entries }, (_, at) => String(at).padStart(16, '0'));
const lmdb = await import(process.env.BENCH_LMDB ? pathToFileURL(process.env.BENCH_LMDB).href : 'lmdb').catch(
  () => null,
);

function* input() {
  for (const key of keys) yield [key, value];
}
async function* asyncInput() {
  for (const key of keys) yield [key, value];
}

const results = new Map();

/** Wall and processor time of the work, in milliseconds. */
async function timed(name, work) {
  const before = process.cpuUsage();
  const since = performance.now();
  const answer = await work();
  const wall = performance.now() - since;
  const { user, system } = process.cpuUsage(before);
  if (!results.has(name)) results.set(name, []);
  results.get(name).push({ wall, cpu: (user + system) / 1000 });
  return answer;
}

async function inDirectory(work) {
  const directory = mkdtempSync(join(process.env.BENCH_DIRECTORY ?? tmpdir(), 'pagewright-bench-'));
  try {
    await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function expectThat(holds, what) {
  if (!holds) throw new Error(what);
}

async function pagewright(name, fill) {
  await inDirectory(async (directory) => {
    const db = await open(join(directory, 'bench.pw'), { memory: `${memoryMiB}MiB` });
    const index = await db.index('bench', { key: 'utf8', value: 'buffer' });
    await timed(name, () => fill(index));
    if (name === 'bulkLoad') {
      let counted = 0;
      await timed('keys of a range, counted', async () => {
        for await (const _ of index.keys()) counted++;
      });
      const exact = await timed('count', () => index.count());
      const about = await timed('estimateCount', () => index.estimateCount());
      expectThat(exact === entries && counted === entries, `It counts ${exact} and ${counted} entries`);
      expectThat(Math.abs(about - entries) < entries / 10, `It estimates ${about} entries`);
    }
    expectThat((await index.get(keys.at(-1)))?.length === VALUE_BYTES, 'The last entry is missing');
    await db.close();
  });
}

async function putBatches(index) {
  for (let from = 0; from < entries; from += BATCH)
    await index.batch(keys.slice(from, from + BATCH).map((key) => ({ type: 'put', key, value })));
}

async function appendToLmdb() {
  await inDirectory(async (directory) => {
    const db = lmdb.open({ path: join(directory, 'bench.mdb'), encoding: 'binary', mapSize: 2 ** 32 });
    const bytes = Buffer.from(value);
    await timed('lmdb, appends in one transaction', async () => {
      db.transactionSync(() => {
        for (const key of keys) db.putSync(key, bytes, { append: true });
      });
      await db.flushed;
    });
    await db.close();
  });
}

/** Takes the input, and does with each entry what is asked. */
function goThrough(take) {
  for (const [key, value] of input()) take(key, value);
}

const memory = new Uint8Array(1 << 20);

/** Puts the bytes of all entries one behind the other, and hands out memory that is full. */
function copyAll(write) {
  let at = 0;
  goThrough((key, value) => {
    if (at + key.length + value.length > memory.length) {
      write(at);
      at = 0;
    }
    for (let i = 0; i < key.length; i++) memory[at++] = key.charCodeAt(i);
    memory.set(value, at);
    at += value.length;
  });
  write(at);
}

async function leastOfALoad() {
  await timed('taking the entries, no more', () => goThrough(() => {}));
  await timed('and putting them together in memory', () => copyAll(() => {}));
  await inDirectory(async (directory) => {
    const file = openSync(join(directory, 'bench.bytes'), 'w');
    await timed('and writing that to a file, durably', () => {
      copyAll((bytes) => writeSync(file, memory, 0, bytes));
      fdatasyncSync(file);
    });
    closeSync(file);
  });
}

const turns = [
  leastOfALoad,
  () => pagewright('bulkLoad', (index) => index.bulkLoad(input())),
  () => pagewright('bulkLoad, asynchronous input', (index) => index.bulkLoad(asyncInput())),
  () => pagewright(`batches of ${BATCH} puts`, putBatches),
  ...(lmdb === null ? [] : [appendToLmdb]),
];
for (let round = 0; round < rounds; round++)
  for (let turn = 0; turn < turns.length; turn++) await turns[(turn + round) % turns.length]();

const show = (numbers) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  const of = (at) => sorted[at].toFixed(sorted[0] < 10 ? 2 : 0);
  return `${of(sorted.length >> 1)} (${of(0)} to ${of(sorted.length - 1)})`;
};
console.log(`${entries} entries, keys of 16 bytes, values of ${VALUE_BYTES}; ${rounds} rounds`);
console.table(
  [...results].map(([what, times]) => ({
    what,
    'ms, median (least to most)': show(times.map(({ wall }) => wall)),
    'ms of processor': show(times.map(({ cpu }) => cpu)),
  })),
);
