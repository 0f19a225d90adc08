import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { type ArchivedSegment, type ArchiveFunction, isPagewrightError, NO_LOG } from '@pagewright/core';
import { dropAll, keepAll, keepSome, SimulatedDevice } from '@pagewright/testkit';
import {
  inObjects,
  LOG_DIRECTORY,
  LogStore,
  MemoryArchive,
  newSuperblock,
  recordOf,
  STORE_ID,
  type Superblock,
  settled,
} from '@pagewright/testkit/rig';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { Archiver } from '../src/archive/archiver.js';
import type { LogArchived } from '../src/archive/diagnostics.js';
import type { WalOptions } from '../src/options.js';
import { BUILT_IN_POLICIES, WriteAheadLog } from '../src/write-ahead-log.js';
import { commitsIn, upTo } from './archived-records.js';
import { openLog, openLogStore, SMALL } from './store.js';

/** Segments are archived when they are full. */
const optionsOf = (shelf: MemoryArchive): WalOptions => ({ ...SMALL, archive: shelf.archive, archiveTimeoutMs: 0 });

const segmentsOn = (disk: SimulatedDevice): string[] => disk.files().filter((path) => path.endsWith('.log'));

async function writeSegments(store: LogStore, commits: number): Promise<void> {
  for (let i = 0; i < commits; i++) await store.reserveAndCommit(20_000);
  await settled(20);
}

afterEach(() => {
  vi.useRealTimers();
});

