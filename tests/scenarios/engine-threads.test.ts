/** Lines of the list of scenarios that need several threads on one engine, on real files. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Engine } from '@pagewright/core';
import { open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

const PROGRAM = fileURLToPath(new URL('../programs/engine-scenario.mjs', import.meta.url));
const NUMBERS = { key: 'u32', value: 'u32' } as const;
/** Where threads that end are found out. */
const hasTasks = fs.existsSync('/proc/thread-self');

let directory: string;
let path: string;
let workers: Worker[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-scenarios-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  fs.rmSync(directory, { recursive: true, force: true });
});

async function opened(): Promise<Engine> {
  const db = await open(path, { memory: '4MiB' });
  const index = await db.index('data', NUMBERS);
  for (const key of [1, 2, 3]) await index.put(key, key);
  return db;
}

/** A thread that is in the midst of something. */
async function begin(db: Engine, does: string): Promise<Worker> {
  const worker = new Worker(PROGRAM, { workerData: { handle: db.share(), does }, execArgv: [] });
  workers = [...workers, worker];
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  return worker;
}

const found = async (db: Engine): Promise<unknown[]> => [...(await db.index('data', NUMBERS)).rangeSync()];

describe.skipIf(!hasTasks)('a thread that ends', () => {
  it('scenario 8: with half a commit done fails the others, and the commit is there whole after reopening, or not at all (T6)', async () => {
    const db = await opened();
    const index = await db.index('data', NUMBERS);
    await (await begin(db, 'half a commit')).terminate();
    // Its keys are locked for ever: whoever wants one, or the instant of a checkpoint, learns why.
    await expect(index.put(2, 7)).rejects.toMatchObject({ code: 'PW_THREAD_LOST' });
    await expect(db.checkpoint()).rejects.toMatchObject({ code: 'PW_THREAD_LOST' });
    await vi.waitFor(() => expect(db.state).toBe('failed'));
    await db.close();
    const again = await open(path);
    // It was not acknowledged, so it need not be there; but it is not there by half.
    const values = (await found(again)).map((entry) => (entry as [number, number])[1]);
    expect([
      [1, 2, 3],
      [1001, 1002, 1003],
    ]).toContainEqual(values);
    await again.close();
  });

  it('between its calls leaves nothing behind: its snapshots and transactions are gone', async () => {
    const db = await opened();
    const worker = await begin(db, 'nothing');
    expect(db.stats().concurrency.activeSnapshots).toBe(2);
    await worker.terminate();
    await vi.waitFor(() => expect(db.stats().concurrency.activeSnapshots).toBe(0));
    const index = await db.index('data', NUMBERS);
    await index.put(1, 8);
    expect([db.state, index.getSync(1)]).toEqual(['open', 8]);
    await db.checkpoint();
    await db.close();
  });
});

it('scenario 10: a durable commit does not wait for the thread whose commit it has seen, which computes with its record unflushed', async () => {
  const db = await opened();
  const index = await db.index('data', NUMBERS);
  await begin(db, 'unflushed');
  // Seen, and not durable; what depends on it is durable all the same when it is acknowledged.
  expect(index.getSync(1)).toBe(1001);
  await db.transaction((tx) => tx.put(index, 2, Number(tx.getSync(index, 1)) + 1));
  index.putSync(3, 1003);
  const copy = join(directory, 'copy.pw');
  fs.mkdirSync(`${copy}-wal`);
  fs.copyFileSync(path, copy);
  for (const name of fs.readdirSync(`${path}-wal`))
    fs.copyFileSync(join(`${path}-wal`, name), join(`${copy}-wal`, name));
  const recovered = await open(copy);
  expect(await found(recovered)).toEqual([
    [1, 1001],
    [2, 1002],
    [3, 1003],
  ]);
  await recovered.close();
  await Promise.all(workers.splice(0).map((worker) => worker.terminate()));
  await db.close();
});
