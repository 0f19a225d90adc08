/**
 * What is archived of a log that a crash has left holes in: the gapless run, and behind it the commits that recovery kept, and nothing that it cut (L4),
 * whichever part of the archive there is. The logs are written byte by byte.
 *
 * `ARCHIVE_HOLES_SEED` repeats a run.
 */
import type { ArchiveSource } from '@pagewright/core';
import { dropAll, keepAll, Random, type SimulatedDevice } from '@pagewright/testkit';
import { type LogStore, MemoryArchive, readAll, recordOf, type Superblock, settled } from '@pagewright/testkit/rig';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { commitsIn, recordsIn, upTo } from './archived-records.js';
import { CraftedLog, type Entry, type Fate, timestampsOf } from './crafted-log.js';
import { openLog, openLogStore, SMALL } from './store.js';

const SEED = Number(process.env.ARCHIVE_HOLES_SEED ?? Date.now() % 2 ** 31);

const without =
  (...missing: readonly Entry[]) =>
  (entry: Entry): Fate =>
    missing.includes(entry) ? 'missing' : 'whole';

function openOn(
  disk: SimulatedDevice,
  superblock: Superblock,
  shelf: MemoryArchive,
  generation = 1,
): Promise<LogStore> {
  return openLogStore(disk, superblock, { options: { ...SMALL, archive: shelf.archive }, generation });
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});

afterEach(() => {
  vi.useRealTimers();
});

/** Run 1; 2 is missing; 3 and 5 are kept, in two segments; 4 and 6 are cut. */
function holed() {
  const log = new CraftedLog();
  log.commit();
  const lost = log.commit();
  log.commit({ dependsOn: 1 });
  const fourth = log.commit({ dependsOn: 2 });
  log.goOn();
  log.commit({ dependsOn: 1 });
  const sixth = log.commit({ dependsOn: 4 });
  return { log, lost, cut: [fourth, sixth], disk: log.disk(without(lost)) };
}

