/** Clauses on the life of a log: opened, replayed, begun anew, appended to, closed, in this order. */
import assert from 'node:assert/strict';
import { NO_LOG } from '@pagewright/core';
import type { DiskOperation } from '../device/operation.js';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll, keepAll } from '../device/survival.js';
import { assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, openLog, readAll, recordsOn } from '../rig/log-store.js';
import { assertRejects, assertThrows, type LogClause } from './log-clause.js';

export const lifeClauses: readonly LogClause[] = [
  {
    id: 'opens-nothing',
    says: 'finds nothing where there is no log, and writes nothing to find that out',
    async check(create) {
      const disk = new SimulatedDevice();
      const replay = await openLog(create(), disk, newSuperblock()).replay;
      assert.equal(replay.bytes, 0);
      assert.deepEqual(await readAll(replay), []);
      assert.equal(replay.tornBytes(), 0);
      assertNothingWritten(disk);
    },
  },
  {
    id: 'opening-writes-nothing',
    rules: ['L3'],
    says: 'changes nothing of the log that it finds',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 5; i++) await store.commit(3000);
      const disk = store.disk.afterCrash(keepAll);
      const replay = await openLog(create(), disk, superblock).replay;
      assert.ok(replay.bytes > 0, 'There is a log, and its replay has no bytes to go through.');
      assert.equal((await readAll(replay)).length, 5);
      assertNothingWritten(disk);
    },
  },
  {
    id: 'read-only',
    says: 'replays read-only without a trace, and cannot be begun then',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      await store.commit(10);
      const disk = store.disk.afterKill();
      const files = disk.files();
      const { log, replay } = openLog(create(), disk, superblock, { readOnly: true });
      assertSameRecords(await readAll(await replay), [recordOf(1, 0, 10)]);
      assertThrows(() => log.begin(), 'PW_READ_ONLY', 'begin() of a log that is open read-only');
      await log.close({ discard: true });
      const touched = disk.history.filter(({ kind }) => kind !== 'open' && kind !== 'read');
      assert.deepEqual(touched, [], 'A log that is open read-only did more than read.');
      assert.deepEqual(disk.files(), files);
    },
  },
  {
    id: 'new-incarnation',
    rules: ['L3'],
    says: 'begins a log of its own at each opening, and appends nothing to the one that it found',
    async check(create) {
      const superblock = newSuperblock();
      let disk = new SimulatedDevice();
      const incarnations = new Set<number>([NO_LOG.incarnation]);
      for (let life = 0; life < 4; life++) {
        const found = new Map(disk.files().map((path) => [path, disk.contentOf(path)]));
        const { log, replay } = openLog(create(), disk, superblock);
        const timestamp = superblock.mark.timestamp + (await readAll(await replay)).length;
        const mark = log.begin();
        assert.ok(!incarnations.has(mark.incarnation), `Incarnation ${mark.incarnation} was there before.`);
        incarnations.add(mark.incarnation);
        await log.secure(mark);
        for (const [path, content] of found) {
          assert.deepEqual(Buffer.compare(disk.contentOf(path), content), 0, `${path} of the log before has changed.`);
        }
        superblock.mark = { timestamp, log: mark };
        await log.discardOld();
        const left = disk.files().filter((path) => found.has(path));
        assert.deepEqual(left, [], 'Files of the log before are left.');
        const record = recordOf(timestamp + 1, 0, 100);
        log.reserveSync(log.sizeOf(record.operations));
        await log.commit(log.append(record));
        disk = disk.afterCrash(dropAll);
      }
    },
  },
  {
    id: 'foreign-files',
    says: 'leaves files alone that are not its own',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      await store.commit(10);
      const disk = store.disk.afterCrash(dropAll);
      const notes = '/store/app.pw-wal/notes.txt';
      disk.put(notes, new Uint8Array(3));
      const again = await LogStore.open(create(), disk, superblock);
      assert.equal(again.recovered.length, 1);
      await again.close({ discard: true });
      assert.deepEqual(disk.files(), [notes]);
    },
  },
  {
    id: 'close-keeps',
    rules: ['L1'],
    says: 'makes durable on close what was appended, also what nobody waits for, and keeps it',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 3; i++) store.append(500);
      await store.log.close({ discard: false });
      const found = await recordsOn(create(), store.disk.afterCrash(dropAll), superblock);
      assertSameRecords(
        found,
        [1, 2, 3].map((timestamp) => recordOf(timestamp, 0, 500)),
      );
    },
  },
  {
    id: 'close-discards',
    says: 'removes its files on a close that discards, and the next opening begins from nothing',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      for (let i = 0; i < 30; i++) await store.commit(9000);
      await store.close({ discard: true });
      assert.deepEqual(store.disk.files(), []);
      const again = await LogStore.open(create(), store.disk.afterCrash(dropAll), superblock, 1);
      assert.deepEqual(again.recovered, []);
      await again.commit(10);
      const found = await recordsOn(create(), again.disk.afterCrash(dropAll), superblock);
      assertSameRecords(found, [recordOf(31, 1, 10)]);
    },
  },
  {
    id: 'closed',
    says: 'waits on close for what is under way, may be closed twice, and takes nothing more (PW_CLOSED)',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const { log } = store;
      const waiting = store.commit(10);
      await Promise.all([log.close({ discard: false }), log.close({ discard: false })]);
      await waiting;
      await log.close({ discard: true });
      const { operations } = store.disk;
      assertThrows(() => log.append(recordOf(2, 0, 10)), 'PW_CLOSED', 'append() after close()');
      assertThrows(() => log.reserveSync(10), 'PW_CLOSED', 'reserveSync() after close()');
      await assertRejects(log.reserve(10), 'PW_CLOSED', 'reserve() after close()');
      assert.equal(store.disk.operations, operations, 'There was I/O after close().');
      assertSameRecords(await recordsOn(create(), store.disk.afterCrash(dropAll), superblock), [recordOf(1, 0, 10)]);
    },
  },
  {
    id: 'close-unbegun',
    says: 'closes without a trace when it was opened and never begun',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      await store.commit(10);
      const disk = store.disk.afterCrash(keepAll);
      const { log, replay } = openLog(create(), disk, superblock);
      await replay;
      await log.close({ discard: true });
      assertNothingWritten(disk);
      assert.equal((await recordsOn(create(), disk, superblock)).length, 1);
    },
  },
];

/** What an operation may be that makes durable, and does not change, what is there (L5). */
const HARMLESS: ReadonlySet<DiskOperation['kind']> = new Set(['open', 'read', 'sync', 'sync-directory']);

export function assertNothingWritten(disk: SimulatedDevice): void {
  const changes = disk.history.filter(({ kind }) => !HARMLESS.has(kind));
  assert.deepEqual(changes, [], 'The device was changed.');
}