describe('segments', () => {
  test('are archived in order, each once, when the log has gone on from them, and the last when it is closed', async () => {
    const shelf = new MemoryArchive();
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), {
      options: optionsOf(shelf),
      clock: () => 5000,
    });
    await writeSegments(store, 10);
    const { incarnation, segment } = store.log.mark();
    expect(segment).toBeGreaterThan(3);
    expect(shelf.kept.size).toBe(segment - 1);
    expect(store.log.stats().archive).toEqual({ archivedSegments: segment - 1, waitingSegments: 0, lastError: null });
    await store.close({ discard: true });
    expect(shelf.asked).toEqual([...shelf.kept.keys()]);
    const told = [...shelf.told.values()];
    expect(told.map((one) => one.segment)).toEqual(upTo(segment));
    expect(told.map((one) => one.complete)).toEqual([...Array(segment - 1).fill(true), false]);
    let next = 1;
    for (const one of told) {
      expect(one).toMatchObject({ storeId: STORE_ID, incarnation, firstTimestamp: next, lastTime: new Date(5000) });
      next = (one.lastTimestamp as number) + 1;
    }
    expect(next).toBe(11);
    expect(await commitsIn(shelf)).toEqual(upTo(10));
    expect(store.disk.files()).toEqual([]);
  });

  test('are neither removed nor used again before they are archived, and then they are', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const shelf = new MemoryArchive();
    shelf.failure = new Error('no tape');
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options: optionsOf(shelf) });
    for (let i = 0; i < 6; i++) {
      await writeSegments(store, 5);
      await store.checkpoint();
    }
    const { segment } = store.log.mark();
    expect(segmentsOn(store.disk).length).toBeGreaterThanOrEqual(segment);
    const { archive } = store.log.stats();
    expect(archive).toMatchObject({ archivedSegments: 0, waitingSegments: segment - 1, lastError: shelf.failure });
    const attempts = shelf.asked.length;
    shelf.failure = null;
    await settled(20);
    expect(shelf.asked.length).toBe(attempts); // a pause comes first
    await vi.advanceTimersByTimeAsync(60_000);
    await vi.waitUntil(() => store.log.stats().archive?.waitingSegments === 0, { interval: 1 });
    await settled(20);
    expect([...shelf.told.values()].map((one) => one.segment)).toEqual(upTo(segment - 1));
    expect(segmentsOn(store.disk).length).toBeLessThan(6);
    expect(await commitsIn(shelf)).toEqual(upTo([...shelf.told.values()].at(-1)?.lastTimestamp as number));
    await store.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual(upTo(30));
  });

  test('that cannot be archived are tried again after pauses that grow, up to a minute', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    const shelf = new MemoryArchive();
    shelf.failure = new Error('no tape');
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options: optionsOf(shelf) });
    await writeSegments(store, 4);
    for (const [pause, attempts] of [
      [99, 1],
      [1, 2],
      [199, 2],
      [1, 3],
      [400 + 800 + 1600 + 3200 + 6400 + 12_800 + 25_600 + 51_200, 11],
      [59_999, 11],
      [1, 12],
      [60_000, 13],
    ] as const) {
      for (let left: number = pause; left > 0; left -= 100) {
        await vi.advanceTimersByTimeAsync(Math.min(left, 100));
        await settled(8);
      }
      expect(shelf.asked.length, `${pause}`).toBe(attempts);
    }
    shelf.failure = null;
    await store.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual(upTo(4));
  });

  test('that cannot be archived when the log is closed are kept, which is said, and archived by the next', async () => {
    const shelf = new MemoryArchive();
    const superblock = newSuperblock();
    const disk = new SimulatedDevice();
    let commits = 0;
    for (const failure of [new Error('no tape'), new Error('still none'), null]) {
      const store = await openLogStore(disk, superblock, { options: optionsOf(shelf), generation: commits });
      expect(store.recovered).toEqual([]);
      await writeSegments(store, 8);
      commits += 8;
      shelf.failure = failure;
      const error = await store.close({ discard: true }).catch((reason) => reason);
      if (failure === null) break;
      expect(error).toMatchObject({
        code: 'PW_ARCHIVE_FAILED',
        cause: failure,
        details: { waiting: expect.any(Number) },
      });
      expect(error.message).toContain(failure.message);
      expect(segmentsOn(disk).length).toBeGreaterThanOrEqual(error.details.waiting);
      superblock.mark = { timestamp: commits, log: { incarnation: 0, segment: 0, offset: 0 } };
    }
    expect(disk.files()).toEqual([]);
    expect(await commitsIn(shelf)).toEqual(upTo(24));
  });

  test.each([
    'pipelined',
    'autonomous',
  ])('are archived by the thread that opened the log, whichever thread has filled them, and removed by no other, by the policy %s', async (commit) => {
    const shelf = new MemoryArchive();
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), {
      options: { ...optionsOf(shelf), commit },
    });
    const other = await store.attach(new WriteAheadLog());
    for (let i = 0; i < 12; i++) {
      await store.reserve(20_000, other.log);
      if (i % 2 === 0) store.commitSync(20_000, other.log);
      else await store.commit(20_000, other.log);
      await settled(3);
    }
    await settled(20);
    const { segment } = store.log.mark();
    expect(shelf.kept.size).toBe(segment - 1);
    expect(other.log.stats().archive).toBeNull();
    await expect(other.log.recycle(other.log.mark())).rejects.toMatchObject({ code: 'PW_UNSUPPORTED' });
    await expect(other.log.seal?.(12)).rejects.toMatchObject({ code: 'PW_UNSUPPORTED' });
    await other.log.close({ discard: true });
    await store.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual(upTo(12));
  });

  test('that were archived before a crash are archived again, with the same bytes', async () => {
    const shelf = new MemoryArchive();
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock, { options: optionsOf(shelf) });
    await writeSegments(store, 10);
    const before = shelf.asked.length;
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock, { options: optionsOf(shelf) });
    await settled(50);
    // The log that was found, from its beginning.
    expect(shelf.asked.slice(before, 2 * before)).toEqual(shelf.asked.slice(0, before));
    expect(segmentsOn(again.disk)).toHaveLength(1);
    await again.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual(upTo(10));
  });

  test('of a log that nobody has begun to use are not archived', async () => {
    const shelf = new MemoryArchive();
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock, { options: optionsOf(shelf) });
    await store.commit();
    // Recovery is cut off when it has begun a log, and the superblock does not name it.
    const { log, replay } = openLog(store.disk.afterCrash(dropAll), superblock, optionsOf(shelf));
    const disk = store.disk.afterCrash(keepAll);
    const cut = openLog(disk, superblock, optionsOf(shelf));
    for await (const _ of (await cut.replay).records());
    await cut.log.secure(cut.log.begin());
    await replay;
    await log.close({ discard: false });
    const again = await openLogStore(disk.afterCrash(keepAll), superblock, { options: optionsOf(shelf) });
    await again.commit();
    await again.close({ discard: true });
    expect(shelf.kept.size).toBe(2);
    expect(await commitsIn(shelf)).toEqual([1, 2]);
  });

  test('are told of on a channel', async () => {
    const told: LogArchived[] = [];
    const listen = (message: unknown): void => void told.push(message as LogArchived);
    subscribe('pagewright:log:archive', listen);
    try {
      const shelf = new MemoryArchive();
      const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options: optionsOf(shelf) });
      await writeSegments(store, 4);
      shelf.failure = new Error('no tape');
      await store.close({ discard: true }).catch(() => undefined);
      const [first] = shelf.kept.keys();
      expect(told[0]).toEqual({ path: '/store/app.pw-wal', event: 'archived', name: first, waiting: 0 });
      expect(told.at(-1)).toMatchObject({ event: 'failed', error: shelf.failure });
    } finally {
      unsubscribe('pagewright:log:archive', listen);
    }
  });
});

