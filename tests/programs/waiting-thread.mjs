// A thread that changes an index which another thread is loading, and has nothing else that would keep it alive meanwhile.
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from 'pagewright';

const db = await attach(workerData);
const index = await db.index('data');
parentPort.postMessage('begun');
await index.put('key', 1);
parentPort.postMessage('done');
await db.close();
