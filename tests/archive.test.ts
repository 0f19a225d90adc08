/**
 * With a backup and the archive there is the state after any commit from the backup on, whatever the store went through meanwhile; what is missing
 * is said, and never left out in silence.
 *
 * `ARCHIVE_SEED` repeats a run.
 */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { isPagewrightError, type RestoreOptions, type RestoreProgress } from '@pagewright/core';
import { dropAll, ioError, keepAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { settled } from '@pagewright/testkit/rig';
import { wal } from '@pagewright/wal';
import { attach, open, restore } from 'pagewright';
import { afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { ARCHIVE, ArchivedStore, BACKUP, contentOf, RESTORED, SMALL, STORE } from './archived-store.js';
import { blueprintOn, engineOn } from './engine-on.js';

const SEED = Number(process.env.ARCHIVE_SEED ?? Date.now() % 2 ** 31);

/** What is restored goes on with timestamps of its own: so far above. */
function expectBranch(leap: number): void {
  expect(leap).toBeGreaterThanOrEqual(2 ** 33);
  expect(leap).toBeLessThan(2 ** 33 + 2 ** 40 + 2 ** 34);
}

/** Restores on a copy of the disk, and what the store has then, or the error. */
async function restored(
  disk: SimulatedDevice,
  options: Partial<RestoreOptions> = {},
): Promise<{ readonly content: string; readonly timestamp: number; readonly time: Date | null }> {
  const copy = disk.copy();
  const report = await blueprintOn(copy, SMALL).restore({
    backup: BACKUP,
    archive: ARCHIVE,
    path: RESTORED,
    ...options,
  });
  expect(copy.files().filter((path) => path.startsWith(`${RESTORED}.`) || path.startsWith(`${RESTORED}-`))).toEqual([]);
  const db = await engineOn(copy, RESTORED, { ...SMALL, archive: undefined });
  const content = await contentOf(db);
  expect(db.recovered).toMatchObject({ records: 0 });
  expectBranch(db.lastCommit - report.timestamp);
  await db.close();
  return { content, ...report };
}

const segmentsOf = (disk: SimulatedDevice): string[] =>
  disk
    .files()
    .filter((path) => path.startsWith(`${ARCHIVE}/`))
    .sort();

interface Eventful {
  readonly store: ArchivedStore;
  /** The last commit of the first backup. */
  readonly backup: number;
  /** Others, made where one log ends or begins, and their last commits. */
  readonly backups: ReadonlyMap<string, number>;
}

/** A store that went through all that a store goes through, with a backup in the middle; closed. */
async function eventful(
  seed: number,
  afterCommit: ((store: ArchivedStore) => Promise<void>) | null = null,
): Promise<Eventful> {
  const disk = new SimulatedDevice();
  await disk.makeDirectory('/archive');
  await disk.syncDirectory('/');
  const store = new ArchivedStore(disk, seed);
  if (afterCommit !== null) store.afterCommit = () => afterCommit(store);
  await store.open();
  await store.write(60);
  await store.db.checkpoint();
  await store.write(20);
  const backup = await store.backup();
  await store.write(40);
  await store.db.checkpoint();
  await store.write(30);
  await store.db.checkpoint();
  await store.write(10);
  const backups = new Map<string, number>();
  const backUp = async (): Promise<void> => {
    const path = `/store/backup-${backups.size}.pw`;
    backups.set(path, await store.backup(path));
  };
  await backUp();
  await store.crash();
  await store.open();
  await backUp();
  await store.write(50);
  await backUp();
  await store.close();
  await store.open();
  await backUp();
  await store.close();
  await store.open();
  await store.write(10);
  await backUp();
  await store.crash();
  await store.open();
  await backUp();
  await store.crash();
  await store.open();
  await backUp();
  await store.close();
  await store.open();
  await backUp();
  await store.write(5);
  await store.close();
  return { store, backup, backups };
}

afterEach(() => {
  vi.useRealTimers();
});

describe(`a store that was archived from a backup on (seed ${SEED})`, () => {
  let store: ArchivedStore;
  let backup: number;
  let backups: ReadonlyMap<string, number>;

  beforeAll(async () => {
    ({ store, backup, backups } = await eventful(SEED));
  });

  it('has nothing left in its log, and several segments of several logs in the archive', () => {
    expect(store.disk.files().filter((path) => path.startsWith(STORE))).toEqual([STORE]);
    const segments = segmentsOf(store.disk);
    expect(segments.length).toBeGreaterThan(8);
    expect(new Set(segments.map((path) => path.slice(0, path.indexOf('-0')))).size).toBeGreaterThan(4);
  });

  it('can be restored as it was after every single commit since', async () => {
    let commits = 0;
    for (const [timestamp, content] of store.states) {
      if (timestamp < backup) continue;
      const found = await restored(store.disk, { until: timestamp });
      expect(found.timestamp, `seed ${SEED}, commit ${timestamp}`).toBe(timestamp);
      expect(found.content, `seed ${SEED}, commit ${timestamp}`).toBe(content);
      commits++;
    }
    expect(commits).toBeGreaterThan(130);
  }, 120_000);

  it('can be restored from a backup that was made anywhere, also where a log ends or begins', async () => {
    expect(backups.size).toBe(8);
    const timestamps = [...store.states.keys()];
    const random = new Random(SEED);
    for (const [path, first] of backups) {
      const later = timestamps.filter((timestamp) => timestamp > first);
      for (const until of [undefined, later[0]!, ...later.slice(1, 3), random.pick(later)]) {
        const found = await restored(store.disk, { backup: path, until });
        const what = `seed ${SEED}, ${path} (${first}), until ${until}`;
        expect(found.timestamp, what).toBe(until ?? store.last);
        expect(found.content, what).toBe(store.states.get(found.timestamp));
      }
    }
  });

  it('can be restored from the file of the store itself, as it was when it was closed', async () => {
    const later = await eventful(SEED);
    const { disk } = later.store;
    disk.put('/store/copy.pw', disk.contentOf(STORE));
    const closed = later.store.last;
    await later.store.open();
    await later.store.write(5);
    await later.store.close();
    const found = await restored(disk, { backup: '/store/copy.pw', until: later.store.last });
    expect(found.content).toBe(later.store.states.get(later.store.last));
    expect((await restored(disk, { backup: '/store/copy.pw', until: closed })).timestamp).toBe(closed);
  });

  it('can be restored as it was last, and is sound then, and goes on', async () => {
    const { disk } = store;
    const copy = disk.copy();
    const { timestamp } = await blueprintOn(copy, SMALL).restore({ backup: BACKUP, archive: ARCHIVE, path: RESTORED });
    expect(timestamp).toBe(store.last);
    const db = await engineOn(copy, RESTORED, { ...SMALL, archive: '/archive/another' });
    expect(await contentOf(db)).toBe(store.states.get(store.last));
    expect((await db.verify()).problems).toEqual([]);
    await (await db.index('later')).put('key', 1);
    expect(db.lastCommit).toBeGreaterThan(timestamp);
    await db.close();
  });

  it('can be restored from an object that lists and reads, as from a directory', async () => {
    const { disk } = store;
    const names = segmentsOf(disk).map((path) => path.slice(ARCHIVE.length + 1));
    const archive = {
      list: async function* () {
        yield 'something.else';
        for (const name of names.toReversed()) yield name;
      },
      read: async (name: string) => new Uint8Array(disk.contentOf(`${ARCHIVE}/${name}`)),
    };
    const found = await restored(disk, { archive });
    expect(found.content).toBe(store.states.get(store.last));
    const inArray = await restored(disk, { archive: { ...archive, list: () => names }, until: store.last - 1 });
    expect(inArray.timestamp).toBe(store.last - 1);
  });

  it('needs nothing of the archive that is older than the backup', async () => {
    const copy = store.disk.copy();
    const [first] = segmentsOf(copy).filter((path) => path.endsWith('-00000001.log') && isFirstLog(path));
    await copy.remove(first as string);
    expect((await restored(copy)).timestamp).toBe(store.last);

    function isFirstLog(path: string): boolean {
      // The log before the first crash is the one with the most segments.
      const log = path.slice(0, path.indexOf('-0'));
      return segmentsOf(copy).filter((other) => other.startsWith(log)).length > 3;
    }
  });

  it('says which segment is missing, and can be restored up to there', async () => {
    for (const missing of segmentsOf(store.disk)) {
      const copy = store.disk.copy();
      await copy.remove(missing);
      const error = await restored(copy).catch((reason) => reason);
      if (!isPagewrightError(error)) {
        // It was of before the backup, had no commits, or was the last.
        const { content, timestamp } = error;
        expect(content, missing).toBe(store.states.get(timestamp));
        const without = await lastWithout(missing);
        expect([store.last, without], missing).toContain(timestamp);
        continue;
      }
      expect(error.code, missing).toBe('PW_ARCHIVE_GAP');
      const last = error.details.last as number;
      const found = await restored(copy, { until: last });
      expect(found.content, `seed ${SEED}, without ${missing}`).toBe(store.states.get(found.timestamp));
      expect(found.timestamp, missing).toBe(last);
      const next = [...store.states.keys()].find((timestamp) => timestamp > last);
      await expect(restored(copy, { until: next as number }), missing).rejects.toMatchObject({
        code: 'PW_ARCHIVE_GAP',
      });
    }

    /** The last commit that is not in this segment, if it is the last segment. */
    async function lastWithout(name: string): Promise<number> {
      const copy = store.disk.copy();
      await copy.remove(name);
      return (await restored(copy)).timestamp;
    }
  }, 60_000);

  it('does not take a damaged segment for a shorter one, wherever the damage is', async () => {
    const random = new Random(SEED);
    for (const path of segmentsOf(store.disk)) {
      const bytes = store.disk.contentOf(path);
      for (let i = 0; i < 4; i++) {
        const copy = store.disk.copy();
        const at = random.below(bytes.length);
        const damaged = Uint8Array.from(bytes);
        if (random.chance(0.5)) damaged[at]! ^= 1 << random.below(8);
        copy.put(path, random.chance(0.3) ? damaged.subarray(0, at) : damaged);
        const what = `seed ${SEED}: ${path}, ${bytes.length} bytes, at ${at}`;
        const found = await restored(copy).catch((error) => error);
        if (isPagewrightError(found)) expect(['PW_CORRUPT_LOG', 'PW_ARCHIVE_GAP'], what).toContain(found.code);
        else expect(found.content, what).toBe(store.states.get(store.last));
      }
    }
  }, 60_000);

  it('names segment and offset of the damage, and can be restored up to there', async () => {
    const segments = segmentsOf(store.disk).filter((name) => name.includes(longest(store.disk)));
    // Behind the backup. There are three, or more.
    const segment = Math.min(4, segments.length);
    const path = segments[segment - 1] as string;
    const copy = store.disk.copy();
    const bytes = Uint8Array.from(copy.contentOf(path));
    const at = bytes.length >> 1;
    bytes[at]! ^= 4;
    copy.put(path, bytes);
    const error = await restored(copy).catch((reason) => reason);
    expect(error).toMatchObject({ code: 'PW_CORRUPT_LOG', details: { path, segment } });
    expect(error.details.offset).toBeLessThanOrEqual(at);
    expect(error.message).toContain('archived');
    expect(error.message).not.toContain('the store is not opened');
    expect(await copy.exists(RESTORED)).toBe(false);
  });

  it('is not taken to have ended early when the record is damaged that says where it ended', async () => {
    const endings = segmentsOf(store.disk).filter((name) => store.disk.contentOf(name).length < 64 * 1024);
    let damages = 0;
    for (const path of endings) {
      const copy = store.disk.copy();
      const bytes = Uint8Array.from(copy.contentOf(path));
      bytes[bytes.length - 30]! ^= 1;
      copy.put(path, bytes);
      const error = await restored(copy).catch((reason) => reason);
      if (!isPagewrightError(error)) continue; // of before the backup, or without commits
      expect(error, path).toMatchObject({ code: 'PW_CORRUPT_LOG', details: { path } });
      damages++;
    }
    expect(damages).toBeGreaterThan(2);
  });

  it('is not restored from what lies under the name of another segment', async () => {
    const [, second, third] = segmentsOf(store.disk).filter((name) => name.includes(longest(store.disk)));
    const copy = store.disk.copy();
    copy.put(third as string, copy.contentOf(second as string));
    await expect(restored(copy)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG', details: { segment: 3 } });
  });

  it('is not restored from the archive of another store, which is said, nor disturbed by it', async () => {
    const other = await eventful(SEED + 1);
    const copy = store.disk.copy();
    for (const path of segmentsOf(copy)) await copy.remove(path);
    for (const path of segmentsOf(other.store.disk)) copy.put(path, other.store.disk.contentOf(path));
    await expect(restored(copy)).rejects.toMatchObject({
      code: 'PW_ARCHIVE_GAP',
      message: expect.stringContaining('belongs to other stores'),
    });
    const both = store.disk.copy();
    for (const path of segmentsOf(other.store.disk)) both.put(path, other.store.disk.contentOf(path));
    expect((await restored(both)).content).toBe(store.states.get(store.last));
    const [, , third] = segmentsOf(store.disk).filter((name) => name.includes(longest(store.disk)));
    const exchanged = store.disk.copy();
    exchanged.put(third as string, other.store.disk.contentOf(segmentsOf(other.store.disk)[2] as string));
    await expect(restored(exchanged)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG', details: { path: third } });
  });

  it('cannot be restored to before the backup, or beyond the archive, and says what there is', async () => {
    await expect(restored(store.disk, { until: backup - 1 })).rejects.toMatchObject({
      code: 'PW_RESTORE_POINT',
      details: { until: backup - 1, backup },
    });
    await expect(restored(store.disk, { until: store.last + 1 })).rejects.toMatchObject({
      code: 'PW_RESTORE_POINT',
      details: { last: store.last },
      message: expect.stringContaining(`its last commit is ${store.last}`),
    });
    await expect(restored(store.disk, { until: new Date(Date.now() + 1e6) })).rejects.toMatchObject({
      code: 'PW_RESTORE_POINT',
      details: { last: store.last },
    });
    await expect(restored(store.disk, { until: new Date(0) })).rejects.toMatchObject({ code: 'PW_RESTORE_POINT' });
  });

  it('is not restored over anything, and leaves nothing when it ends early', async () => {
    for (const [path, details] of [
      [STORE, {}],
      [BACKUP, {}],
    ] as const) {
      await expect(restored(store.disk, { path })).rejects.toMatchObject({ code: 'PW_EXISTS', details });
    }
    const told: RestoreProgress[] = [];
    await restored(store.disk, { onProgress: (progress) => told.push(progress) });
    expect(told[0]).toMatchObject({ phase: 'copy', commits: 0 });
    expect(told.at(-1)).toMatchObject({
      phase: 'replay',
      commits: [...store.states.keys()].filter((t) => t > backup).length,
    });
    expect(told.at(-1)?.segments).toBe(told.at(-1)?.totalSegments);
    for (let end = 0; end < told.length; end++) {
      const copy = store.disk.copy();
      const before = copy.files();
      const controller = new AbortController();
      let calls = 0;
      const onProgress = (): void => {
        if (calls++ === end) controller.abort(new Error('enough'));
      };
      const options = { backup: BACKUP, archive: ARCHIVE, path: RESTORED, onProgress, signal: controller.signal };
      await expect(blueprintOn(copy, SMALL).restore(options)).rejects.toThrow('enough');
      expect(copy.files()).toEqual(before);
    }
  });
});

describe(`a store whose segments are archived after a time (seed ${SEED})`, () => {
  it('has lost nothing older than that with its disk, and can be restored as it was after every single commit', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'], shouldAdvanceTime: true });
    const random = new Random(SEED).fork('time');
    const isLate = oneOfEach(3, random);
    const isDiskLost = oneOfEach(5, random);
    let lost = 0;
    const { store, backup } = await eventful(SEED, async ({ disk, last, states }) => {
      if (!isLate()) return;
      await vi.advanceTimersByTimeAsync(60_000);
      await settled(30);
      if (!(await disk.exists(BACKUP)) || !isDiskLost()) return;
      // Only the backup and the archive are left.
      expect(await restored(disk), `seed ${SEED}, after commit ${last}`).toMatchObject({
        timestamp: last,
        content: states.get(last),
      });
      lost++;
    });
    vi.useRealTimers();
    expect(lost).toBeGreaterThan(3);
    const early = segmentsOf(store.disk).filter((path) => store.disk.contentOf(path).length < 48 * 1024);
    expect(early.length).toBeGreaterThan(25);
    for (const [timestamp, content] of store.states) {
      if (timestamp < backup) continue;
      const found = await restored(store.disk, { until: timestamp });
      expect(found.timestamp, `seed ${SEED}, commit ${timestamp}`).toBe(timestamp);
      expect(found.content, `seed ${SEED}, commit ${timestamp}`).toBe(content);
    }
  }, 180_000);
});

/** Whether a call is the chosen one: of each `count` calls in a row one is, by chance, so that none of the seeds has too few. */
function oneOfEach(count: number, random: Random): () => boolean {
  let call = 0;
  let chosen = 0;
  return () => {
    if (call % count === 0) chosen = call + random.below(count);
    return call++ === chosen;
  };
}

function longest(disk: SimulatedDevice): string {
  const counts = new Map<string, number>();
  for (const path of segmentsOf(disk)) {
    const log = path.slice(ARCHIVE.length + 1, path.indexOf('-0'));
    counts.set(log, (counts.get(log) ?? 0) + 1);
  }
  return [...counts].sort(([, a], [, b]) => b - a)[0]![0];
}

describe('restoring', () => {
  /** A store with an index, a backup, and so many commits. */
  async function written(commits = 6): Promise<ArchivedStore> {
    const disk = new SimulatedDevice();
    await disk.makeDirectory('/archive');
    await disk.syncDirectory('/');
    const store = new ArchivedStore(disk, SEED);
    await store.open();
    await store.put('first', 'value');
    await store.backup();
    for (let i = 0; i < commits; i++) await store.put(`key ${i}`, 'x'.repeat(3000));
    return store;
  }

  it('to a date has what was committed by then, and says when its last commit was', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2026, 0, 1) });
    const store = await written(0);
    const hours: number[] = [];
    for (let hour = 1; hour <= 5; hour++) {
      vi.setSystemTime(Date.UTC(2026, 0, 1, hour));
      await store.put('hour', String(hour));
      hours.push(store.last);
    }
    await store.close();
    for (let hour = 1; hour < 5; hour++) {
      const found = await restored(store.disk, { until: new Date(Date.UTC(2026, 0, 1, hour, 59, 59, 999)) });
      expect(found.timestamp).toBe(hours[hour - 1]);
      expect(found.time).toEqual(new Date(Date.UTC(2026, 0, 1, hour)));
      expect(found.content).toBe(store.states.get(found.timestamp));
    }
    const backup = await restored(store.disk, { until: new Date(Date.UTC(2026, 0, 1, 0, 30)) });
    expect(backup).toMatchObject({ timestamp: 2, time: null });
    await expect(restored(store.disk, { until: new Date(Date.UTC(2025, 0, 1)) })).rejects.toMatchObject({
      code: 'PW_RESTORE_POINT',
      details: { backup: 2 },
    });
  });

  it('across a bulk load says that it is not in the log, and comes up to it; a later backup comes past it', async () => {
    const store = await written();
    const before = store.last;
    const index = await store.db.index<string, string>('a');
    await index.bulkLoad([['loaded', 'entry']]);
    const load = store.db.lastCommit;
    await store.backup('/store/later.pw');
    await index.put('after', 'the load');
    await store.close();
    for (const until of [undefined, load, load + 1]) {
      await expect(restored(store.disk, { until })).rejects.toMatchObject({
        code: 'PW_ARCHIVE_GAP',
        details: { index: 'a', timestamp: load, last: load - 1 },
      });
    }
    expect((await restored(store.disk, { until: load - 1 })).content).toBe(store.states.get(before));
    const later = await restored(store.disk, { backup: '/store/later.pw' });
    expect(JSON.parse(later.content)).toEqual([
      [
        'a',
        [
          ['after', 'the load'],
          ['loaded', 'entry'],
        ],
      ],
    ]);
  });

  it('that the power ends at any operation leaves nothing that opens, or all, and can be done again', async () => {
    const store = await written();
    await store.close();
    const options = { backup: BACKUP, archive: ARCHIVE, path: RESTORED };
    const trial = store.disk.copy();
    await blueprintOn(trial, SMALL).restore(options);
    const operations = trial.operations - store.disk.copy().operations;
    const random = new Random(SEED);
    let whole = 0;
    for (let operation = 1; operation <= operations + 1; operation++) {
      for (const survival of [random.pick([dropAll, keepAll]), keepSome(SEED + operation)]) {
        const disk = store.disk.copy();
        disk.crashAt = disk.operations + operation;
        const restoring = blueprintOn(disk, SMALL).restore(options);
        const isDone = await restoring.then(
          () => true,
          () => false,
        );
        const after = disk.afterCrash(survival);
        const what = `seed ${SEED}, operation ${operation}, ${survival.label}`;
        if (isDone) expect(await after.exists(RESTORED), what).toBe(true);
        if (!(await after.exists(RESTORED))) {
          await blueprintOn(after, SMALL).restore(options);
        } else whole++;
        const db = await engineOn(after, RESTORED, { ...SMALL, archive: undefined });
        expect(await contentOf(db), what).toBe(store.states.get(store.last));
        await db.close();
      }
    }
    expect(whole).toBeGreaterThan(0);
    await blueprintOn(store.disk, SMALL).restore(options);
    expect(await store.disk.afterCrash(dropAll).exists(RESTORED)).toBe(true);
  }, 60_000);

  it('goes on with timestamps of its own, so that none stands for two commits, whatever came after it before', async () => {
    const store = await written(10);
    const first = store.last;
    await store.put('more', '1');
    await store.put('more', '2');
    const last = store.last;
    await store.close();
    const begins = new Set<number>();
    for (const until of [first, first, last - 1, last, undefined]) {
      const copy = store.disk.copy();
      const options = { backup: BACKUP, archive: ARCHIVE, path: RESTORED, until };
      const { timestamp } = await blueprintOn(copy, SMALL).restore(options);
      expect(timestamp).toBe(until ?? last);
      const db = await engineOn(copy, RESTORED, { ...SMALL, archive: undefined });
      const { lastCommit: begin } = db;
      expectBranch(begin - timestamp);
      begins.add(begin);
      await (await db.index<string, string>('a')).put('later', '3');
      expect(db.lastCommit).toBe(begin + 1);
      // Who has all up to there goes on; who had read what is no more is told so, however much is committed since.
      expect((await db.log.read(timestamp).next()).value).toMatchObject({ timestamp: begin + 1 });
      for (let later = timestamp + 1; later <= last; later++) {
        const gone = expect(db.log.read(later, { archive: ARCHIVE }).next()).rejects;
        await gone.toMatchObject({ code: 'PW_LOG_GONE' });
      }
      // Nor is anybody given what the archive has of that.
      const given: number[] = [];
      for await (const each of db.log.read(first - 1, { archive: ARCHIVE, follow: false })) given.push(each.timestamp);
      const kept = Array.from({ length: timestamp - first + 1 }, (_, i) => first + i);
      expect(given).toEqual([...kept, begin + 1]);
      await db.close();
    }
    expect(begins.size).toBe(5);
  });

  it('to one path at a time, however often it is asked for', async () => {
    const store = await written();
    await store.close();
    const blueprint = blueprintOn(store.disk, SMALL);
    const restore = () => blueprint.restore({ backup: BACKUP, archive: ARCHIVE, path: RESTORED });
    const outcomes = await Promise.allSettled([restore(), restore(), restore()]);
    const refused = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason.code] : []));
    expect(refused).toHaveLength(2);
    for (const code of refused) expect(['PW_LOCKED', 'PW_EXISTS']).toContain(code);
    const db = await engineOn(store.disk, RESTORED, { ...SMALL, archive: undefined });
    expect(await contentOf(db)).toBe(store.states.get(store.last));
    await db.close();
  });

  it('from an archive that was switched off for a while says that there is a gap', async () => {
    const store = await written();
    const last = store.last;
    await store.close();
    const unarchived = await engineOn(store.disk, STORE, { ...SMALL, archive: undefined });
    await (await unarchived.index('a')).put('not', 'archived');
    await unarchived.close();
    const again = await engineOn(store.disk, STORE, SMALL);
    await (await again.index('a')).put('archived', 'again');
    await again.close();
    await expect(restored(store.disk)).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP', details: { last } });
    expect((await restored(store.disk, { until: last })).content).toBe(store.states.get(last));
  });
});

