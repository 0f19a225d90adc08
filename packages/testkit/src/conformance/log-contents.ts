/** Clauses on records: sizes, positions, order, and that every byte comes back. */
import assert from 'node:assert/strict';
import {
  type CommitRecord,
  type LogOperation,
  OPERATION_CLEAR_INDEX,
  OPERATION_CREATE_INDEX,
  OPERATION_DELETE,
  OPERATION_DROP_INDEX,
  OPERATION_LOAD_INDEX,
  OPERATION_PUT,
} from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll } from '../device/survival.js';
import { Random } from '../random.js';
import { assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, openLog, readAll, recordsOn } from '../rig/log-store.js';
import { assertRejects, assertThrows, type LogClause } from './log-clause.js';

const NOTHING = new Uint8Array(0);

export const contentClauses: readonly LogClause[] = [
  {
    id: 'round-trip',
    rules: ['L1'],
    says: 'gives back every kind of operation with its bytes, empty and large ones too',
    async check(create) {
      const superblock = newSuperblock();
      const { log, disk } = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const written = everyShape(Math.min(log.maxRecordSize / 2, 300_000));
      for (const record of written) {
        await log.reserve(log.sizeOf(record.operations));
        log.reserveSync(log.sizeOf(record.operations));
        await log.commit(log.append(record));
      }
      assertSameRecords(await recordsOn(create(), disk.afterCrash(dropAll), superblock), written);
    },
  },
  {
    id: 'tells-the-time',
    says: 'gives each record with the time at which it was appended, which never goes back, across recovery neither',
    async check(create) {
      const superblock = newSuperblock();
      const begun = Date.now();
      let { log, disk } = await LogStore.open(create(), new SimulatedDevice(), superblock);
      let last = 0;
      for (let life = 0; life < 2; life++) {
        const opened: LogStore = await LogStore.open(create(), disk.afterCrash(dropAll), superblock, life);
        ({ log, disk } = opened);
        for (const { timestamp, time } of opened.recovered) {
          assert.ok(Number.isSafeInteger(time), `Record ${timestamp} was appended at ${time}, which is no time.`);
          assert.ok(time >= begun && time <= Date.now(), `Record ${timestamp} was not appended at ${time}.`);
          assert.ok(time >= last, `Record ${timestamp} was appended before the one before it.`);
          last = time;
        }
        for (let i = 0; i < 5; i++) await opened.commit();
      }
      await log.close({ discard: false });
    },
  },
  {
    id: 'keeps-no-reference',
    says: 'encodes a record when it is appended: what the caller does with its bytes afterwards changes nothing',
    async check(create) {
      const superblock = newSuperblock();
      const { log, disk } = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const record = recordOf(1, 0, 1000);
      log.reserveSync(log.sizeOf(record.operations));
      const position = log.append(record);
      for (const { key, value } of record.operations) {
        key.fill(0);
        value.fill(0);
      }
      await log.commit(position);
      assertSameRecords(await recordsOn(create(), disk.afterCrash(dropAll), superblock), [recordOf(1, 0, 1000)]);
    },
  },
  {
    id: 'sizes',
    says: 'takes as many bytes for a record as sizeOf says, without I/O',
    async check(create) {
      const { log, disk } = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      const records = [0, 1, 7, 100, 1000].map((size, i) => recordOf(i + 1, 0, size));
      const sizes = records.map(({ operations }) => log.sizeOf(operations));
      log.reserveSync(sizes.reduce((sum, size) => sum + size));
      const { operations } = disk;
      let before = log.stats().appendedBytes;
      for (const [i, record] of records.entries()) {
        const position = log.append(record);
        assert.equal(
          position - before,
          sizes[i],
          `A record of ${sizes[i]} bytes moved the position by another number.`,
        );
        assert.equal(log.stats().appendedBytes, position);
        before = position;
      }
      assert.equal(disk.operations, operations, 'append() did I/O.');
    },
  },
  {
    id: 'positions-grow',
    says: 'gives positions and marks that only grow, whatever is flushed in between',
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      let position = 0;
      let mark = store.log.mark();
      for (let i = 0; i < 60; i++) {
        const next = store.append((i * 997) % 9000);
        if (i % 3 === 0) await store.log.commit(next);
        else if (i % 3 === 1) store.log.commitSync(next);
        assert.ok(next > position, `Position ${next} follows ${position}.`);
        const after = store.log.mark();
        const grows = after.segment > mark.segment || (after.segment === mark.segment && after.offset > mark.offset);
        assert.ok(grows && after.incarnation === mark.incarnation, 'The mark went back, or is of another log.');
        position = next;
        mark = after;
      }
    },
  },
  {
    id: 'in-order',
    says: 'replays records in order and without a gap, over many files',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const written: CommitRecord[] = [];
      for (let i = 1; i <= 150; i++) {
        const size = (i * 7919) % 6000;
        await store.reserveAndCommit(size);
        written.push(recordOf(i, 0, size));
      }
      // Records keep their bytes when later ones have been read.
      assertSameRecords(await recordsOn(create(), store.disk.afterCrash(dropAll), superblock), written);
    },
  },
  {
    id: 'above-the-checkpoint',
    says: 'replays only what is above the timestamp of the superblock, wherever its mark points',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      await store.commit(10);
      const early = store.log.mark();
      for (let i = 0; i < 5; i++) await store.commit(10);
      superblock.mark = { timestamp: 4, log: early };
      const found = await recordsOn(create(), store.disk.afterCrash(dropAll), superblock);
      assertSameRecords(found, [recordOf(5, 0, 10), recordOf(6, 0, 10)]);
    },
  },
  {
    id: 'gap-is-damage',
    rules: ['L2'],
    says: 'refuses a log that does not go on where the superblock ends (PW_CORRUPT_LOG)',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      await store.commit(10);
      const late = store.log.mark();
      await store.commit(10);
      superblock.mark = { timestamp: 0, log: late };
      const { replay } = openLog(create(), store.disk.afterCrash(dropAll), superblock);
      await assertRejects(replay.then(readAll), 'PW_CORRUPT_LOG', 'The replay of a log whose first commit is missing');
    },
  },
  {
    id: 'too-large',
    says: 'refuses a record above maxRecordSize (PW_TXN_TOO_LARGE), and nothing has changed',
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const { log } = store;
      await store.commit(10);
      const before = [log.mark(), log.stats()];
      const bytes = log.maxRecordSize + 1;
      await assertRejects(log.reserve(bytes), 'PW_TXN_TOO_LARGE', `reserve(${bytes})`);
      assertThrows(() => log.reserveSync(bytes), 'PW_TXN_TOO_LARGE', `reserveSync(${bytes})`);
      assert.deepEqual([log.mark(), log.stats()], before);
      await store.commit(10);
      assert.equal((await recordsOn(create(), store.disk.afterCrash(dropAll), superblock)).length, 2);
    },
  },
  {
    id: 'stats',
    says: 'counts records, flushes and bytes, and names its policy',
    async check(create) {
      const store = await LogStore.open(create(), new SimulatedDevice(), newSuperblock());
      const { log } = store;
      const before = log.stats();
      assert.notEqual(before.policy, '');
      const first = store.append(100);
      const second = store.append(100);
      assert.equal(log.stats().records, before.records + 2);
      assert.equal(log.stats().pendingBytes, second);
      await log.commit(first);
      await log.commit(second);
      const after = log.stats();
      assert.ok(after.flushes > before.flushes, 'A commit was acknowledged without a flush.');
      assert.ok(after.pendingBytes <= after.appendedBytes - second, 'What was acknowledged counts as pending.');
      assert.ok(after.segments >= 1);
    },
  },
];

