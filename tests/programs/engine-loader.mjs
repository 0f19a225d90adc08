// A thread on a store that another one has open. It loads an index in bulk, says when it has taken so many entries, and is ended by whoever started it: in the
// midst of the input, or where it waits for a checkpoint.
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from 'pagewright';

const { handle, entries, endless, concurrency } = workerData;
// What waits for nothing that comes would end by itself.
setInterval(() => {}, 1000);
const db = await attach(handle, concurrency === undefined ? {} : { concurrency });
const index = await db.index('loaded', { key: 'u32', value: 'buffer' });

async function* input() {
  const value = new Uint8Array(500);
  for (let key = 0; key < entries; key++) yield [key, value];
  parentPort.postMessage('read');
  if (endless) await new Promise(() => {});
}

await index.bulkLoad(input());
parentPort.postMessage('loaded');
