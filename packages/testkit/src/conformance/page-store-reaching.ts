/** Clauses about pages that are not in memory: reading them, evicting them, and reading without blocking. */

import assert from 'node:assert/strict';
import { RESTART } from '@pagewright/core';
import { Random } from '../random.js';
import {
  clause,
  gateAt,
  type OpenStore,
  type PageStoreClause,
  SMALL,
  type Stores,
  thrownBy,
} from './page-store-subject.js';
import { newModel, PageTree } from './page-tree.js';

const WIDE = 128;

export const reachingClauses: readonly PageStoreClause[] = [
  clause(
    'restarts-when-the-parent-changed',
    ['M2'],
    'does not read a page for a reader whose parent page has changed',
    ['files'],
    async (stores) => {
      const { pages } = await stored(stores);
      const { frame, offset } = pages.root;
      const stale = pages.readVersion(frame);
      pages.latch(frame);
      pages.unlatch(frame);
      assert.equal(pages.child(frame, offset, stale), RESTART);
      assert.equal(pages.stats().pageReads, 0, 'A page was read by a swip that may be another one by now.');
    },
  ),
  clause(
    'reading-changes-the-parent',
    ['M2'],
    'counts the parent’s version on when it has read a child, so that a reader starts again',
    ['files'],
    async (stores) => {
      const { pages } = await stored(stores);
      const { frame, offset } = pages.root;
      const version = pages.readVersion(frame);
      const answer = pages.child(frame, offset, version);
      assert.equal(pages.stats().pageReads, 1, 'A page that is not in memory was not read.');
      assert.ok(!pages.validate(frame, version), 'A swip has changed, and the version of its page has not.');
      const again = pages.child(frame, offset, pages.readVersion(frame));
      assert.ok(again >= 0, 'A page that was just read is not reached.');
      assert.ok(answer === RESTART || answer === again);
      assert.equal(pages.stats().pageReads, 1, 'A page that is in memory was read once more.');
    },
  ),
  clause(
    'evicts-and-reads-back',
    ['P1', 'P2', 'P4'],
    'holds more pages than it has memory for, all of them as they were last changed',
    ['eviction'],
    async (stores) => {
      const driver = await stores.drive(21);
      driver.run(2500);
      driver.tree.check(driver.model);
      const { evictions, pageReads, pageWrites } = driver.pages.stats();
      assert.ok(evictions > 0 && pageReads > 0 && pageWrites > 0, 'Nothing was evicted and read again.');
    },
  ),
  clause(
    'evicts-size-classes',
    ['P1', 'P2'],
    'makes room for large pages among small ones, and the other way round',
    ['eviction', 'sizeClasses'],
    async (stores) => {
      const { pages } = await stores.open(undefined, { frames: SMALL });
      const tree = new PageTree(pages);
      const random = new Random(8);
      const model = newModel(1);
      tree.plant(1);
      for (let step = 0; step < 600; step++) {
        const slot = random.below(tree.fanout);
        const number = 100 + step;
        const child = model.children[slot] ?? null;
        if (child === null) {
          const sizeClass = random.below(pages.maxSizeClass + 1);
          tree.insert([], slot, number, sizeClass);
          model.children[slot] = newModel(number, sizeClass);
        } else if (random.chance(0.5)) {
          tree.remove([], slot);
          model.children[slot] = null;
        } else if (child.sizeClass === 0) {
          const below = random.below(tree.fanout);
          if (child.children[below] !== null) continue;
          tree.insert([slot], below, number, 0);
          child.children[below] = newModel(number);
        } else {
          tree.change([slot], number);
          child.number = number;
        }
      }
      tree.check(model);
    },
  ),
  clause(
    'pins-hold',
    [],
    'keeps a pinned page, and one whose latch is held, in its frame while all others come and go',
    ['eviction'],
    async (stores) => {
      const { pages } = await stored(stores);
      const tree = new PageTree(pages);
      const [pinned, latched] = [frameAt(tree, [3, 5]), frameAt(tree, [4, 6])];
      pages.pin(pinned);
      pages.pin(pinned);
      pages.unpin(pinned);
      pages.latch(latched);
      churn(tree, (a, b) => a !== 4 || b !== 6);
      assert.equal(tree.numberIn(pinned), 1053, 'Another page is in the frame of a pinned one.');
      assert.equal(tree.numberIn(latched), 1070, 'Another page is in the frame of one whose latch is held.');
      pages.unlatch(latched);
      assert.equal(frameAt(tree, [3, 5]), pinned, 'A pinned page is in another frame.');
      pages.unpin(pinned);
      const before = pages.stats().evictions;
      churn(tree);
      assert.ok(pages.stats().evictions > before);
    },
  ),
  clause(
    'keeps-what-is-used',
    [],
    'keeps in memory what is used again and again, though all pages have one parent',
    ['eviction'],
    async (stores) => {
      const { pages } = await wide(stores);
      const tree = new PageTree(pages, WIDE);
      const random = new Random(4);
      for (const first of [0, 80]) {
        // Fills the memory with what is not used any more.
        for (let slot = 0; slot < WIDE; slot++) tree.numberAt([slot]);
        let reads = 0;
        for (let round = 0; round < 4000; round++) {
          if (round === 1000) reads = pages.stats().pageReads;
          tree.numberAt([first + random.below(SMALL / 4)]);
        }
        const missed = pages.stats().pageReads - reads;
        assert.ok(missed < 300, `A quarter of the memory is in use, and ${missed} of 3000 reads missed it.`);
      }
    },
  ),
  clause(
    'forgives-a-full-pool',
    [],
    'refuses a page with PW_POOL_EXHAUSTED when nothing may leave, and goes on when something may',
    ['eviction'],
    async (stores) => {
      const { pages } = await stored(stores);
      const tree = new PageTree(pages);
      const held: number[] = [];
      const error = thrownBy(() => {
        for (let count = 0; count <= SMALL; count++) held.push(pages.allocate(1, 1, 0, 1));
      });
      assert.equal((error as { code?: unknown }).code, 'PW_POOL_EXHAUSTED');
      for (const frame of held) pages.free(frame);
      assert.equal(tree.numberAt([3, 5]), 1053);
    },
  ),
  clause(
    'faults-instead-of-reading',
    ['M5', 'IO3'],
    'throws the page fault instead of reading, holds nothing then, and reads without blocking',
    ['faulting'],
    async (stores) => {
      const { pages, files } = await stored(stores);
      const { frame, offset } = pages.root;
      files.forget();
      pages.faulting = true;
      const fault = thrownBy(() => pages.child(frame, offset, pages.readVersion(frame)));
      assert.ok((fault as { isPageFault?: unknown }).isPageFault === true, 'What it throws is no page fault.');
      await pages.loadFault();
      assert.equal(files.readsInPlace, 0, 'It blocked to read, though faulting is on.');
      const version = pages.readVersion(frame);
      assert.ok(pages.child(frame, offset, version) >= 0, 'The page that the fault was about has not come.');
      pages.faulting = false;
      assert.equal(pages.stats().pageReads, 1, 'One page was wanted, and another number was read.');
    },
  ),
  clause(
    'reads-in-place-under-a-latch',
    ['IO3'],
    'reads in place for whoever holds the parent’s latch, though faulting is on',
    ['faulting'],
    async (stores) => {
      const { pages } = await stored(stores);
      const { frame, offset } = pages.root;
      pages.faulting = true;
      pages.latch(frame);
      const child = pages.childOfLatched(frame, offset);
      pages.unlatch(frame);
      pages.faulting = false;
      assert.equal(new PageTree(pages).numberIn(child), 1);
    },
  ),
  clause(
    'many-faults-at-once',
    ['IO3'],
    'serves many readers that wait for pages at once, of a store larger than its memory',
    ['faulting', 'eviction'],
    async (stores) => {
      const { pages, files } = await stored(stores);
      const tree = new PageTree(pages);
      const random = new Random(1);
      files.forget();
      await Promise.all(
        Array.from({ length: 400 }, async () => {
          const [a, b] = [random.below(16), random.below(16)];
          assert.equal(await numberWithoutBlocking(tree, [a, b]), 1000 + a * 16 + b);
        }),
      );
      assert.equal(files.readsInPlace, 0, 'It blocked to read, though faulting is on.');
    },
  ),
  clause(
    'late-arrivals-are-not-used',
    ['M5'],
    'does not use a page that arrives after it was brought in, changed, moved or given up meanwhile',
    ['faulting', 'eviction'],
    async (stores) => {
      for (const meanwhile of MEANWHILE) {
        const { pages } = await stored(stores);
        const tree = new PageTree(pages);
        assert.equal(tree.numberAt([3]), 103);
        assert.equal(tree.numberAt([4]), 104);
        const reading = numberWithoutBlocking(tree, [3, 5]);
        meanwhile.does(tree);
        assert.equal(await reading, meanwhile.expected, `The page was ${meanwhile.what} while it was read.`);
        meanwhile.checks?.(tree);
      }
    },
  ),
];

