// A process on a store by io_uring alone, and a thread of it on the same store: each writes a row of numbers, and says which are acknowledged, until the process
// is killed. With `read` it opens the store, and tells how far both rows go.
import { writeSync } from 'node:fs';
import { isMainThread, Worker, workerData } from 'node:worker_threads';
import { bufferPool } from '@pagewright/bufferpool';
import { compose, compositionOf } from '@pagewright/core';
import { btree } from '@pagewright/index-btree';
import { ioUring } from '@pagewright/io-uring';
import { mvcc } from '@pagewright/mvcc';
import { wal } from '@pagewright/wal';

const ROW = { key: 'u32', value: 'u32' };

const blueprint = compose({
  io: ioUring({ direct: process.argv[4] === 'direct' }),
  pages: bufferPool({ memory: '1MiB', pageSize: '4KiB' }),
  indexes: btree(),
  concurrency: mvcc(),
  log: wal({ segmentSize: '64KiB' }),
});

async function writeRow(db, number) {
  const row = await db.index(`row ${number}`, ROW);
  const filling = await db.index(`filling ${number}`, { key: 'u32', value: 'buffer' });
  for (let key = (await row.count()) + 1; ; key++) {
    await row.put(key, 3 * key);
    writeSync(1, `${number} ${key}\n`);
    // More than the pool holds, so that pages are written and read again.
    filling.putSync((key * 7919) % 5000, new Uint8Array(300).fill(key));
  }
}

async function readRow(db, number) {
  const row = await db.index(`row ${number}`, ROW);
  let last = 0;
  for await (const [key, value] of row.range()) {
    if (key !== last + 1 || value !== 3 * key) throw new Error(`row ${number} has ${key}, ${value} after ${last}`);
    last = key;
  }
  return last;
}

if (isMainThread) {
  const [, , work, path] = process.argv;
  const db = await blueprint.open(path);
  if (work === 'read') {
    const { io } = compositionOf(db);
    const rows = [await readRow(db, 0), await readRow(db, 1)];
    const { ok } = await db.verify();
    writeSync(1, `${JSON.stringify({ io, rows, ok })}\n`);
    await db.close();
  } else {
    await db.index('row 1', ROW);
    new Worker(new URL(import.meta.url), { workerData: db.share(), argv: process.argv.slice(2) });
    await writeRow(db, 0);
  }
} else {
  await writeRow(await blueprint.attach(workerData), 1);
}
