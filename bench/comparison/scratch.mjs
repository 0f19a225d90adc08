/** Where a benchmark makes its stores: nothing of it is left, also when it is cut off. */
import { mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** Runs the work with a new directory in `parent`. */
export async function withScratch(parent, work) {
  const directory = mkdtempSync(join(parent, 'pagewright-bench-'));
  const clear = () => rmSync(directory, { recursive: true, force: true });
  const endBy = () => {
    clear();
    process.exit(1);
  };
  const signals = ['SIGINT', 'SIGTERM'];
  for (const signal of signals) process.once(signal, endBy);
  try {
    return await work(directory);
  } finally {
    for (const signal of signals) process.removeListener(signal, endBy);
    clear();
  }
}
