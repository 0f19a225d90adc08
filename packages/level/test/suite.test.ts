/** The public suite of abstract-level, unchanged, with every feature that it has tests for. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { bundled } from './program.js';

const run = promisify(execFile);

test('abstract-level’s suite passes, with as many tests and assertions as it has for a database with every optional feature', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'pagewright-level-suite-'));
  try {
    const program = await bundled('suite', directory);
    // The totals: with a feature less in the manifest, fewer tests pass just as well.
    const { stdout, stderr } = await run(process.execPath, [program, directory], { maxBuffer: 64 * 1024 * 1024 });
    expect(JSON.parse(stdout), stderr).toEqual({ tests: 1509, assertions: 5168, passed: 5168 });
    expect(stderr).toBe('');
  } finally {
    await rm(directory, { recursive: true });
  }
}, 600_000);
