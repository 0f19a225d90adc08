/** Clauses about checkpoints: what they hold, in which order they are written, and what is found after a crash at any point of it. */

import assert from 'node:assert/strict';
import { type CheckpointMark, isPagewrightError, NO_LOG, type PageStore } from '@pagewright/core';
import type { DiskOperation } from '../device/operation.js';
import { dropAll, keepAll, keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import {
  clause,
  crashed,
  crashedCopy,
  gateAt,
  LARGE,
  type PageStoreClause,
  rejectionOf,
  SMALL,
  STORE,
  type Stores,
} from './page-store-subject.js';
import { FANOUT, newModel, type PageModel, PageTree } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';
import type { WatchedFiles } from './watched-files.js';

const CRASH_SEEDS = 2;
const CRASHES_EACH = 12;
/** Of what was not synced, so much survives, in turn. */
const SHARES = [0.5, 0, 0.9, 1, 0.1];

export const checkpointClauses: readonly PageStoreClause[] = [
  clause(
    'holds-the-gate',
    ['C1', 'C2'],
    'holds after it was closed and opened exactly what was in it at the last gate, though work went on',
    ['files', 'eviction'],
    async (stores) => {
      for (const seed of [1, 2, 3]) {
        const driver = await stores.drive(seed);
        await driver.runWithCheckpoints(900);
        driver.tree.check(driver.model);
        driver.run(50);
        await driver.pages.close();
        const again = await stores.open(driver.files, { frames: SMALL });
        new PageTree(again.pages).check(driver.durable);
        assert.ok(!again.state.usedOlderSlot, 'The last checkpoint was reported, and an older one was opened.');
      }
    },
  ),
  clause(
    'gate-in-mid-change',
    ['C1', 'C2'],
    'holds the tree of the gate, not that of the moment at which a page was written',
    ['files'],
    async (stores) => {
      // No memory is short here: nothing is evicted, so whatever goes wrong is the checkpoint's.
      const { pages, files } = await stores.open(undefined, { frames: LARGE });
      const driver = new PageTreeDriver(pages, new Random(6)).run(400);
      const running = driver.checkpoint();
      for (let step = 0; step < 300; step++) {
        driver.step();
        if (step % 3 === 0) await null;
      }
      await running;
      await pages.close();
      new PageTree((await stores.open(files)).pages).check(driver.durable);
    },
  ),
  clause(
    'calls-each-step-once',
    ['C1', 'C3'],
    'calls the gate once and then secureLog once, with the mark of the gate, and reports both marks',
    ['files'],
    async (stores) => {
      const { pages, state } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      let older: CheckpointMark = state.mark;
      for (const timestamp of [10, 20, 30]) {
        const calls: string[] = [];
        const mark = { timestamp, log: { incarnation: 9, segment: timestamp, offset: 4096 } };
        const result = await pages.checkpoint({
          gate: () => {
            calls.push('gate');
            return mark;
          },
          secureLog: async (given) => {
            calls.push(`secureLog ${given.timestamp}`);
          },
        });
        assert.deepEqual(calls, ['gate', `secureLog ${timestamp}`]);
        assert.deepEqual([result.mark, result.olderMark], [mark, older]);
        older = mark;
        tree.change([], timestamp);
      }
      assert.equal(pages.stats().checkpoints, 3);
    },
  ),
  clause(
    'mark-moves-without-changes',
    ['C3', 'C5'],
    'moves its mark on by a checkpoint in which nothing changed',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      new PageTree(pages).plant(1);
      await pages.checkpoint(gateAt(5));
      const mark = { timestamp: 8, log: { incarnation: 3, segment: 4, offset: 5 * 2 ** 33 } };
      await pages.checkpoint({ gate: () => mark, secureLog: async () => {} });
      await pages.close();
      const again = await stores.open(files);
      assert.deepEqual(again.state.mark, mark);
      new PageTree(again.pages).check(newModel(1));
    },
  ),
  clause(
    'secures-the-log-first',
    ['C3'],
    'lets no superblock name a checkpoint before its pages are durable and the log is secured',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      await pages.checkpoint(gateAt(1));
      tree.change([], 2);
      for (let slot = 0; slot < 16; slot++) tree.insert([], slot, 10 + slot, 0);
      let beforeLog = 0;
      let kept: WatchedFiles | null = null;
      let dropped: WatchedFiles | null = null;
      files.forget();
      await pages.checkpoint({
        gate: () => ({ timestamp: 2, log: NO_LOG }),
        secureLog: async () => {
          // Whoever does not wait for the log gets far in so many turns.
          for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
          beforeLog = files.writes.length;
          kept = crashedCopy(files, keepAll);
          dropped = crashedCopy(files, dropAll);
        },
      });
      assert.ok(kept !== null && dropped !== null, 'secureLog was not called.');
      const before = await stores.open(kept);
      assert.equal(before.state.mark.timestamp, 1, 'A superblock names the new checkpoint before the log is secured.');
      new PageTree(before.pages).check(newModel(1));
      // The superblock is all that is missing when the log has been secured; the rest is durable.
      putOnto(dropped, files, beforeLog);
      const after = await stores.open(dropped);
      assert.equal(after.state.mark.timestamp, 2);
      const model = newModel(2);
      for (let slot = 0; slot < 16; slot++) model.children[slot] = newModel(10 + slot);
      new PageTree(after.pages).check(model);
      // And when it is reported, that is durable, too.
      const reported = await stores.open(crashed(files, dropAll));
      assert.equal(reported.state.mark.timestamp, 2, 'A checkpoint was reported that a crash can take back.');
    },
  ),
  clause(
    'log-cannot-be-secured',
    ['C3'],
    'rejects a checkpoint whose log cannot be secured, and goes on to stand for the one before',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      await pages.checkpoint(gateAt(1));
      tree.change([], 2);
      const failure = new Error('the log has failed');
      const error = await rejectionOf(
        pages.checkpoint({ gate: () => ({ timestamp: 2, log: NO_LOG }), secureLog: () => Promise.reject(failure) }),
      );
      assert.equal(error, failure);
      await pages.close();
      const again = await stores.open(files);
      assert.equal(again.state.mark.timestamp, 1);
      new PageTree(again.pages).check(newModel(1));
    },
  ),
  clause(
    'makes-way',
    ['C3'],
    'writes nothing while a batch of a checkpoint is not said to be over, tells how far it is, and has brought all of it to the device in the end if asked each time',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open(undefined, { frames: SMALL });
      plantBatches(pages);
      const told: number[] = [];
      const wrong = new Set<string>();
      let batches = 0;
      const { history } = files.device;
      const begun = history.length;
      let broughtOut = begun;
      await pages.checkpoint({
        ...gateAt(2),
        advanced: async ({ written }, bringOut) => {
          const batch = ++batches;
          told.push(written);
          await bringOut();
          broughtOut = history.length;
          const before = files.writes.length;
          for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
          if (files.writes.length !== before || batch !== batches)
            wrong.add('A batch is written before the one before it is over.');
        },
      });
      assert.deepEqual([...wrong], []);
      assert.ok(told.length > 0, 'A checkpoint of many batches does not say how far it is.');
      const isRising = told.every((written, at) => written > 0 && written >= (told[at - 1] ?? 0) && written <= 1);
      assert.ok(isRising, `Between its batches a checkpoint says that so much of it is written: ${told.join(', ')}.`);
      assert.ok(new Set(told).size > 2, 'It tells how far it is at its end alone.');
      const left = leftInMemory(history.slice(begun, broughtOut));
      assert.deepEqual(
        left,
        [],
        'Not all that was written has been brought to the device when the last batch is over.',
      );
    },
  ),
  clause(
    'making-way-fails',
    ['C3'],
    'ends a checkpoint with what is thrown between two batches of it, and goes on to stand for the one before',
    ['files'],
    async (stores) => {
      const { pages, files } = await stores.open(undefined, { frames: SMALL });
      await pages.checkpoint(gateAt(1));
      plantBatches(pages);
      const failure = new Error('the device has failed');
      const advanced = (): Promise<never> => Promise.reject(failure);
      assert.equal(await rejectionOf(pages.checkpoint({ ...gateAt(2), advanced })), failure);
      await pages.close();
      const again = await stores.open(files);
      assert.equal(again.state.mark.timestamp, 1);
      new PageTree(again.pages).check(null);
    },
  ),
  clause(
    'shares-checkpoints',
    ['C1'],
    'lets requests that come while a checkpoint runs share the next one, whose gate comes after them',
    ['files'],
    async (stores) => {
      const { pages } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      let gates = 0;
      let timestamp = 1;
      const request = async (): Promise<number> => {
        const asked = ++timestamp;
        tree.change([], asked);
        const { mark, epoch } = await pages.checkpoint({
          gate: () => {
            gates++;
            return { timestamp, log: NO_LOG };
          },
          secureLog: async () => {},
        });
        assert.ok(mark.timestamp >= asked, 'A checkpoint does not hold what was there when it was asked for.');
        return epoch;
      };
      const first = request();
      const shared = [request()];
      for (let turn = 0; turn < 3; turn++) {
        await null;
        shared.push(request());
      }
      const firstEpoch = await first;
      const epochs = new Set(await Promise.all(shared));
      assert.deepEqual([epochs.size, gates], [1, 2], 'Requests that could share a checkpoint did not.');
      assert.ok(!epochs.has(firstEpoch));
      // Those that come at the instant at which one ends find one that is about to begin, or begin one.
      for (let instant = 0; instant < 8; instant++) {
        const chained = request().then(async () => {
          for (let tick = 0; tick < instant; tick++) await null;
          await request();
        });
        await Promise.all([request(), chained]);
      }
    },
  ),
  clause(
    'whole-after-a-crash',
    ['C1', 'C2', 'C3', 'C4', 'L5'],
    'is found after a crash at any operation as a checkpoint was, whole, whatever part of what was not synced is lost',
    ['files', 'eviction'],
    async (stores) => {
      for (let seed = 1; seed <= CRASH_SEEDS; seed++) {
        const rehearsal = await stores.drive(seed);
        await rehearsal.runWithCheckpoints(350);
        const points = crashPoints(rehearsal.files, new Random(seed));
        for (const [crash, at] of points.entries()) await crashAndCheck(stores, seed, crash, at);
      }
    },
  ),
  clause(
    'older-slot-stays',
    ['C4'],
    'keeps what the older superblock names until that is superseded, however much is written',
    ['files', 'eviction'],
    async (stores) => {
      for (const seed of [31, 32]) {
        const driver = await stores.drive(seed);
        await driver.runWithCheckpoints(500);
        await driver.checkpoint();
        const older = driver.durable;
        driver.run(100);
        driver.files.forget();
        const { offset, length } = await superblockOfNext(driver);
        driver.run(400);
        await driver.pages.close();
        for (let at = offset; at < offset + length; at += 61) driver.files.device.flip(STORE, at, 3);
        const again = await stores.open(driver.files, { frames: SMALL });
        assert.ok(
          again.state.usedOlderSlot,
          'The newer superblock is damaged, and it does not say that it uses the older.',
        );
        new PageTree(again.pages).check(older);
        // It goes on from there, and what it writes is found.
        const next = new PageTreeDriver(again.pages, new Random(seed));
        next.resume(older, again.state.mark.timestamp);
        await next.runWithCheckpoints(200);
        await next.checkpoint();
        await again.pages.close();
        new PageTree((await stores.open(driver.files, { frames: SMALL })).pages).check(next.durable);
      }
    },
  ),
  clause(
    'space-is-used-again',
    ['C4', 'C5'],
    'uses again what checkpoints have given up: the file does not grow without end',
    ['files'],
    async (stores) => {
      const { pages } = await stores.open();
      const tree = new PageTree(pages);
      tree.plant(1);
      for (let slot = 0; slot < 16; slot++) tree.insert([], slot, 10 + slot, 0);
      const sizes: number[] = [];
      for (let round = 0; round < 40; round++) {
        for (let slot = 0; slot < 16; slot++) tree.change([slot], 1000 + round * 16 + slot);
        await pages.checkpoint(gateAt(tree.timestamp));
        sizes.push(pages.stats().fileBytes);
      }
      assert.equal(sizes[39], sizes[9], 'The file grows though the tree does not.');
      const { fileBytes, freeFileBytes, retainedFileBytes, pageSize } = pages.stats();
      const used = (fileBytes - freeFileBytes - retainedFileBytes) / pageSize;
      assert.ok(used <= 17 + 8, `A tree of 17 pages takes ${used}.`);
    },
  ),
];

