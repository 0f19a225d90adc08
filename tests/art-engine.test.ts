/**
 * One engine with a B+-tree and a radix tree: transactions that change both, recovery, verification, backups, threads; and an engine of radix trees alone, crashed and
 * failed at I/O operations of all kinds. CRASH_SEED chooses other workloads.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import type { Engine } from '@pagewright/core';
import { art } from '@pagewright/index-art';
import { btree } from '@pagewright/index-btree';
import { CrashExplorer, FaultExplorer, makeWorkload } from '@pagewright/testkit';
import { open } from 'pagewright';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openArtOn } from './art-on.js';

const SEED = Number(process.env.CRASH_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PROGRAM = fileURLToPath(new URL('./programs/art-writer.mjs', import.meta.url));

let directory: string;
let path: string;

beforeEach(() => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-art-engine-'));
  path = join(directory, 'app.pw');
});
afterEach(() => fs.rmSync(directory, { recursive: true, force: true }));

function opened(at = path) {
  return open(at, { memory: '8MiB', pageSize: '4KiB', indexes: [btree(), art()] });
}
type Both = Awaited<ReturnType<typeof opened>>;

async function indexes(db: Both) {
  const names = await db.index('names', { key: 'utf8', value: 'u32' });
  const paths = await db.index('paths', { type: 'art', key: 'utf8', value: 'json' });
  return { names, paths };
}

const pathOf = (number: number): string => `/srv/files/${number % 97}/${number}`;

/** What the writer's program leaves of numbers up to one. */
function expectedPaths(numbers: readonly number[]): string[] {
  const removed = new Set(numbers.filter((number) => number % 3 === 0).map((number) => number - 2));
  return numbers
    .filter((number) => !removed.has(number))
    .map(pathOf)
    .sort();
}

async function expectWhole(db: Engine): Promise<void> {
  const report = await db.verify();
  expect(report.problems).toEqual([]);
  expect(report.ok).toBe(true);
}

