/** Holds what is in a store against what should be there, and says everything that is wrong. */
import type { Engine } from '@pagewright/core';
import type { FileRecord } from './files.js';
import { openIndexes, pathsOf } from './storing.js';

export interface Findings {
  /** Transactions that are there whole. */
  readonly whole: ReadonlySet<number>;
  /** One line each. Empty: nothing is lost, and nothing is there by half. */
  readonly faults: readonly string[];
}

/**
 * Reads the whole store. `expected` are the hashes of all files; `acknowledged` the transactions that must be there.
 */
export async function check(
  db: Engine,
  paths: readonly string[],
  expected: ReadonlyMap<string, string>,
  acknowledged: ReadonlySet<number>,
): Promise<Findings> {
  const { files, transactions } = await openIndexes(db);
  const faults: string[] = [];
  const found = new Map<number, Set<string>>();
  for await (const [path, record] of files.range()) {
    if (hex(record) !== expected.get(path)) faults.push(`${path}: the stored hash is not that of the file`);
    const group = found.get(record.transaction) ?? new Set();
    found.set(record.transaction, group.add(path));
  }
  const whole = new Set<number>();
  for await (const [number, written] of transactions.range()) {
    const group = found.get(number);
    const isWhole = written.length === group?.size && written.every((path) => group.has(path));
    if (isWhole && written.join() === pathsOf(paths, number).join()) whole.add(number);
    else faults.push(`transaction ${number} is there by half: ${group?.size ?? 0} of ${written.length} files`);
  }
  for (const number of found.keys()) {
    if (!whole.has(number)) faults.push(`transaction ${number} is there by half: files without its list`);
  }
  for (const number of acknowledged) {
    if (!whole.has(number)) faults.push(`transaction ${number} was acknowledged and is lost`);
  }
  return { whole, faults };
}

function hex(record: FileRecord): string {
  return Buffer.from(record.sha256).toString('hex');
}