/** What may happen to the page at 3.5 while it is read; its parent, and the page at 4, are in memory. */
export const MEANWHILE: readonly {
  readonly what: string;
  readonly expected: number;
  does(tree: PageTree): void;
  checks?(tree: PageTree): void;
}[] = [
  { what: 'brought in', expected: 1053, does: (tree) => void tree.numberAt([3, 5]) },
  { what: 'changed', expected: 77, does: (tree) => tree.change([3, 5], 77) },
  {
    what: 'moved, and another put in its place',
    expected: 88,
    does(tree) {
      tree.discardLeaf([4], 0);
      tree.move([3], 5, [4], 0);
      tree.insert([3], 5, 88, 0);
    },
    checks: (tree) => assert.equal(tree.numberAt([4, 0]), 1053),
  },
  {
    what: 'given up, and another put in its place',
    expected: 99,
    does(tree) {
      tree.discardLeaf([3], 5);
      tree.insert([3], 5, 99, 0);
    },
  },
];

/** A root, 16 pages below it, 256 below these, stored and opened again with room for 64, unless told otherwise: page a.b has the number 1000 + 16 a + b. */
export async function stored(stores: Stores, frames = SMALL): Promise<OpenStore> {
  const { pages, files } = await stores.open();
  const tree = new PageTree(pages);
  tree.plant(1);
  for (let a = 0; a < 16; a++) {
    tree.insert([], a, 100 + a, 0);
    for (let b = 0; b < 16; b++) tree.insert([a], b, 1000 + a * 16 + b, 0);
  }
  await pages.checkpoint(gateAt(tree.timestamp));
  await pages.close();
  return stores.open(files, { frames });
}

