/**
 * A segment that is not full is archived when commits in it have waited for so long, whichever thread has made them, and whatever happens meanwhile. Time is what the tests say.
 *
 * `ARCHIVE_TIMEOUT_SEED` repeats a run.
 */
import { type Log, type LogMark, NO_LOG, type ReplayedRecord } from '@pagewright/core';
import { dropAll, ioError, keepAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import {
  inObjects,
  type LogStore,
  MemoryArchive,
  newSuperblock,
  readAll,
  recordOf,
  type Superblock,
  settled,
} from '@pagewright/testkit/rig';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { WalOptions } from '../src/options.js';
import { WriteAheadLog } from '../src/write-ahead-log.js';
import { commitsIn, recordsIn, upTo } from './archived-records.js';
import { openLog, openLogStore, SMALL } from './store.js';

const SEED = Number(process.env.ARCHIVE_TIMEOUT_SEED ?? Date.now() % 2 ** 31);
const KIB = 1024;
const TIMEOUT = 30_000;
const ARCHIVE = '/archive';

const optionsOf = ({ archive }: Pick<MemoryArchive, 'archive'>, more: WalOptions = {}): WalOptions => ({
  ...SMALL,
  archive,
  archiveTimeoutMs: TIMEOUT,
  ...more,
});

const openOn = (shelf: MemoryArchive, more: WalOptions = {}, disk = new SimulatedDevice()): Promise<LogStore> =>
  openLogStore(disk, newSuperblock(), { options: optionsOf(shelf, more) });

/** So much time passes, and what it begins comes to its end. */
async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms);
  await settled(20);
}

/** Of the log of a store, in order. */
const sizesOf = (disk: SimulatedDevice): number[] =>
  disk
    .files()
    .filter((path) => path.endsWith('.log'))
    .map((path) => disk.contentOf(path).length);

