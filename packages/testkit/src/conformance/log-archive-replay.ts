/** Clauses on the replay from an archive: it gives what was committed above a backup, up to where it is wanted, from a chain of segments that is proved whole, or says what is wrong with it. */
import assert from 'node:assert/strict';
import { type ArchiveSource, isPagewrightError, type ReplayedRecord } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll } from '../device/survival.js';
import { Random } from '../random.js';
import { assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, STORE_ID, type Superblock } from '../rig/log-store.js';
import { type ArchivePart, MemoryArchive, recordsIn } from '../rig/memory-archive.js';
import { assertRejects, during, type LogClause, type NewLog } from './log-clause.js';
import { assertNothingWritten } from './log-life.js';

const KIB = 1024;
const DIRECTORY = '/archive/segments';

export const archiveReplayClauses: readonly LogClause[] = [
  {
    id: 'replays-archive-until',
    rules: ['L3'],
    says: 'replays from an archive what lies above a backup, up to any commit, and no further',
    needs: ['archives'],
    async check(create) {
      const { archive, records } = await written(create);
      const timestamps = records.map(({ timestamp }) => timestamp);
      const last = timestamps.at(-1) as number;
      for (const from of [0, 1, 7, ...timestamps.slice(-3)]) {
        for (const until of [null, ...timestamps.filter((timestamp) => timestamp >= from)]) {
          const wanted = records.filter(({ timestamp }) => timestamp > from && timestamp <= (until ?? last));
          await during(`from ${from}, until ${until}`, async () => {
            assertSameRecords(await recordsIn(create(), archive, { from, until }), wanted);
          });
        }
      }
      await assertPoint(create, archive, { from: 7, until: 6 }, 'a commit before the backup');
      await assertPoint(create, archive, { until: last + 1 }, 'a commit beyond the end');
    },
  },
  {
    id: 'replays-archive-date',
    says: 'takes a date for the last commit that was not made after it, and says when that was',
    needs: ['archives'],
    async check(create) {
      const { archive, records } = await written(create, { isSlow: true });
      for (const { time } of records) {
        const wanted = records.filter((record) => record.time <= time);
        assertSameRecords(await recordsIn(create(), archive, { until: new Date(time) }), wanted);
      }
      assert.ok(new Set(records.map(({ time }) => time)).size > 5, 'Records do not say when they were made.');
      await assertPoint(create, archive, { from: 1, until: new Date(1000) }, 'a date before the backup');
      await assertPoint(create, archive, { until: new Date(Date.now() + 3_600_000) }, 'a date beyond the end');
      const request = { io: new SimulatedDevice(), archive, storeId: STORE_ID, timestamp: 0, until: null };
      const replay = await create().replayArchive?.(request);
      assert.ok(replay !== undefined, 'The log has no replayArchive().');
      assert.equal(replay.lastTime, null);
      for await (const { time, timestamp } of replay.records()) {
        assert.equal(replay.lastTime, time, `It does not say when commit ${timestamp} was made.`);
        assert.ok(replay.segments >= 1 && replay.segments <= replay.totalSegments, 'Segments are not counted.');
      }
      assert.equal(replay.totalSegments, archive.kept.size);
      assert.equal(replay.segments, archive.kept.size);
      assert.ok(replay.lastTimestamp() >= (records.at(-1)?.timestamp ?? 0));
    },
  },
  {
    id: 'replays-archive-directory',
    says: 'replays from a directory what it replays from an object, in whatever order that lists, beside files that are not its own, and writes nothing',
    needs: ['archives'],
    async check(create) {
      const { archive, records } = await written(create);
      const io = new SimulatedDevice();
      for (const [name, bytes] of archive.kept) io.put(`${DIRECTORY}/${name}`, bytes);
      io.put(`${DIRECTORY}/notes.txt`, new Uint8Array(3));
      assertSameRecords(await recordsIn(create(), DIRECTORY, { io }), records);
      assertNothingWritten(io);
      const backwards: ArchiveSource = {
        async *list() {
          yield 'notes.txt';
          for (const name of [...archive.kept.keys()].reverse()) yield name;
        },
        read: (name) => archive.read(name),
      };
      assertSameRecords(await recordsIn(create(), backwards), records);
    },
  },
  {
    id: 'replays-archive-gaps',
    says: 'says that a segment is missing (PW_ARCHIVE_GAP), whichever it is, and gives what comes before it',
    needs: ['archives'],
    async check(create) {
      const { archive, records } = await written(create);
      const names = [...archive.kept.keys()];
      for (const [i, name] of names.entries()) {
        await during(`without ${name}, number ${i + 1} of ${names.length}`, async () => {
          const without = archive.with(name, null);
          const { found, code } = await outcomeOf(create, without);
          assertSameRecords(found, records.slice(0, found.length));
          assert.equal(code, i + 1 < names.length ? 'PW_ARCHIVE_GAP' : null);
          const until = found.at(-1)?.timestamp;
          if (until !== undefined) assertSameRecords(await recordsIn(create(), without, { until }), found);
        });
      }
      await assertRejects(recordsIn(create(), new MemoryArchive()), 'PW_ARCHIVE_GAP', 'replayArchive() of nothing');
    },
  },
  {
    id: 'replays-archive-damage',
    rules: ['L2'],
    says: 'gives all records, or those before the damage and PW_CORRUPT_LOG or PW_ARCHIVE_GAP, when a segment is damaged, cut short or another one',
    needs: ['archives'],
    async check(create) {
      const { archive, records } = await written(create);
      const random = new Random(1);
      for (const [name, bytes] of archive.kept) {
        const damaged = Array.from({ length: 12 }, () => new Uint8Array(bytes));
        for (const each of damaged) each[random.below(bytes.length)]! ^= 1 << random.below(8);
        const short = Array.from({ length: 4 }, () => bytes.subarray(0, random.below(bytes.length)));
        const others = [...archive.kept.values()].filter((other) => other !== bytes).slice(0, 2);
        for (const instead of [...damaged, ...short, ...others]) {
          const { found, code } = await outcomeOf(create, archive.with(name, instead));
          await during(`${name}, ${code}`, async () => {
            assertSameRecords(found, records.slice(0, found.length));
            if (code === null) assert.equal(found.length, records.length, 'Commits were left out in silence.');
            else assert.ok(['PW_CORRUPT_LOG', 'PW_ARCHIVE_GAP'].includes(code));
          });
        }
      }
    },
  },
  {
    id: 'replays-archive-of-the-store',
    says: 'replays nothing of another store, and does not choose between two that went on from one commit (PW_ARCHIVE_GAP)',
    needs: ['archives'],
    async check(create) {
      const { archive, records, store } = await written(create);
      const foreign = recordsIn(create(), archive, { storeId: 'f'.repeat(32) });
      await assertRejects(foreign, 'PW_ARCHIVE_GAP', 'replayArchive() of another store');
      const last = store.timestamp;
      for (const generation of [2, 3]) {
        const superblock: Superblock = { ...store.superblock };
        const copy = await LogStore.open(create(archive.archive), store.disk.copy(), superblock, generation);
        for (let i = 0; i < generation; i++) await copy.commit();
        await copy.close({ discard: true });
      }
      assertSameRecords(await recordsIn(create(), archive, { until: last }), records);
      for (const until of [null, last + 1, last + 2, last + 3]) {
        const forked = recordsIn(create(), archive, { until });
        await assertRejects(forked, 'PW_ARCHIVE_GAP', `replayArchive() of two copies, until ${until}`);
      }
    },
  },
];

