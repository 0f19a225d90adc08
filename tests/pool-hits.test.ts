/** A hit makes no garbage, and a pool that is closed gives its memory back. */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { beforeAll, expect, it } from 'vitest';

const MIB = 2 ** 20;
/** What the process itself takes meanwhile. A byte a hit would be twice as much. */
const SOME_BYTES = MIB / 2;

interface Hits {
  /** By how much the heap grew in a million. */
  readonly hits: number;
  readonly lookUps: number;
  readonly wrong: number;
}

/** In bytes. */
interface Closed {
  readonly taken: number;
  readonly kept: number;
}

let measured: Hits;
let closed: Closed;

async function run(program: string, directory: string, ...flags: string[]): Promise<never> {
  const path = fileURLToPath(new URL(`./programs/${program}`, import.meta.url));
  const args = ['--expose-gc', ...flags, path, join(directory, `${program}.pw`)];
  const { stdout } = await promisify(execFile)(process.execPath, args);
  console.log(stdout);
  return JSON.parse(stdout) as never;
}

beforeAll(async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pagewright-hits-'));
  try {
    // No garbage is collected before there are 64 MiB of it.
    measured = await run('pool-hits.mjs', directory, '--min-semi-space-size=64', '--max-semi-space-size=64');
    closed = await run('closed-pool.mjs', directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}, 120_000);

it('a million pages that are in memory are reached without a byte of heap for each', () => {
  expect(measured.wrong).toBe(0);
  expect(measured.hits).toBeLessThan(SOME_BYTES);
});

it('a million entries are looked up without a byte of heap for each, if their values are not asked for', () => {
  expect(measured.lookUps).toBeLessThan(SOME_BYTES);
});

it('a pool that was closed gives its memory back', () => {
  expect(closed.taken).toBeGreaterThan(240 * MIB);
  expect(closed.kept).toBeLessThan(closed.taken / 4);
});
