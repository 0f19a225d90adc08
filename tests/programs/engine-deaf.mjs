// A thread on a store that another one has open, which writes without ever giving way to its event loop.
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from 'pagewright';

const { handle, acknowledged } = workerData;
const written = new Int32Array(acknowledged);
const db = await attach(handle);
const index = await db.index('deaf', { key: 'u32', value: 'u32' });
parentPort.postMessage('begun');
await new Promise(setImmediate);
for (let key = 1; ; key++) {
  index.putSync(key, key);
  Atomics.store(written, 0, key);
}