describe('a B+-tree and a radix tree in one engine', () => {
  it('change together in a transaction or not at all, and are found again', async () => {
    const db = await opened();
    const { names, paths } = await indexes(db);
    await db.transaction((tx) => {
      for (let i = 0; i < 500; i++) {
        tx.put(names, `name ${i}`, i);
        tx.put(paths, pathOf(i), { i });
      }
    });
    const snapshot = db.snapshot();
    await expect(
      db.transaction((tx) => {
        tx.put(names, 'name 0', 7);
        tx.delete(paths, pathOf(0));
        throw new Error('given up');
      }),
    ).rejects.toThrow('given up');
    await db.transaction((tx) => {
      for (let i = 0; i < 500; i += 2) {
        tx.delete(names, `name ${i}`);
        tx.delete(paths, pathOf(i));
      }
      expect(tx.getSync(paths, pathOf(2))).toBeUndefined();
      expect(tx.getSync(paths, pathOf(1))).toEqual({ i: 1 });
    });
    expect([...paths.rangeSync({ snapshot })]).toHaveLength(500);
    snapshot.release();
    await expectWhole(db);
    await db.close();
    const again = await opened();
    const found = await indexes(again);
    expect(await found.paths.count()).toBe(250);
    expect(await found.names.count()).toBe(250);
    const sorted = Array.from({ length: 250 }, (_, i) => pathOf(2 * i + 1)).sort();
    expect([...found.paths.rangeSync()].map(([key]) => key)).toEqual(sorted);
    expect([...found.paths.rangeSync({ reverse: true })].map(([key]) => key)).toEqual(sorted.toReversed());
    const within = sorted.filter((key) => key >= '/srv/files/3' && key < '/srv/files/5');
    expect([...found.paths.rangeSync({ gte: '/srv/files/3', lt: '/srv/files/5' })].map(([key]) => key)).toEqual(within);
    await again.close();
  });

  it('take a bulk load and a clear of the radix tree', async () => {
    const db = await opened();
    const { paths } = await indexes(db);
    await paths.put('before', 1);
    const sorted = Array.from({ length: 3000 }, (_, i) => pathOf(i)).sort();
    await paths.bulkLoad(sorted.map((key, at) => [key, at] as const));
    expect(await paths.count()).toBe(3000);
    expect(paths.getSync('before')).toBeUndefined();
    expect(paths.getSync(sorted[1234]!)).toBe(1234);
    await expectWhole(db);
    await paths.clear();
    expect(await paths.count()).toBe(0);
    await expectWhole(db);
    await db.close();
  });

  it('are copied by a backup while they are written to, and the copy is whole', async () => {
    const db = await opened();
    const { names, paths } = await indexes(db);
    for (let i = 0; i < 800; i++) paths.putSync(pathOf(i), 'x'.repeat(i % 200));
    await db.checkpoint();
    const copy = join(directory, 'copy.pw');
    const backup = db.backup(copy);
    for (let i = 0; i < 800; i += 3) await paths.delete(pathOf(i));
    await names.put('later', 1);
    await backup;
    await db.close();
    const other = await opened(copy);
    const found = await indexes(other);
    expect(await found.paths.count()).toBe(800);
    await expectWhole(other);
    await other.close();
  });

  it('are recovered after their process was killed: each transaction is in both of them or in neither', async () => {
    let from = 1;
    for (let round = 0; round < 3; round++) {
      const last = await killedWriter(from, 60 + 40 * round);
      const db = await opened();
      const { names, paths } = await indexes(db);
      const numbers = [...names.rangeSync()].map(([, number]) => number).sort((a, b) => a - b);
      expect(numbers.length).toBeGreaterThanOrEqual(last);
      expect(numbers).toEqual(Array.from({ length: numbers.length }, (_, at) => at + 1));
      expect([...paths.rangeSync()].map(([key]) => key)).toEqual(expectedPaths(numbers));
      await expectWhole(db);
      await db.close();
      from = numbers.length + 1;
    }
  });

  it('are written by two threads at once', async () => {
    const db = await opened();
    const { names, paths } = await indexes(db);
    const handle = db.share();
    const worker = new Worker(PROGRAM, { execArgv: [], workerData: { handle, from: 100_000, count: 400 } });
    const done = new Promise((resolve, reject) => {
      worker.once('message', resolve);
      worker.once('error', reject);
    });
    for (let i = 0; i < 400; i++) {
      await db.transaction((tx) => {
        tx.put(names, `own ${i}`, i);
        tx.put(paths, `/home/own/${i}`, i);
      });
    }
    expect(await done).toBe('done');
    await worker.terminate();
    expect(await names.count()).toBe(800);
    const theirs = expectedPaths(Array.from({ length: 400 }, (_, i) => 100_000 + i));
    const own = Array.from({ length: 400 }, (_, i) => `/home/own/${i}`);
    expect([...paths.rangeSync()].map(([key]) => key)).toEqual([...theirs, ...own].sort());
    await expectWhole(db);
    await db.close();
  });
});

/** Starts the writer, kills it when it has acknowledged so many, and gives the last number that it has. */
async function killedWriter(from: number, count: number): Promise<number> {
  const child: ChildProcess = spawn(process.execPath, [PROGRAM, path, String(from)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = new Promise((resolve) => child.once('close', resolve));
  let last = 0;
  let lines = 0;
  for await (const line of createInterface({ input: child.stdout! })) {
    last = Number(line);
    if (++lines === count) child.kill('SIGKILL');
  }
  await ended;
  expect(lines).toBeGreaterThanOrEqual(count);
  return last;
}

describe('a store of radix trees', () => {
  it.each([
    'mixed',
    'merges',
    'growth',
    'loading',
  ] as const)('has, after a crash at operations of all kinds, what was acknowledged, and is whole (%s)', async (theme) => {
    const explorer = new CrashExplorer(openArtOn, { seed: SEED, stride: 20, losses: { exhaustive: 2, samples: 1 } });
    const { findings, ...counts } = await explorer.explore(makeWorkload(theme, SEED, 9));
    console.log(`CRASH_SEED=${SEED}, ${theme}: ${JSON.stringify(counts)}`);
    expect(findings, `CRASH_SEED=${SEED}`).toEqual([]);
  });

  it('has, after a failure at operations of all kinds, what was acknowledged and nothing that was refused', async () => {
    const explorer = new FaultExplorer(openArtOn, { seed: SEED, stride: 20 });
    const { findings, ...counts } = await explorer.explore(makeWorkload('growth', SEED, 9));
    console.log(`CRASH_SEED=${SEED}: ${JSON.stringify(counts)}`);
    expect(findings, `CRASH_SEED=${SEED}`).toEqual([]);
  });
});
