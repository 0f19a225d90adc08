// A thread on a store that another one has open, which does one thing that keeps others waiting, or ends in its midst. `does`:
//   'half a commit': stands still between the append of a commit and its publication, for ever
//   'unflushed': commits, tells, and computes for ever: nothing of its event loop runs any more
//   'nothing': has a snapshot and an open transaction, and does no more
import { parentPort, workerData } from 'node:worker_threads';
import { driveSchedule, POINT } from '@pagewright/core';
import { attach } from 'pagewright';

const { handle, does } = workerData;
const db = await attach(handle);
const index = await db.index('data', { key: 'u32', value: 'u32' });

function standStill() {
  parentPort.postMessage('there');
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
}

if (does === 'half a commit') {
  driveSchedule((point) => {
    if (point === POINT.entryInstalled) standStill();
  });
  index.batch([1, 2, 3].map((key) => ({ type: 'put', key, value: 1000 + key }))).catch(() => {});
} else if (does === 'unflushed') {
  driveSchedule((point) => {
    if (point === POINT.writeVisible) standStill();
  });
  index.put(1, 1001).catch(() => {});
} else {
  db.snapshot();
  db.begin().put(index, 1, 5);
  standStill();
}