function read({ log }: LogStore, after: number, follow: boolean): AsyncGenerator<ReplayedRecord, void, void> {
  if (log.read === undefined) throw new Error('the log cannot be read');
  return log.read({ after, follow });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

describe('a segment in use', () => {
  test('is ended and archived when a commit in it has waited for so long, and not before, and so is the next', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    for (let segment = 1; segment <= 4; segment++) {
      for (let i = 0; i < 3; i++) {
        await store.commit(100);
        await pass(TIMEOUT / 3 - 1);
      }
      expect(shelf.told.size, `segment ${segment}, before it is time`).toBe(segment - 1);
      await pass(3);
      expect([...shelf.told.values()].at(-1)).toMatchObject({
        segment,
        complete: true,
        firstTimestamp: segment * 3 - 2,
        lastTimestamp: segment * 3,
      });
      expect(await commitsIn(shelf)).toEqual(upTo(segment * 3));
      expect(store.log.mark()).toMatchObject({ segment: segment + 1 });
    }
    expect(store.log.stats().archive).toEqual({ archivedSegments: 4, waitingSegments: 0, lastError: null });
    await store.commit(100);
    await store.close({ discard: true });
    for (const [i, record] of (await recordsIn(shelf)).entries()) expect(record).toEqual(recordOf(i + 1, 0, 100));
    expect(shelf.asked).toEqual([...shelf.kept.keys()]);
  });

  test('stays as it is as long as there are no commits in it, without a timer', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    await pass(10 * TIMEOUT);
    expect(vi.getTimerCount()).toBe(0);
    await store.commit(100);
    expect(vi.getTimerCount()).toBeGreaterThan(0);
    await pass(TIMEOUT);
    expect(shelf.asked).toHaveLength(1);
    await pass(20); // a mark is written
    await store.checkpoint();
    await store.log.secure(NO_LOG);
    await pass(10 * TIMEOUT);
    expect(vi.getTimerCount()).toBe(0);
    expect(shelf.asked).toHaveLength(1);
    expect(store.log.mark().segment).toBe(2);
    await store.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual([1]);
  });

  test('that was begun when one was full has all its time', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    await store.commit(100);
    await pass(TIMEOUT - 10);
    for (let i = 0; i < 4; i++) await store.reserveAndCommit(20 * KIB);
    const { segment } = store.log.mark();
    expect(segment).toBe(2);
    await pass(TIMEOUT - 10);
    expect(store.log.mark().segment).toBe(segment);
    expect(await commitsIn(shelf)).toEqual(upTo(3));
    await pass(10);
    expect(await commitsIn(shelf)).toEqual(upTo(5));
    await store.close({ discard: true });
  });

  test('is not ended early with a time-out of 0, nor where there is no archive', async () => {
    const shelf = new MemoryArchive();
    for (const options of [{ ...optionsOf(shelf), archiveTimeoutMs: 0 }, SMALL]) {
      const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options });
      await store.commit(100);
      await pass(100_000_000);
      expect(store.log.mark().segment).toBe(1);
      await store.close({ discard: true });
    }
    expect(shelf.kept.size).toBe(1);
  });

  test('is ended after a minute unless it is said otherwise', async () => {
    const shelf = new MemoryArchive();
    const { archiveTimeoutMs: _, ...options } = optionsOf(shelf);
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options });
    await store.commit(100);
    await pass(59_999);
    expect(shelf.kept.size).toBe(0);
    await pass(1);
    expect(shelf.kept.size).toBe(1);
    await store.close({ discard: true });
  });

  test.each([
    'pipelined',
    'autonomous',
    'group',
    'sync',
  ])('has the commits of all threads, and is ended by the one that opened the log, by the policy %s', async (commit) => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf, { commit, groupWindowMs: 0 });
    const others = [await store.attach(new WriteAheadLog()), await store.attach(new WriteAheadLog())];
    const logs = [store.log, ...others.map(({ log }) => log)];
    for (let i = 0; i < 12; i++) {
      const log = logs[i % 3] as Log;
      if (i % 2 === 0) store.commitSync(100, log);
      else await Promise.all([store.commit(100, log), pass(1)]);
      await pass(TIMEOUT);
      expect(shelf.told.size, `commit ${i + 1}`).toBe(i + 1);
      expect(await commitsIn(shelf)).toEqual(upTo(i + 1));
    }
    await others[0]?.log.close({ discard: true });
    store.commitSync(100, others[1]?.log);
    await pass(TIMEOUT);
    expect(await commitsIn(shelf)).toEqual(upTo(13));
    await others[1]?.log.close({ discard: true });
    await store.close({ discard: true });
  });

  test('is not left as long as threads have reserved more than fits into the next', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    const logs = [await store.attach(new WriteAheadLog()), await store.attach(new WriteAheadLog())].map(
      ({ log }) => log,
    );
    store.log.reserveSync(300 * KIB); // the file grows so far, and nothing comes of it
    await store.commit(40 * KIB);
    await pass(TIMEOUT - 1);
    expect(sizesOf(store.disk)).toEqual([expect.any(Number), 64 * KIB]);
    vi.advanceTimersByTime(1);
    // The segment is about to be ended when these are reserved, and they are appended before the turn is over.
    const places: LogMark[] = [];
    queueMicrotask(() => {
      for (const log of logs) {
        places.push(store.log.mark());
        log.append(recordOf(++store.timestamp, 0, 50 * KIB));
      }
    });
    for (const log of logs) log.reserveSync(51 * KIB);
    await pass(0);
    expect(places.map(({ segment }) => segment)).toEqual([1, 1]);
    await pass(2 * TIMEOUT);
    expect(await commitsIn(shelf)).toEqual([1, 2, 3]);
    for (const log of logs) await log.close({ discard: true });
    await store.close({ discard: true });
  });

  test('has commits that nobody waits for as well, once they are durable', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    await store.log.commit(store.append(100), { durability: 'none' });
    await store.log.commit(store.append(100), { durability: 'relaxed' });
    await pass(TIMEOUT + 1000);
    expect(await commitsIn(shelf)).toEqual([1, 2]);
    await store.close({ discard: true });
  });

  test('is ended behind writes that are under way, which are waited for', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf, { commit: 'autonomous' });
    await store.commit(100);
    let goOn: () => void = () => undefined;
    const held = new Promise<void>((resolve) => (goOn = resolve));
    store.disk.hold = ({ kind, path }) => (kind === 'write' && path.endsWith('-00000001.log') ? held : undefined);
    const waiting = store.commit(100);
    await pass(TIMEOUT);
    expect(store.log.mark().segment).toBe(2);
    expect(shelf.kept.size).toBe(0);
    const later = store.commit(100);
    goOn();
    await Promise.all([waiting, later, pass(10)]);
    expect(await commitsIn(shelf)).toEqual([1, 2]);
    await pass(TIMEOUT);
    expect(await commitsIn(shelf)).toEqual([1, 2, 3]);
    await store.close({ discard: true });
  });

  test('that is ended early takes as much of the disk as was in it, and a busy log goes on with whole files', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf, { segmentSize: '1MiB' });
    const first = 68 * KIB;
    for (let i = 0; i < 5; i++) {
      await store.commit(100);
      await pass(TIMEOUT);
    }
    expect(sizesOf(store.disk)).toEqual(Array(6).fill(first));
    await store.checkpoint();
    expect(sizesOf(store.disk)).toEqual([first]);
    for (let i = 0; i < 20; i++) await store.reserveAndCommit(20 * KIB);
    await pass(TIMEOUT);
    const [grown, like] = sizesOf(store.disk) as [number, number];
    expect(grown).toBeGreaterThanOrEqual(20 * 20 * KIB);
    expect(like).toBeGreaterThan(20 * 20 * KIB);
    expect(like).toBeLessThan(21 * 20 * KIB);
    await store.checkpoint();
    for (let i = 0; i < 150; i++) await store.reserveAndCommit(20 * KIB);
    await store.checkpoint();
    await pass(1);
    expect(sizesOf(store.disk).filter((size) => size === KIB * KIB).length).toBeGreaterThan(1);
    // Whole ones that were given up are used again, and nothing is made.
    const files = sizesOf(store.disk).length;
    for (let i = 0; i < 5; i++) {
      await store.commit(100);
      await pass(TIMEOUT);
      await store.checkpoint();
      expect(sizesOf(store.disk).length).toBeLessThanOrEqual(files);
    }
    await store.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual(upTo(store.timestamp));
  });

  test('is not ended while the archive takes none, and is when it does again', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    shelf.failure = new Error('no tape');
    for (let i = 0; i < 20; i++) {
      await store.commit(100);
      await pass(TIMEOUT);
    }
    expect(store.log.mark().segment).toBe(2);
    expect(store.log.stats().archive).toMatchObject({ archivedSegments: 0, waitingSegments: 1 });
    shelf.failure = null;
    await pass(2 * 60_000);
    expect(await commitsIn(shelf)).toEqual(upTo(20));
    expect(shelf.kept.size).toBe(2);
    await store.close({ discard: true });
  });

  test('stays in use while the disk is full, and is ended when it has room', async () => {
    const shelf = new MemoryArchive();
    const hour = 3_600_000;
    const store = await openOn(shelf, { archiveTimeoutMs: hour });
    await store.commit(100);
    store.disk.capacity = store.disk.used + 1000;
    await store.commit(100);
    await pass(2 * hour);
    expect(store.log.mark().segment).toBe(1);
    expect(store.failures).toEqual([]);
    store.disk.capacity = Number.POSITIVE_INFINITY;
    await pass(60_000); // it is tried again sooner
    expect(await commitsIn(shelf)).toEqual([1, 2]);
    await store.close({ discard: true });
  });

  test('whose end cannot be written ends the log, as any failed write, and no timer is left', async () => {
    const shelf = new MemoryArchive();
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock, { options: optionsOf(shelf) });
    await store.commit(100);
    await pass(TIMEOUT / 2);
    expect(vi.getTimerCount()).toBe(1);
    store.disk.onOperation = ({ kind, path }) => {
      if (kind === 'sync') throw ioError('EIO', path, 'the disk is broken');
    };
    await pass(TIMEOUT / 2);
    expect(store.failures).toHaveLength(1);
    expect(vi.getTimerCount()).toBe(0);
    expect(() => store.commitSync()).toThrow(expect.objectContaining({ code: 'PW_READ_ONLY' }));
    store.disk.onOperation = null;
    await store.log.close({ discard: true });
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock, { options: optionsOf(shelf) });
    expect(again.recovered).toHaveLength(1);
    await again.close({ discard: true });
    expect(await commitsIn(shelf)).toEqual([1]);
  });

  test('is read on from by readers that follow, and again from the beginning', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    const following = read(store, 0, true);
    for (let i = 1; i <= 6; i++) {
      await store.commit(100);
      expect(inObjects((await following.next()).value as ReplayedRecord)).toEqual(recordOf(i, 0, 100));
      if (i % 2 === 0) await pass(TIMEOUT);
    }
    await following.return();
    for (let after = 0; after <= 6; after++) {
      const found: number[] = [];
      for await (const { timestamp } of read(store, after, false)) found.push(timestamp);
      expect(found).toEqual(upTo(6, after + 1));
    }
    await store.close({ discard: true });
  });
});