describe('archiving', () => {
  test('goes on with a segment that becomes durable when it has just looked for one', async () => {
    const disk = new SimulatedDevice();
    const store = await openLogStore(disk, newSuperblock());
    await writeSegments(store, 10);
    const { incarnation } = store.log.mark();
    const shelf = new MemoryArchive();
    const origin = { end: NO_LOG, timestamp: 0, keptRanges: 0, first: 1 };
    let durable = 2;
    let looks = 0;
    const archiver = new Archiver({
      archive: shelf.archive,
      location: { io: disk, directory: LOG_DIRECTORY, storeId: STORE_ID, readOnly: true },
      headerOf: (segment) => ({ storeId: STORE_ID, incarnation, segment, fileSize: 0, origin }),
      durableSegment: () => {
        // It has archived all that was durable, and told how many wait; then it looks for more, in vain.
        if (archiver.floor === 2 && ++looks === 2) {
          queueMicrotask(() => {
            durable = 3;
            archiver.look();
          });
        }
        return durable;
      },
      onArchived: async () => undefined,
      removeLeftover: async () => undefined,
      onFailed: () => undefined,
    });
    archiver.begin([]);
    await settled(20);
    expect(shelf.kept.size).toBe(2);
    await archiver.stop();
    await store.close({ discard: true });
  });

  test('by a function that returns no promise archives nothing, and says so', async () => {
    const disk = new SimulatedDevice();
    const names: string[] = [];
    const archive = ((segment: ArchivedSegment) => void names.push(segment.name)) as unknown as ArchiveFunction;
    const store = await openLogStore(disk, newSuperblock(), {
      options: { ...SMALL, archive, archiveTimeoutMs: 0 },
    });
    await writeSegments(store, 10);
    const { segment } = store.log.mark();
    expect(store.log.stats().archive).toMatchObject({
      archivedSegments: 0,
      waitingSegments: segment - 1,
      lastError: { code: 'PW_ARCHIVE_FAILED', message: expect.stringContaining('no promise') },
    });
    await expect(store.close({ discard: true })).rejects.toMatchObject({ code: 'PW_ARCHIVE_FAILED' });
    expect(new Set(names).size).toBe(1);
    expect(segmentsOn(disk).length).toBeGreaterThanOrEqual(segment);
  });
});

