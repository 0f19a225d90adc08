/** Clauses about compaction: the file gets smaller, nothing else changes, and neither crashes nor those who keep space are in its way. */

import assert from 'node:assert/strict';
import type { CompactProgress, CompactResult, IoBackend, PageStore } from '@pagewright/core';
import { dropAll, keepAll, keepSome, type Survival } from '../device/survival.js';
import { Random } from '../random.js';
import {
  clause,
  crashedCopy,
  type PageStoreClause,
  rejectionOf,
  SMALL,
  STORE,
  type Stores,
} from './page-store-subject.js';
import { newModel, type PageModel, PageTree } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';
import type { WatchedFiles } from './watched-files.js';

type Driver = PageTreeDriver & { readonly files: WatchedFiles };

/** The file has this much more than what is in it, and these bytes, at most. */
const ROOM_SHARE = 1.3;
const ROOM_BYTES = 2 ** 18;
/** Of crashes in a row. */
const OUTCOMES: readonly Survival[] = [keepAll, dropAll, keepSome(5), keepAll, dropAll, keepSome(6, 0.9)];

export const compactionClauses: readonly PageStoreClause[] = [
  clause(
    'compaction-makes-the-file-smaller',
    ['C4', 'C5'],
    'makes a file from which most was removed about as small as what is left in it, which is what it was, also when it is opened again',
    ['files', 'eviction'],
    async (stores) => {
      for (const frames of [SMALL, 1024]) {
        const driver = await mostlyRemoved(stores, 1, frames);
        const before = lengthOf(driver);
        const { bytesBefore, bytesAfter, pages } = await compact(driver);
        const after = lengthOf(driver);
        assert.deepEqual([bytesBefore, bytesAfter], [before, after], 'It reports other lengths of the file.');
        assert.ok(pages > 0, 'It says that it has moved nothing.');
        const most = ROOM_SHARE * bytesOf(driver.model, driver.pages.pageSize) + ROOM_BYTES;
        assert.ok(after <= most, `The file has ${after} bytes of ${before}, instead of at most ${most}.`);
        assert.equal(driver.pages.stats().fileBytes, after, 'Its statistics say something else.');
        driver.tree.check(driver.model);
        await driver.run(100).checkpoint();
        await driver.pages.close();
        const again = await stores.open(driver.files, { frames: SMALL });
        assert.ok(!again.state.usedOlderSlot, 'The last checkpoint was reported, and an older one was opened.');
        new PageTree(again.pages).check(driver.durable);
      }
    },
  ),
  clause(
    'compaction-of-the-tail',
    ['C4', 'C5'],
    'lets go of what is free at the end of the file alone when it is asked to, without reading or moving a page',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 8);
      // Room for what never comes.
      driver.pages.secureSpace(5000);
      driver.pages.giveSpace(5000);
      await driver.checkpoint();
      await driver.checkpoint();
      const before = lengthOf(driver);
      const { pageReads } = driver.pages.stats();
      const { bytesAfter, pages } = await driver.pages.compact({
        tailOnly: true,
        checkpoint: () => driver.checkpoint(),
        advanced: () => {},
      });
      assert.equal(pages, 0, 'It has moved pages.');
      assert.equal(driver.pages.stats().pageReads, pageReads, 'It has read pages.');
      assert.equal(bytesAfter, lengthOf(driver), 'It reports another length of the file.');
      assert.ok(before - bytesAfter >= 4000 * driver.pages.pageSize, `The file has ${bytesAfter} bytes of ${before}.`);
      driver.tree.check(driver.model);
      await driver.run(20).checkpoint();
      await driver.pages.close();
      new PageTree((await stores.open(driver.files, { frames: SMALL })).pages).check(driver.durable);
    },
  ),
  clause(
    'compaction-beside-work',
    ['C1', 'C4'],
    'changes nothing that is in the store while pages come, change and go, and checkpoints are written beside it',
    ['files', 'eviction'],
    async (stores) => {
      for (const seed of [2, 3]) {
        const driver = await mostlyRemoved(stores, seed);
        let isOver = false;
        const working = (async () => {
          while (!isOver) await driver.runWithCheckpoints(20, { turns: true });
        })();
        try {
          const { bytesBefore, bytesAfter } = await compact(driver, () => void driver.run(3));
          assert.ok(bytesAfter < bytesBefore, 'The file is as long as it was.');
        } finally {
          isOver = true;
          await working;
        }
        driver.tree.check(driver.model);
        await driver.checkpoint();
        await driver.pages.close();
        new PageTree((await stores.open(driver.files, { frames: SMALL })).pages).check(driver.durable);
      }
    },
  ),
  clause(
    'compaction-survives-crashes',
    ['C3', 'C4', 'C5'],
    'leaves after a crash at any operation of a compaction a store that is whole, opens, and can be compacted',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 4, SMALL, 7);
      const left: { readonly files: WatchedFiles; readonly models: readonly (PageModel | null)[] }[] = [];
      const { device } = driver.files;
      device.onOperation = ({ kind }) => {
        if (kind === 'read') return;
        const survives = OUTCOMES[left.length % OUTCOMES.length] as Survival;
        left.push({ files: crashedCopy(driver.files, survives), models: [driver.durable, ...driver.possible] });
      };
      let changes = 0;
      await compact(driver, () => {
        if (changes++ < 10) driver.run(2);
      });
      for (const survives of OUTCOMES)
        left.push({ files: crashedCopy(driver.files, survives), models: [driver.durable] });
      await driver.run(20).checkpoint();
      device.onOperation = null;
      for (const [at, { files, models }] of left.entries()) {
        const { pages } = await stores.open(files, { frames: SMALL });
        const found = models.find((model) => holds(pages, model));
        assert.ok(found !== undefined, `After crash ${at} the store holds what no checkpoint did.`);
        if (at % 40 === 0) {
          const next = new PageTreeDriver(pages, new Random(6));
          next.resume(found, 10_000);
          await compact(next);
          new PageTree(pages).check(found);
        }
        await pages.close();
      }
    },
  ),
  clause(
    'compaction-leaves-memory-alone',
    [],
    'moves pages that are only in the file without bringing them into memory, and keeps there what is in use',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 7, 128);
      const leaves = pathsOf(driver.model).slice(0, 30);
      for (let times = 0; times < 2; times++) for (const path of leaves) driver.tree.numberAt(path);
      await compact(driver);
      const { pageReads } = driver.pages.stats();
      for (const path of leaves) driver.tree.numberAt(path);
      const missed = driver.pages.stats().pageReads - pageReads;
      assert.ok(missed <= 6, `Of ${leaves.length} pages that were in use ${missed} had to be read again.`);
    },
  ),
  clause(
    'compaction-tells-how-far-it-is',
    [],
    'tells how far a compaction is, again and again, waits for the answer, and ends with what it is told; the store goes on',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 8);
      for (const last of [1, 2, 5, 9]) {
        const reason = new Error(`enough after ${last}`);
        let calls = 0;
        const advanced = (): void => {
          if (++calls === last) throw reason;
        };
        assert.equal(await rejectionOf(compact(driver, advanced)), reason);
        assert.equal(calls, last);
        driver.run(10);
      }
      const seen: CompactProgress[] = [];
      let isAnswered = true;
      let hasWaited = true;
      const { bytesAfter, pages } = await compact(driver, async (progress) => {
        hasWaited &&= isAnswered;
        isAnswered = false;
        seen.push(progress);
        await new Promise(setImmediate);
        isAnswered = true;
      });
      assert.ok(hasWaited, 'It has not waited for the answer.');
      const last = seen[seen.length - 1] as CompactProgress;
      assert.deepEqual([last.pages, last.fileBytes], [pages, bytesAfter], 'The last thing it tells is not the end.');
      assert.ok(seen.length >= 4, `It tells only ${seen.length} times how far it is.`);
      driver.tree.check(driver.model);
      await driver.checkpoint();
      await driver.pages.close();
      new PageTree((await stores.open(driver.files, { frames: SMALL })).pages).check(driver.durable);
    },
  ),
  clause(
    'compactions-take-turns',
    [],
    'makes compactions that are asked for at once one after the other',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 9);
      const [first, second] = await Promise.all([compact(driver), compact(driver)]);
      assert.equal(first.bytesAfter, second.bytesBefore, 'Two compactions ran at the same time.');
      driver.tree.check(driver.model);
    },
  ),
  clause(
    'compaction-keeps-what-a-backup-reads',
    ['C4'],
    'keeps what a backup reads, which holds what it began with; when that is over, the file gets smaller still',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 10);
      const { durable } = driver;
      let during: CompactResult | null = null;
      const path = '/store/copy.pw';
      await driver.pages.backup({
        path,
        io: driver.files,
        advanced: async () => {
          during ??= await compact(driver);
        },
      });
      const copy = await stores.open(driver.files, { path, create: false, frames: SMALL });
      new PageTree(copy.pages).check(durable);
      const { retainedBytes, bytesAfter } = during as unknown as CompactResult;
      const after = await compact(driver);
      assert.ok(after.bytesAfter < bytesAfter, 'The file could be as small while the backup was under way.');
      assert.ok(after.retainedBytes < retainedBytes, 'It does not say that space was kept for the backup.');
      driver.tree.check(driver.model);
    },
  ),
  clause(
    'compaction-keeps-what-readers-read',
    ['C4', 'C7'],
    'keeps what a reader reads; when that has gone on, the file gets smaller still',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 11);
      const before = driver.durable;
      const reader = await stores.open(driver.files, { readOnly: true, create: false, frames: SMALL });
      const during = await compact(driver);
      new PageTree(reader.pages).check(before);
      await reader.pages.follow(() => {});
      new PageTree(reader.pages).check(driver.durable);
      await reader.pages.close();
      await driver.run(5).checkpoint();
      const after = await compact(driver);
      assert.ok(after.bytesAfter < during.bytesAfter, 'The file could be as small beside the reader.');
    },
  ),
  clause(
    'compaction-overtakes-readers',
    ['C7'],
    'has a reader that could not ask it to wait learn that it was overtaken, also where the file has ended meanwhile',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 12);
      const { files } = driver;
      const open: IoBackend['open'] = async (path, flags) => without(await files.open(path, flags), 'publishPin');
      const io = new Proxy<IoBackend>(files, {
        get(target, name) {
          if (name === 'open') return open;
          const value: unknown = Reflect.get(target, name);
          return typeof value === 'function' ? value.bind(target) : value;
        },
      });
      const reader = await stores.open(files, { readOnly: true, create: false, frames: SMALL, io });
      const paths = pathsOf(driver.model);
      const { bytesBefore, bytesAfter } = await compact(driver);
      assert.ok(bytesAfter < bytesBefore / 2, 'A reader that has not asked for it kept the file from getting smaller.');
      for (const path of paths) {
        try {
          new PageTree(reader.pages).numberAt(path);
        } catch (error) {
          assert.equal((error as { code?: unknown }).code, 'PW_SNAPSHOT_TOO_OLD', String(error));
        }
      }
      await reader.pages.follow(() => {});
      new PageTree(reader.pages).check(driver.durable);
    },
  ),
  clause(
    'compaction-is-for-writers',
    ['C7'],
    'refuses to make the file smaller that it is open read-only on',
    ['files', 'eviction', 'readers'],
    async (stores) => {
      const driver = await mostlyRemoved(stores, 13);
      const { pages } = await stores.open(driver.files, { readOnly: true, create: false, frames: SMALL });
      const error = await rejectionOf(compact(new PageTreeDriver(pages, driver.random)));
      assert.equal((error as { code?: unknown }).code, 'PW_READ_ONLY', String(error));
    },
  ),
];

