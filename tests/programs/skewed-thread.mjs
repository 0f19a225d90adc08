// A thread on a store that another one has open. Two of its transactions each read what the other writes; it says what became of them, and whether one that is large was
// taken, or that it could not join.
import { parentPort, workerData } from 'node:worker_threads';
import { attach } from 'pagewright';

const { handle, concurrency } = workerData;

async function result() {
  let db;
  try {
    db = await attach(handle, concurrency === undefined ? {} : { concurrency });
  } catch (error) {
    const { code, message, details, cause } = error;
    return { code, message, details, hasCause: cause !== undefined };
  }
  const codeOf = (call) =>
    Promise.resolve()
      .then(call)
      .then(
        () => 'none',
        (error) => error.code,
      );
  const rows = await db.index('rows', { key: 'utf8', value: 'buffer' });
  const [first, second] = [db.begin(), db.begin()];
  first.getSync(rows, 'b');
  first.put(rows, 'a', new Uint8Array(1));
  second.getSync(rows, 'a');
  second.put(rows, 'b', new Uint8Array(1));
  await first.commit();
  const skew = await codeOf(() => second.commit());
  const large = await codeOf(() => db.transaction((tx) => tx.put(rows, 'large', new Uint8Array(8192))));
  const { versionBytes } = db.stats().concurrency;
  await db.close();
  return { skew, large, versionBytes };
}

parentPort.postMessage(await result());
