/**
 * Several threads on one store: workers change and read one tree on real files, in a pool much smaller than it, while
 * checkpoints run, and threads are ended in the midst of it. STRESS_SEED chooses other runs; the soak goes on with them.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import { type StressOptions, stress } from '../soak/threads/stress.js';

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

  it('go on when one ends that held nothing, and fail together when one ends that held something', async () => {
    for (let seed = SEED; seed < SEED + 4; seed++)
      await run({ seed, threads: 3, operations: 1500, keys: 1000, frames: 90, lose: true });
  });
});
