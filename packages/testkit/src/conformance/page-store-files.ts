/** Clauses about the file: opening and closing it, and what is damaged in it. */

import assert from 'node:assert/strict';
import { isPagewrightError, NO_LOG } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { keepAll } from '../device/survival.js';
import { Random } from '../random.js';
import { insertNext } from './page-store-room.js';
import {
  clause,
  crashedCopy,
  gateAt,
  type PageStoreClause,
  rejectionOf,
  SMALL,
  STORE,
  type Stores,
} from './page-store-subject.js';
import { newModel, type PageModel, PageTree } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';
import { WatchedFiles } from './watched-files.js';

export const fileClauses: readonly PageStoreClause[] = [
  clause(
    'says-what-it-found',
    ['C5'],
    'says whether it made the store, which store it is, and which checkpoint it found',
    ['files'],
    async (stores) => {
      const { pages, state, files } = await stores.open();
      assert.ok(
        state.created && /^[0-9a-f]{32}$/.test(state.storeId),
        'A new store does not say that it is new, or which.',
      );
      new PageTree(pages).plant(1);
      const mark = { timestamp: 3, log: { incarnation: 1, segment: 2, offset: 3 } };
      const { epoch } = await pages.checkpoint({ gate: () => mark, secureLog: async () => {} });
      await pages.close();
      const again = (await stores.open(files)).state;
      assert.deepEqual(again, { created: false, storeId: state.storeId, epoch, mark, usedOlderSlot: false });
      const other = await stores.open();
      assert.notEqual(other.state.storeId, state.storeId, 'Two stores have the same id.');
    },
  ),
  clause(
    'one-holder',
    [],
    'refuses with PW_LOCKED a file that is open, and takes it when that was closed',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      await refused('PW_LOCKED', stores.open(files));
      new PageTree(pages).plant(1);
      await pages.checkpoint(gateAt(1));
      await pages.close();
      new PageTree((await stores.open(files)).pages).check(newModel(1));
    },
  ),
  clause(
    'creates-on-demand-only',
    [],
    'creates a store only if it may, and opens one only if it need not be new',
    ['files'],
    async (stores) => {
      const files = new WatchedFiles(new SimulatedDevice());
      await refused('PW_NOT_FOUND', stores.open(files, { create: false }));
      await refused('PW_NOT_FOUND', stores.open(files, { readOnly: true }));
      assert.ok(!(await files.exists(STORE)), 'A file was left where no store may be created.');
      const { pages } = await stores.open(files, { errorIfExists: true });
      await pages.close();
      await refused('PW_EXISTS', stores.open(files, { errorIfExists: true }));
      assert.equal(files.locked.size, 0, 'A store that was refused is locked still.');
    },
  ),
  clause(
    'leaves-others-files-alone',
    [],
    'refuses a file that is no store with PW_NOT_A_STORE, and leaves it as it is',
    ['files'],
    async (stores) => {
      for (const length of [100, 8192, 100_000]) {
        const device = new SimulatedDevice();
        const content = new Uint8Array(length).fill(0x61);
        device.put(STORE, content);
        await refused('PW_NOT_A_STORE', stores.open(new WatchedFiles(device)));
        assert.deepEqual(device.contentOf(STORE), content, 'The file was changed.');
      }
    },
  ),
  clause(
    'read-only',
    [],
    'reads a store that is open read-only, changes no byte of its file, and refuses changes, or a checkpoint of them, with PW_READ_ONLY',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      const driver = new PageTreeDriver(pages, new Random(2)).run(200);
      await driver.checkpoint();
      await pages.close();
      const content = files.device.contentOf(STORE);
      const reader = (await stores.open(files, { readOnly: true, create: false })).pages;
      const tree = new PageTree(reader);
      tree.check(driver.durable);
      const changing = async (): Promise<unknown> => {
        tree.change([], 5);
        return reader.checkpoint(gateAt(9));
      };
      const error = await rejectionOf(changing());
      assert.ok(isPagewrightError(error, 'PW_READ_ONLY'), `It answers ${String(error)}.`);
      await reader.close();
      assert.deepEqual(files.device.contentOf(STORE), content, 'The file was changed.');
    },
  ),
  clause(
    'close-is-idempotent',
    [],
    'closes once, however often it is asked to, and waits for a checkpoint that is under way',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      new PageTree(pages).plant(1);
      let reported = false;
      const running = pages.checkpoint(gateAt(4)).then(() => {
        reported = true;
      });
      const closings = [pages.close(), pages.close()];
      await Promise.all(closings);
      assert.ok(reported, 'It was closed while a checkpoint was under way.');
      await Promise.all([running, pages.close()]);
      assert.equal(files.locked.size, 0, 'A store that was closed is locked still.');
      assert.equal((await stores.open(files)).state.mark.timestamp, 4);
      const unopened = stores.subject.make(SMALL);
      await unopened.close();
    },
  ),
  clause(
    'damage-is-an-error',
    ['P4'],
    'finds any bit that has flipped in what a checkpoint wrote, and reports it as PW_CORRUPT_PAGE: it hands out no wrong byte',
    ['files'],
    async (stores) => {
      const { files, writes, model } = await storedLeaves(stores);
      const random = new Random(9);
      for (let damage = 0; damage < 24; damage++) {
        const { offset, bytes } = random.pick(writes);
        const damaged = crashedCopy(files, keepAll);
        damaged.device.flip(STORE, offset + random.below(bytes.length), random.below(8));
        await expectRefusal(stores, damaged, model, `a bit of ${bytes.length} bytes at ${offset} was flipped`);
      }
    },
  ),
  clause(
    'misdirected-writes-are-found',
    [],
    'finds out when a sound page lies where another should',
    ['files'],
    async (stores) => {
      const { files, writes, model } = await storedLeaves(stores);
      const pageSize = Math.min(...writes.map(({ bytes }) => bytes.length));
      const same = writes.filter(({ bytes }) => bytes.length === pageSize);
      const random = new Random(10);
      for (let damage = 0; damage < 12; damage++) {
        const [one, other] = [random.pick(same), random.pick(same)];
        if (one.offset === other.offset) continue;
        const mixed = crashedCopy(files, keepAll);
        const content = mixed.device.contentOf(STORE);
        content.set(one.bytes, other.offset);
        mixed.device.put(STORE, content);
        await expectRefusal(stores, mixed, model, `what belongs at ${one.offset} lies at ${other.offset}, too`);
      }
    },
  ),
  clause(
    'counts-add-up',
    [],
    'counts what it has and does so that the sums are right',
    ['files', 'eviction'],
    async (stores) => {
      const { pages, files } = await stores.open(undefined, { frames: SMALL });
      const driver = new PageTreeDriver(pages, new Random(12)).run(800);
      for (let round = 0; round < 4; round++) {
        const { bySizeClass, pinnedEpoch, ...stats } = pages.stats();
        assert.equal(pinnedEpoch, null, 'A writer pins no checkpoint.');
        for (const [name, value] of Object.entries(stats)) assert.ok(value >= 0, `${name} is ${value}.`);
        for (const total of SUMS) {
          const sum = bySizeClass.reduce((sum, ofClass) => sum + ofClass[total], 0);
          assert.equal(sum, stats[total], `${total} of all size classes are ${sum}, and ${stats[total]} together.`);
        }
        const resident = bySizeClass.reduce((sum, ofClass) => sum + (ofClass.residentPages << ofClass.sizeClass), 0);
        assert.ok(
          resident > 0 && resident + stats.freeFrames <= stats.frames,
          'More is in memory than there are frames.',
        );
        const cool = bySizeClass.reduce((sum, ofClass) => sum + (ofClass.coolPages << ofClass.sizeClass), 0);
        assert.equal(cool, stats.coolFrames, 'What is cool of all size classes is not what is cool together.');
        const free = bySizeClass.reduce((sum, ofClass) => sum + (ofClass.freeBlocks << ofClass.sizeClass), 0);
        assert.equal(free, stats.freeFrames, 'The free blocks of all size classes are not the free frames.');
        assert.ok(stats.memoryBytes >= stats.frames * stats.pageSize, 'The frames take more memory than there is.');
        assert.ok(stats.freeFrames + stats.coolFrames <= stats.frames, 'More frames are free or cool than there are.');
        assert.ok(stats.dirtyFrames <= stats.frames, 'More frames are dirty than there are.');
        assert.ok(
          stats.freeFileBytes + stats.retainedFileBytes <= stats.fileBytes,
          'More of the file is free than it has.',
        );
        const most = Math.ceil((stats.fileBytes - stats.freeFileBytes) / stats.pageSize) + stats.dirtyFrames;
        assert.equal(pages.mostPages ?? most, most, 'There are more pages, or fewer, than it says.');
        assert.equal(stats.fileBytes, files.device.sizeOf(STORE), 'The file has another size.');
        assert.equal(stats.checkpoints, round);
        assert.ok(round === 0 || stats.dirtyFrames === 0, 'Pages are dirty right after a checkpoint.');
        await driver.checkpoint();
      }
      driver.tree.change([], 5);
      const { dirtyFrames, hits, misses, pageReads, evictions, cooled, rewarmed } = pages.stats();
      assert.ok(dirtyFrames > 0, 'A page has changed, and none is dirty.');
      assert.ok(hits > 0 && misses > 0, 'Look-ups were not counted.');
      assert.ok(pageReads > 0 && evictions > 0 && rewarmed <= cooled, 'What came and went was not counted.');
    },
  ),
];

