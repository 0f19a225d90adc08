/**
 * Several threads on one store: workers change and read one tree on real files, in a pool much smaller than it, while
 * checkpoints run, and threads are ended in the midst of it. STRESS_SEED chooses other runs; the soak goes on with them.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { BufferPool } from '@pagewright/bufferpool';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { Actions } from '../soak/threads/actions.js';
import { type StressOptions, stress } from '../soak/threads/stress.js';
import { Versions } from '../soak/threads/versions.js';

const SEED = Number(process.env.STRESS_SEED ?? 1);

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-thread-program-'));
  program = await bundle('../../../soak/threads/worker.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Runs the stress; a failure says what to run again. */
async function run(options: Omit<StressOptions, 'program'>) {
  try {
    return await stress({ ...options, program });
  } catch (error) {
    throw new Error(`With ${JSON.stringify(options)}: ${(error as Error).message}`, { cause: error });
  }
}

/** Notes which keys are written. */
class NotedVersions extends Versions {
  readonly written = new Set<number>();

  override begin(key: number): number {
    this.written.add(key);
    return super.begin(key);
  }
}

it.each([
  [3, 200],
  [4, 50],
  [5, 7],
])('each of %i threads writes all keys of its own, and no other, of %i', async (threads, keys) => {
  for (let thread = 0; thread < threads; thread++) {
    const versions = new NotedVersions(keys, new SharedArrayBuffer(Versions.bytes(keys)));
    const share = { thread, threads, versions, clock: new Int32Array(new SharedArrayBuffer(4)) };
    const pages = new BufferPool({ memory: 1000 * 4096, pageSize: 4096, pageProvider: false });
    const path = join(directory, `keys-${threads}-${thread}.pw`);
    await pages.open({ path, io: new NodeFiles(), create: true, errorIfExists: false, readOnly: false });
    const index = new BtreeType().create({ pages, number: 7, root: pages.root }, 1);
    const actions = new Actions(pages, index, share, new Random(SEED));
    for (let key = 0; key < keys; key++) actions.write(key);
    versions.written.clear();
    for (let operation = 0; operation < 2000; operation++) await actions.act();
    const own = Array.from({ length: keys }, (_, key) => key).filter((key) => key % threads === thread);
    expect([...versions.written].sort((a, b) => a - b)).toEqual(own);
    await pages.close();
  }
});

it('a key that two threads write at the same time is not taken for a fault of the store', () => {
  const versions = new Versions(2, new SharedArrayBuffer(Versions.bytes(2)));
  versions.end(1, versions.begin(1));
  const other = new Versions(2, versions.memory);
  expect(other.begin(1)).toBe(2);
  expect(() => versions.begin(1)).toThrow('Key 1 is written by two threads at the same time');
});

describe('threads on one pool', () => {
  it('read and leave what they should, where all is in memory', async () => {
    const { operations, checkpoints } = await run({
      seed: SEED,
      threads: 3,
      operations: 1500,
      keys: 300,
      frames: 1000,
    });
    expect(operations).toBe(4500);
    expect(checkpoints).toBeGreaterThan(1);
  });

  it.each([
    ['cooling', 'swizzled'],
    ['clock', 'swizzled'],
    ['cooling', 'hash'],
    ['cooling', 'array'],
  ])('read and leave what they should, where little is in memory (%s, %s)', async (replacement, translation) => {
    const choice = { replacement, translation };
    const result = await run({ seed: SEED, threads: 4, operations: 1200, keys: 3000, frames: 80, ...choice });
    expect(result.evictions).toBeGreaterThan(500);
    expect(result.moved).toBeGreaterThan(0);
  });

  it.each([
    ['all', 1000],
    ['little', 80],
  ])('split, merge, evict and scan at the same time, each of them, where %s is in memory', async (what, frames) => {
    const threads = 4;
    const result = await run({ seed: SEED, threads, operations: 5000, keys: 3000, frames });
    expect(result.operations).toBe(threads * 5000);
    expect(result.done).toHaveLength(threads);
    for (const done of result.done) {
      expect(done.splits).toBeGreaterThan(0);
      expect(done.merges).toBeGreaterThan(0);
      expect(done.scanned).toBeGreaterThan(5000);
      expect(done.batches - done.packed).toBeGreaterThan(50);
      expect(done.packed).toBeGreaterThan(50);
    }
    expect(result.restarts).toBeGreaterThan(20);
    expect(result.latchWaits).toBeGreaterThan(0);
    expect(result.checkpoints).toBeGreaterThan(1);
    if (what === 'little') expect(result.evictions).toBeGreaterThan(500);
  });

  it.each([
    ['all', 300, 1000],
    ['little', 2000, 80],
  ])('read and leave what they should, where %s is in memory and each waits at schedule points', async (_, keys, frames) => {
    for (let seed = SEED; seed < SEED + 3; seed++) {
      const { operations } = await run({ seed, threads: 3, operations: 300, keys, frames, pauses: true });
      expect(operations).toBe(900);
    }
  });

  it('fail together when one ends in the midst of a change, and the store is what its last checkpoint was', async () => {
    const { lost } = await run({ seed: SEED, threads: 3, operations: 800, keys: 300, frames: 100, stall: true });
    expect(lost).toBe(true);
  });

  it('have failed when one has ended in the midst of a change, though nobody was left to meet what it held', async () => {
    const alone = { threads: 1, operations: 40, keys: 50, frames: 100, checkpoints: false };
    const { lost } = await run({ seed: SEED, ...alone, stall: true });
    expect(lost).toBe(true);
    expect((await run({ seed: SEED, ...alone })).lost).toBe(false);
  });

  it('go on when one ends that held nothing, and fail together when one ends that held something', async () => {
    for (let seed = SEED; seed < SEED + 4; seed++)
      await run({ seed, threads: 3, operations: 1500, keys: 1000, frames: 90, lose: true });
  });
});
