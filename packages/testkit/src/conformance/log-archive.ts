/** Clauses on archiving a log, and on ending it: what was committed is in the archive, whatever happened meanwhile, and nothing that a recovery has cut; and a log says with which commit it ends. */
import assert from 'node:assert/strict';
import { NO_LOG, type ReplayedRecord } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll } from '../device/survival.js';
import { Random } from '../random.js';
import { LogHistory } from '../rig/log-history.js';
import { assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, openLog, readAll, recordsOn, STORE_ID, settled } from '../rig/log-store.js';
import { MemoryArchive, recordsIn } from '../rig/memory-archive.js';
import { assertRejects, during, type LogClause, type NewLog } from './log-clause.js';
import { lives } from './log-crashes.js';

const KIB = 1024;

export const archiveClauses: readonly LogClause[] = [
  {
    id: 'archives-all',
    says: 'archives what is committed, in segments that say what they have, one at a time and in order, before it removes them',
    needs: ['archives'],
    async check(create) {
      const archive = new MemoryArchive();
      const begun = Date.now();
      const store = await LogStore.open(create(archive.archive), new SimulatedDevice(), newSuperblock());
      const sizes = Array.from({ length: 30 }, (_, i) => [10, 300, 20 * KIB][i % 3] as number);
      for (const size of sizes) await store.reserveAndCommit(size);
      await store.close({ discard: true });
      const found = await recordsIn(create(), archive);
      assertSameRecords(
        found,
        sizes.map((size, i) => recordOf(i + 1, 0, size)),
      );
      assert.deepEqual(store.disk.files(), []);
      assertDescribed(archive, begun, found);
    },
  },
  {
    id: 'archives-durable',
    rules: ['L1'],
    says: 'archives nothing that a crash would take back',
    needs: ['archives'],
    async check(create) {
      const archive = new MemoryArchive();
      const superblock = newSuperblock();
      const store = await LogStore.open(create(archive.archive), new SimulatedDevice(), superblock);
      archive.onSegment = async ({ lastTimestamp }) => {
        const found = await recordsOn(create(), store.disk.copy().afterCrash(dropAll), { ...superblock });
        const last = found.at(-1)?.timestamp ?? superblock.mark.timestamp;
        assert.ok((lastTimestamp ?? 0) <= last, `Commit ${lastTimestamp} is archived, and only ${last} are durable.`);
      };
      for (let i = 0; i < 20; i++) {
        await store.reserve(12 * KIB);
        const position = store.append(12 * KIB);
        if (i % 3 === 0) await store.log.commit(position);
        await settled(5);
      }
      await store.close({ discard: true });
      assert.equal((await recordsIn(create(), archive)).length, 20);
    },
  },
  {
    id: 'archives-later',
    rules: ['L1'],
    says: 'keeps what the archive refuses, also when it closes, which it says (PW_ARCHIVE_FAILED), and archives it when it can',
    needs: ['archives'],
    async check(create) {
      const archive = new MemoryArchive();
      const superblock = newSuperblock();
      const disk = new SimulatedDevice();
      archive.room = 2;
      for (let life = 0; life < 3; life++) {
        const store = await LogStore.open(create(archive.archive), disk, superblock);
        for (let i = 0; i < 16; i++) {
          await store.reserveAndCommit(12 * KIB);
          if (i % 4 === 3) await store.checkpoint();
        }
        if (life < 2) {
          await assertRejects(store.close({ discard: true }), 'PW_ARCHIVE_FAILED', 'close() without the archive');
          assert.notDeepEqual(disk.files(), [], 'What was not archived is gone.');
        } else {
          archive.room = Number.POSITIVE_INFINITY;
          await store.close({ discard: true });
        }
      }
      assert.deepEqual(disk.files(), []);
      const records = Array.from({ length: 48 }, (_, i) => recordOf(i + 1, 0, 12 * KIB));
      assertSameRecords(await recordsIn(create(), archive), records);
    },
  },
  {
    id: 'archives-lives',
    rules: ['L1', 'L3', 'L4'],
    says: 'archives through lives of commits, checkpoints, crashes, kills and closes what counts, each segment with the same bytes, and nothing that a recovery has cut',
    needs: ['archives'],
    async check(create) {
      for (let seed = 1; seed <= 25; seed++) {
        await during(`seed ${seed}`, async () => {
          const archive = new MemoryArchive();
          const history = new LogHistory(() => create(archive.archive));
          await lives(history, new Random(seed));
          await history.close(true, dropAll);
          const written = [...history.written.values()].sort((a, b) => a.timestamp - b.timestamp);
          if (written.length > 0) assertSameRecords(await recordsIn(create(), archive), written);
        });
      }
    },
  },
  {
    id: 'archives-of-all',
    says: 'archives what any thread of the process commits',
    needs: ['archives', 'threads'],
    async check(create) {
      const archive = new MemoryArchive();
      const store = await LogStore.open(create(archive.archive), new SimulatedDevice(), newSuperblock());
      const { log: other } = await store.attach(create());
      for (let i = 0; i < 20; i++) {
        const log = i % 2 === 0 ? other : store.log;
        if (i % 4 < 2) await store.reserveAndCommit(12 * KIB, log);
        else store.commitSync(12 * KIB, log);
      }
      await other.close({ discard: true });
      await store.close({ discard: true });
      const records = Array.from({ length: 20 }, (_, i) => recordOf(i + 1, 0, 12 * KIB));
      assertSameRecords(await recordsIn(create(), archive), records);
    },
  },
  {
    id: 'seal-is-durable',
    rules: ['L1'],
    says: 'makes all durable that was appended before it is sealed, and may be sealed again',
    needs: ['archives'],
    async check(create) {
      const superblock = newSuperblock();
      const store = await LogStore.open(create(new MemoryArchive().archive), new SimulatedDevice(), superblock);
      const sizes = [10, 9000, 0, 300];
      for (const size of sizes) store.append(size);
      await seal(store, 4);
      const { log, replay } = openLog(create(), store.disk.copy().afterCrash(dropAll), superblock);
      const found = await readAll(await replay);
      await log.close({ discard: false });
      assertSameRecords(
        found,
        sizes.map((size, i) => recordOf(i + 1, 0, size)),
      );
      await seal(store, 4);
      await store.close({ discard: true });
    },
  },
  {
    id: 'seal-ends',
    says: 'says when it is sealed with which commit it ends, so that the next log is known to follow, with commits or without',
    needs: ['archives'],
    async check(create) {
      const archive = new MemoryArchive();
      const superblock = newSuperblock();
      const first = await LogStore.open(create(archive.archive), new SimulatedDevice(), superblock);
      for (let i = 0; i < 3; i++) await first.commit();
      await seal(first, 3);
      superblock.mark = { timestamp: 3, log: NO_LOG };
      // The power fails when it could have been closed.
      const second = await LogStore.open(create(archive.archive), first.disk.afterCrash(dropAll), superblock, 1);
      await second.commit();
      await second.close({ discard: true });
      const third = await beginAbove(create, archive, second.disk, superblock, 100);
      await third.seal?.(100);
      superblock.mark = { timestamp: 100, log: NO_LOG };
      const fourth = await LogStore.open(create(archive.archive), second.disk.afterCrash(dropAll), superblock, 2);
      await fourth.commit();
      await fourth.close({ discard: true });
      const found = await recordsIn(create(), archive);
      assertSameRecords(
        found,
        [1, 2, 3, 4, 101].map((timestamp) => recordOf(timestamp, GENERATIONS[timestamp] ?? 0, 10)),
      );
    },
  },
  {
    id: 'seal-of-the-owner',
    says: 'is sealed by the thread that opened it, and by no other (PW_UNSUPPORTED)',
    needs: ['archives', 'threads'],
    async check(create) {
      const archive = new MemoryArchive();
      const store = await LogStore.open(create(archive.archive), new SimulatedDevice(), newSuperblock());
      const { log: other } = await store.attach(create());
      await store.commit(10, other);
      assert.ok(other.seal !== undefined, 'The log has no seal().');
      await assertRejects(other.seal(1), 'PW_UNSUPPORTED', 'seal() in a thread that attached');
      await store.commit(10, other);
      await store.commit(10);
      await other.close({ discard: true });
      await store.close({ discard: true });
      assert.equal((await recordsIn(create(), archive)).length, 3);
    },
  },
];