/** Of what there is by size class and together. */
const SUMS = [
  'hits',
  'misses',
  'pageReads',
  'pageWrites',
  'evictions',
  'cooled',
  'rewarmed',
  'relocations',
  'restarts',
  'latchWaits',
] as const;

async function refused(code: string, opening: Promise<unknown>): Promise<void> {
  const error = await rejectionOf(opening);
  assert.ok(isPagewrightError(error) && error.code === code, `Instead of ${code} it answers ${String(error)}.`);
}

/** A tree of some 70 pages in a file, and the writes that its checkpoint made of pages, in which damage can be done. */
async function storedLeaves(
  stores: Stores,
): Promise<{ files: WatchedFiles; writes: { offset: number; bytes: Uint8Array }[]; model: PageModel }> {
  const { pages, files } = await stores.open();
  const tree = new PageTree(pages);
  const model = newModel(1);
  tree.plant(1);
  for (let count = 0; count < 70; count++) insertNext(tree, model, count);
  files.forget();
  let written = 0;
  await pages.checkpoint({
    gate: () => ({ timestamp: 1, log: NO_LOG }),
    secureLog: async () => {
      written = files.writes.length;
    },
  });
  await pages.close();
  return { files, writes: files.writes.slice(0, written), model };
}

/** Opens and reads all, which must be refused. A map of what is in use may be damaged: then the file is refused as a whole. */
async function expectRefusal(stores: Stores, files: WatchedFiles, model: PageModel, what: string): Promise<void> {
  try {
    const { pages } = await stores.open(files);
    new PageTree(pages).check(model);
  } catch (error) {
    if (isPagewrightError(error, 'PW_CORRUPT_PAGE') || isPagewrightError(error, 'PW_CORRUPT_FILE')) return;
    throw new Error(`When ${what}: ${(error as Error).message}`, { cause: error });
  }
  throw new Error(`When ${what}, nothing was found to be wrong.`);
}