describe('closing', () => {
  test('and a failure of the log leave no timer', async () => {
    for (const isBroken of [false, true]) {
      const store = await openOn(new MemoryArchive());
      await store.commit(100);
      await pass(TIMEOUT / 2);
      expect(vi.getTimerCount()).toBe(1);
      if (isBroken) {
        store.disk.onOperation = ({ path }) => {
          throw ioError('EIO', path, 'the disk is broken');
        };
        await expect(store.commit(100)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
      } else await store.close({ discard: true });
      expect(vi.getTimerCount()).toBe(0);
      const { operations } = store.disk;
      await pass(10 * TIMEOUT);
      expect(store.disk.operations).toBe(operations);
      await store.log.close({ discard: true });
    }
  });

  test('ends the time-out, whatever of it is under way, and archives all once', async () => {
    let stops = 0;
    for (let held = 1; held <= 12; held++) {
      for (const isSealed of [false, true]) {
        const shelf = new MemoryArchive();
        const store = await openOn(shelf);
        for (let i = 0; i < 3; i++) await store.commit(100);
        await pass(TIMEOUT - 1);
        let goOn: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => (goOn = resolve));
        let count = 0;
        store.disk.hold = ({ path }) => (path.includes('-wal') && ++count === held ? gate : undefined);
        vi.advanceTimersByTime(1);
        await settled(10);
        const what = `held at ${held}`;
        if (count >= held) stops++;
        const sealing = isSealed ? store.log.seal?.(store.timestamp) : undefined;
        await settled(10);
        if (isSealed) goOn();
        await sealing;
        await settled(20);
        store.superblock.mark = { timestamp: store.timestamp, log: NO_LOG };
        const closing = store.log.close({ discard: true });
        await settled(10);
        goOn();
        await closing;
        const { operations } = store.disk;
        expect(vi.getTimerCount(), what).toBe(0);
        await pass(100 * TIMEOUT);
        expect(store.disk.operations, what).toBe(operations);
        expect(store.disk.files(), what).toEqual([]);
        expect(await commitsIn(shelf), what).toEqual([1, 2, 3]);
        expect([...shelf.told.values()].map(({ complete }) => complete).indexOf(false), what).toBe(shelf.told.size - 1);
      }
    }
    expect(stops).toBeGreaterThan(6);
  });

  test('does without the time-out when the log was sealed', async () => {
    const shelf = new MemoryArchive();
    const store = await openOn(shelf);
    await store.commit(100);
    await store.log.seal?.(1);
    const { operations } = store.disk;
    await pass(10 * TIMEOUT);
    expect(store.disk.operations).toBe(operations);
    await store.close({ discard: true });
    expect([...shelf.told.values()]).toMatchObject([{ segment: 1, complete: false, lastTimestamp: 1 }]);
  });

  test('the process does not wait for the time-out', async () => {
    vi.useRealTimers();
    const shelf = new MemoryArchive();
    const before = process.getActiveResourcesInfo().filter((name) => name === 'Timeout').length;
    const store = await openOn(shelf);
    await store.commit(100);
    await settled(5);
    expect(process.getActiveResourcesInfo().filter((name) => name === 'Timeout')).toHaveLength(before);
    await store.close({ discard: true });
  });
});