describe('an archive that fails', () => {
  it('holds up neither commits nor checkpoints nor opening; closing says so, and what waited is archived later', async () => {
    const disk = new SimulatedDevice();
    await disk.makeDirectory('/archive');
    await disk.syncDirectory('/');
    const store = new ArchivedStore(disk, SEED);
    await store.open();
    await store.write(5);
    await store.backup();
    let isDown = true;
    disk.onOperation = ({ path }) => {
      if (isDown && path.startsWith('/archive')) throw ioError('EIO', path, 'the archive is down');
    };
    for (let i = 0; i < 2; i++) {
      for (let j = 0; j < 3; j++) {
        await store.write(40, 6000);
        await store.db.checkpoint();
      }
      expect(store.db.state).toBe('open');
      const { archive, segments } = store.db.stats().log!;
      expect(archive).toMatchObject({ archivedSegments: 0, lastError: { code: 'PW_IO' } });
      expect(archive!.waitingSegments).toBeGreaterThan(3);
      expect(segments).toBeGreaterThan(3);
      await expect(store.db.close()).rejects.toMatchObject({
        code: 'PW_ARCHIVE_FAILED',
        message: expect.stringContaining('could not be archived'),
      });
      await store.open();
      expect(store.db.recovered.records).toBe(0);
    }
    isDown = false;
    await store.close();
    expect(disk.files().filter((path) => path.startsWith(`${STORE}-wal`))).toEqual([]);
    expect((await restored(disk)).content).toBe(store.states.get(store.last));
  });

  it('at any operation is tried again, and has everything in the end', async () => {
    for (let failing = 1; failing <= 40; failing++) {
      const disk = new SimulatedDevice();
      await disk.makeDirectory('/archive');
      const store = new ArchivedStore(disk, SEED);
      await store.open();
      await store.write(3);
      await store.backup();
      let count = 0;
      disk.onOperation = ({ path }) => {
        if (path.startsWith('/archive') && ++count === failing) throw ioError('EIO', path, 'the archive is down');
      };
      await store.write(40);
      const closed = await store.db.close().then(
        () => true,
        (error) => error.code,
      );
      expect([true, 'PW_ARCHIVE_FAILED'], `operation ${failing}`).toContain(closed);
      disk.onOperation = null;
      await store.open();
      await store.close();
      expect((await restored(disk)).content, `operation ${failing}`).toBe(store.states.get(store.last));
    }
  }, 60_000);
});

