// A thread on a store that another one has open. It moves money between accounts in transactions, counts it in snapshots, writes a row of numbers of its own,
// and makes, fills, clears and drops indexes, until it is told to stop. What it has seen acknowledged is in shared memory. Tells what went wrong.
import { setTimeout as after } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { Random } from '@pagewright/testkit';
import { attach } from 'pagewright';

const { handle, number, seed, accounts, total, acknowledged, stop, sync, concurrency } = workerData;
const random = new Random(seed).fork(`thread ${number}`);
const rows = new Int32Array(acknowledged);
const stopped = new Int32Array(stop);
const done = { transfers: 0, sums: 0, rows: 0, indexes: 0, restarts: 0 };
const balances = { key: 'u32', value: 'u32' };

const db = await attach(handle, concurrency === undefined ? {} : { concurrency });
const bank = await db.index('bank', balances);
const row = await db.index(`row ${number}`, balances);

/** Accounts without money are not there. */
async function transfer() {
  const from = random.below(accounts);
  const to = random.below(accounts);
  const move = (tx) => {
    const has = tx.getSync(bank, from) ?? 0;
    const amount = Math.min(has, 1 + random.below(50));
    if (from === to || amount === 0) return;
    const left = has - amount;
    if (left === 0) tx.delete(bank, from);
    else tx.put(bank, from, left);
    tx.put(bank, to, (tx.getSync(bank, to) ?? 0) + amount);
  };
  const again = (tx, attempt) => {
    if (attempt > 1) done.restarts++;
    move(tx);
  };
  if (sync) moveNow(move);
  else await db.transaction(again, { retries: 10_000 });
  done.transfers++;
}

function moveNow(move) {
  for (;;) {
    try {
      return whenFree(() => db.transactionSync(move));
    } catch (error) {
      if (error.code !== 'PW_CONFLICT') throw error;
      done.restarts++;
    }
  }
}

/** Where one writes at a time, another thread's transaction may last longer than a change in place waits. */
function whenFree(change) {
  for (;;) {
    try {
      return change();
    } catch (error) {
      if (error.code !== 'PW_WRITER_BUSY') throw error;
    }
  }
}

async function sum() {
  const snapshot = db.snapshot();
  try {
    for (let times = 0; times < 2; times++) {
      let found = 0;
      if (random.below(2) === 0) for (const [, amount] of bank.rangeSync({ snapshot })) found += amount;
      else for await (const [, amount] of bank.range({ snapshot, reverse: true })) found += amount;
      if (found !== total) throw new Error(`there were ${found} of ${total} in the snapshot of ${snapshot.timestamp}`);
    }
  } finally {
    snapshot.release();
  }
  done.sums++;
}

/** A number is there when all before it are, in this thread and, once acknowledged, for good. */
async function writeRow() {
  const next = rows[number] + 1;
  if (sync) whenFree(() => row.putSync(next, next * 3));
  else await row.put(next, next * 3);
  Atomics.store(rows, number, next);
  const found = row.getSync(next);
  if (found !== next * 3) throw new Error(`row ${number} has ${found} at ${next}`);
  done.rows++;
}

async function makeIndex() {
  const name = `made by ${number}`;
  const index = await db.index(name, balances);
  const entries = random.between(1, 40);
  await index.batch(Array.from({ length: entries }, (_, key) => ({ type: 'put', key, value: key })));
  if ((await index.count()) !== entries) throw new Error(`${name} has not ${entries} entries`);
  if (random.below(2) === 0) {
    await index.clear();
    if ((await index.count()) !== 0) throw new Error(`${name} was cleared and is not empty`);
  }
  await db.dropIndex(name);
  // What others made may be gone by the time it is looked at.
  const other = db.indexes().find((info) => info.name.startsWith('made by'));
  if (other !== undefined) {
    await db
      .index(other.name, balances)
      .then((found) => found.count())
      .catch((error) => {
        if (error.code !== 'PW_INDEX_DROPPED') throw error;
      });
  }
  done.indexes++;
}

try {
  parentPort.postMessage({ kind: 'begun' });
  while (Atomics.load(stopped, 0) === 0) {
    const what = random.below(100);
    if (what < 50) await transfer();
    else if (what < 70) await sum();
    else if (what < 97) await writeRow();
    else await makeIndex();
    if (random.below(50) === 0) await after(0);
  }
  await db.close();
  parentPort.postMessage({ kind: 'done', done });
} catch (error) {
  parentPort.postMessage({ kind: 'failed', code: error.code, message: `${error.stack}`, done });
  await db.close().catch(() => {});
}
