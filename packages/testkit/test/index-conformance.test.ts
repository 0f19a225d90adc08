/** The conformance suite of indexes: a sound index breaks none of it, and every planted fault is caught by its clauses. */
import { BufferPool } from '@pagewright/bufferpool';
import { BtreeType } from '@pagewright/index-btree';
import { describe, expect, it } from 'vitest';
import {
  brokenClauses,
  INDEX_SUITE,
  type IndexUnderTest,
  indexConformance,
  type ReopenableStore,
  SimulatedDevice,
  type TestRunner,
} from '../src/index.js';
import { altered } from './altered-index.js';
import { INDEX_FAULTS } from './index-faults.js';
import { SortedType } from './sorted-index.js';

const ALL = {
  pages: true,
  check: true,
  shrinks: true,
  store: true,
  prefetches: true,
  loads: true,
  counts: true,
  estimates: true,
};

/** Ids of the clauses that an index breaks, of those that are asked for, in order of the alphabet. */
async function broken(index: IndexUnderTest, ids: readonly string[]): Promise<string[]> {
  const clauses = await brokenClauses(INDEX_SUITE, { create: () => index }, ALL, new Set(ids));
  return clauses.map(({ id }) => id).sort();
}

/** The buffer pool on a device in memory. */
function smallPool(): ReopenableStore {
  const io = new SimulatedDevice();
  return {
    async open() {
      const pool = new BufferPool({ memory: 96 * 4096, pageSize: 4096 });
      await pool.open({ path: '/pages.pw', io, create: true, errorIfExists: false, readOnly: false });
      return pool;
    },
  };
}

it('an index that keeps nothing on pages breaks nothing of what it promises', async () => {
  expect(await brokenClauses(INDEX_SUITE, { create: () => ({ type: new SortedType() }) }, {})).toEqual([]);
});

it('registers its clauses with a runner, and skips what the manifest does not promise, or what has no store', () => {
  const registered: string[] = [];
  const skipped: string[] = [];
  const runner: TestRunner = {
    describe: (_, body) => body(),
    it: Object.assign((name: string) => registered.push(name), { skip: (name: string) => skipped.push(name) }),
  };
  indexConformance(runner, { type: new SortedType() }, { pages: true, check: true });
  expect(registered.length + skipped.length).toBe(INDEX_SUITE.clauses.length);
  expect(skipped.map((name) => name.replace(/^.*needs: /, ''))).toEqual([
    'shrinks)',
    'prefetches)',
    'prefetches)',
    ...new Array<string>(7).fill('loads)'),
    ...new Array<string>(5).fill('counts)'),
    ...new Array<string>(2).fill('estimates)'),
    'store)',
  ]);
});

it('a sound index breaks nothing, also behind what faults are planted with', async () => {
  // One of each kind: the tests of the index itself go through all of them.
  const ids = [
    'replace',
    'keys-that-are-prefixes',
    'cursor-among-changes',
    'stamp-moves',
    'pages-come-back',
    'store-tears',
  ];
  ids.push('fault-in-lookup', 'fault-in-cursor', 'load-fails', 'modify-fails', 'check-clean', 'real-store');
  expect(await broken({ type: altered(new BtreeType(), {}), store: smallPool }, ids)).toEqual([]);
});

describe('a planted fault is caught:', () => {
  for (const { name, caughtBy, plant } of INDEX_FAULTS) {
    it(`an index that ${name}`, async () => {
      expect(await broken({ type: plant(new BtreeType()) }, caughtBy)).toEqual([...caughtBy].sort());
    });
  }

  it('an index that does not say what it changes, on the store that engines use', async () => {
    const silent = altered(new BtreeType(), { pages: () => ({ modify: () => undefined }) });
    expect(await broken({ type: silent, store: smallPool }, ['real-store'])).toEqual(['real-store']);
  });
});

it('has no clause that no planted fault breaks', () => {
  const caught = new Set(INDEX_FAULTS.flatMap(({ caughtBy }) => caughtBy).concat('real-store'));
  expect(INDEX_SUITE.clauses.map(({ id }) => id).filter((id) => !caught.has(id))).toEqual([]);
});

it('begins its random clauses at the seed that it is given, goes on from there, and names the seed that failed', async () => {
  const plant = INDEX_FAULTS.find(({ name }) => name.includes('higher timestamp'))!.plant;
  const index = { type: plant(new BtreeType()), seed: 77, rounds: 2 };
  const clauses = await brokenClauses(INDEX_SUITE, { create: () => index }, ALL, new Set(['stamp-moves']));
  expect(clauses[0]?.message).toMatch(/^\[index: stamp-moves, rule X1\] It takes .* with seed 77: /);
});
