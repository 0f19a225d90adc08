/**
 * Clauses on damage: whatever becomes of the files of a log that was closed, a replay gives all that was acknowledged, or
 * `PW_CORRUPT_LOG`; never a shorter history, never another one (L2).
 */
import assert from 'node:assert/strict';
import type { CommitRecord } from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { dropAll } from '../device/survival.js';
import { Random } from '../random.js';
import { assertSameRecord, assertSameRecords, recordOf } from '../rig/log-records.js';
import { LogStore, newSuperblock, openLog, readAll, recordsOn, type Superblock } from '../rig/log-store.js';
import { during, type LogClause, type NewLog, outcome } from './log-clause.js';

export const damageClauses: readonly LogClause[] = [
  {
    id: 'flipped-bits',
    rules: ['L2'],
    says: 'gives all records or PW_CORRUPT_LOG when a bit has flipped anywhere, also in the last record',
    async check(create) {
      const random = new Random(3);
      for (const log of [await closedLog(create, FEW), await closedLog(create, MANY)]) {
        const disk = log.disk.copy();
        let found = 0;
        for (const { path, offset } of places(disk, random, 150)) {
          const bit = random.below(8);
          disk.flip(path, offset, bit);
          if ((await checked(create, disk, log, `${path}, byte ${offset}, bit ${bit}`)) === 'corrupt') found++;
          disk.flip(path, offset, bit);
        }
        assert.ok(found > 0, 'Bits flipped in the records themselves, and no damage was found.');
      }
    },
  },
  {
    id: 'cut-short',
    rules: ['L2'],
    says: 'gives all records or PW_CORRUPT_LOG when a file was cut short anywhere',
    async check(create) {
      const random = new Random(5);
      for (const log of [await closedLog(create, FEW), await closedLog(create, MANY)]) {
        for (const path of log.disk.files()) {
          const content = log.disk.contentOf(path);
          const sizes = [0, 1, 100, 512, 4096, content.length - 1, content.length >> 1];
          for (let i = 0; i < 12; i++) sizes.push(random.below(content.length));
          for (const size of sizes) {
            const disk = log.disk.copy();
            disk.put(path, content.slice(0, size));
            await checked(create, disk, log, `${path} cut to ${size} bytes`);
          }
        }
      }
    },
  },
  {
    id: 'missing-files',
    rules: ['L2'],
    says: 'gives all records or PW_CORRUPT_LOG when a file is missing, and never takes a directory that is gone for an empty log',
    async check(create) {
      const log = await closedLog(create, MANY);
      for (const path of log.disk.files()) {
        const disk = log.disk.copy();
        disk.drop(path);
        await checked(create, disk, log, `${path} is missing`);
      }
      assert.equal(await checked(create, new SimulatedDevice(), log, 'all files are missing'), 'corrupt');
    },
  },
  {
    id: 'swapped-files',
    rules: ['L2'],
    says: 'gives all records or PW_CORRUPT_LOG when files were swapped, copied over each other, or are of another store',
    async check(create) {
      const log = await closedLog(create, MANY);
      const other = await closedLog(create, MANY, 'f'.repeat(32));
      const foreign = other.disk.files();
      const paths = log.disk.files();
      for (const [i, path] of paths.entries()) {
        for (const source of paths) {
          if (source === path) continue;
          const swapped = log.disk.copy();
          swapped.put(path, log.disk.contentOf(source));
          await checked(create, swapped, log, `${source} in place of ${path}`);
          swapped.put(source, log.disk.contentOf(path));
          await checked(create, swapped, log, `${path} and ${source} swapped`);
        }
        if (foreign[i] === undefined) continue;
        const replaced = log.disk.copy();
        replaced.put(path, other.disk.contentOf(foreign[i]));
        await checked(create, replaced, log, `${path} of another store`);
      }
      assert.equal(await checked(create, other.disk.copy(), log, 'the log of another store'), 'corrupt');
    },
  },
  {
    id: 'damage-before-the-end',
    rules: ['L2'],
    says: 'tells damage from a torn end also after a crash: no commit is missing but those of the last flush',
    async check(create) {
      const random = new Random(9);
      const superblock = newSuperblock();
      const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
      const count = 12;
      for (let i = 0; i < count; i++) await store.commit(300);
      const disk = store.disk.afterCrash(dropAll);
      for (const { path, offset } of places(disk, random, 200)) {
        const bit = random.below(8);
        disk.flip(path, offset, bit);
        const found = await outcome(create, disk, superblock);
        disk.flip(path, offset, bit);
        if (found === 'corrupt') continue;
        assert.ok(
          found.length >= count - 1,
          `${path}, byte ${offset}, bit ${bit}: ${found.length} of ${count} were found.`,
        );
        for (const [i, record] of found.entries()) assertSameRecord(record, recordOf(i + 1, 0, 300));
      }
    },
  },
  {
    id: 'stops-before-damage',
    rules: ['L2', 'L4'],
    says: "gives with recover: 'stop-before-damage' the records before the damage, says that those behind it are given up, and never brings one of them back",
    async check(create) {
      const random = new Random(11);
      const log = await closedLog(create, MANY);
      let stopped = 0;
      for (const damage of damagesOf(log.disk, random)) {
        const disk = log.disk.copy();
        damage.apply(disk);
        if ((await checked(create, disk.copy(), log, damage.name)) === 'right') continue;
        await during(damage.name, () => checkStop(create, disk, log));
        stopped++;
      }
      assert.ok(stopped > 10, 'Files were damaged in many ways, and hardly any damage was found.');
      const whole = await openLog(create(), log.disk.copy(), log.superblock, { recover: 'stop-before-damage' }).replay;
      assertSameRecords(await readAll(whole), log.records);
      assert.equal(whole.givenUp(), null, 'There is no damage, and something is said to be given up.');
    },
  },
];

