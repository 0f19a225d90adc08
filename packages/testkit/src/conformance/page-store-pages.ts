/** Clauses about pages in memory: latches, headers, places in the tree, size classes. A store needs no file for them. */

import assert from 'node:assert/strict';
import {
  PAGE_CLASS,
  PAGE_INDEX,
  PAGE_KIND,
  PAGE_SWIP_COUNT,
  PAGE_TIMESTAMP,
  type PageStore,
  SWIP_NULL,
} from '@pagewright/core';
import { Random } from '../random.js';
import { clause, type PageStoreClause } from './page-store-subject.js';
import { newModel, type PageModel, PageTree, pagesOf } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';

export const pageClauses: readonly PageStoreClause[] = [
  clause(
    'version-tells-change',
    ['M1', 'M2'],
    'counts a version on when a latch is given back, and only then',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const frame = planted(pages);
      const before = pages.readVersion(frame);
      assert.equal(pages.readVersion(frame), before, 'A version changed though nothing happened to the page.');
      assert.ok(pages.validate(frame, before), 'A version is not valid though nothing happened to the page.');
      pages.latch(frame);
      pages.unlatch(frame);
      assert.ok(!pages.validate(frame, before), 'A version is valid still, though the latch was taken and given back.');
      assert.ok(!pages.upgrade(frame, before), 'A version that is over was upgraded to the latch.');
      const after = pages.readVersion(frame);
      assert.ok(pages.upgrade(frame, after), 'A version that is valid was not upgraded.');
      pages.unlatch(frame);
      assert.ok(!pages.validate(frame, after), 'A version is valid still, though it was upgraded.');
    },
  ),
  clause(
    'version-never-reset',
    ['M1'],
    'never resets a version, whatever a frame is used for next',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const random = new Random(3);
      const seen = new Map<number, Set<number>>();
      const note = (frame: number): void => {
        const version = pages.readVersion(frame);
        const known = seen.get(frame) ?? new Set();
        assert.ok(
          !known.has(version),
          `The version of frame ${frame} came back: a reader of an earlier page would go on.`,
        );
        seen.set(frame, known.add(version));
      };
      const live: number[] = [];
      for (let step = 0; step < 600; step++) {
        if (live.length < 24 && random.chance(0.6)) {
          const frame = pages.allocate(1, 1, random.below(Math.min(pages.maxSizeClass, 3) + 1), 1);
          pages.unlatch(frame);
          note(frame);
          live.push(frame);
        } else if (live.length > 0) {
          const [frame = -1] = live.splice(random.below(live.length), 1);
          const version = pages.readVersion(frame);
          pages.latch(frame);
          pages.free(frame);
          assert.ok(!pages.validate(frame, version), `Frame ${frame} was freed under a reader who does not notice.`);
        }
      }
    },
  ),
  clause(
    'allocates-formatted',
    ['C2', 'X1'],
    'fills in the header of a new page and hands it over latched, whatever was in the frame',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      for (let sizeClass = Math.min(pages.maxSizeClass, 3); sizeClass >= 0; sizeClass--) {
        for (let round = 0; round < 8; round++) {
          const frame = pages.allocate(0xabcdef, 0x1234, sizeClass, 17.5);
          const { u8, u16, u32, f64 } = pages.segmentOf(frame);
          const base = pages.baseOf(frame);
          assert.equal(base % pages.pageSize, 0, 'A page does not begin at a multiple of the page size.');
          assert.equal(pages.sizeOf(frame), pages.pageSize * 2 ** sizeClass, 'A page has another size than its class.');
          assert.equal(u16[(base + PAGE_KIND) >>> 1], 0x1234, 'The kind of a new page is wrong.');
          assert.equal(u8[base + PAGE_CLASS], sizeClass, 'The size class of a new page is wrong.');
          assert.equal(u32[(base + PAGE_INDEX) >>> 2], 0xabcdef, 'The index of a new page is wrong.');
          assert.equal(f64[(base + PAGE_TIMESTAMP) >>> 3], 17.5, 'The timestamp of a new page is wrong.');
          assert.equal(u16[(base + PAGE_SWIP_COUNT) >>> 1], 0, 'A new page has swips.');
          u8.fill(0xff, base, base + pages.sizeOf(frame));
          u16[(base + PAGE_SWIP_COUNT) >>> 1] = 0;
          pages.free(frame);
        }
      }
    },
  ),
  clause(
    'stamp-keeps-the-highest',
    ['X1'],
    'stamps a page with the highest timestamp of its changes',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const frame = pages.allocate(1, 1, 0, 5);
      const stamps = [10, 7, 10, 12.5, 1].map((timestamp) => {
        pages.modify(frame, timestamp);
        return pages.segmentOf(frame).f64[(pages.baseOf(frame) + PAGE_TIMESTAMP) >>> 3];
      });
      pages.free(frame);
      assert.deepEqual(stamps, [10, 10, 10, 12.5, 12.5]);
    },
  ),
  clause(
    'reaches-what-was-linked',
    [],
    'reaches through a swip the page that was linked there, latched or not',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      for (let slot = 0; slot < 4; slot++) tree.insert([], slot, 10 + slot, 0);
      assert.deepEqual(
        [0, 1, 2, 3].map((slot) => tree.numberAt([slot])),
        [10, 11, 12, 13],
      );
      tree.withPage([2], (frame) => assert.equal(tree.numberIn(frame), 12));
    },
  ),
  clause(
    'unlinks',
    [],
    'takes a page from its place, which is null then, and puts it to another; a null swip has no page',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const { tree, model } = family(pages);
      tree.withPage([], (root) => {
        pages.modify(root, 50);
        const frame = pages.unlink(root, tree.offsetOf(1));
        assert.equal(tree.numberIn(frame), 11, 'The page that was unlinked is another one.');
        assert.equal(
          wordAt(pages, root, tree.offsetOf(1)),
          SWIP_NULL,
          'The swip is not null after its page was unlinked.',
        );
        assert.equal(pages.unlink(root, tree.offsetOf(1)), -1, 'A page came out of a null swip.');
        pages.link(root, tree.offsetOf(9), frame);
      });
      model.children[9] = model.children[1] as PageModel;
      model.children[1] = null;
      tree.check(model);
    },
  ),
  clause('frees', [], 'takes a freed page’s frame for others: a store never runs out by use', [], async (stores) => {
    const { pages } = await stores.open(undefined, { frames: SMALLEST });
    const { tree, model } = family(pages);
    for (let round = 0; round < 40 * SMALLEST; round++) {
      tree.insert([], 8, 100 + round, 0);
      if (round % 2 === 0) tree.discardLeaf([], 8);
      else {
        tree.withPage([], (root) => {
          pages.modify(root, 60);
          const frame = pages.unlink(root, tree.offsetOf(8));
          pages.latch(frame);
          pages.free(frame);
        });
      }
    }
    tree.check(model);
  }),
  clause(
    'moves-swips',
    ['C2'],
    'moves swips to another page, whose children they are from then on',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const { tree, model } = family(pages);
      for (let slot = 0; slot < 3; slot++) tree.insert([0], slot, 20 + slot, 0);
      const [from, to] = [model.children[0] as PageModel, model.children[3] as PageModel];
      tree.move([0], 1, [3], 5);
      from.children = [newModel(20), null, newModel(22), ...from.children.slice(3)];
      to.children[5] = newModel(21);
      tree.check(model);
      // The parent that it had goes; it stays.
      tree.remove([], 0);
      model.children[0] = null;
      tree.change([3, 5], 99);
      (to.children[5] as PageModel).number = 99;
      tree.check(model);
      tree.move([], 2, [3, 5], 0);
      (to.children[5] as PageModel).children[0] = model.children[2] as PageModel;
      model.children[2] = null;
      tree.check(model);
    },
  ),
  clause(
    'releases-trees',
    [],
    'gives up a tree a few pages at a time, leaves first, no more than the budget each time',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      const { tree, model } = family(pages);
      for (const top of [0, 1]) for (let slot = 0; slot < 7; slot++) tree.insert([top], slot, 20 + slot, 0);
      let left = resident(tree);
      assert.equal(left, pagesOf(model) + 14);
      const { frame, offset } = pages.root;
      for (let done = false; !done; ) {
        done = pages.releaseTree({ frame, offset }, 90, 5);
        const now = resident(tree);
        assert.ok(left - now <= 5, `${left - now} pages were given up with a budget of 5.`);
        assert.ok(done || now < left, 'A call that had a budget gave up nothing.');
        assert.equal(
          done,
          now === 0,
          `It says ${done ? 'that nothing is' : 'that something is'} left, and ${now} pages are.`,
        );
        left = now;
      }
      assert.equal(wordAt(pages, frame, offset), SWIP_NULL, 'The swip is not null though the tree is gone.');
      assert.ok(pages.releaseTree({ frame, offset }, 91, 5), 'Of nothing something is left.');
    },
  ),
  clause(
    'size-classes',
    [],
    'keeps pages of every size class up to the largest that it names',
    ['sizeClasses'],
    async (stores) => {
      const { pages } = await stores.open();
      assert.ok(pages.maxSizeClass > 0, 'It has one size class alone.');
      const tree = new PageTree(pages);
      tree.plant(1);
      const model = newModel(1);
      for (let sizeClass = 0; sizeClass <= Math.min(pages.maxSizeClass, tree.fanout - 1); sizeClass++) {
        tree.insert([], sizeClass, 100 + sizeClass, sizeClass);
        model.children[sizeClass] = newModel(100 + sizeClass, sizeClass);
        if (sizeClass >= 6) continue;
        tree.change([sizeClass], 200 + sizeClass);
        (model.children[sizeClass] as PageModel).number = 200 + sizeClass;
      }
      tree.check(model);
    },
  ),
  clause(
    'keeps-the-tree',
    ['C2', 'M1'],
    'holds what a tree of pages should hold, whatever is done to it',
    [],
    async (stores) => {
      const { pages } = await stores.open();
      for (const seed of [1, 2]) {
        const driver = new PageTreeDriver(pages, new Random(seed)).run(500);
        driver.tree.check(driver.model);
        const { frame, offset } = pages.root;
        while (!pages.releaseTree({ frame, offset }, ++driver.tree.timestamp, 100));
      }
    },
  ),
];