/** The object as if it had no such method. */
function without<Target extends object>(target: Target, missing: keyof Target): Target {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = name === missing ? undefined : Reflect.get(target, name);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

function compact(
  driver: PageTreeDriver,
  advanced: (progress: CompactProgress) => Promise<void> | void = () => undefined,
) {
  return driver.pages.compact({ checkpoint: () => driver.checkpoint(), advanced });
}

/** A store of which little is left, all over the file: of a few megabytes, if it is not narrower. Its last checkpoint is of now. */
async function mostlyRemoved(stores: Stores, seed: number, frames = SMALL, width = 16): Promise<Driver> {
  const driver = await stores.drive(seed, frames);
  const { tree, random, pages } = driver;
  driver.run(1);
  const model = driver.model as PageModel;
  const largest = Math.min(pages.maxSizeClass, 2);
  let number = 1_000_000;
  const insert = (path: readonly number[], node: PageModel, slot: number, sizeClass: number): PageModel => {
    tree.insert(path, slot, ++number, sizeClass);
    const child = newModel(number, sizeClass);
    node.children[slot] = child;
    return child;
  };
  for (let a = 0; a < width; a++) {
    const above = insert([], model, a, 0);
    for (let b = 0; b < width; b++) {
      const node = insert([a], above, b, 0);
      for (let c = 0; c < 4; c++) insert([a, b], node, c, c === 3 ? largest : 0);
    }
  }
  await driver.checkpoint();
  for (const [a, above] of model.children.entries()) {
    for (const b of above?.children.keys() ?? []) {
      if (above?.children[b] === null || random.chance(0.12)) continue;
      tree.remove([a], b);
      (above as PageModel).children[b] = null;
    }
  }
  await driver.checkpoint();
  return driver;
}

function holds(pages: PageStore, model: PageModel | null): boolean {
  try {
    new PageTree(pages).check(model);
    return true;
  } catch {
    return false;
  }
}

function lengthOf({ files }: Driver): number {
  return files.device.contentOf(STORE).length;
}

function bytesOf(model: PageModel | null, pageSize: number): number {
  if (model === null) return 0;
  const below = model.children.reduce((sum, child) => sum + bytesOf(child, pageSize), 0);
  return pageSize * 2 ** model.sizeClass + below;
}

/** The ways to all pages without children. */
function pathsOf(model: PageModel | null): number[][] {
  if (model === null) return [];
  const below = model.children.flatMap((child, slot) => pathsOf(child).map((path) => [slot, ...path]));
  return below.length === 0 ? [[]] : below;
}