/** The same with 128 pages below one root. */
async function wide(stores: Stores): Promise<OpenStore> {
  const { pages, files } = await stores.open();
  const tree = new PageTree(pages, WIDE);
  tree.plant(1);
  for (let slot = 0; slot < WIDE; slot++) tree.insert([], slot, 100 + slot, 0);
  await pages.checkpoint(gateAt(tree.timestamp));
  await pages.close();
  return stores.open(files, { frames: SMALL });
}

/** Reads all leaves, so that most of what is in memory has to leave. */
function churn(tree: PageTree, wanted: (a: number, b: number) => boolean = () => true): void {
  for (let round = 0; round < 2; round++) {
    for (let a = 0; a < 16; a++)
      for (let b = 0; b < 16; b++) if (wanted(a, b)) assert.equal(tree.numberAt([a, b]), 1000 + a * 16 + b);
  }
}

export function frameAt(tree: PageTree, path: readonly number[]): number {
  let found = -1;
  tree.withPage(path, (frame) => {
    found = frame;
  });
  return found;
}

/** Goes to the event loop whenever a page is missing. */
export async function numberWithoutBlocking(tree: PageTree, path: readonly number[]): Promise<number> {
  const { pages } = tree;
  for (let misses = 0; misses < 10_000; misses++) {
    pages.faulting = true;
    try {
      return tree.numberAt(path);
    } catch (error) {
      if ((error as { isPageFault?: unknown }).isPageFault !== true) throw error;
    } finally {
      pages.faulting = false;
    }
    await pages.loadFault();
  }
  throw new Error(`The page at ${path.join('.')} was asked for 10,000 times, and has not come.`);
}
