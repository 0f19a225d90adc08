/**
 * The radix tree under threads: workers change and read one tree on real files while checkpoints run, and rare interleavings of its operations, and of I/O, in one
 * thread. STRESS_SEED and SCHEDULE_SEED choose other runs.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { ArtType } from '@pagewright/index-art';
import { runSchedules } from '@pagewright/testkit';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { DEFAULT_PARTS } from '../soak/schedules/subjects.js';
import { type StressOptions, stress } from '../soak/threads/stress.js';

const SEED = Number(process.env.STRESS_SEED ?? 1);
const SCHEDULE_SEED = Number(process.env.SCHEDULE_SEED ?? 1);
const ROUNDS = Number(process.env.SCHEDULE_ROUNDS ?? 30);

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-art-threads-'));
  program = await bundle('../../../soak/threads/worker.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

/** Runs the stress; a failure says what to run again. */
async function run(options: Omit<StressOptions, 'program' | 'index'>) {
  try {
    return await stress({ ...options, index: 'art', program });
  } catch (error) {
    throw new Error(`With ${JSON.stringify(options)}: ${(error as Error).message}`, { cause: error });
  }
}

describe('threads on one radix tree', () => {
  it.each([
    ['all', 1000],
    ['little', 80],
  ])('push out, draw in, evict and scan at the same time, where %s is in memory', async (what, frames) => {
    const threads = 4;
    const result = await run({ seed: SEED, threads, operations: 4000, keys: 3000, frames });
    expect(result.operations).toBe(threads * 4000);
    for (const { scanned } of result.done) expect(scanned).toBeGreaterThan(2000);
    // Whether each of them comes to one is chance: a page of a radix tree is seldom full, or almost empty.
    const all = (what: 'splits' | 'merges'): number => result.done.reduce((sum, done) => sum + done[what], 0);
    console.log(`${all('splits')} pushed out, ${all('merges')} drawn in, ${result.restarts} restarts, seed ${SEED}`);
    expect(all('splits')).toBeGreaterThan(0);
    expect(all('merges')).toBeGreaterThan(0);
    expect(result.restarts).toBeGreaterThan(10);
    expect(result.checkpoints).toBeGreaterThan(1);
    if (what === 'little') expect(result.evictions).toBeGreaterThan(500);
  });

  it.each([
    ['all', 300, 1000],
    ['little', 2000, 80],
  ])('read and leave what they should, where %s is in memory and each waits at schedule points', async (_, keys, frames) => {
    for (let seed = SEED; seed < SEED + 2; seed++) {
      const { operations } = await run({ seed, threads: 3, operations: 300, keys, frames, pauses: true });
      expect(operations).toBe(900);
    }
  });

  it('fail together when one ends in the midst of a change, and the store is what its last checkpoint was', async () => {
    const { lost } = await run({ seed: SEED, threads: 3, operations: 800, keys: 300, frames: 100, stall: true });
    expect(lost).toBe(true);
  });
});

it('every answer is one that an order of the operations explains, whatever runs while others stand at schedule points', async () => {
  const index = { ...DEFAULT_PARTS.index, indexType: () => new ArtType() };
  const { failure } = await runSchedules({ index }, { seed: SCHEDULE_SEED, goesOn: (rounds) => rounds < ROUNDS });
  if (failure !== null) throw failure;
});
