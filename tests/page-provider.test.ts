/**
 * The page provider on real files, in a pool an eighth of the data: it keeps frames free while threads read and write and checkpoints
 * run, and work goes on without it. Each case is a process of its own, made from the sources with the programs of its threads
 * beside it, as the built packages have them. STRESS_SEED chooses other runs.
 */
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../packages/io-posix/test/bundle.js';
import type { StressOptions, StressResult } from '../soak/threads/stress.js';

const SEED = Number(process.env.STRESS_SEED ?? 1);
/** A process that does not end by itself is ended, and fails its test. */
const LONGEST_MS = 100_000;

let programs: string;

beforeAll(async () => {
  programs = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-provider-programs-'));
  fs.writeFileSync(join(programs, 'package.json'), '{ "type": "module" }');
  await bundle('../../../tests/page-provider-program.ts', programs, 'main.js');
  await bundle('../../../tests/failing-writes.ts', programs, 'failing-writes.js');
  await bundle('../../../soak/threads/worker.ts', programs, 'stress-worker.js');
  await bundle('../../bufferpool/src/page-provider-worker.ts', programs, 'page-provider-worker.js');
  await bundle('../src/in-thread.ts', programs, 'in-thread.js');
});
afterAll(() => fs.rmSync(programs, { recursive: true, force: true }));

/** Runs a case until its process has ended by itself. */
async function run(name: string, given: unknown = {}): Promise<unknown> {
  const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-provider-'));
  try {
    const args = [join(programs, 'main.js'), name, directory, JSON.stringify(given)];
    await promisify(execFile)(process.execPath, args, { timeout: LONGEST_MS });
    return JSON.parse(fs.readFileSync(join(directory, 'result.json'), 'utf8'));
  } catch (error) {
    throw new Error(`"${name}" with ${JSON.stringify(given)}: ${(error as Error).message}`, { cause: error });
  } finally {
    fs.rmSync(directory, { recursive: true, force: true });
  }
}

async function runStress(options: Omit<StressOptions, 'program'>): Promise<StressResult> {
  return (await run('stress', { ...options, program: join(programs, 'stress-worker.js') })) as StressResult;
}

const pool = { threads: 5, operations: 2000, keys: 8000, frames: 96, provider: true };

describe('the page provider', () => {
  it('evicts and writes ahead of others, is started when memory is full, and ends with the pool', async () => {
    const result = (await run('is started when memory is full, and ends with the pool')) as Record<string, number>;
    expect(result).toMatchObject({ before: 0, workers: 1, events: ['started', 'ended'] });
    const { evictions = 0, evictionsAhead = 0, pageWrites = 0, pageWritesAhead = 0 } = result;
    expect(evictionsAhead).toBeGreaterThan(0);
    expect(pageWritesAhead).toBeGreaterThan(0);
    expect(evictionsAhead).toBeLessThanOrEqual(evictions);
    expect(pageWritesAhead).toBeLessThanOrEqual(pageWrites);
  });

  it('is not started while there is room', async () => {
    expect(await run('is not started while there is room')).toEqual({ workers: 0, evictions: 0, events: [] });
  });

  it('is not started if it is not wanted', async () => {
    expect(await run('is not started if it is not wanted')).toEqual({ workers: 0, evictions: true, events: [] });
  });

  it('does not keep the pool from being closed while it is on its way', async () => {
    const { events } = (await run('may be on its way when the pool is closed', SEED)) as { events: string[] };
    expect(events).toContain('ended');
    expect(events.lastIndexOf('ended')).toBeGreaterThan(events.lastIndexOf('started'));
  });

  it('ends at an error of writing, which whoever needs a frame meets, and work goes on without it', async () => {
    const result = await run('leaves an error of writing to others');
    expect(result).toEqual({ code: 'PW_IO', told: 'PW_IO', workers: 1 });
  });

  it('is done without where its files cannot be had', async () => {
    expect(await run('cannot be had')).toEqual({ events: ['started', 'ended'] });
  });

  it('does not keep a process that has forgotten to close its store', async () => {
    expect(await run('does not keep the process')).toEqual({ events: ['started'] });
  });

  it.each([
    'cooling',
    'clock',
  ])('leaves the pages of threads and checkpoints as they should be (%s)', async (replacement) => {
    const result = await runStress({ ...pool, seed: SEED, replacement });
    expect(result.evictionsAhead).toBeGreaterThan(0);
    expect(result.lost).toBe(false);
  });

  it('may be ended at any moment: the pool has failed, or work goes on without it', async () => {
    for (let seed = SEED; seed < SEED + 4; seed++) await runStress({ ...pool, seed, endProvider: true });
  });

  it('goes on when other threads are ended, or fails with them', async () => {
    for (let seed = SEED; seed < SEED + 3; seed++) await runStress({ ...pool, seed, lose: true });
    await runStress({ ...pool, seed: SEED, stall: true });
  });
});
