/** The default engine as what power cuts are made under: the writer is a program of the tests, on the built packages. */
import { existsSync, mkdtempSync, realpathSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { PowerCutSubject } from '@pagewright/testkit';
import { open } from 'pagewright';

/** What the writer does; `tests/programs/endless-writer.mjs` says more. */
export interface WriterChoice {
  readonly commit: 'sync' | 'group' | 'pipelined' | 'autonomous';
  readonly pageSize: number;
  /** What a commit survives. Default: `durable`; what is `relaxed` survives a kill, and no cut of the power. */
  readonly durability?: 'durable' | 'relaxed';
  /** What its I/O does not do, or does not wait for: a planted fault. */
  readonly forget?: 'sync' | 'syncDirectory' | 'wait';
  /** Where it kills itself. */
  readonly killAt?: KillingPoint;
}

/** An operation of I/O, counted from 1 among those that come at this point of the work, and are of this name. */
export interface KillingPoint {
  readonly during?: 'opening' | 'writing' | 'checkpoint' | 'clear' | 'drop';
  readonly operation?: 'write' | 'submit' | 'sync' | 'allocate' | 'rename' | 'remove' | 'open' | 'syncDirectory';
  readonly number: number;
  /** Once the system has been asked for it; else in its place. */
  readonly begun?: boolean;
}

/** @param choose asked for each writer */
export function storeSubject(choose: () => WriterChoice): PowerCutSubject {
  const program = findWriter(import.meta.dirname);
  return {
    writer: (path) => ({ command: process.execPath, args: [program, JSON.stringify({ path, ...choose() })] }),
    open: (path) => open(path, { memory: '4MiB' }),
  };
}

/** A new directory for the files of power cuts. */
export function newHome(): string {
  return mkdtempSync(join(realpathSync(tmpdir()), 'pagewright-power-'));
}

/** The sources and what is built of them lie at different depths. */
function findWriter(directory: string): string {
  const program = join(directory, 'tests', 'programs', 'endless-writer.mjs');
  if (existsSync(program)) return program;
  if (dirname(directory) === directory) throw new Error('tests/programs/endless-writer.mjs is not above this file.');
  return findWriter(dirname(directory));
}
