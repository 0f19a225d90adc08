/**
 * Wakes the event loop of another thread at a time that timers are too coarse for, and sleeps until then: one whose loop turns until it is time keeps a core busy,
 * and on few cores whatever it waits for is then late by a slice of the scheduler.
 */
import { parentPort, workerData } from 'node:worker_threads';

const { set, at, origin } = workerData;
const asked = new Int32Array(set);
const time = new Float64Array(at);

for (let seen = 0; ; ) {
  Atomics.wait(asked, 0, seen);
  seen = Atomics.load(asked, 0);
  const left = time[0] - (performance.timeOrigin + performance.now() - origin);
  // Nobody asks again before it has rung.
  if (left > 0) Atomics.wait(asked, 0, seen, left);
  parentPort.postMessage(null);
}