/** Writes to the store that no later sync or write-back covers. */
function leftInMemory(operations: readonly DiskOperation[]): DiskOperation[] {
  const ofStore = operations.filter(({ path }) => path === STORE);
  return ofStore.filter((write, at) => {
    const covers = ({ kind, offset = 0, length = 0 }: DiskOperation): boolean =>
      kind === 'sync' || (kind === 'write-back' && offset <= (write.offset ?? 0) && end(write) <= offset + length);
    return write.kind === 'write' && !ofStore.slice(at).some(covers);
  });
}

function end({ offset = 0, length = 0 }: DiskOperation): number {
  return offset + length;
}

/** Numbers of operations: half of them syncs, where most is at stake, the others anywhere after the store was made. */
function crashPoints({ device }: WatchedFiles, random: Random): number[] {
  const made = device.history.findIndex(({ kind }) => kind === 'sync-directory') + 1;
  const syncs = device.history.slice(made).filter(({ kind }) => kind === 'sync');
  return Array.from({ length: CRASHES_EACH }, (_, crash) =>
    crash % 2 === 0 && syncs.length > 0
      ? random.pick(syncs).number
      : made + 1 + Math.floor(((crash + random.fraction()) / CRASHES_EACH) * (device.operations - made)),
  );
}

/** Runs a store until the power goes at an operation, and opens what is left. */
async function crashAndCheck(stores: Stores, seed: number, crash: number, at: number): Promise<void> {
  const where = `Seed ${seed}, crash ${crash} at operation ${at}`;
  const driver = await stores.drive(seed);
  const choice = new Random(seed * 1000 + crash);
  driver.files.device.crashAt = at;
  try {
    await driver.runWithCheckpoints(350);
  } catch (error) {
    if (!isPagewrightError(error)) throw error;
  }
  await driver.pages.close().catch(() => {});
  const share = SHARES[crash % SHARES.length] as number;
  const left = crashed(driver.files, keepSome(choice.below(2 ** 31), share));
  const again = await stores.open(left, { frames: LARGE });
  const found = checkpointIn(again.pages, driver, where);
  // What was found is a store like any other.
  const next = new PageTreeDriver(again.pages, new Random(seed + 77));
  next.resume(found, again.state.mark.timestamp);
  await next.runWithCheckpoints(60);
  await next.checkpoint();
  await again.pages.close();
  new PageTree((await stores.open(left, { frames: SMALL })).pages).check(next.durable);
}