describe('a store of two threads', () => {
  it('is archived by the one that opened it, with what both have committed', async () => {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-archive-'));
    const [path, backup, archive] = ['app.pw', 'backup.pw', 'archive'].map((name) => join(directory, name)) as [
      string,
      string,
      string,
    ];
    try {
      const a = await open(path, { log: wal({ segmentSize: '64KiB', archive }), memory: '8MiB' });
      const inA = await a.index<number, string>('numbers', { key: 'u32', value: 'json' });
      await a.backup(backup);
      const b = await attach(structuredClone(a.share()));
      const inB = await b.index<number, string>('numbers', { key: 'u32', value: 'json' });
      for (let i = 0; i < 200; i++) {
        await (i % 2 === 0 ? inA : inB).put(i, 'x'.repeat(3000));
        if (i % 50 === 49) await b.checkpoint();
      }
      const half = b.lastCommit;
      for (let i = 200; i < 260; i++) inB.putSync(i, 'x'.repeat(3000));
      expect(b.lastCommit).toBe(half + 60);
      await b.close();
      await a.close();
      expect(fs.readdirSync(directory).sort()).toEqual(['app.pw', 'archive', 'backup.pw']);
      expect(fs.readdirSync(archive).length).toBeGreaterThan(8);
      for (const [until, count] of [
        [half, 200],
        [half + 1, 201],
        [undefined, 260],
      ] as const) {
        const to = join(directory, `restored-${count}.pw`);
        await restore({ backup, archive, path: to, until, memory: '8MiB' });
        const db = await open(to, { memory: '8MiB' });
        const numbers = await db.index<number, string>('numbers', { key: 'u32', value: 'json' });
        expect([...numbers.rangeSync()].map(([key]) => key)).toEqual(Array.from({ length: count }, (_, i) => i));
        expect((await db.verify()).problems).toEqual([]);
        await db.close();
      }
    } finally {
      fs.rmSync(directory, { recursive: true, force: true });
    }
  });
});
