/** What becomes of a store when one of its threads has ended: the one that opened it, or one that was loading an index in bulk. */
import { once } from 'node:events';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { CheckpointResult, Engine, EngineHandle } from '@pagewright/core';
import { attach, open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

/** Only there a thread that has ended is told from one that lives. */
const linux = process.platform === 'linux';
const COUNTERS = { key: 'u32', value: 'u32' } as const;

let directory: string;
let path: string;
const workers: Worker[] = [];
const engines: Engine[] = [];

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-ended-'));
  path = join(directory, 'app.pw');
});
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.terminate();
  for (const engine of engines.splice(0)) await engine.close();
  fs.rmSync(directory, { recursive: true, force: true });
});

function started(program: string, workerData: unknown): Worker {
  const file = fileURLToPath(new URL(`./programs/${program}`, import.meta.url));
  const worker = new Worker(file, { workerData, execArgv: [] });
  workers.push(worker);
  return worker;
}

async function opened(): Promise<Engine> {
  const engine = await open(path, { memory: '2MiB', pageSize: '4KiB' });
  engines.push(engine);
  return engine;
}

const codeOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'nothing',
    (error: { code?: unknown }) => error.code ?? error,
  );

async function settled(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

describe.skipIf(!linux)('a store whose owner has ended', () => {
  /** A thread that opened the store, has written for a while, and has ended; `between` runs right before. */
  async function lost(
    between: (handle: EngineHandle) => Promise<void>,
    rows = Number.POSITIVE_INFINITY,
  ): Promise<number> {
    const acknowledged = new SharedArrayBuffer(4);
    const written = new Int32Array(acknowledged);
    const owner = started('engine-owner.mjs', { path, acknowledged, rows });
    const [handle] = await once(owner, 'message');
    await settled(() => Atomics.load(written, 0) > 20);
    await between(handle);
    await owner.terminate();
    return Atomics.load(written, 0);
  }

  async function expectRow(db: Engine, acknowledged: number): Promise<void> {
    const row = [...(await db.index('row', COUNTERS)).rangeSync()];
    expect(row.length).toBeGreaterThanOrEqual(acknowledged);
    expect(row.every(([key, value], at) => key === at + 1 && value === 3 * key)).toBe(true);
    expect((await db.verify()).problems).toEqual([]);
  }

  it('can be opened again in the same process, and nothing that was acknowledged is lost', async () => {
    const acknowledged = await lost(async () => {});
    await expectRow(await opened(), acknowledged);
  }, 60_000);

  it('stays locked while another thread has it, which writes no more, and can be opened when that has closed it', async () => {
    let other: Engine | null = null;
    const acknowledged = await lost(async (handle) => {
      other = await attach(handle);
    });
    const db = other as unknown as Engine;
    expect(await codeOf(open(path))).toBe('PW_LOCKED');
    await settled(() => db.state === 'failed');
    expect(db.failure).toMatchObject({ code: 'PW_THREAD_LOST' });
    expect(await codeOf(open(path))).toBe('PW_LOCKED');
    await db.close();
    await expectRow(await opened(), acknowledged);
  }, 60_000);

  it('stays locked for as long as a thread goes on that does not hear of it, and what that was told is not lost', async () => {
    const acknowledged = new SharedArrayBuffer(4);
    const others = new Int32Array(acknowledged);
    let deaf: Worker | null = null;
    await lost(async (handle) => {
      deaf = started('engine-deaf.mjs', { handle, acknowledged });
      await once(deaf, 'message');
    }, 21);
    // It goes on in one turn of its event loop, on a store that has no owner any more.
    for (let times = 0; times < 20; times++) {
      expect(await codeOf(open(path))).toBe('PW_LOCKED');
      const before = Atomics.load(others, 0);
      await settled(() => Atomics.load(others, 0) > before);
    }
    await (deaf as unknown as Worker).terminate();
    const db = await opened();
    const keys = [...(await db.index('deaf', COUNTERS)).rangeSync()];
    expect(keys.length).toBeGreaterThanOrEqual(Atomics.load(others, 0));
    expect((await db.verify()).problems).toEqual([]);
  }, 60_000);
});

describe.skipIf(!linux)('a bulk load whose thread has ended', () => {
  const ENTRIES = 4000;

  /** Pages in use, when what was given up is gone. */
  async function usedPages(db: Engine): Promise<number> {
    for (let turn = 0; turn < 60; turn++) await new Promise(setImmediate);
    await db.checkpoint();
    await db.checkpoint();
    const { fileBytes, freeFileBytes, retainedFileBytes } = db.stats().pages;
    return (fileBytes - freeFileBytes - retainedFileBytes) / 4096;
  }

  async function expectGivenBack(db: Engine, before: number): Promise<void> {
    await vi.waitFor(async () => expect(await usedPages(db)).toBeLessThanOrEqual(before + 8), 20_000);
    expect((await db.verify()).problems).toEqual([]);
  }

  it('gives back what it has built, and lets those go on who wait for it', async () => {
    const db = await opened();
    const index = await db.index('loaded', { key: 'u32', value: 'buffer' });
    await index.put(7, new Uint8Array(1));
    const before = await usedPages(db);
    const loader = started('engine-loader.mjs', { handle: db.share(), entries: ENTRIES, endless: true });
    await once(loader, 'message');
    expect(await usedPages(db)).toBeGreaterThan(before + 300);
    const waiting = index.put(8, new Uint8Array(2));
    expect(await codeOf(Promise.resolve().then(() => index.putSync(9, new Uint8Array(3))))).toBe('PW_INDEX_LOADING');
    await loader.terminate();
    await waiting;
    index.putSync(9, new Uint8Array(3));
    expect([...index.rangeSync()].map(([key]) => key)).toEqual([7, 8, 9]);
    await expectGivenBack(db, before);
  }, 60_000);

  it('gives it back when it was built already, and no checkpoint has it so', async () => {
    const db = await opened();
    const index = await db.index('loaded', { key: 'u32', value: 'buffer' });
    await index.put(7, new Uint8Array(1));
    const before = await usedPages(db);
    // The loader asks for a checkpoint when the tree is built, and is answered when it is not there any more.
    let answer = (_: Promise<CheckpointResult>): void => {};
    const asked = new Promise<void>((resolve) => {
      const { core } = db as unknown as { core: { checkpointAtOnce(): Promise<CheckpointResult> } };
      vi.spyOn(core, 'checkpointAtOnce').mockImplementationOnce(() => {
        resolve();
        return new Promise((answered) => {
          answer = answered;
        });
      });
    });
    const loader = started('engine-loader.mjs', { handle: db.share(), entries: ENTRIES, endless: false });
    await asked;
    await db.checkpoint();
    await loader.terminate();
    answer(db.checkpoint());
    await expectGivenBack(db, before);
    await index.put(8, new Uint8Array(2));
    // Its slot can be used again.
    await index.bulkLoad([[5, new Uint8Array(5)]]);
    await db.close();
    engines.pop();
    const again = await opened();
    const found = await again.index('loaded', { key: 'u32', value: 'buffer' });
    expect([...found.rangeSync()].map(([key]) => key)).toEqual([5]);
    expect((await again.verify()).problems).toEqual([]);
  }, 60_000);
});