describe('of a log with a hole', () => {
  test('the archive has what recovery kept, without the log that goes on from there, and with it', async () => {
    const { log, disk } = holed();
    const shelf = new MemoryArchive();
    const store = await openOn(disk, log.superblock, shelf);
    await settled(20);
    expect([...shelf.kept.keys()]).toHaveLength(2);
    expect(await commitsIn(shelf)).toEqual([1, 3, 5]);
    expect((await recordsIn(shelf)).map(({ after }) => after)).toEqual([undefined, 1, 3]);
    for (const [until, expected] of [
      [1, [1]],
      [2, [1]],
      [3, [1, 3]],
      [4, [1, 3]],
      [5, [1, 3, 5]],
    ] as const) {
      expect(await commitsIn(shelf, { until })).toEqual(expected);
    }
    await expect(commitsIn(shelf, { until: 6 })).rejects.toMatchObject({ code: 'PW_RESTORE_POINT' });
    await store.commit();
    await store.commit();
    await store.close({ discard: true });
    expect(disk.files()).toEqual([]);
    const first = store.replay.lastTimestamp() + 1;
    expect(await commitsIn(shelf)).toEqual([1, 3, 5, first, first + 1]);
    // Backups of before the crash, and of what recovery ended with.
    expect(await commitsIn(shelf, { from: 1 })).toEqual([3, 5, first, first + 1]);
    expect(await commitsIn(shelf, { from: first - 1 })).toEqual([first, first + 1]);
    expect(await commitsIn(shelf, { from: first })).toEqual([first + 1]);
  });

  test('no byte of what recovery cut gets into the archive', async () => {
    const { log, cut, disk } = holed();
    const shelf = new MemoryArchive();
    await (await openOn(disk, log.superblock, shelf)).close({ discard: true });
    const all = Buffer.concat([...shelf.kept.values()]);
    for (const entry of log.entries.filter(({ kind }) => kind === 'commit')) {
      const body = Buffer.from(entry.bytes.subarray(56, 120));
      expect(all.includes(body), `commit ${entry.record?.timestamp}`).toBe(
        !cut.includes(entry) && entry.record?.timestamp !== 2,
      );
    }
  });

  test('a part of the archive is taken for what it is: what came first, or a gap', async () => {
    const { log, disk } = holed();
    const shelf = new MemoryArchive();
    const store = await openOn(disk, log.superblock, shelf);
    await store.commit();
    await store.close({ discard: true });
    const [first, second, third] = [...shelf.kept.keys()] as [string, string, string];
    const part = (...names: string[]): ArchiveSource => ({ list: () => names, read: (name) => shelf.read(name) });
    expect(await commitsIn(part(first))).toEqual([1, 3]);
    await expect(commitsIn(part(first, third))).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
    await expect(commitsIn(part(second))).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
    expect(await commitsIn(part(first, third), { until: 3 })).toEqual([1, 3]);
    await expect(commitsIn(part(third))).rejects.toMatchObject({ code: 'PW_ARCHIVE_GAP' });
  });

  test('a kept commit that is damaged in the archive is damage, and what comes before it can be had', async () => {
    const { log, disk } = holed();
    const shelf = new MemoryArchive();
    await (await openOn(disk, log.superblock, shelf)).close({ discard: true });
    const fifth = log.entries.find(({ record }) => record?.timestamp === 5) as Entry;
    const [, second] = [...shelf.kept.values()] as [Buffer, Buffer];
    second[fifth.offset + 60] = (second[fifth.offset + 60] as number) ^ 1;
    await expect(commitsIn(shelf)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
    expect(await commitsIn(shelf, { until: 3 })).toEqual([1, 3]);
  });
});

describe('of a log that is damaged', () => {
  test('the archive has what comes before the damage, and what is committed after that was left behind', async () => {
    for (const missing of [1, 2, 3]) {
      const log = new CraftedLog();
      for (const segment of [1, 2, 3]) {
        log.commit();
        log.commit();
        if (segment < 3) log.goOn();
      }
      const disk = log.disk();
      await disk.remove(log.pathOf(missing));
      const shelf = new MemoryArchive();
      const options = { ...SMALL, archive: shelf.archive };
      const { log: opened, replay } = openLog(disk, log.superblock, options, undefined, 'stop-before-damage');
      const found = await replay;
      const left = upTo(2 * (missing - 1));
      expect(timestampsOf(await readAll(found))).toEqual(left);
      await opened.secure(opened.begin());
      await opened.discardOld();
      await settled(20);
      expect(shelf.kept.size).toBe(missing - 1);
      const record = recordOf(found.lastTimestamp() + 1, 1, 100);
      opened.reserveSync(opened.sizeOf(record.operations));
      opened.commitSync(opened.append(record));
      await opened.close({ discard: true });
      expect(await commitsIn(shelf)).toEqual([...left, record.timestamp]);
    }
  });
});

describe(`of any log (seed ${SEED})`, () => {
  /** Commits of which many depend on little, in some segments, of which some of the last did not reach the disk. */
  function anyLog(random: Random) {
    const log = new CraftedLog({ timestamp: random.pick([0, 0, 1000]) });
    const before = log.timestamp;
    const firm = random.below(8);
    for (let i = random.between(firm, 30); i > 0; i--) {
      const dependsOn = random.chance(0.5) ? log.timestamp : before + random.below(log.timestamp - before + 1);
      log.commit({ dependsOn, size: random.below(400) });
      if (random.chance(0.1)) log.mark({ segment: 1, offset: 4096 });
      if (random.chance(0.15)) log.goOn();
    }
    const fates = new Map(
      log.entries.map((entry, i) => [
        entry,
        i < firm ? 'whole' : random.pick(['whole', 'whole', 'missing', 'torn'] as const),
      ]),
    );
    return { log, before, disk: log.disk((entry) => fates.get(entry) as Fate, random.pick([undefined, 77])) };
  }

  test('a restoration to every timestamp has what recovery kept up to there, however often archiving was cut off', async () => {
    let holes = 0;
    for (let round = 0; round < 150; round++) {
      const what = `ARCHIVE_HOLES_SEED=${SEED}, round ${round}`;
      const random = new Random(SEED).fork(`round ${round}`);
      const { log, before, disk } = anyLog(random);
      const superblock = log.superblock;
      const shelf = new MemoryArchive();
      shelf.room = random.pick([0, 1, 2, 3, 100]);
      let store = await openOn(disk, superblock, shelf);
      await settled(20);
      const recovered = [...store.recovered];
      const expected = timestampsOf(recovered);
      if (recovered.some(({ after }) => after !== undefined)) holes++;
      const check = async (isWhole: boolean): Promise<void> => {
        if (shelf.kept.size === 0) return;
        const all = await commitsIn(shelf, { from: before });
        expect(all, what).toEqual(expected.slice(0, all.length));
        if (isWhole) expect(all, what).toEqual(expected);
        for (let until = before; until <= (all.at(-1) ?? before); until++) {
          const found = await commitsIn(shelf, { from: before, until });
          expect(found, `${what}, until ${until}`).toEqual(expected.filter((timestamp) => timestamp <= until));
        }
      };
      await check(shelf.room > 0);
      const count = random.below(3);
      for (let i = 0; i < count; i++) {
        await store.commit();
        expected.push(store.timestamp);
      }
      for (let crashes = random.below(3); crashes > 0; crashes--) {
        store = await openOn(store.disk.afterCrash(random.pick([dropAll, keepAll])), superblock, shelf, 2);
        shelf.room = random.pick([0, 1, 2, 3]);
        await settled(20);
        await store.commit();
        expected.push(store.timestamp);
      }
      shelf.room = Number.POSITIVE_INFINITY;
      await store.close({ discard: true });
      expect(store.disk.files(), what).toEqual([]);
      if (expected.length > 0) expect(await commitsIn(shelf, { from: before }), what).toEqual(expected);
      const last = expected.at(-1) ?? before;
      for (const until of expected) {
        const found = await commitsIn(shelf, { from: before, until });
        expect(found, `${what}, until ${until} of ${last}`).toEqual(expected.filter((one) => one <= until));
      }
      // Who has some of it already gets the rest, wherever that begins.
      for (const from of expected) {
        if (from === last) continue;
        expect(await commitsIn(shelf, { from }), `${what}, from ${from}`).toEqual(expected.filter((one) => one > from));
      }
      for (const record of (await commitsIn(shelf, { from: before })).length > 0
        ? (await recordsIn(shelf, { from: before })).slice(0, recovered.length)
        : []) {
        expect(recovered, what).toContainEqual(record);
      }
    }
    expect(holes, 'logs in which something was left out').toBeGreaterThan(20);
  }, 120_000);
});