const SMALLEST = 64;

/** A page in its place, which nobody holds; its frame. */
function planted(pages: PageStore): number {
  const tree = new PageTree(pages);
  tree.plant(1);
  let found = -1;
  tree.withPage([], (frame) => {
    found = frame;
  });
  return found;
}

/** A root with four children, and its model. */
function family(pages: PageStore): { readonly tree: PageTree; readonly model: PageModel } {
  const tree = new PageTree(pages);
  tree.plant(1);
  const model = newModel(1);
  for (let slot = 0; slot < 4; slot++) {
    tree.insert([], slot, 10 + slot, 0);
    model.children[slot] = newModel(10 + slot);
  }
  return { tree, model };
}

function wordAt(pages: PageStore, frame: number, offset: number): number {
  return pages.segmentOf(frame).u32[(pages.baseOf(frame) + offset) >>> 2] as number;
}

/** Pages that can be reached. */
function resident(tree: PageTree): number {
  const { pages } = tree;
  const count = (parent: number, offset: number): number => {
    if (wordAt(pages, parent, offset) === SWIP_NULL) return 0;
    pages.latch(parent);
    const frame = pages.childOfLatched(parent, offset);
    pages.pin(frame);
    pages.unlatch(parent);
    let below = 1;
    for (let slot = 0; slot < tree.fanout; slot++) below += count(frame, tree.offsetOf(slot));
    pages.unpin(frame);
    return below;
  };
  return count(pages.root.frame, pages.root.offset);
}
