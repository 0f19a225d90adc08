/** What other threads tell while this one is in the midst of a commit: it is looked at when the commit is over. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { driveSchedule, POINT } from '@pagewright/core';
import { open } from 'pagewright';
import { afterEach, expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./programs/logs-enough.mjs', import.meta.url));
/** Of the thread: log for several checkpoints of 64 KiB. */
const COMMITS = 40;
/** One: locks of keys are shared, and the other thread must not wait for this one's. */
const KEYS = ['a'];

type Store = Awaited<ReturnType<typeof open>>;

const CHANGES = {
  'deletes beside a snapshot': async (db: Store) => {
    const index = await db.index('own');
    await index.batch(KEYS.map((key) => ({ type: 'put', key, value: key })));
    const snapshot = db.snapshot();
    return async () => {
      await index.batch(KEYS.map((key) => ({ type: 'delete', key })));
      expect(index.countSync({ snapshot })).toBe(KEYS.length);
      snapshot.release();
      expect(index.countSync()).toBe(0);
    };
  },
  'clears an index': async (db: Store) => {
    const index = await db.index('own');
    await index.batch(KEYS.map((key) => ({ type: 'put', key, value: key })));
    return async () => {
      await index.clear();
      expect(index.countSync()).toBe(0);
    };
  },
  'drops an index': async (db: Store) => {
    const index = await db.index('own');
    await index.batch(KEYS.map((key) => ({ type: 'put', key, value: key })));
    return async () => {
      await db.dropIndex('own');
      expect(db.indexes().map(({ name }) => name)).not.toContain('own');
    };
  },
};

afterEach(() => {
  driveSchedule(null);
});

it.each(Object.entries(CHANGES))(
  'a thread that %s while another logs enough for a checkpoint goes on, and writes it',
  async (_name, prepare) => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-news-'));
    const path = join(directory, 'app.pw');
    let failure: Error | null = null;
    const db = await open(path, {
      checkpoint: { logBytes: '64KiB', intervalMs: 3_600_000 },
      onFailure: (error) => {
        failure = error;
      },
    });
    const change = await prepare(db);
    const told = new SharedArrayBuffer(8);
    const words = new Int32Array(told);
    const workerData = { handle: db.share(), told, commits: COMMITS };
    const worker = new Worker(PROGRAM, { execArgv: [], workerData });
    const ended = new Promise((resolve) => worker.on('exit', resolve));
    const round = async (value: number): Promise<void> => {
      while (Atomics.load(words, 0) < value) await Atomics.waitAsync(words, 0, value - 1).value;
    };
    await round(1);
    await db.checkpoint();
    const { checkpoints } = db.stats().pages;
    let rounds = 0;
    driveSchedule((point) => {
      if (point !== POINT.commitBegun || rounds > 0) return;
      rounds++;
      Atomics.store(words, 1, rounds);
      Atomics.notify(words, 1);
      while (Atomics.load(words, 0) <= rounds) Atomics.wait(words, 0, rounds);
    });
    await change();
    driveSchedule(null);
    expect(rounds).toBe(1);
    expect(db.state).toBe('open');
    while (db.stats().pages.checkpoints === checkpoints) await new Promise(setImmediate);
    expect(failure).toBe(null);
    Atomics.store(words, 1, -1);
    Atomics.notify(words, 1);
    await ended;
    expect((await db.verify()).problems).toEqual([]);
    await db.close();
    fs.rmSync(directory, { recursive: true });
  },
  60_000,
);