describe(`a log whose segments are ended early (seed ${SEED})`, () => {
  interface Point {
    readonly at: string;
    readonly disk: SimulatedDevice;
    readonly superblock: Superblock;
    /** The last commit that was acknowledged, and with it all before it. */
    readonly acknowledged: number;
  }

  const COMMITS = 14;
  const options: WalOptions = { ...SMALL, archive: ARCHIVE, archiveTimeoutMs: TIMEOUT };

  /** Commits of two threads, some at once, large and small, checkpoints and time, as the seed has it; the disk before each operation. */
  async function live(seed: number): Promise<Point[]> {
    const random = new Random(seed);
    const disk = new SimulatedDevice(random.chance(0.5) ? {} : { seed, schedule: {} });
    await disk.makeDirectory(ARCHIVE);
    await disk.syncDirectory('/');
    const superblock = newSuperblock();
    const commit = random.pick(['pipelined', 'autonomous', 'sync']);
    const store = await openLogStore(disk, superblock, { options: { ...options, commit } });
    const other = await store.attach(new WriteAheadLog());
    const points: Point[] = [];
    let acknowledged = 0;
    disk.onOperation = ({ number, kind, path }) => {
      points.push({ at: `${number}: ${kind} ${path}`, disk: disk.copy(), superblock: { ...superblock }, acknowledged });
    };
    const waiting = new Set<Promise<void>>();
    for (let i = 0; i < COMMITS; i++) {
      const log = random.pick([store.log, other.log]);
      const size = random.chance(0.8) ? random.below(300) : random.below(60 * KIB);
      await store.reserve(size, log);
      const committing = store.commit(size, log);
      const { timestamp } = store;
      waiting.add(
        committing.then(() => {
          acknowledged = Math.max(acknowledged, timestamp);
        }),
      );
      if (random.chance(0.4)) await pass(TIMEOUT);
      if (random.chance(0.6)) await Promise.all(waiting);
      if (random.chance(0.15)) await store.checkpoint();
    }
    await Promise.all(waiting);
    disk.onOperation = null;
    await other.log.close({ discard: true });
    await store.close({ discard: true });
    expect(await commitsIn(ARCHIVE, { io: disk })).toEqual(upTo(COMMITS));
    return points;
  }

  test('has, after a crash at any operation, what was acknowledged, and the archive gives all of it, to every commit', async () => {
    let early = 0;
    for (let round = 0; round < 8; round++) {
      const seed = SEED + round;
      const random = new Random(seed).fork('crashes');
      for (const [i, { at, disk, superblock, acknowledged }] of (await live(seed)).entries()) {
        if (!random.chance(0.4)) continue;
        const what = `ARCHIVE_TIMEOUT_SEED=${seed}, crash before ${at}`;
        const crashed = disk.afterCrash(random.pick([dropAll, keepAll, keepSome(seed + i)]));
        const names = (await crashed.list(ARCHIVE)).filter((name) => name.endsWith('.log'));
        const before = names.length === 0 ? [] : await commitsIn(ARCHIVE, { io: crashed });
        expect(before, what).toEqual(upTo(before.length));
        if (before.length > 0) early++;
        const again = await openLogStore(crashed, superblock, { options, generation: 1 });
        expect(again.timestamp, what).toBeGreaterThanOrEqual(Math.max(acknowledged, before.length));
        await again.commit(100);
        await pass(random.pick([0, TIMEOUT]));
        await again.close({ discard: true });
        expect(
          crashed.files().filter((path) => path.includes('-wal')),
          what,
        ).toEqual([]);
        const kept = await commitsIn(ARCHIVE, { io: crashed });
        expect(kept.slice(0, acknowledged), what).toEqual(upTo(acknowledged));
        expect(kept.at(-1), what).toBe(again.timestamp);
        for (const until of kept) {
          expect(await commitsIn(ARCHIVE, { io: crashed, until }), what).toEqual(kept.filter((one) => one <= until));
        }
      }
    }
    expect(early, 'crashes after something was archived').toBeGreaterThan(10);
  }, 120_000);

  test('is replayed from its beginning, and from every checkpoint', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock, {
      options: optionsOf({ archive: async () => undefined }),
    });
    const marks = [{ ...superblock.mark }];
    for (let i = 0; i < 6; i++) {
      await store.commit(100);
      marks.push({ timestamp: store.timestamp, log: store.log.mark() });
      await pass(TIMEOUT);
      marks.push({ timestamp: store.timestamp, log: store.log.mark() });
    }
    expect(store.log.mark().segment).toBe(7);
    const crashed = store.disk.afterCrash(dropAll);
    for (const mark of marks) {
      const { log, replay } = openLog(crashed, { ...superblock, mark });
      const found = await readAll(await replay);
      expect(found.map(({ timestamp }) => timestamp)).toEqual(upTo(6, mark.timestamp + 1));
      await log.close({ discard: false });
    }
  });
});
