/** Data larger than the pool: a 64 MiB pool serves a store of 1 GiB, and the process stays within the pool plus 150 MiB. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./programs/large-store.mjs', import.meta.url));
const POOL_MIB = 64;
const STORE_MIB = 1024;
const DATA_MIB = 400;
const ALLOWANCE_MIB = 150;

it('a pool of 64 MiB serves a store of 1 GiB, and memory stays within the pool plus 150 MiB', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pagewright-large-'));
  try {
    const args = [PROGRAM, join(directory, 'large.pw'), `${POOL_MIB}MiB`, String(DATA_MIB)];
    // As it is for users: tests have another threshold.
    const { MALLOC_MMAP_THRESHOLD_, ...env } = process.env;
    const { stdout } = await promisify(execFile)(process.execPath, args, { env });
    const result = JSON.parse(stdout);
    console.log(
      `peak ${Math.round(result.peakMiB)} MiB, file ${Math.round(result.fileMiB)} MiB, ${result.evictions} evictions; ` +
        `written in ${Math.round(result.writeMs)} ms, ${result.reads} random reads in ${Math.round(result.readMs)} ms`,
    );
    expect(result).toMatchObject({ wrong: 0, seen: result.count });
    expect(result.fileMiB).toBeGreaterThan(STORE_MIB);
    expect(result.peakMiB).toBeLessThan(POOL_MIB + ALLOWANCE_MIB);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 600_000);
