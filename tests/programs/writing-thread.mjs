// A thread on a store where one writes at a time. It takes the turn, says so, and keeps it until it is ended, or told to commit; or it ends in the midst of the commit.

import { parentPort, workerData } from 'node:worker_threads';
import { driveSchedule, POINT } from '@pagewright/core';
import { attach } from 'pagewright';

const { handle, stalls } = workerData;
const db = await attach(handle, { concurrency: '@pagewright/single-writer' });
const index = await db.index('things', { key: 'utf8', value: 'u32' });
const transaction = db.begin();
transaction.put(index, 'lost', 1);
if (stalls) {
  // For ever, holding what a commit holds.
  driveSchedule((point) => {
    if (point !== POINT.commitPrepared) return;
    parentPort.postMessage('writes');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  });
  transaction.commitSync();
}
parentPort.postMessage('writes');
await new Promise((resolve) => parentPort.once('message', resolve));
await transaction.commit();
await db.close();
parentPort.close();
