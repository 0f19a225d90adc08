/**
 * Threads over one store whose slots are far from the first ones: places are taken by threads that do nothing, as 500 workers would
 * take most of the test's time to start.
 */
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { Threads } from '@pagewright/core';
import { open } from 'pagewright';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./programs/one-of-many.mjs', import.meta.url));
const IDLE = 500;
const THREADS = 4;
const EACH = 50;

it(`${THREADS} threads behind ${IDLE} others write and read one store, and a checkpoint has what all of them wrote`, async () => {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-many-'));
  const path = join(directory, 'app.pw');
  const db = await open(path, { memory: '8MiB' });
  const index = await db.index('many', { key: 'u32', value: 'u32' });
  const handle = db.share();
  const { memory } = handle.pages as { readonly memory: { readonly threads: SharedArrayBuffer } };
  const idle = Array.from({ length: IDLE }, () => new Threads(memory.threads));
  expect(idle.at(-1)!.slot).toBeGreaterThanOrEqual(IDLE);
  const workers = Array.from({ length: THREADS }, (_, number) => {
    return new Worker(PROGRAM, { execArgv: [], workerData: { handle, number, each: EACH } });
  });
  const told = (): Promise<unknown[]> =>
    Promise.all(workers.map(async (worker) => ((await once(worker, 'message')) as [unknown])[0]));
  try {
    expect(new Set(await told())).toEqual(new Set(['put']));
    await db.checkpoint();
    const counts = told();
    for (const worker of workers) worker.postMessage('count');
    expect(new Set(await counts)).toEqual(new Set([THREADS * EACH]));
    expect((await db.verify()).problems).toEqual([]);
    expect(await index.count()).toBe(THREADS * EACH);
    expect(idle[0]!.count).toBe(IDLE + 1);
    for (const threads of idle) threads.leave();
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
    await db.close();
  }
  const again = await open(path, { memory: '8MiB' });
  const numbers = await (await again.index('many', { key: 'u32', value: 'u32' })).getMany([0, THREADS * EACH - 1]);
  expect(numbers).toEqual([0, THREADS - 1]);
  await again.close();
  fs.rmSync(directory, { recursive: true });
}, 120_000);
