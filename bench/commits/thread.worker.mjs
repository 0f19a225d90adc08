/** One thread of several that commit to one store. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadEngine } from '../comparison/choices.mjs';
import { Acknowledged } from './acknowledged.mjs';
import { closedLoop } from './closed-loop.mjs';

const { module, handle, thread, threads } = workerData;
const engine = await loadEngine(module);
const store = await engine.attach(handle);

parentPort.on('message', async ({ inFlight, from, until }) => {
  try {
    const acknowledged = new Acknowledged(thread, threads);
    const { timeOrigin } = performance;
    const span = { from: from - timeOrigin, until: until - timeOrigin };
    const latencies = await closedLoop(store, acknowledged, { inFlight, ...span });
    parentPort.postMessage({ latencies, flags: acknowledged.flags() });
  } catch (error) {
    parentPort.postMessage({ failed: error.stack });
  }
});
parentPort.postMessage({});
