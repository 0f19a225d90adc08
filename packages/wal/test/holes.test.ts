/**
 * What recovery makes of a log of which several writes were in flight when the power went: the gapless run, and behind the first hole exactly the
 * commits that may have been acknowledged (T1, L2); and that this is so for good (L3, L4). The logs are written byte by byte.
 *
 * `HOLES_SEED` repeats a run.
 */
import { dropAll, Random, type SimulatedDevice } from '@pagewright/testkit';
import { assertSameRecords, readAll, recordOf, STORE_ID, type Superblock } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import { encodeKept, type KeptTimestamps } from '../src/format/kept-timestamps.js';
import { comparePlaces, type Place } from '../src/format/place.js';
import { BEGINNING, CraftedLog, type Entry, type Fate, TIME, timestampsOf } from './crafted-log.js';
import { openLog, openLogStore } from './store.js';

const SEED = Number(process.env.HOLES_SEED ?? Date.now() % 2 ** 31);

/** What is there but for these. */
const without =
  (...missing: readonly Entry[]) =>
  (entry: Entry): Fate =>
    missing.includes(entry) ? 'missing' : 'whole';

async function replayed(disk: SimulatedDevice, superblock: Superblock) {
  const { log, replay } = openLog(disk, superblock);
  const found = await replay;
  const records = await readAll(found);
  return { log, found, records, timestamps: timestampsOf(records) };
}

describe('behind a hole', () => {
  test('commits are kept that depend on nothing beyond the gapless run, and the others are cut (T1)', async () => {
    const log = new CraftedLog();
    log.commit();
    const lost = log.commit();
    log.commit({ dependsOn: 1 }); // 3
    log.commit({ dependsOn: 2 }); // 4
    log.commit({ dependsOn: 3 }); // 5: 3 is there, but so is not all up to it
    log.commit({ dependsOn: 0 }); // 6
    const { records, found } = await replayed(log.disk(without(lost)), log.superblock);
    expect(timestampsOf(records)).toEqual([1, 3, 6]);
    expect(records.map(({ after }) => after)).toEqual([undefined, 1, 3]);
    const [, , , fourth, fifth] = log.entries as [Entry, Entry, Entry, Entry, Entry];
    expect(found.tornBytes()).toBe(lost.bytes.length + fourth.bytes.length + fifth.bytes.length);
    expect(found.lastTimestamp()).toBe(6);
  });

  test('a commit is kept in a later segment, whether the record that ends the one before is there or not', async () => {
    for (const isEndMissing of [false, true]) {
      const log = new CraftedLog();
      log.commit();
      const lost = log.commit();
      const end = log.goOn();
      log.commit({ dependsOn: 1 });
      log.goOn();
      log.commit({ dependsOn: 2 });
      log.commit({ dependsOn: 1 });
      const disk = log.disk(isEndMissing ? without(lost, end) : without(lost));
      expect((await replayed(disk, log.superblock)).timestamps).toEqual([1, 3, 5]);
    }
  });

  test('a missing mark, or a missing end of a segment, takes no commit with it', async () => {
    const log = new CraftedLog();
    log.commit();
    const mark = log.mark(BEGINNING);
    log.commit();
    const end = log.goOn();
    log.commit();
    const lost = log.commit();
    log.commit({ dependsOn: 3 });
    log.commit({ dependsOn: 4 });
    for (const missing of [[mark], [end], [mark, end]]) {
      const { timestamps } = await replayed(log.disk(without(lost, ...missing)), log.superblock);
      expect(timestamps).toEqual([1, 2, 3, 5]);
    }
  });

  test('a record that says that the hole was durable makes it damage, wherever it lies', async () => {
    const log = new CraftedLog();
    log.commit();
    const lost = log.commit();
    const third = log.commit({ dependsOn: 1 });
    log.goOn();
    log.commit({ dependsOn: 0, durable: { segment: third.segment, offset: third.offset } });
    const { replay } = openLog(log.disk(without(lost)), log.superblock);
    await expect(replay.then(readAll)).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { path: log.pathOf(1), segment: 1, offset: lost.offset },
    });
    const whole = await replayed(log.disk(), log.superblock);
    expect(whole.timestamps).toEqual([1, 2, 3, 4]);
  });

  test('records of an earlier use of the file are no records, also such as would tell of later ones', async () => {
    const log = new CraftedLog();
    log.commit();
    const lost = log.commit({ size: 3000 });
    log.commit({ dependsOn: 1 });
    for (let seed = 0; seed < 50; seed++) {
      expect((await replayed(log.disk(without(lost), seed), log.superblock)).timestamps).toEqual([1, 3]);
    }
  });
});