const FEW = [10, 300, 0, 1, 700, 40];
/** More than a file of 64 KiB takes. */
const MANY = Array.from({ length: 14 }, (_, i) => 15_000 + i * 100);

interface ClosedLog {
  readonly disk: SimulatedDevice;
  readonly superblock: Superblock;
  readonly records: readonly CommitRecord[];
}

/** A log whose commits were all acknowledged, and that was closed and kept. Then the power failed. */
async function closedLog(create: NewLog, sizes: readonly number[], storeId?: string): Promise<ClosedLog> {
  const superblock = newSuperblock(storeId);
  const store = await LogStore.open(create(), new SimulatedDevice(), superblock);
  for (const [i, size] of sizes.entries()) {
    if (i % 3 === 2) store.commitSync(size);
    else await store.reserveAndCommit(size);
  }
  await store.log.close({ discard: false });
  const records = sizes.map((size, i) => recordOf(i + 1, 0, size));
  return { disk: store.disk.afterCrash(dropAll), superblock, records };
}

interface DamageToFiles {
  readonly name: string;
  apply(disk: SimulatedDevice): void;
}

/** Files that are missing, cut short or partly zeros, and bits that have flipped where something was written. */
function damagesOf(disk: SimulatedDevice, random: Random): DamageToFiles[] {
  const damages: DamageToFiles[] = [];
  for (const path of disk.files()) {
    const content = disk.contentOf(path);
    const at = random.below(content.length);
    damages.push(
      { name: `${path} is missing`, apply: (copy) => copy.drop(path) },
      { name: `${path} cut to ${at} bytes`, apply: (copy) => copy.put(path, content.slice(0, at)) },
      {
        name: `512 bytes of zeros in ${path}, from ${at} on`,
        apply: (copy) => copy.put(path, new Uint8Array(content).fill(0, at, at + 512)),
      },
    );
  }
  for (const { path, offset } of places(disk, random, 40)) {
    damages.push({ name: `${path}, byte ${offset}`, apply: (copy) => copy.flip(path, offset, offset % 8) });
  }
  return damages;
}

/** Replays up to the damage, goes on from there, and looks whether anything comes back. */
async function checkStop(create: NewLog, disk: SimulatedDevice, { superblock, records }: ClosedLog): Promise<void> {
  const { log, replay } = openLog(create(), disk, superblock, { recover: 'stop-before-damage' });
  const found = await replay;
  const before = await readAll(found);
  assertSameRecords(before, records.slice(0, before.length));
  const givenUp = found.givenUp();
  assert.ok(givenUp !== null, 'The log is damaged, and nothing is said to be given up.');
  assert.equal(givenUp.first, before.length + 1, 'What is given up does not begin right behind what was found.');
  const told = [...givenUp.whole, ...givenUp.unreadable].sort((a, b) => a.first - b.first);
  let next = givenUp.first;
  let counted = 0;
  for (const { first, last } of told) {
    assert.equal(first, next, `Commit ${next} is neither said to be whole nor to be unreadable.`);
    next = (last ?? records.length) + 1;
  }
  for (const { first, last } of givenUp.whole) counted += last - first + 1;
  assert.equal(givenUp.wholeCount, counted, 'Another number of commits is said to be whole than are listed.');
  assert.ok(next > records.length, `Commit ${records.length} is not said to be given up.`);
  const clock = found.lastTimestamp();
  const mark = log.begin(clock);
  await log.secure(mark);
  const later = recordOf(clock + 1, 1, 100);
  log.reserveSync(log.sizeOf(later.operations));
  log.commitSync(log.append(later));
  const after = disk.afterCrash(dropAll);
  const newer = { ...superblock, mark: { timestamp: clock, log: mark } };
  assertSameRecords(await recordsOn(create(), after.copy(), newer), [later]);
  const again = await outcome(create, after, superblock);
  if (again !== 'corrupt') assertSameRecords(again, [...before, later]);
}

/** Replays a damaged log: the right records, or the error. Anything else fails. */
async function checked(
  create: NewLog,
  disk: SimulatedDevice,
  { superblock, records }: ClosedLog,
  what: string,
): Promise<'right' | 'corrupt'> {
  try {
    const found = await outcome(create, disk, superblock);
    if (found === 'corrupt') return 'corrupt';
    assertSameRecords(found, records);
    return 'right';
  } catch (error) {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  }
}

/** Places in the files of a device: one half anywhere, the other half where something was written. */
function places(disk: SimulatedDevice, random: Random, count: number): { path: string; offset: number }[] {
  const files = disk.files().map((path) => ({ path, content: disk.contentOf(path) }));
  const written = files.flatMap(({ path, content }) => {
    const offsets: { path: string; offset: number }[] = [];
    content.forEach((byte, offset) => {
      if (byte !== 0) offsets.push({ path, offset });
    });
    return offsets;
  });
  return Array.from({ length: count }, (_, i) => {
    if (i % 2 === 0) return random.pick(written);
    const { path, content } = random.pick(files);
    return { path, offset: random.below(content.length) };
  });
}