/** Records of all shapes, the largest with about this many bytes. */
function everyShape(largest: number): CommitRecord[] {
  const random = new Random(7);
  const bytes = (length: number) => random.fill(new Uint8Array(length));
  const put = (index: number, key: Uint8Array, value: Uint8Array): LogOperation => ({
    kind: OPERATION_PUT,
    index,
    key,
    value,
  });
  const kinds = [
    OPERATION_DELETE,
    OPERATION_CREATE_INDEX,
    OPERATION_DROP_INDEX,
    OPERATION_CLEAR_INDEX,
    OPERATION_LOAD_INDEX,
  ];
  const shapes: LogOperation[][] = [
    [put(1, bytes(1), NOTHING)],
    [put(1, bytes(16), bytes(100))],
    ...kinds.map((kind) => [{ kind, index: 7, key: bytes(40), value: NOTHING }]),
    kinds.map((kind, i) => ({ kind, index: i, key: NOTHING, value: NOTHING })),
    [put(0xffff_ffff, new Uint8Array(300).fill(0xff), new Uint8Array(300))],
    [put(1, bytes(4096), bytes(largest - 8192))],
    Array.from({ length: 500 }, (_, i) => put(i * 8_000_000, bytes(i % 30), bytes((i * 13) % 200))),
    [
      put(1, Uint8Array.of(0), bytes(127)),
      put(1, Uint8Array.of(0), bytes(128)),
      put(1, Uint8Array.of(0), bytes(16_384)),
    ],
  ];
  return shapes.map((operations, i) => ({ timestamp: i + 1, dependsOn: i % 2 === 0 ? i : 0, operations }));
}
