/** Clauses about backups: what a copy holds, what the store does for it meanwhile, and what is left of one that came to no end. */

import assert from 'node:assert/strict';
import { type BackupProgress, type BackupRequest, type BackupResult, NO_LOG, type PageStore } from '@pagewright/core';
import { dropAll, keepAll } from '../device/survival.js';
import { Random } from '../random.js';
import {
  clause,
  crashedCopy,
  gateAt,
  LARGE,
  type PageStoreClause,
  rejectionOf,
  SMALL,
  STORE,
  type Stores,
} from './page-store-subject.js';
import { copyOfModel, newModel, type PageModel, PageTree, pagesOf } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';
import type { WatchedFiles } from './watched-files.js';

const COPY = '/store/copy.pw';
/** More of the tree is copied in one go than this. */
const COPIED_AT_ONCE = 2 ** 20;

type Driver = PageTreeDriver & { readonly files: WatchedFiles };

export const backupClauses: readonly PageStoreClause[] = [
  clause(
    'copies-a-checkpoint',
    ['C1', 'C4'],
    'copies exactly what its last checkpoint holds, while work and checkpoints go on, to a store of its own',
    ['files', 'eviction'],
    async (stores) => {
      for (const seed of [1, 2, 3]) {
        const driver = await stores.drive(seed);
        await driver.runWithCheckpoints(700);
        const { epoch } = await driver.checkpoint();
        const atCall = { model: copyOfModel(driver.durable), timestamp: driver.tree.timestamp };
        const copying = backup(driver.pages, driver.files, {
          advanced: async () => {
            await driver.runWithCheckpoints(120);
            await driver.checkpoint();
          },
        });
        const result = await copying;
        assert.equal(result.epoch, epoch, 'It says that it copied another checkpoint.');
        assert.equal(result.mark.timestamp, atCall.timestamp, 'It says that its copy is of another commit.');
        assert.equal(result.pages, pagesOf(atCall.model), 'It says that its copy has another number of pages.');
        driver.tree.check(driver.model);
        const copy = await openCopy(stores, driver.files);
        new PageTree(copy.pages).check(atCall.model);
        const { timestamp, log } = copy.state.mark;
        assert.deepEqual({ timestamp, log }, { timestamp: atCall.timestamp, log: NO_LOG });
        assert.ok(!copy.state.created && !copy.state.usedOlderSlot, 'The copy opens as no sound store does.');
      }
    },
  ),
  clause(
    'copy-is-a-store',
    ['C3', 'C4', 'C5'],
    'makes a copy that has the id of the store, and is one: it can be changed, closed and opened, without harm to the other',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await stores.drive(4);
      await driver.runWithCheckpoints(400);
      await driver.checkpoint();
      await backup(driver.pages, driver.files);
      const copied = driver.durable;
      driver.run(60);
      await driver.pages.close();
      const copy = await openCopy(stores, driver.files, SMALL);
      const next = new PageTreeDriver(copy.pages, new Random(5));
      next.resume(copied, copy.state.mark.timestamp);
      await next.runWithCheckpoints(300);
      await next.checkpoint();
      await copy.pages.close();
      new PageTree((await openCopy(stores, driver.files, SMALL)).pages).check(next.durable);
      const store = await stores.open(driver.files, { frames: SMALL });
      assert.equal(copy.state.storeId, store.state.storeId, 'The copy is of another store.');
      new PageTree(store.pages).check(copied);
    },
  ),
  clause(
    'copy-is-compact',
    ['C5'],
    'makes a copy that has room for its pages and hardly more, however large the file of the store is',
    ['files', 'sizeClasses'],
    async (stores) => {
      const { pages, files } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      const model = newModel(1);
      for (let a = 0; a < 16; a++) {
        tree.insert([], a, 10 + a, 0);
        for (let b = 0; b < 16; b++) tree.insert([a], b, 100 + a * 16 + b, 0);
      }
      await pages.checkpoint(gateAt(tree.timestamp));
      for (let a = 0; a < 16; a++) tree.remove([], a);
      // Of all sizes, so that there is something to fit together.
      let units = 1;
      for (let slot = 0; slot < 12; slot++) {
        const sizeClass = (slot * 5) % 4;
        tree.insert([], slot, 1000 + slot, sizeClass);
        model.children[slot] = newModel(1000 + slot, sizeClass);
        units += 2 ** sizeClass;
      }
      await pages.checkpoint(gateAt(tree.timestamp));
      const { bytes } = await backup(pages, files);
      assert.equal(bytes, files.device.contentOf(COPY).length, 'It says that the copy has another length.');
      const most = (units + 16) * pages.pageSize;
      assert.ok(bytes <= most, `A copy of ${units} units has ${bytes} bytes instead of at most ${most}.`);
      const copy = await openCopy(stores, files);
      new PageTree(copy.pages).check(model);
      assert.ok(copy.pages.stats().freeFileBytes <= 8 * pages.pageSize, 'There is more free room in it than needed.');
    },
  ),
  clause('copies-an-empty-store', ['C5'], 'copies a store that is empty', ['files'], async (stores) => {
    const { pages, files } = await stores.open();
    const { pages: count } = await backup(pages, files);
    assert.equal(count, 0);
    const copy = await openCopy(stores, files);
    new PageTree(copy.pages).check(null);
    new PageTree(copy.pages).plant(1);
    await copy.pages.checkpoint(gateAt(5));
    await copy.pages.close();
    new PageTree((await openCopy(stores, files)).pages).check(newModel(1));
  }),
  clause(
    'backup-leaves-memory-alone',
    [],
    'copies a store without bringing pages into memory, or driving others out',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await stores.drive(7);
      driver.run(900);
      await driver.checkpoint();
      const path = leafOf(driver.model);
      driver.tree.numberAt(path);
      const before = residency(driver.pages);
      await backup(driver.pages, driver.files);
      assert.deepEqual(residency(driver.pages), before, 'What is in memory is not what was there before.');
      driver.tree.numberAt(path);
      assert.deepEqual(residency(driver.pages), before, 'A page that was in memory had to be read again.');
    },
  ),
  clause(
    'tells-how-far-it-is',
    [],
    'tells how far a backup is, from nothing to all, again and again, and waits for the answer',
    ['files', 'eviction'],
    async (stores) => {
      const { driver } = await manyPages(stores);
      const seen: BackupProgress[] = [];
      const tooEarly = new Set<string>();
      let answering = 0;
      const { pages } = await backup(driver.pages, driver.files, {
        advanced: async (progress) => {
          if (answering++ > 0) tooEarly.add('It goes on before it was answered.');
          const { length } = driver.files.writes;
          for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
          if (driver.files.writes.length > length) tooEarly.add('It writes before it was answered.');
          seen.push(progress);
          answering--;
        },
      });
      assert.deepEqual([...tooEarly], []);
      const last = seen[seen.length - 1] as BackupProgress;
      assert.deepEqual({ pages: seen[0]?.pages, bytes: seen[0]?.bytes }, { pages: 0, bytes: 0 });
      assert.deepEqual([last.pages, last.bytes], [pages, last.totalBytes]);
      for (const [at, { bytes, totalBytes }] of seen.entries()) {
        const step = bytes - (seen[at - 1]?.bytes ?? 0);
        assert.ok(step >= 0 && step <= COPIED_AT_ONCE, `${step} bytes were copied in one go.`);
        assert.ok(bytes <= totalBytes, 'More is copied than there is.');
      }
      assert.ok(seen.length >= 4, `It tells only ${seen.length} times how far it is.`);
    },
  ),
  clause(
    'backup-gives-space-back',
    ['C4'],
    'keeps what a backup reads for as long as it lasts, and no longer, however it ends',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      for (let slot = 0; slot < 16; slot++) tree.insert([], slot, 10 + slot, 0);
      const rounds = async (count: number): Promise<number> => {
        for (let round = 0; round < count; round++) {
          for (let slot = 0; slot < 16; slot++) tree.change([slot], ++tree.timestamp);
          await pages.checkpoint(gateAt(tree.timestamp));
        }
        return pages.stats().retainedFileBytes;
      };
      const usual = await rounds(4);
      const failure = new Error('enough');
      for (const fails of [false, true]) {
        let during = 0;
        const path = `${COPY}${Number(fails)}`;
        const copying = backup(pages, files, {
          path,
          advanced: async () => {
            during = await rounds(3);
            if (fails) throw failure;
          },
        });
        if (fails) assert.equal(await rejectionOf(copying), failure);
        else await copying;
        assert.ok(during > usual, 'Nothing is kept for a backup that is under way.');
        assert.equal(
          await rounds(3),
          usual,
          `What was kept for a backup that ${fails ? 'failed' : 'ended'} is kept still.`,
        );
      }
      const error = await rejectionOf(backup(pages, files, { path: `${COPY}0` }));
      assert.equal((error as { code?: unknown }).code, 'PW_EXISTS');
      assert.equal(await rounds(3), usual, 'What was kept for a backup that was refused is kept still.');
    },
  ),
  clause(
    'backup-overwrites-nothing',
    [],
    'refuses with PW_EXISTS to copy onto a file, or beside a log, and leaves both as they are',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      new PageTree(pages).plant(1);
      await pages.checkpoint(gateAt(1));
      const { device } = files;
      device.put(COPY, Buffer.from('something else'));
      await refused('PW_EXISTS', backup(pages, files));
      assert.equal(Buffer.from(device.contentOf(COPY)).toString(), 'something else');
      await refused('PW_EXISTS', backup(pages, files, { path: STORE }));
      device.put(`${COPY}2-wal/5f3a9c01-00000001.log`, Buffer.alloc(100));
      await refused('PW_EXISTS', backup(pages, files, { path: `${COPY}2` }));
      assert.ok(!(await files.exists(`${COPY}2`)), 'Something was written beside the log.');
      await refused('PW_NOT_FOUND', backup(pages, files, { path: '/nowhere/copy.pw' }));
    },
  ),
  clause(
    'one-backup-to-a-path',
    [],
    'refuses with PW_LOCKED a backup to a path to which another one is under way, and lets that one be',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      new PageTree(pages).plant(1);
      await pages.checkpoint(gateAt(1));
      let calls = 0;
      await backup(pages, files, {
        advanced: async () => {
          if (calls++ === 0) await refused('PW_LOCKED', backup(pages, files));
        },
      });
      assert.deepEqual([...files.locked], [STORE], 'The lock of a backup outlives it.');
      new PageTree((await openCopy(stores, files)).pages).check(newModel(1));
    },
  ),
  clause(
    'ended-backup-leaves-nothing',
    [],
    'ends a backup with what it is told, before the first page or after some, leaves nothing of it, and goes on',
    ['files', 'eviction'],
    async (stores) => {
      const { driver } = await manyPages(stores);
      for (const last of [1, 2, 4]) {
        const before = await driver.files.list('/store');
        const reason = new Error(`enough after ${last}`);
        let calls = 0;
        const advanced = (): void => {
          if (++calls === last) throw reason;
        };
        assert.equal(await rejectionOf(backup(driver.pages, driver.files, { advanced })), reason);
        assert.equal(calls, last);
        assert.deepEqual(await driver.files.list('/store'), before, 'Something is left of it.');
      }
      driver.run(50);
      await driver.checkpoint();
      await backup(driver.pages, driver.files);
      new PageTree((await openCopy(stores, driver.files)).pages).check(driver.durable);
    },
  ),
  clause(
    'backup-checks-what-it-copies',
    [],
    'copies no page that does not match its checksum: that is PW_CORRUPT_PAGE, and nothing is left',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      for (let slot = 0; slot < 16; slot++) tree.insert([], slot, 10 + slot, 0);
      files.forget();
      await pages.checkpoint(gateAt(1));
      const images = files.writes.filter(({ bytes, offset }) => bytes.length === pages.pageSize && offset > 0);
      for (const image of [images[0], images[9], images[16]]) {
        assert.ok(image !== undefined, 'The pages were not written.');
        const at = image.offset + image.bytes.length - 9;
        files.device.flip(STORE, at, 4);
        await refused('PW_CORRUPT_PAGE', backup(pages, files));
        assert.ok(!(await files.exists(COPY)), 'A copy of a damaged store is there.');
        files.device.flip(STORE, at, 4);
      }
      await backup(pages, files);
    },
  ),
  clause(
    'backup-survives-crashes',
    ['C3', 'C4'],
    'leaves after a crash at any operation of a backup the store as it was, and nothing or all of the copy; all of it when it was reported',
    ['files', 'eviction'],
    async (stores) => {
      const driver = await stores.drive(12);
      await driver.runWithCheckpoints(250);
      await driver.checkpoint();
      const model = driver.durable;
      const left: WatchedFiles[] = [];
      const { device } = driver.files;
      device.onOperation = ({ kind }) => {
        if (kind === 'read') return;
        for (const survives of [keepAll, dropAll]) left.push(crashedCopy(driver.files, survives));
      };
      await backup(driver.pages, driver.files);
      device.onOperation = null;
      const reported = [keepAll, dropAll].map((survives) => crashedCopy(driver.files, survives));
      for (const files of [...left, ...reported]) {
        const isThere = await files.exists(COPY);
        assert.ok(isThere || !reported.includes(files), 'A backup that was reported is gone.');
        if (isThere) new PageTree((await openCopy(stores, files, SMALL)).pages).check(model);
      }
      for (const files of left.slice(-4)) {
        const store = await stores.open(files, { frames: SMALL });
        new PageTree(store.pages).check(model);
        if (await files.exists(COPY)) continue;
        // What was left is no hindrance to the next.
        await backup(store.pages, files);
        new PageTree((await openCopy(stores, files, SMALL)).pages).check(model);
      }
    },
  ),
];

