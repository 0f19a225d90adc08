// Reads pages and entries that are in memory, a million times each, and prints by how much the heap grew.
import { BufferPool } from '@pagewright/bufferpool';
import { EntryReference, RESTART } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';

const [path] = process.argv.slice(2);
const TIMES = 1_000_000;
const KEYS = 2000;

async function openPool(file, memory) {
  const pool = new BufferPool({ memory, pageSize: '4KiB' });
  await pool.open({ path: file, io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
  return pool;
}

/** Bytes of heap that are gained by running it, without what is garbage before. Compiled code is made by a run before. */
function gained(run) {
  run(TIMES / 10);
  globalThis.gc();
  const before = process.memoryUsage().heapUsed;
  run(TIMES);
  return process.memoryUsage().heapUsed - before;
}

const pool = await openPool(path, '64MiB');
const index = new BtreeType().create({ pages: pool, number: 1, root: pool.root }, 1);
const keys = Array.from({ length: KEYS }, (_, at) => Buffer.from(`key/${at}`));
for (const key of keys) index.upsert(key, 0, key, 2);

const { frame, offset } = pool.root;
let wrong = 0;
const hits = gained((times) => {
  for (let at = 0; at < times; at++) {
    const version = pool.readVersion(frame);
    const child = pool.child(frame, offset, version);
    if (child === RESTART) wrong++;
    else {
      const childVersion = pool.readVersion(child);
      if (!pool.validate(frame, version) || !pool.validate(child, childVersion)) wrong++;
    }
  }
});

const reference = new EntryReference();
reference.wantsValue = false;
const lookUps = gained((times) => {
  for (let at = 0; at < times; at++) if (!index.lookup(keys[at % KEYS], reference)) wrong++;
});
await pool.close();

console.log(JSON.stringify({ hits, lookUps, wrong }));
