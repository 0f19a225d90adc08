/** Clauses about the room in the file (C6): what was secured is there, and nobody else's. */

import assert from 'node:assert/strict';
import { isPagewrightError, type PageStore } from '@pagewright/core';
import {
  clause,
  gateAt,
  type OpenStore,
  type PageStoreClause,
  SMALL,
  type Stores,
  thrownBy,
} from './page-store-subject.js';
import { newModel, type PageModel, PageTree } from './page-tree.js';

export const roomClauses: readonly PageStoreClause[] = [
  clause(
    'refuses-before-it-is-full',
    ['C6'],
    'refuses with PW_FULL before anything has changed; what was secured before can be written still',
    ['files', 'eviction'],
    async (stores) => {
      const { pages, files } = await stores.open(undefined, { frames: SMALL });
      const tree = new PageTree(pages);
      const model = newModel(1);
      tree.plant(1);
      await pages.checkpoint(gateAt(1));
      // Room for some two hundred pages more.
      files.device.capacity = files.device.used + 200 * pages.pageSize;
      let inserted = 0;
      const error = thrownBy(() => {
        for (; inserted < 4000; inserted++) {
          pages.secureSpace(2);
          insertNext(tree, model, inserted);
          pages.giveSpace(2);
        }
      });
      assert.ok(isPagewrightError(error, 'PW_FULL'), `It answers ${String(error)}.`);
      assert.ok(inserted > 20, `Room for 200 pages was full after ${inserted}.`);
      tree.check(model);
      await pages.checkpoint(gateAt(2));
      await pages.close();
      files.device.capacity = Number.POSITIVE_INFINITY;
      new PageTree((await stores.open(files, { frames: SMALL })).pages).check(model);
    },
  ),
  clause(
    'secured-is-enough',
    ['C6'],
    'fails for want of room in nothing that was secured: neither eviction nor the checkpoint',
    ['files', 'eviction'],
    async (stores) => {
      for (const pagesWanted of [1, 40, 150]) {
        const { pages, files, tree, model } = await planted(stores);
        // Each of these changes as many pages as it inserts, and marks the path above them dirty.
        pages.secureSpace(pagesWanted + 20);
        files.device.capacity = files.device.used;
        for (let count = 0; count < pagesWanted; count++) insertNext(tree, model, 60 + count);
        pages.giveSpace(pagesWanted + 20);
        await pages.checkpoint(gateAt(2));
        tree.check(model);
        await pages.close();
        const again = await stores.open(files, { frames: SMALL });
        assert.equal(again.state.mark.timestamp, 2);
        new PageTree(again.pages).check(model);
      }
    },
  ),
  clause(
    'secured-room-is-kept',
    ['C6'],
    'does not count what was secured and not given back as room for anything else',
    ['files', 'eviction'],
    async (stores) => {
      const { pages, tree, model, files } = await planted(stores);
      pages.secureSpace(100);
      files.device.capacity = files.device.used;
      assertFull(() => pages.secureSpace(60), 'Room that was secured for one change was secured for another one, too.');
      for (let count = 0; count < 100; count++) insertNext(tree, model, 60 + count);
      pages.giveSpace(100);
      await pages.checkpoint(gateAt(2));
      tree.check(model);
      files.device.capacity = Number.POSITIVE_INFINITY;
      pages.secureSpace(100);
      files.device.capacity = files.device.used;
      pages.giveSpace(100);
      pages.secureSpace(60);
      pages.giveSpace(60);
      await pages.checkpoint(gateAt(3));
    },
  ),
  clause(
    'secured-room-is-of-its-thread',
    ['C6'],
    'keeps the room that one thread has secured from the others, while that one has the store open',
    ['files', 'eviction', 'threads'],
    async (stores) => {
      const store = await planted(stores);
      const { pages, tree, model, files } = store;
      const others: PageStore[] = [];
      for (let count = 0; count < 2; count++)
        others.push(await stores.attach({ io: files, handle: structuredClone(pages.share()) }));
      const [other, third] = others as [PageStore, PageStore];
      other.secureSpace(100);
      files.device.capacity = files.device.used;
      for (const one of [pages, third])
        assertFull(() => one.secureSpace(60), 'Room that one thread has secured was secured by another one, too.');
      const otherTree = new PageTree(other);
      for (let count = 0; count < 100; count++) insertNext(otherTree, model, 60 + count);
      await pages.checkpoint(gateAt(2));
      tree.check(model);
      other.giveSpace(100);
      files.device.capacity = Number.POSITIVE_INFINITY;
      other.secureSpace(100);
      files.device.capacity = files.device.used;
      assertFull(() => third.secureSpace(60), 'Room that one thread has secured was secured by another one, too.');
      await other.close();
      third.secureSpace(60);
      assertFull(() => pages.secureSpace(60), 'Room was given twice that was of a thread which has left.');
    },
  ),
];

/** A store with a tree of sixty pages, of which there is a checkpoint. */
async function planted(stores: Stores): Promise<OpenStore & { readonly tree: PageTree; readonly model: PageModel }> {
  const store = await stores.open(undefined, { frames: SMALL });
  const tree = new PageTree(store.pages);
  const model = newModel(1);
  tree.plant(1);
  for (let count = 0; count < 60; count++) insertNext(tree, model, count);
  await store.pages.checkpoint(gateAt(1));
  return { ...store, tree, model };
}

function assertFull(secure: () => void, what: string): void {
  const error = thrownBy(secure);
  assert.ok(isPagewrightError(error, 'PW_FULL'), `${what} It answers ${String(error)}.`);
}

/** The next page of a tree that is filled level by level: 16 below the root, then 16 below each of these. */
export function insertNext(tree: PageTree, model: PageModel, count: number): void {
  const number = 100 + count;
  const { fanout } = tree;
  const [path, slot] = count < fanout ? [[], count] : [[Math.floor(count / fanout) - 1], count % fanout];
  if (path[0] === undefined || path[0] < fanout) {
    tree.insert(path, slot, number, 0);
    const parent = path[0] === undefined ? model : (model.children[path[0]] as PageModel);
    parent.children[slot] = newModel(number);
    return;
  }
  tree.change([count % fanout], number);
  (model.children[count % fanout] as PageModel).number = number;
}
