/** What a pool says that it holds is what the process gained by it. */
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./programs/filled-pool.mjs', import.meta.url));
const MIB = 2 ** 20;
const TOLERANCE = 0.05;
/** Processes that are measured for each size. */
const RUNS = 5;

interface Filled {
  readonly gained: number;
  readonly memoryBytes: number;
  readonly threadBytes: number;
  readonly frames: number;
  readonly filled: number;
}

async function fillPool(directory: string, mebibytes: number, provider: string): Promise<Filled> {
  mkdirSync(directory, { recursive: true });
  const args = ['--expose-gc', PROGRAM, join(directory, `${mebibytes}.pw`), `${mebibytes}MiB`, provider];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  return JSON.parse(stdout);
}

/** What a process takes besides, for its own heap, varies by some MiB from one to the next: the median of several says what the pool takes. */
async function medianOf(directory: string, mebibytes: number, provider: string): Promise<Filled> {
  const runs: Filled[] = [];
  for (let run = 0; run < RUNS; run++) runs.push(await fillPool(join(directory, String(run)), mebibytes, provider));
  return runs.sort((a, b) => a.gained - b.gained)[RUNS >> 1] as Filled;
}

it.each([
  'no provider',
  'provider',
])('memoryBytes is within 5 %% of what the process gains when all frames are touched, and grows as the process does: %s', async (provider) => {
  const directory = mkdtempSync(join(tmpdir(), 'pagewright-memory-'));
  try {
    const small = await medianOf(directory, 64, provider);
    const large = await medianOf(directory, 256, provider);
    for (const { gained, memoryBytes, threadBytes, frames, filled } of [small, large]) {
      expect(threadBytes > 0, 'a thread').toBe(provider === 'provider');
      expect(filled, 'frames but the one of the root').toBe(frames - 1);
      expect(Math.abs(gained - memoryBytes) / memoryBytes, `${gained / MIB} MiB`).toBeLessThan(TOLERANCE);
    }
    const said = large.memoryBytes - small.memoryBytes;
    expect(Math.abs(large.gained - small.gained - said) / said).toBeLessThan(TOLERANCE);
    console.log(
      [small, large].map((pool) => `${(pool.gained / pool.memoryBytes).toFixed(4)} of ${pool.memoryBytes / MIB} MiB`),
    );
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
