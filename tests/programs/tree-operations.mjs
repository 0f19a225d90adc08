// Changes and reads entries that are in memory, and prints by how much the heap grew for each operation. Between its two lines
// "warm" and "done" nothing is new to it: what V8 takes back there of its compiled code, `--trace-deopt` tells.
import { EntryBatch, EntryReference } from '@pagewright/core';
import { open } from 'pagewright';

const [path, times] = process.argv.slice(2);
const TIMES = Number(times);
const KEYS = 20_000;
const VALUE = new Uint8Array(100).fill(7);
const OTHER = new Uint8Array(100).fill(8);

const db = await open(path, { memory: '64MiB' });
const handle = await db.index('entries', { key: 'utf8', value: 'buffer' });
const texts = Array.from({ length: KEYS }, (_, at) => String((at * 7919) % KEYS).padStart(16, '0'));
const keys = texts.map((text) => Uint8Array.from(Buffer.from(text)));
db.transactionSync((transaction) => {
  for (const text of texts) transaction.put(handle, text, VALUE);
});

const { index } = handle.entry;
const stamp = db.stats().concurrency.visible;
const reference = new EntryReference();
const presence = new EntryReference();
presence.wantsValue = false;
const batch = new EntryBatch();
const cursor = index.cursor();
const slab = new ArrayBuffer(16 * 1024);
let wrong = 0;
let kept = null;

/** Each does something so often. */
const RUNS = {
  /** What a result takes: an array on memory that is there. */
  views(count) {
    for (let at = 0; at < count; at++) kept = new Uint8Array(slab, (at & 127) << 7, 100);
  },
  updates(count) {
    for (let at = 0; at < count; at++) index.upsert(keys[at % KEYS], 0, at & 1 ? VALUE : OTHER, stamp);
  },
  removals(count) {
    for (let at = 0; at < count; at += 2) {
      const key = keys[(at * 31) % KEYS];
      if (!index.remove(key, stamp)) wrong++;
      index.upsert(key, 0, VALUE, stamp);
    }
  },
  presence(count) {
    for (let at = 0; at < count; at++) if (!index.lookup(keys[at % KEYS], presence)) wrong++;
  },
  values(count) {
    for (let at = 0; at < count; at++) {
      if (!index.lookup(keys[at % KEYS], reference)) wrong++;
      kept = reference.value;
    }
  },
  scans(count) {
    for (let seen = 0; seen < count; ) {
      cursor.seek(null, {});
      while (seen < count && cursor.next(batch)) seen += batch.count;
    }
  },
  gets(count) {
    for (let at = 0; at < count; at++) {
      kept = handle.getSync(texts[at % KEYS]);
      if (kept === undefined) wrong++;
    }
  },
  ranges(count) {
    for (let seen = 0; seen < count; ) {
      // To its end: what a loop calls when it is left would be new to it each time.
      for (const [key, value] of handle.rangeSync({ limit: count - seen })) {
        if (key.length + value.length !== 116) wrong++;
        seen++;
      }
    }
  },
};

const PARTS = 8;

/** Bytes of heap that an operation gains: the most of some parts, since what is collected in one of them is missing there. */
function gained(run) {
  const count = TIMES / PARTS;
  let most = 0;
  for (let part = 0; part < PARTS; part++) {
    // It throws code away that was not used for a while, and what is known of types: without it nothing is new after "warm".
    globalThis.gc?.();
    const before = process.memoryUsage().heapUsed;
    run(count);
    most = Math.max(most, (process.memoryUsage().heapUsed - before) / count);
  }
  return most;
}

for (let round = 0; round < 8; round++) for (const run of Object.values(RUNS)) run(TIMES / 2);
console.log('\nwarm');
const bytes = Object.fromEntries(Object.entries(RUNS).map(([name, run]) => [name, gained(run)]));
console.log('\ndone');
await db.close();
console.log(`\n${JSON.stringify({ bytes, wrong, kept: kept?.length })}`);
