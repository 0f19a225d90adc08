// One of many threads on a store that another one has open. Puts keys of its own, counts what all have put when it is told to, and ends.
import { once } from 'node:events';
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from 'pagewright';

const { handle, number, each } = workerData;
const db = await attach(handle);
const index = await db.index('many', { key: 'u32', value: 'u32' });
for (let key = number * each; key < (number + 1) * each; key++) await index.put(key, number);
parentPort.postMessage('put');
await once(parentPort, 'message');
const count = await index.count();
await db.close();
parentPort.postMessage(count);