describe('a replay from the archive', () => {
  test('scenario 29: a later replay from the archive finds the gap that an earlier recovery had left, and goes on', async () => {
    for (let seed = 1; ; seed++) {
      expect(seed, 'a seed that leaves a hole in the middle').toBeLessThan(1000);
      const shelf = new MemoryArchive();
      const superblock = newSuperblock();
      const store = await openLogStore(new SimulatedDevice(), superblock, { options: optionsOf(shelf) });
      for (let i = 0; i < 3; i++) store.append(2000);
      store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise(() => undefined) : undefined);
      store.log.commit(store.log.stats().appendedBytes).catch(() => undefined);
      await settled();
      const disk = store.disk.afterCrash(keepSome(seed));
      const again = await openLogStore(disk, superblock, { options: optionsOf(shelf), generation: 1 });
      const size = again.log.sizeOf(recordOf(2, 0, 2000).operations);
      if (again.recovered.length !== 1 || again.replay.tornBytes() !== 2 * size) continue;
      await again.commit(500);
      await again.commit(500);
      await again.close({ discard: true });
      expect(shelf.kept.size).toBe(2);
      const request = { io: disk, archive: shelf, storeId: STORE_ID, timestamp: 0, until: null };
      const replay = await new WriteAheadLog().replayArchive(request);
      const found: unknown[] = [];
      for await (const record of replay.records()) found.push(inObjects(record));
      const first = again.replay.lastTimestamp() + 1;
      const left = first > 2 ? { after: 1 } : {};
      const later = [{ ...recordOf(first, 1, 500), ...left }, recordOf(first + 1, 1, 500)];
      expect(found).toEqual([recordOf(1, 0, 2000), ...later]);
      return;
    }
  });

  test('up to a date has all commits that were not made after it', async () => {
    const shelf = new MemoryArchive();
    const superblock = newSuperblock();
    const disk = new SimulatedDevice();
    let now = 0;
    const open = (on = disk): Promise<LogStore> =>
      openLogStore(on, superblock, { options: optionsOf(shelf), clock: () => now });
    const store = await open();
    // Times 1000, 1000, 1000, 1010, and then the clock is put back: 1010, 1010.
    for (now of [1000, 1000, 1000, 1010, 300, 400]) await store.commit();
    const again = await open(store.disk.afterCrash(dropAll));
    // Across a crash time goes on as well: 1010, 1020.
    for (now of [500, 1020]) await again.commit();
    await again.close({ discard: true });
    const last = await open(again.disk);
    // After a clean close it cannot; what was committed before is before it all the same.
    for (now of [900, 1030, 1030]) await last.commit();
    now = 2000;
    await last.close({ discard: true });
    const at = (time: number): Promise<number[]> => commitsIn(shelf, { from: 1, until: new Date(time) });
    expect(await at(1000)).toEqual([2, 3]);
    expect(await at(1009)).toEqual([2, 3]);
    expect(await at(1010)).toEqual(upTo(7, 2));
    expect(await at(1019)).toEqual(upTo(7, 2));
    expect(await at(1020)).toEqual(upTo(9, 2));
    expect(await at(1029)).toEqual(upTo(9, 2));
    expect(await at(1030)).toEqual(upTo(11, 2));
    expect(await at(2000)).toEqual(upTo(11, 2)); // when it was closed
    await expect(at(2001)).rejects.toMatchObject({ code: 'PW_RESTORE_POINT', details: { last: 11 } });
    await expect(at(999)).rejects.toMatchObject({ code: 'PW_RESTORE_POINT', details: { backup: 1 } });
    // The backup ends with the last commit of a log.
    const atEnd = (time: number): Promise<number[]> => commitsIn(shelf, { from: 8, until: new Date(time) });
    expect(await atEnd(1020)).toEqual([9]);
    await expect(atEnd(1019)).rejects.toMatchObject({ code: 'PW_RESTORE_POINT' });
  });

  test('of two copies of a store that went on from the same commit chooses neither', async () => {
    const shelf = new MemoryArchive();
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock, { options: optionsOf(shelf) });
    for (let i = 0; i < 3; i++) await store.commit();
    await store.close({ discard: true });
    const fork = async (generation: number, commits: number, from: Superblock): Promise<void> => {
      const copy = await openLogStore(store.disk.copy(), from, { options: optionsOf(shelf), generation });
      for (let i = 0; i < commits; i++) await copy.commit();
      await copy.close({ discard: true });
    };
    await fork(1, 2, { ...superblock });
    expect(await commitsIn(shelf)).toEqual(upTo(5));
    await fork(2, 4, { ...superblock });
    expect(await commitsIn(shelf, { until: 3 })).toEqual(upTo(3));
    for (const until of [null, 4, 5, 7]) {
      await expect(commitsIn(shelf, { until }), String(until)).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
    }
    // A copy that went on from the middle of a log.
    await fork(3, 1, { ...superblock, mark: { ...superblock.mark, timestamp: 2 } });
    expect(await commitsIn(shelf, { until: 2 })).toEqual([1, 2]);
    await expect(commitsIn(shelf, { until: 3 })).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
    // Backups from behind the fork.
    await expect(commitsIn(shelf, { from: 4 })).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
    expect(await commitsIn(shelf, { from: 5 })).toEqual([6, 7]);
  });

  test('of an archive that is behind has what was archived', async () => {
    const shelf = new MemoryArchive();
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options: optionsOf(shelf) });
    await writeSegments(store, 10);
    const last = [...shelf.told.values()].at(-1)?.lastTimestamp as number;
    expect(last).toBeLessThan(10);
    expect(await commitsIn(shelf)).toEqual(upTo(last));
    expect(await commitsIn(shelf, { until: last })).toEqual(upTo(last));
    await expect(commitsIn(shelf, { until: last + 1 })).rejects.toMatchObject({
      code: 'PW_RESTORE_POINT',
      details: { last },
    });
    const error = await commitsIn({ list: () => [], read: () => Promise.reject(new Error('not called')) }).catch(
      (e) => e,
    );
    expect(isPagewrightError(error, 'PW_ARCHIVE_GAP')).toBe(true);
    // The disk is lost; the store is restored up to there, and goes on with the same archive.
    const superblock = newSuperblock();
    superblock.mark = { ...superblock.mark, timestamp: last };
    const restored = await LogStore.open(
      new WriteAheadLog(optionsOf(shelf), BUILT_IN_POLICIES),
      new SimulatedDevice(),
      superblock,
    );
    await restored.commit();
    await restored.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual(upTo(last + 1));
  });
});