function backup(
  pages: PageStore,
  files: WatchedFiles,
  { path = COPY, advanced = () => undefined }: Partial<Pick<BackupRequest, 'path' | 'advanced'>> = {},
): Promise<BackupResult> {
  return pages.backup({ path, io: files, advanced });
}

function openCopy(stores: Stores, files: WatchedFiles, frames = LARGE) {
  return stores.open(files, { path: COPY, create: false, frames });
}

/** A store of a few megabytes, and its last checkpoint is of now. */
async function manyPages(stores: Stores): Promise<{ readonly driver: Driver }> {
  const driver = await stores.drive(9, LARGE);
  driver.run(1);
  for (let a = 0; a < 16; a++) {
    if (driver.model?.children[a] != null) continue;
    driver.tree.insert([], a, 1_000_000 + a, 0);
    const node = newModel(1_000_000 + a);
    (driver.model as PageModel).children[a] = node;
    for (let b = 0; b < 16; b++) {
      driver.tree.insert([a], b, 2_000_000 + a * 16 + b, 0);
      const below = newModel(2_000_000 + a * 16 + b);
      node.children[b] = below;
      for (let c = 0; c < 3; c++) {
        driver.tree.insert([a, b], c, 3_000_000 + (a * 16 + b) * 16 + c, 0);
        below.children[c] = newModel(3_000_000 + (a * 16 + b) * 16 + c);
      }
    }
  }
  await driver.checkpoint();
  return { driver };
}

/** The way to a page without children. */
function leafOf(model: PageModel | null): number[] {
  const path: number[] = [];
  for (let node = model; node !== null; ) {
    const slot: number = node.children.findIndex((child) => child !== null);
    if (slot < 0) return path;
    path.push(slot);
    node = node.children[slot] as PageModel;
  }
  return path;
}

function residency(pages: PageStore): object {
  const { freeFrames, coolFrames, pageReads, evictions, cooled } = pages.stats();
  return { freeFrames, coolFrames, pageReads, evictions, cooled };
}

async function refused(code: string, promise: Promise<unknown>): Promise<void> {
  const error = await rejectionOf(promise);
  assert.equal((error as { code?: unknown }).code, code, String(error));
}
