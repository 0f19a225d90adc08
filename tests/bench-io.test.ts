/** The benchmark of I/O runs, and notices what is read from a wrong place. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, expect, test } from 'vitest';

const ROOT = join(import.meta.dirname, '..');
let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'pagewright-bench-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

interface Row {
  readonly kind: string;
  readonly depth: number;
  readonly cells: readonly { readonly name: string; readonly left?: string; readonly rounds: readonly unknown[] }[];
}

test('every backend that is there is measured at every depth, and what is not there is said', async () => {
  const json = join(directory, 'io.json');
  const options = ['--rounds', '1', '--seconds', '0.1', '--mib', '4', '--depths', '4', '--directory', directory];
  const ours = ['--contestants', 'node:fs,io-posix', '--json', json];
  const { stdout } = await promisify(execFile)(process.execPath, ['bench/io.mjs', ...options, ...ours], { cwd: ROOT });
  const { rows } = JSON.parse(readFileSync(json, 'utf8')) as { rows: Row[] };
  expect(rows.map(({ kind, depth }) => `${kind} ${depth}`)).toEqual(['read 4', 'flush 1']);
  for (const { cells } of rows) {
    expect(cells.map(({ name }) => name)).toEqual(['node:fs', 'io-posix']);
    for (const { name, left, rounds } of cells) {
      if (left !== undefined) expect(left).toMatch(/native/);
      else expect(rounds[0], name).toMatchObject({ operations: expect.any(Number), cpuNs: expect.any(Number) });
    }
    expect(cells[0]!.rounds).toHaveLength(1);
  }
  expect(stdout).toMatch(/\| reads, 4 in flight \| node:fs \|/);
});

test('a page that is not where it belongs ends a cell', async () => {
  const pages = await import(join(ROOT, 'bench', 'io', 'pages.mjs'));
  const path = join(directory, 'pages');
  pages.writePages(path, 100);
  const words = new Float64Array(new Uint8Array(readFileSync(path)).buffer);
  const word = (page: number): number => (page * pages.PAGE) / 8;
  for (const page of [0, 63, 64, 99]) pages.assertPage(words, word(page), page);
  expect(() => pages.assertPage(words, word(7), 8)).toThrow(/page 8/);
  const torn = words.slice(word(5), word(6));
  torn[torn.length - 1] = 6;
  expect(() => pages.assertPage(torn, 0, 5)).toThrow(/page 5/);
});
