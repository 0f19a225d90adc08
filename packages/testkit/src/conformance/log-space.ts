/** Clauses on marks and space: what a checkpoint makes superfluous goes, what it does not stays, and a full device is met before anything is appended. */
import assert from 'node:assert/strict';
import { type CheckpointMark, isPagewrightError, NO_LOG } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll, keepAll } from '../device/survival.js';
import { assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, recordsOn, STORE_ID, settled } from '../rig/log-store.js';
import { assertRejects, assertThrows, type LogClause, outcome } from './log-clause.js';

const KIB = 1024;

export const spaceClauses: readonly LogClause[] = [
  {
    id: 'secure',
    rules: ['C3'],
    says: 'makes all before a mark durable when asked to, though nobody commits it',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 4; i++) store.append(2000);
      const mark = store.log.mark();
      store.append(2000);
      await store.log.secure(mark);
      const found = await recordsOn(create(), store.disk.copy().afterCrash(dropAll), superblock);
      assert.ok(found.length >= 4, `${found.length} of 4 records before the mark are there.`);
      await store.log.secure(NO_LOG);
      const all = await recordsOn(create(), store.disk.afterCrash(dropAll), superblock);
      assert.equal(all.length, 5, 'A mark of no log stands for all that is appended.');
    },
  },
  {
    id: 'recycle-keeps-what-follows',
    rules: ['C4', 'L1'],
    says: 'keeps everything from the mark of recycle on, also in files that are used again',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const sizes: number[] = [];
      let older: CheckpointMark = superblock.mark;
      for (let round = 0; round < 8; round++) {
        for (let i = 0; i < 12; i++) {
          const size = 8 * KIB;
          await store.reserveAndCommit(size);
          sizes.push(size);
          await settled(1);
          if (i % 4 !== 1) continue;
          for (const [survives, mark] of [
            [dropAll, superblock.mark],
            [keepAll, superblock.mark],
            [keepAll, older],
          ] as const) {
            const found = await recordsOn(create(), store.disk.copy().afterCrash(survives), {
              mark,
              storeId: STORE_ID,
            });
            const wanted = sizes.map((bytes, k) => recordOf(k + 1, 0, bytes)).slice(mark.timestamp);
            assertSameRecords(found, wanted);
          }
        }
        const mark = { timestamp: store.timestamp, log: store.log.mark() };
        await store.log.secure(mark.log);
        older = superblock.mark;
        superblock.mark = mark;
        await store.log.recycle(older.log);
      }
    },
  },
  {
    id: 'recycle-gives-back',
    says: 'gives back what lies before the mark: the log of a busy store does not grow',
    needs: ['recycles'],
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      const used: number[] = [];
      for (let round = 0; round < 12; round++) {
        for (let i = 0; i < 15; i++) {
          await store.reserveAndCommit(16 * KIB);
          await settled(1);
        }
        await store.checkpoint();
        used.push(store.disk.used);
      }
      const early = Math.max(...used.slice(0, 4));
      assert.ok(used[11]! <= 2 * early, `The log grew from ${early} to ${used[11]} bytes, though checkpoints came.`);
    },
  },
  {
    id: 'recycle-own-marks',
    rules: ['L1'],
    says: 'gives nothing back for a mark of no log, or of another one',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const count = 100;
      for (let i = 0; i < count; i++) {
        await store.reserve(6 * KIB);
        const position = store.append(6 * KIB);
        if (i === count / 2) await store.log.commit(position);
        await settled(1);
      }
      await store.log.recycle(NO_LOG);
      const mark = store.log.mark();
      await store.log.recycle({ ...mark, incarnation: (mark.incarnation % 0xffff_ffff) + 1 });
      await store.log.secure(NO_LOG);
      const written = Array.from({ length: count }, (_, i) => recordOf(i + 1, 0, 6 * KIB));
      for (const survives of [dropAll, keepAll]) {
        assertSameRecords(await recordsOn(create(), store.disk.copy().afterCrash(survives), superblock), written);
      }
    },
  },
  {
    id: 'recycled-is-missed',
    rules: ['L2'],
    says: 'gives all from a superblock whose log was given back, or PW_CORRUPT_LOG; never what is left of it',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const first = { ...superblock };
      for (let round = 0; round < 4; round++) {
        for (let i = 0; i < 10; i++) {
          await store.reserveAndCommit(12 * KIB);
          await settled(1);
        }
        await store.checkpoint();
      }
      const found = await outcome(create, store.disk.afterCrash(keepAll), first);
      if (found !== 'corrupt') assert.equal(found.length, 40);
    },
  },
  {
    id: 'full-device',
    rules: ['C6'],
    says: 'meets a full device in reserve and reserveSync (PW_FULL), when nothing has changed, and goes on when there is room',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const { log, disk } = store;
      for (let i = 0; i < 3; i++) await store.reserveAndCommit(10 * KIB);
      disk.capacity = disk.used + 40 * KIB;
      await assertFills(() => store.reserveAndCommit(10 * KIB), 'reserve()');
      await settled();
      const { records } = log.stats();
      const large = Math.min(log.maxRecordSize, 512 * KIB);
      await assertRejects(log.reserve(large), 'PW_FULL', 'reserve() on a full device');
      assertThrows(() => log.reserveSync(large), 'PW_FULL', 'reserveSync() on a full device');
      assert.equal(log.stats().records, records);
      assert.deepEqual(store.failures, [], 'A full device has ended the log.');
      const committed = store.timestamp;
      assert.equal((await recordsOn(create(), disk.copy(), { ...superblock })).length, committed);
      disk.capacity = Number.POSITIVE_INFINITY;
      await store.reserveAndCommit(100 * KIB);
      store.commitSync(100 * KIB);
      const found = await recordsOn(create(), disk.afterCrash(dropAll), superblock);
      assert.equal(found.length, committed + 2);
    },
  },
  {
    id: 'reserved-is-enough',
    rules: ['C6'],
    says: 'writes what was reserved without needing more space',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (const [i, size] of [10, 30 * KIB, 5, 70 * KIB, 100, 200 * KIB].entries()) {
        const { operations } = recordOf(i + 1, 0, size);
        const bytes = store.log.sizeOf(operations);
        if (i % 2 === 0) await store.log.reserve(bytes);
        store.log.reserveSync(bytes);
        store.disk.capacity = 0;
        const position = store.append(size);
        if (i % 3 === 0) store.log.commitSync(position);
        else await store.log.commit(position);
        store.disk.capacity = Number.POSITIVE_INFINITY;
      }
      assert.deepEqual(store.failures, []);
      assert.equal((await recordsOn(create(), store.disk.afterCrash(dropAll), superblock)).length, 6);
    },
  },
  {
    id: 'reserve-ends',
    rules: ['IO3'],
    says: 'lets everyone through in the end who reserves, though nobody commits',
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      const writer = async () => {
        await store.reserve(KIB);
        store.append(KIB);
      };
      await Promise.all(Array.from({ length: 300 }, writer));
      assert.equal(store.log.stats().records, 300);
      await Promise.all(Array.from({ length: 20 }, () => store.reserve(40 * KIB)));
      assert.equal(store.log.stats().records, 300);
    },
  },
];

/** The work ends with `PW_FULL` after a while. */
async function assertFills(work: () => Promise<void>, what: string): Promise<void> {
  for (let i = 0; i < 20_000; i++) {
    try {
      await work();
    } catch (error) {
      assert.ok(isPagewrightError(error, 'PW_FULL'), `${what} failed with ${String(error)}, and not with PW_FULL.`);
      return;
    }
  }
  assert.fail(`${what} went on and on though the device was full.`);
}