describe('what was kept, and what was cut, is so for good', () => {
  function holed() {
    const log = new CraftedLog();
    log.commit();
    const lost = log.commit();
    log.commit({ dependsOn: 1 }); // 3
    log.commit({ dependsOn: 2 }); // 4, cut
    log.goOn();
    log.commit({ dependsOn: 1 }); // 5
    log.commit({ dependsOn: 4 }); // 6, cut
    return { log, disk: log.disk(without(lost)) };
  }

  /** A recovery that was cut off before it removed the old log, though commits went into the new one. */
  async function recovered(disk: SimulatedDevice, superblock: Superblock, sizes: readonly number[]) {
    const { log, found, timestamps } = await replayed(disk, superblock);
    const clock = found.lastTimestamp() + 100;
    const mark = log.begin(clock);
    await log.secure(mark);
    for (const [i, size] of sizes.entries()) {
      const record = recordOf(clock + 1 + i, 1, size);
      log.reserveSync(log.sizeOf(record.operations));
      log.commitSync(log.append(record));
    }
    return {
      disk: disk.afterCrash(dropAll),
      superblock: { ...superblock, mark: { timestamp: clock, log: mark } },
      timestamps,
      clock,
    };
  }

  test('no timestamp that was seen is used again, of those that were cut neither (L3)', async () => {
    const { log, disk } = holed();
    const { log: opened, found } = await replayed(disk, log.superblock);
    expect(found.lastTimestamp()).toBe(6);
    expect(() => opened.begin(5)).toThrow(expect.objectContaining({ code: 'PW_INTERNAL' }));
    const store = await openLogStore(disk.copy(), log.superblock, { generation: 1 });
    expect(store.timestamp).toBe(6);
    await store.commit(10);
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered).toEqual([{ ...recordOf(7, 1, 10), time: TIME }]);
  });

  test('a replay from the older superblock goes to where the run ended, gives what was kept, and goes on in the new log (L4)', async () => {
    const { log, disk } = holed();
    const first = await recovered(disk, log.superblock, [10, 20]);
    expect(first.timestamps).toEqual([1, 3, 5]);
    const { records } = await replayed(first.disk.copy(), log.superblock);
    expect(timestampsOf(records)).toEqual([1, 3, 5, 107, 108]);
    expect(records.map(({ after }) => after)).toEqual([undefined, 1, 3, 5, undefined]);
    // That recovery's choice is recorded in turn, and so is the next one's.
    const second = await recovered(first.disk.copy(), log.superblock, [30]);
    expect(second.clock).toBe(208);
    expect((await replayed(second.disk.copy(), first.superblock)).timestamps).toEqual([107, 108, 209]);
  });

  test('it computes nothing anew: what fills the hole later does not bring back what was cut', async () => {
    const { log, disk } = holed();
    const first = await recovered(disk, log.superblock, [10]);
    const [, lost] = log.entries as [Entry, Entry];
    const content = first.disk.contentOf(log.pathOf(1));
    content.set(lost.bytes, lost.offset); // as if the disk had found the write after all
    first.disk.put(log.pathOf(1), content);
    const alone = first.disk.copy();
    for (const path of first.disk.files()) if (!path.includes('5f3a9c01')) alone.drop(path);
    expect((await replayed(alone, log.superblock)).timestamps).toEqual([1, 2, 3, 4, 5, 6]);
    expect((await replayed(first.disk.copy(), log.superblock)).timestamps).toEqual([1, 3, 5, 107]);
  });

  test.each(['missing', 'torn'] as const)('a kept commit that is %s in a later replay is damage', async (fate) => {
    const { log, disk } = holed();
    const { disk: later } = await recovered(disk, log.superblock, [10]);
    for (const entry of log.entries) {
      const timestamp = entry.record?.timestamp;
      const damaged = later.copy();
      const content = damaged.contentOf(log.pathOf(entry.segment));
      content.fill(
        0,
        entry.offset + (fate === 'missing' ? 0 : entry.bytes.length - 8),
        entry.offset + entry.bytes.length,
      );
      damaged.put(log.pathOf(entry.segment), content);
      const outcome = replayed(damaged, log.superblock).then(({ timestamps }) => timestamps);
      if (timestamp === 1 || timestamp === 3 || timestamp === 5) {
        await expect(outcome).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG', details: { segment: entry.segment } });
      } else expect(await outcome).toEqual([1, 3, 5, 107]);
    }
  });

  test('a list of kept commits that is missing or damaged is damage, and one of another log as well', async () => {
    const { log, disk } = holed();
    const { disk: later, superblock } = await recovered(disk, log.superblock, [10]);
    const [path] = later.files().filter((name) => name.endsWith('-00000000.log'));
    expect(path).toContain(superblock.mark.log.incarnation.toString(16).padStart(8, '0'));
    const missing = later.copy();
    missing.drop(path!);
    await expect(replayed(missing, log.superblock)).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { path, segment: 0, damage: 'missing-segment' },
    });
    const bytes = later.contentOf(path!).length;
    for (let offset = 0; offset < bytes; offset++) {
      later.flip(path!, offset, offset % 8);
      await expect(replayed(later.copy(), log.superblock), `byte ${offset}`).rejects.toMatchObject({
        code: 'PW_CORRUPT_LOG',
        details: { path, segment: 0 },
      });
      later.flip(path!, offset, offset % 8);
    }
    // Nor is a whole one believed that is another log's, or another store's, or says what the header contradicts.
    const list = {
      storeId: STORE_ID,
      incarnation: superblock.mark.log.incarnation,
      ranges: [
        { first: 3, last: 3 },
        { first: 5, last: 5 },
      ],
    };
    const lists: [KeptTimestamps, boolean][] = [
      [list, true],
      [{ ...list, incarnation: 7 }, false],
      [{ ...list, storeId: 'f'.repeat(32) }, false],
      [
        {
          ...list,
          ranges: [
            { first: 1, last: 1 },
            { first: 5, last: 5 },
          ],
        },
        false,
      ],
      [{ ...list, ranges: [{ first: 3, last: 3 }] }, false],
    ];
    for (const [other, isRight] of lists) {
      const exchanged = later.copy();
      exchanged.put(path!, encodeKept(other));
      const outcome = replayed(exchanged, log.superblock).then(({ timestamps }) => timestamps);
      if (isRight) expect(await outcome).toEqual([1, 3, 5, 107]);
      else await expect(outcome, JSON.stringify(other)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
    }
    // Who begins with the new log has no need of it.
    later.drop(path!);
    expect((await replayed(later, superblock)).timestamps).toEqual([107]);
  });

  test('a log is known to have been gone on from, though the first record of the later one has not reached the disk', async () => {
    const { log, disk } = holed();
    const end = { incarnation: log.incarnation, segment: 1, offset: log.entries[1]!.offset };
    const later = new CraftedLog({ timestamp: 106, incarnation: 0x77, origin: { end, timestamp: 1 } });
    const lost = later.commit();
    later.commit({ dependsOn: 106 });
    const left = later.disk(without(lost));
    disk.put(later.pathOf(1), left.contentOf(later.pathOf(1)));
    const { records } = await replayed(disk, log.superblock);
    expect(timestampsOf(records)).toEqual([1, 108]);
    expect(records.map(({ after }) => after)).toEqual([undefined, 1]);
  });

  test('an incarnation that begins with another timestamp than it says is damage', async () => {
    const { log, disk } = holed();
    const { disk: later, superblock } = await recovered(disk, log.superblock, [10]);
    const crafted = new CraftedLog({ timestamp: 50, incarnation: 0x77 });
    crafted.commit();
    const wrong = new CraftedLog({ timestamp: 50, incarnation: 0x77, origin: { first: 50, timestamp: 49 } });
    wrong.commit();
    expect((await replayed(crafted.disk(), crafted.superblock)).timestamps).toEqual([51]);
    await expect(replayed(wrong.disk(), wrong.superblock)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
    // Also where a checkpoint says that something is missing before it.
    const early = { ...superblock, mark: { ...superblock.mark, timestamp: 105 } };
    await expect(replayed(later, early)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
  });
});

