/**
 * What was committed can be read again, in a process that has a small heap: a transaction of very many small puts takes memory for its bytes, not for as many objects,
 * when a store is recovered, when its log is read, and when it is restored.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, it } from 'vitest';

const PROGRAM = fileURLToPath(new URL('./programs/small-puts.mjs', import.meta.url));
const COUNT = 500_000;
/** As objects, the operations take three times as much. */
const HEAP_MIB = 40;

let directory: string;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-large-transaction-'));
  await expect(run('write', [])).rejects.toMatchObject({ signal: 'SIGKILL' });
}, 120_000);

afterAll(() => rmSync(directory, { recursive: true, force: true }));

async function run(step: string, flags = [`--max-old-space-size=${HEAP_MIB}`]): Promise<string> {
  const files = ['store.pw', 'archive', 'backup.pw'].map((name) => join(directory, name));
  const { stdout } = await promisify(execFile)(process.execPath, [...flags, PROGRAM, step, ...files]);
  return stdout;
}

it('a store is recovered, which gives way and tells how far it is within the transaction', async () => {
  const ended = await run('open').catch((error) => error);
  const { count, last, steps } = JSON.parse(ended.stdout);
  expect({ count, last }).toEqual({ count: COUNT, last: COUNT - 1 });
  expect(steps.length).toBeGreaterThan(COUNT / 2000);
  expect(new Set(steps).size).toBeGreaterThan(COUNT / 2000);
  expect(steps).toEqual(steps.toSorted((a: number, b: number) => a - b));
}, 120_000);

it('the log is read', async () => {
  expect(JSON.parse(await run('read'))).toEqual({ count: COUNT, last: COUNT - 1 });
}, 120_000);

it('a backup is brought past it, and gives way within', async () => {
  const { count, last, steps } = JSON.parse(await run('restore'));
  expect({ count, last }).toEqual({ count: COUNT, last: COUNT - 1 });
  expect(steps.length).toBeGreaterThan(COUNT / 2000);
}, 120_000);