/** The archive of a store that has crashed, gone on and was closed, and what it has. */
async function written(create: NewLog, { isSlow = false } = {}) {
  const archive = new MemoryArchive();
  const superblock = newSuperblock();
  const first = await LogStore.open(create(archive.archive), new SimulatedDevice(), superblock);
  for (let i = 0; i < 10; i++) await commit(first, isSlow);
  const store = await LogStore.open(create(archive.archive), first.disk.afterCrash(dropAll), superblock, 1);
  const begin = store.timestamp;
  for (let i = 0; i < 8; i++) await commit(store, isSlow);
  await store.close({ discard: true });
  const all = await recordsIn(create(), archive);
  const times = new Map(all.map(({ timestamp, time }) => [timestamp, time]));
  const timestamps = [...Array(10).keys()].map((i) => i + 1).concat([...Array(8).keys()].map((i) => begin + i + 1));
  const records = timestamps.map((timestamp) => ({
    ...recordOf(timestamp, timestamp <= 10 ? 0 : 1, 12 * KIB),
    time: times.get(timestamp) ?? -1,
  }));
  assertSameRecords(all, records);
  return { archive, records, store };
}

/** Slow ones are not all made at the same time, by the clock. */
async function commit(store: LogStore, isSlow: boolean): Promise<void> {
  for (const now = Date.now(); isSlow && Date.now() === now; ) await new Promise((resolve) => setImmediate(resolve));
  await store.reserveAndCommit(12 * KIB);
}

/** The records before it has failed, and with which error. */
async function outcomeOf(create: NewLog, archive: ArchiveSource) {
  const found: ReplayedRecord[] = [];
  try {
    const request = { io: new SimulatedDevice(), archive, storeId: STORE_ID, timestamp: 0, until: null };
    const replay = await create().replayArchive?.(request);
    for await (const record of replay?.records() ?? []) found.push(record);
  } catch (error) {
    if (isPagewrightError(error)) return { found, code: error.code };
    throw error;
  }
  return { found, code: null };
}

async function assertPoint(create: NewLog, archive: MemoryArchive, part: ArchivePart, what: string): Promise<void> {
  await assertRejects(recordsIn(create(), archive, part), 'PW_RESTORE_POINT', `replayArchive() until ${what}`);
}