/** A log as a writer makes it that has several writes in flight, and what it has acknowledged by rule T1. */
class Writer {
  readonly log: CraftedLog;
  readonly acknowledged = new Set<number>();
  readonly #random: Random;
  /** Of each record, whether it is durable. */
  readonly #isDurable: boolean[] = [];
  /** Records of writes that are in flight: indexes of their first and behind their last. */
  #inFlight: { readonly from: number; readonly to: number }[] = [];
  #written = 0;

  constructor(seed: number) {
    this.#random = new Random(seed);
    this.log = new CraftedLog({
      timestamp: this.#random.below(1000),
      incarnation: 1 + this.#random.below(2 ** 32 - 1),
    });
  }

  run(steps: number): void {
    for (let step = 0; step < steps; step++) {
      const choice = this.#random.below(20);
      if (choice < 10) this.#append();
      else if (choice < 14) this.#write();
      else if (choice < 19) this.#land();
      else if (this.#random.chance(0.3)) this.#add(() => this.log.mark(this.#durable));
      if (this.log.end.offset > 50_000) this.#add(() => this.log.goOn(this.#durable));
    }
  }

  /** What a crash leaves of each record: of what is durable all, of the rest anything. */
  fates(): Map<Entry, Fate> {
    const share = this.#random.pick([0, 0.3, 0.7, 0.95, 1]);
    const left = () => (this.#random.chance(share) ? 'whole' : this.#random.pick(['missing', 'torn'] as const));
    return new Map(
      this.log.entries.map((entry, i) => {
        const isWritten = i < this.#written;
        return [entry, this.#isDurable[i] ? 'whole' : isWritten ? left() : 'missing'];
      }),
    );
  }

  #append(): void {
    const base = this.log.superblock.mark.timestamp;
    const last = this.log.timestamp;
    const dependsOn = this.#random.chance(0.5) ? last : Math.max(base, last - this.#random.below(12));
    const size = this.#random.below(this.#random.pick([10, 400, 400, 9000]));
    this.#add(() => this.log.commit({ dependsOn, size, durable: this.#durable }));
  }

  #add(append: () => Entry): void {
    append();
    this.#isDurable.push(false);
  }

  /** One more write: a run of whole records that nobody has written yet. */
  #write(): void {
    const left = this.log.entries.length - this.#written;
    if (left === 0) return;
    const to = this.#written + 1 + this.#random.below(left);
    this.#inFlight.push({ from: this.#written, to });
    this.#written = to;
  }

