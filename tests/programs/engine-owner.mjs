// A thread that opens a store, gives its handle away, and writes a row of numbers, until there are so many, or it is ended. What was acknowledged is in shared memory.
import { parentPort, workerData } from 'node:worker_threads';
import { open } from 'pagewright';

const { path, acknowledged, rows } = workerData;
const written = new Int32Array(acknowledged);
const db = await open(path, { memory: '2MiB', pageSize: '4KiB' });
const row = await db.index('row', { key: 'u32', value: 'u32' });
// More than the pool holds, so that pages are evicted, and a page provider is at it.
const filling = await db.index('filling', { key: 'u32', value: 'buffer' });
for (let key = 0; key < 3000; key++) filling.putSync(key, new Uint8Array(900));
parentPort.postMessage(db.share());
for (let key = 1; key <= rows; key++) {
  await row.put(key, 3 * key);
  Atomics.store(written, 0, key);
}
setInterval(() => {}, 1000);