/** Of the commits in `seal-ends` that are not of generation 0. */
const GENERATIONS: Readonly<Record<number, number>> = { 4: 1, 101: 2 };

async function seal({ log }: LogStore, timestamp: number): Promise<void> {
  assert.ok(log.seal !== undefined, 'The log has no seal().');
  await log.seal(timestamp);
}

/** A log without commits, which leaves timestamps out, as after a crash. */
async function beginAbove(
  create: NewLog,
  archive: MemoryArchive,
  disk: SimulatedDevice,
  superblock: ReturnType<typeof newSuperblock>,
  timestamp: number,
) {
  const { log, replay } = openLog(create(archive.archive), disk, superblock);
  await readAll(await replay);
  const mark = log.begin(timestamp);
  await log.secure(mark);
  superblock.mark = { timestamp, log: mark };
  await log.discardOld();
  return log;
}

/** What was said of segments is what they have: all commits, each in one of them. */
function assertDescribed(archive: MemoryArchive, begun: number, records: readonly ReplayedRecord[]): void {
  const told = [...archive.told.values()];
  assert.ok(told.length > 1, 'All is in one segment.');
  assert.deepEqual(archive.asked, [...archive.kept.keys()], 'A segment was archived twice.');
  let next = 1;
  for (const [i, segment] of told.entries()) {
    const { name, storeId, incarnation, firstTimestamp, lastTimestamp, lastTime, complete } = segment;
    assert.deepEqual(
      [storeId, incarnation],
      [STORE_ID, told[0]?.incarnation],
      `${name} says that it is of another log.`,
    );
    assert.equal(segment.segment, i + 1, `${name} has another number.`);
    assert.equal(complete, i + 1 < told.length, `${name} does not say whether the log goes on.`);
    if (firstTimestamp === null || lastTimestamp === null || lastTime === null) continue;
    assert.equal(firstTimestamp, next, `${name} begins with another commit.`);
    assert.ok(lastTimestamp >= firstTimestamp, `${name} ends before it begins.`);
    assert.equal(lastTime.getTime(), records[lastTimestamp - 1]?.time, `${name} tells of another time.`);
    assert.ok(lastTime.getTime() >= begun && lastTime.getTime() <= Date.now());
    next = lastTimestamp + 1;
  }
  assert.equal(next, records.length + 1, 'Segments do not say that they have all commits.');
}
