// Fills a store that is far larger than its pool, reads it back in random order and by a scan, and prints what it saw as
// JSON: the peak of the process's memory is the point.
import { createHash } from 'node:crypto';
import { open } from 'pagewright';

const [path, memory, megabytes] = process.argv.slice(2);
const VALUE_BYTES = 1800;
const count = Math.floor((Number(megabytes) * 2 ** 20) / VALUE_BYTES);

// A value is one of many patterns, with its own number in front.
const patterns = Array.from({ length: 251 }, (_, at) =>
  Buffer.alloc(VALUE_BYTES, createHash('sha256').update(String(at)).digest()),
);
function bytesOf(number) {
  const value = Buffer.allocUnsafe(VALUE_BYTES);
  patterns[number % patterns.length].copy(value);
  value.writeUInt32LE(number, 0);
  return value;
}
// Compared in place: a copy of each value to compare it with would be as much garbage as the store makes, and is none of its.
const expected = Buffer.alloc(VALUE_BYTES);
function isOf(value, number) {
  patterns[number % patterns.length].copy(expected);
  expected.writeUInt32LE(number, 0);
  return Buffer.compare(value, expected) === 0;
}
// Keys come in an order that has nothing to do with theirs.
const keyOf = (number) => `key/${((number * 2654435761) % 2 ** 32).toString(36).padStart(7, '0')}/${number}`;

const db = await open(path, { memory });
const index = await db.index('large', { key: 'utf8', value: 'buffer' });
const writing = performance.now();
for (let first = 0; first < count; first += 64) {
  const batch = [];
  for (let number = first; number < Math.min(first + 64, count); number++) {
    batch.push({ type: 'put', key: keyOf(number), value: bytesOf(number) });
  }
  await index.batch(batch);
}
const writeMs = performance.now() - writing;

let wrong = 0;
const reading = performance.now();
const reads = 20000;
for (let read = 0; read < reads; read += 50) {
  const numbers = Array.from({ length: 50 }, (_, at) => ((read + at) * 7919 + 13) % count);
  const values = await Promise.all(numbers.map((number) => index.get(keyOf(number))));
  for (const [at, value] of values.entries()) {
    if (value === undefined || !isOf(value, numbers[at])) wrong++;
  }
}
const readMs = performance.now() - reading;

let seen = 0;
let before = '';
for await (const [key, value] of index.range()) {
  if (key <= before || !isOf(value, Number(key.split('/')[2]))) wrong++;
  before = key;
  seen++;
}
const { pages } = db.stats();
await db.close();
const peakMiB = process.resourceUsage().maxRSS / 1024;
console.log(
  JSON.stringify({
    count,
    seen,
    wrong,
    peakMiB,
    fileMiB: pages.fileBytes / 2 ** 20,
    evictions: pages.evictions,
    writeMs,
    readMs,
    reads,
  }),
);