  /** One of the writes is durable. */
  #land(): void {
    const write = this.#inFlight.splice(this.#random.below(Math.max(1, this.#inFlight.length)), 1)[0];
    if (write === undefined) return;
    this.#isDurable.fill(true, write.from, write.to);
    const firstGap = this.log.entries.findIndex(({ kind }, i) => kind === 'commit' && !this.#isDurable[i]);
    const gapless = firstGap < 0 ? this.log.timestamp : this.log.entries[firstGap]!.record!.timestamp - 1;
    for (const [i, { record }] of this.log.entries.entries()) {
      if (record !== null && this.#isDurable[i] && record.dependsOn <= gapless) this.acknowledged.add(record.timestamp);
    }
  }

  /** All before it is durable. */
  get #durable(): Place {
    const gap = this.#isDurable.indexOf(false);
    if (gap < 0) return this.log.end;
    const { segment, offset } = this.log.entries[gap]!;
    return { segment, offset };
  }
}

/** Rule T1, told plainly: the gapless run, and what depends on nothing beyond it. */
function whatCounts(log: CraftedLog, fates: ReadonlyMap<Entry, Fate>): Entry[] {
  const commits = log.entries.filter(({ record }) => record !== null);
  const hole = commits.findIndex((entry) => fates.get(entry) !== 'whole');
  const gapless = hole < 0 ? log.timestamp : commits[hole]!.record!.timestamp - 1;
  return commits.filter((entry) => fates.get(entry) === 'whole' && entry.record!.dependsOn <= gapless);
}

