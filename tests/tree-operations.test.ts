/** What an operation on entries in memory leaves for the garbage collector, and that compiled code stays compiled. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

/** What the process itself takes meanwhile, spread over all operations, in bytes of each. */
const SOME_BYTES = 0.5;

interface Measured {
  /** Of heap, by kind of operation. */
  readonly bytes: Readonly<Record<string, number>>;
  readonly wrong: number;
}

async function run(
  times: number,
  ...flags: string[]
): Promise<{ readonly measured: Measured; readonly lines: string[] }> {
  const directory = mkdtempSync(join(tmpdir(), 'pagewright-operations-'));
  try {
    const program = fileURLToPath(new URL('./programs/tree-operations.mjs', import.meta.url));
    const args = [...flags, program, join(directory, 'store.pw'), String(times)];
    const { stdout } = await promisify(execFile)(process.execPath, args, { maxBuffer: 2 ** 26 });
    const lines = stdout.trim().split('\n');
    return { measured: JSON.parse(lines.at(-1)!) as Measured, lines };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

describe('entries in memory', () => {
  it('are changed without a byte of heap, and read with no more than their results', { timeout: 300_000 }, async () => {
    // No garbage is collected before there is more of it than a run leaves.
    const { measured } = await run(100_000, '--expose-gc', '--min-semi-space-size=256', '--max-semi-space-size=256');
    const { views, updates, removals, presence, values, scans, gets, ranges } = measured.bytes as Record<
      string,
      number
    >;
    expect(measured.wrong).toBe(0);
    expect(views).toBeGreaterThan(50);
    const some = SOME_BYTES;
    expect(updates).toBeLessThan(some);
    expect(presence).toBeLessThan(some);
    // Every other one, an insert, rewrites its leaf, which is full, and copies it through views.
    expect(removals).toBeLessThan(views! + some);
    expect(values).toBeLessThan(views! + 4);
    expect(scans).toBeLessThan(2 * views! + 8);
    expect(gets).toBeLessThan(views! + 4);
    // A range has key, value and pair, the key as bytes and as a string, and what goes through them.
    expect(ranges).toBeLessThan(3 * views! + 200);
  });

  it('are read and changed by code that is never taken back once it is warm', { timeout: 300_000 }, async () => {
    const { measured, lines } = await run(100_000, '--trace-deopt');
    expect(measured.wrong).toBe(0);
    const steady = lines.slice(lines.indexOf('warm') + 1, lines.indexOf('done'));
    expect(lines).toContain('warm');
    expect(lines).toContain('done');
    expect(steady.filter((line) => line.includes('bailout') || line.includes('deoptimizing'))).toEqual([]);
  });
});
