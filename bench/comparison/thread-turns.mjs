/** What every thread of `Threads` does: it joins the store, makes what a turn needs while no clock runs, does the turn, and ends when it is told to. */
import { parentPort, workerData } from 'node:worker_threads';
import { loadEngine } from './choices.mjs';
import { dataSet } from './data-sets.mjs';
import { readPaths } from './paths.mjs';

/**
 * @param {(context: { data: object, operations: number, thread: number, seed: number }) => object} prepare
 * @param {(store: object, prepared: object) => Promise<{ operationsPerNs: number, operations: number }>} work
 */
export async function takeTurns(prepare, work) {
  const { module, data: dataName, keys: count, pathsFile, operations, handle, thread } = workerData;
  const data = dataSet(dataName, count, pathsFile === null ? [] : readPaths(pathsFile));
  const engine = await loadEngine(module);
  const store = await engine.attach(handle, data);
  let prepared = null;
  parentPort.on('message', async (message) => {
    if (message.end) {
      await store.close();
      parentPort.close();
      return;
    }
    try {
      if (message.prepare === undefined) parentPort.postMessage(await work(store, prepared));
      else {
        prepared = prepare({ data, operations, thread, seed: message.prepare * 7919 + thread });
        parentPort.postMessage({});
      }
    } catch (error) {
      parentPort.postMessage({ failed: error.stack });
    }
  });
  parentPort.postMessage({});
}