test('of any subset of what was in flight, recovery keeps what rule T1 says, at every try', async () => {
  let holes = 0;
  let keptBehind = 0;
  for (let round = 0; round < 400; round++) {
    const seed = SEED + round;
    const where = `HOLES_SEED=${seed}`;
    const random = new Random(seed);
    const writer = new Writer(seed);
    writer.run(10 + random.below(150));
    const { log, acknowledged } = writer;
    const fates = writer.fates();
    const expected = whatCounts(log, fates).map(({ record }) => record!);
    const counts = new Set(timestampsOf(expected));
    for (const timestamp of acknowledged)
      expect(counts.has(timestamp), `${where}: ${timestamp} was acknowledged`).toBe(true);
    const disk = log.disk((entry) => fates.get(entry)!, random.chance(0.5) ? seed : undefined);
    const superblock = log.superblock;

    const first = await replayed(disk.copy(), superblock);
    assertSame(first.records, expected, where);
    if (first.records.some(({ after }) => after !== undefined)) keptBehind++;
    if (first.found.tornBytes() > 0) holes++;
    expect(first.found.lastTimestamp(), where).toBeGreaterThanOrEqual(counts.size === 0 ? 0 : Math.max(...counts));

    // Recovery is cut off somewhere, and started over.
    let found = disk;
    for (let i = random.below(3); i > 0; i--) {
      found.crashAt = found.operations + 1 + random.below(12);
      await openLogStore(found, { ...superblock }, { generation: 1 }).catch(() => undefined);
      found = found.afterCrash(random.chance(0.5) ? dropAll : () => random.chance(0.5));
    }
    found.crashAt = Number.POSITIVE_INFINITY;
    // Then it comes through, goes on, and what it has decided is obeyed from both superblocks.
    const again = await replayed(found, superblock);
    assertSame(again.records, expected, `${where}, again`);
    const clock = again.found.lastTimestamp() + random.below(3);
    const mark = again.log.begin(clock);
    await again.log.secure(mark);
    const later = [recordOf(clock + 1, 1, 10), recordOf(clock + 2, 1, 500)];
    for (const record of later) {
      again.log.reserveSync(again.log.sizeOf(record.operations));
      again.log.commitSync(again.log.append(record));
    }
    const after = found.afterCrash(dropAll);
    const fromOlder = await replayed(after.copy(), superblock);
    assertSame(fromOlder.records, [...expected, ...later], `${where}, from the older superblock`);
    const fromNewer = await replayed(after.copy(), { ...superblock, mark: { timestamp: clock, log: mark } });
    assertSame(fromNewer.records, later, `${where}, from the newer superblock`);
    const behind = log.entries.filter((entry) => fates.get(entry) === 'whole' && comparePlaces(entry, mark) > 0);
    expect(behind.every(({ record }) => record === null || record.timestamp <= clock)).toBe(true);
  }
  expect(holes).toBeGreaterThan(50);
  expect(keptBehind).toBeGreaterThan(20);
});

function assertSame(found: Parameters<typeof assertSameRecords>[0], wanted: typeof found, where: string): void {
  try {
    assertSameRecords(found, wanted);
  } catch (error) {
    throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}
