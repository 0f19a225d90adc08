/** What the page provider's thread loads: most of what a thread takes is the code in it. */
import fs from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { expect, it } from 'vitest';

const PACKAGES = join(import.meta.dirname, '../..');
const WORKER = join(PACKAGES, 'bufferpool/src/page-provider-worker.ts');
const CONTRACTS = join(PACKAGES, 'core/src/contracts/index.ts');
/** An import or export of another module, but for those of types alone, which are not there when it runs. */
const LOADS = /^(?:import|export) (?!type\b)[^;]*?from '([^']+)';/gm;

/** All modules that this one loads, itself among them; names that are no files of the packages as they are. */
function loadedBy(file: string, found = new Set<string>()): Set<string> {
  if (found.has(file)) return found;
  found.add(file);
  for (const [, name = ''] of fs.readFileSync(file, 'utf8').matchAll(LOADS)) {
    if (name.startsWith('.')) loadedBy(join(dirname(file), name.replace(/\.js$/, '.ts')), found);
    else if (name === '@pagewright/core/contracts') loadedBy(CONTRACTS, found);
    else found.add(name);
  }
  return found;
}

it('is the parts that evict pages and the contracts, and nothing of the engine, of composition, or of what only the owner does', () => {
  const loaded = [...loadedBy(WORKER)].map((name) => (name.startsWith('/') ? relative(PACKAGES, name) : name));
  expect(loaded).toContain('bufferpool/src/eviction.ts');
  expect(loaded).toContain('core/src/threads/threads.ts');
  const others = loaded.filter((name) => !/^(?:node:|bufferpool\/src\/|core\/src\/)/.test(name));
  expect(others).toEqual([]);
  const ofCore = new Set(loaded.filter((name) => name.startsWith('core/')).map((name) => dirname(name)));
  expect([...ofCore].sort()).toEqual(['core/src', 'core/src/contracts', 'core/src/threads']);
  for (const owners of ['buffer-pool', 'checkpointer', 'backup', 'compact', 'verify', 'plugin'])
    expect(loaded).not.toContain(`bufferpool/src/${owners}.ts`);
});
