/** Clauses about pages that are asked for ahead: as one batch, never at the cost of a failure. */
import assert from 'node:assert/strict';
import { PAGE_HEADER_SIZE, type PageStore, SwipList } from '@pagewright/core';
import { frameAt, MEANWHILE, numberWithoutBlocking, stored } from './page-store-reaching.js';
import { clause, LARGE, type PageStoreClause, SMALL, thrownBy } from './page-store-subject.js';
import { FANOUT, PageTree } from './page-tree.js';

const ALL_SLOTS: readonly number[] = Array.from({ length: FANOUT }, (_, slot) => slot);

export const prefetchClauses: readonly PageStoreClause[] = [
  clause(
    'prefetch-is-one-read',
    ['M5', 'IO3'],
    'reads pages that are asked for ahead as one batch and without blocking, and lets who misses one wait for that batch',
    ['faulting'],
    async (stores) => {
      const { pages, files } = await stored(stores, LARGE);
      const tree = new PageTree(pages);
      const parent = frameAt(tree, [3]);
      const { pageReads } = pages.stats();
      files.forget();
      const dealtWith = withFaulting(pages, () => pages.prefetch(below(tree, parent, ALL_SLOTS)));
      assert.equal(dealtWith, FANOUT, 'There is room for all, and some were left out.');
      const fault = thrownBy(() => withFaulting(pages, () => tree.numberAt([3, 5])));
      assert.ok((fault as { isPageFault?: unknown }).isPageFault === true, 'It did not go to the file to read.');
      await pages.loadFault();
      for (const slot of ALL_SLOTS) {
        assert.equal(
          withFaulting(pages, () => tree.numberAt([3, slot])),
          1048 + slot,
        );
      }
      assert.equal(files.readsInPlace, 0, 'It blocked to read, though faulting is on.');
      assert.equal(files.readCalls, 1, 'More than one read was asked of the file.');
      assert.equal(pages.stats().pageReads - pageReads, FANOUT);
    },
  ),
  clause(
    'prefetch-in-place',
    ['IO3'],
    'reads pages that are asked for ahead as one batch in place, if faulting is off',
    ['faulting'],
    async (stores) => {
      const { pages, files } = await stored(stores, LARGE);
      const tree = new PageTree(pages);
      const parent = frameAt(tree, [3]);
      files.forget();
      assert.equal(pages.prefetch(below(tree, parent, ALL_SLOTS)), FANOUT);
      assert.equal(files.readCalls, 1, 'More than one read was asked of the file.');
      for (const slot of ALL_SLOTS) {
        assert.equal(
          withFaulting(pages, () => tree.numberAt([3, slot])),
          1048 + slot,
        );
      }
      assert.equal(files.readCalls, 1, 'A page that was asked for ahead was read once more.');
      assert.equal(pages.prefetch(below(tree, parent, ALL_SLOTS)), FANOUT);
      assert.equal(files.readCalls, 1, 'Pages that are in memory were read.');
    },
  ),
  clause(
    'prefetch-of-nothing',
    ['M2', 'M3'],
    'does nothing about swips of a page that has changed, and about what is no swip',
    ['faulting'],
    async (stores) => {
      for (const faulting of [true, false]) {
        const { pages, files } = await stored(stores, LARGE);
        const tree = new PageTree(pages);
        const parent = frameAt(tree, [3]);
        const stale = below(tree, parent, ALL_SLOTS);
        pages.latch(parent);
        pages.unlatch(parent);
        files.forget();
        pages.faulting = faulting;
        assert.equal(pages.prefetch(stale), 0, 'It has dealt with swips of a page that has changed.');
        const wild = new SwipList(64);
        const version = pages.readVersion(parent);
        const size = pages.sizeOf(parent);
        // What is there is read as a swip, and is none.
        for (let offset = PAGE_HEADER_SIZE + FANOUT * 8; wild.count < 40; offset += 8)
          wild.add(parent, version, offset);
        for (const offset of [-8, 0, 8, 3, PAGE_HEADER_SIZE + 1, size - 4, size, size + 8, 2 ** 31 - 8])
          wild.add(parent, version, offset);
        for (const frame of [-1, LARGE, 2 ** 31 - 1]) wild.add(frame, 0, PAGE_HEADER_SIZE);
        pages.prefetch(wild);
        assert.equal(pages.prefetch(new SwipList(1)), 0);
        pages.faulting = false;
        assert.equal(files.readCalls, 0, 'Something was read.');
        assert.equal(tree.numberAt([3, 5]), 1053);
      }
    },
  ),
  clause(
    'prefetch-arrives-late',
    ['M5'],
    'does not use a page that was asked for ahead and was brought in, changed, moved or given up meanwhile',
    ['faulting', 'eviction'],
    async (stores) => {
      for (const meanwhile of MEANWHILE) {
        const { pages } = await stored(stores);
        const tree = new PageTree(pages);
        assert.equal(tree.numberAt([4]), 104);
        const parent = frameAt(tree, [3]);
        withFaulting(pages, () => pages.prefetch(below(tree, parent, [5])));
        meanwhile.does(tree);
        await Promise.all([9, 10, 11].map((slot) => numberWithoutBlocking(tree, [3, slot])));
        const found = await numberWithoutBlocking(tree, [3, 5]);
        assert.equal(found, meanwhile.expected, `The page was ${meanwhile.what} while it was read.`);
        meanwhile.checks?.(tree);
      }
    },
  ),
  clause(
    'prefetch-does-not-fail',
    [],
    'leaves an error of reading to who needs the page, and no frame behind',
    ['faulting'],
    async (stores) => {
      for (const faulting of [true, false]) {
        const { pages, files } = await stored(stores, LARGE);
        const tree = new PageTree(pages);
        const parent = frameAt(tree, [3]);
        const { freeFrames } = pages.stats();
        files.refusesReadsOf = 1;
        pages.faulting = faulting;
        pages.prefetch(below(tree, parent, ALL_SLOTS));
        pages.faulting = false;
        await assert.rejects(numberWithoutBlocking(tree, [3, 5]), { code: 'PW_IO' });
        assert.equal((thrownBy(() => tree.numberAt([3, 6])) as { code?: unknown }).code, 'PW_IO');
        assert.equal(pages.stats().freeFrames, freeFrames, 'Frames for pages that did not come are not free.');
        files.refusesReadsOf = Number.POSITIVE_INFINITY;
        for (const slot of ALL_SLOTS) assert.equal(await numberWithoutBlocking(tree, [3, slot]), 1048 + slot);
      }
    },
  ),
  clause(
    'prefetch-needs-no-room',
    [],
    'leaves out what there is no room for: it evicts few pages, and does not fail when nothing may leave',
    ['faulting', 'eviction'],
    async (stores) => {
      for (const faulting of [true, false]) {
        const { pages } = await stored(stores);
        const tree = new PageTree(pages);
        for (let a = 0; a < FANOUT; a++) for (let b = 0; b < FANOUT; b++) tree.numberAt([a, b]);
        const parent = frameAt(tree, [3]);
        pages.pin(parent);
        const { evictions } = pages.stats();
        pages.faulting = faulting;
        pages.prefetch(below(tree, parent, ALL_SLOTS));
        pages.faulting = false;
        const evicted = pages.stats().evictions - evictions;
        assert.ok(evicted <= SMALL / 2, `${evicted} of ${SMALL} pages had to leave for what nobody needs as yet.`);
        assert.equal(await numberWithoutBlocking(tree, [3, 5]), 1053);
        const held: number[] = [];
        thrownBy(() => {
          for (let count = 0; count <= SMALL; count++) held.push(pages.allocate(1, 1, 0, 1));
        });
        pages.faulting = faulting;
        pages.prefetch(below(tree, parent, ALL_SLOTS));
        pages.faulting = false;
        for (const frame of held) pages.free(frame);
        pages.unpin(parent);
        for (const slot of ALL_SLOTS) assert.equal(await numberWithoutBlocking(tree, [3, slot]), 1048 + slot);
      }
    },
  ),
];

function withFaulting<Result>(pages: PageStore, work: () => Result): Result {
  pages.faulting = true;
  try {
    return work();
  } finally {
    pages.faulting = false;
  }
}

/** These swips of a page, as they are now. */
function below(tree: PageTree, parent: number, slots: readonly number[]): SwipList {
  const swips = new SwipList(slots.length);
  const version = tree.pages.readVersion(parent);
  for (const slot of slots) swips.add(parent, version, tree.offsetOf(slot));
  return swips;
}
