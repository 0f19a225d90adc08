/** The options of transactions are of the store, and one for all of its threads, whatever a thread that joins says, or does not. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { mvcc } from '@pagewright/mvcc';
import { singleWriter } from '@pagewright/single-writer';
import { attach, type Engine, type OpenStoreOptions, open } from 'pagewright';
import { afterEach, beforeEach, expect, it } from 'vitest';

const PROGRAM = new URL('./programs/skewed-thread.mjs', import.meta.url);

let directory: string;
const engines: Engine[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-options-'));
});
afterEach(async () => {
  for (const engine of engines.splice(0).reverse()) await engine.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

async function opened(concurrency: OpenStoreOptions['concurrency']): Promise<Engine> {
  const db = await open(join(directory, 'app.pw'), {
    memory: '8MiB',
    ...(concurrency === undefined ? {} : { concurrency }),
  });
  engines.push(db);
  await db.index('rows', { key: 'utf8', value: 'buffer' });
  return db;
}

/** What a thread that joins says of its transactions, or of why it could not join. */
async function inThread(db: Engine, concurrency?: readonly [string, object]): Promise<Record<string, unknown>> {
  const worker = new Worker(PROGRAM, { workerData: { handle: db.share(), concurrency } });
  try {
    return await new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
  } finally {
    await worker.terminate();
  }
}

const named = (options: object): readonly [string, object] => ['@pagewright/mvcc', options];

it('a thread that joins, and says nothing, has the isolation and the limits with which the store was opened', async () => {
  const db = await opened(mvcc({ isolation: 'serializable', maxTransactionBytes: '4KiB' }));
  expect(await inThread(db)).toMatchObject({ skew: 'PW_CONFLICT', large: 'PW_TXN_TOO_LARGE' });
  expect(await inThread(db, named({}))).toMatchObject({ skew: 'PW_CONFLICT', large: 'PW_TXN_TOO_LARGE' });
});

it('… also where these are the defaults', async () => {
  expect(await inThread(await opened(undefined))).toMatchObject({ skew: 'none', large: 'none' });
});

it('a thread that names the same options joins, whatever the words', async () => {
  const db = await opened(
    mvcc({ isolation: 'serializable', dependsOn: 'touched', versionMemory: '1MiB', maxTransactionBytes: 4096 }),
  );
  const same = named({
    isolation: 'serializable',
    dependsOn: 'touched',
    versionMemory: 1024 * 1024,
    maxTransactionBytes: '4KiB',
  });
  expect(await inThread(db, same)).toMatchObject({ skew: 'PW_CONFLICT', large: 'PW_TXN_TOO_LARGE' });
  // What is the default counts, too, if it is named.
  expect(await inThread(db, named({ dependsOn: 'touched' }))).toMatchObject({ skew: 'PW_CONFLICT' });
});

it.each([
  [{ isolation: 'snapshot' }, 'isolation', 'snapshot', 'serializable'],
  [{ dependsOn: 'touched' }, 'dependsOn', 'touched', 'seen'],
  [{ versionMemory: '2MiB' }, 'versionMemory', 2 * 1024 * 1024, 1024 * 1024],
  [{ maxTransactionBytes: 100 }, 'maxTransactionBytes', 100, 4096],
])('a thread that names another one (%j) is told which, and the store goes on', async (options, option, value, store) => {
  const db = await opened(mvcc({ isolation: 'serializable', versionMemory: '1MiB', maxTransactionBytes: '4KiB' }));
  const refused = await inThread(db, named(options));
  expect(refused).toMatchObject({ code: 'PW_OPTION_INVALID', details: { option, value, store }, hasCause: false });
  expect(refused.message).toBe(
    `${option} is ${value} in this thread, and ${store} where the store was opened. It is one for all threads: leave it out here, or give the same.`,
  );
  expect(await inThread(db)).toMatchObject({ skew: 'PW_CONFLICT' });
});

it('with one writer at a time they are of the store too, but for how long a thread waits', async () => {
  const db = await opened(singleWriter({ maxTransactionBytes: '4KiB', waitMs: 1000 }));
  const joining = (options: object) =>
    attach(structuredClone(db.share()), { concurrency: singleWriter({ waitMs: 2000, ...options }) });
  const other = await joining({});
  engines.push(other);
  const rows = await other.index<string, Uint8Array>('rows', { key: 'utf8', value: 'buffer' });
  const large = other.transaction((tx) => tx.put(rows, 'large', new Uint8Array(8192)));
  await expect(large).rejects.toMatchObject({ code: 'PW_TXN_TOO_LARGE' });
  await expect(joining({ dependsOn: 'touched' })).rejects.toMatchObject({ code: 'PW_OPTION_INVALID' });
});

it('a thread with other concurrency control is told that, and nothing on top of it', async () => {
  const db = await opened(undefined);
  const error = await attach(structuredClone(db.share()), { concurrency: singleWriter() }).catch((error) => error);
  expect([error.code, error.cause]).toEqual(['PW_ARGUMENT', undefined]);
  expect(error.message).toMatch(/^That is no handle of transactions with a single writer\./);
  expect(error.message).not.toMatch(/On top of that|Closing failed/);
  expect(await inThread(db)).toMatchObject({ skew: 'none' });
  await db.close();
  const other = await opened(singleWriter());
  const back = await attach(structuredClone(other.share())).catch((error) => error);
  expect([back.code, back.cause]).toEqual(['PW_ARGUMENT', undefined]);
  expect(back.message).toMatch(/^That is no handle of transactions\./);
});
