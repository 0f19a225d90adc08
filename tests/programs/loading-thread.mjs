// A thread that opens a store, for others to attach to, and does what it is told: it begins loads of indexes, which it holds open until it is told to end them, well or not, and
// changes indexes meanwhile. What has happened it tells by a message, and by words that count it, for whoever waits in place.
import { parentPort, workerData } from 'node:worker_threads';
import { open } from 'pagewright';

const { path, options, happened } = workerData;
const words = new Int32Array(happened);
const db = await open(path, options);
const loads = new Map();

function tell(what) {
  const word = what.is === 'begun' ? 0 : 1;
  Atomics.add(words, word, 1);
  Atomics.notify(words, word);
  parentPort.postMessage(what);
}

async function load(name, entries) {
  const index = await db.index(name);
  async function* input() {
    tell({ name, is: 'begun' });
    const isWell = await new Promise((resolve) => loads.set(name, resolve));
    if (!isWell) throw new Error('as the test wants');
    yield* entries;
  }
  const how = await index.bulkLoad(input()).then(
    () => 'well',
    (error) => error.code ?? 'failed',
  );
  tell({ name, is: 'over', how });
}

async function change(operations) {
  const named = operations.map(async ({ name, key, value }) => ({
    index: await db.index(name),
    type: 'put',
    key,
    value,
  }));
  await db.batch(await Promise.all(named));
  tell({ is: 'changed' });
}

parentPort.on('message', async ({ does, name, entries, operations }) => {
  if (does === 'load') await load(name, entries);
  if (does === 'end') loads.get(name)(true);
  if (does === 'fail') loads.get(name)(false);
  if (does === 'change') await change(operations);
  if (does === 'close') {
    await db.close();
    parentPort.close();
  }
});
parentPort.postMessage({ handle: db.share() });