/** The last checkpoint that was reported, or one that was under way; an error that says how it is none of them. */
function checkpointIn(pages: PageStore, driver: PageTreeDriver, where: string): PageModel | null {
  const faults: string[] = [];
  for (const candidate of [...driver.possible, driver.durable].reverse()) {
    try {
      new PageTree(pages).check(candidate);
      return candidate;
    } catch (error) {
      faults.push((error as Error).message);
    }
  }
  throw new Error(`${where}: what was found is no checkpoint: ${faults.join('; ')}.`);
}

/** Where the superblock of the next checkpoint is: it is what is written after the log was secured. */
async function superblockOfNext(
  driver: PageTreeDriver & { readonly files: WatchedFiles },
): Promise<{ readonly offset: number; readonly length: number }> {
  let before = 0;
  await driver.pages.checkpoint({
    gate: () => ({ timestamp: driver.tree.timestamp, log: NO_LOG }),
    secureLog: async () => {
      before = driver.files.writes.length;
    },
  });
  const superblock = driver.files.writes[before];
  assert.ok(
    superblock !== undefined,
    'Nothing was written after the log was secured, so nothing names the checkpoint.',
  );
  return { offset: superblock.offset, length: superblock.bytes.length };
}

/** Repeats on one device what was written on another since the write of that number. */
function putOnto(target: WatchedFiles, source: WatchedFiles, from: number): void {
  const content = target.device.contentOf(STORE);
  for (const { offset, bytes } of source.writes.slice(from)) content.set(bytes, offset);
  target.device.put(STORE, content);
}

/** A tree that fits into few frames, and takes several batches of a checkpoint. */
function plantBatches(pages: PageStore): void {
  const tree = new PageTree(pages);
  tree.plant(1);
  for (let slot = 0; slot < FANOUT; slot++) {
    tree.insert([], slot, 10 + slot, 0);
    tree.insert([slot], 0, 100 + slot, 0);
  }
}
