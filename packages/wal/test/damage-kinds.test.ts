/**
 * Kinds of damage × places in a log: each is recognised for what it is, and where it is; and whoever wants the state right before it gets that,
 * exactly, with a list of what lies behind, and for good (L2, L4). All that the log has was durable, and its last record says so.
 *
 * `DAMAGE_SEED` repeats a run.
 */
import type { GivenUp, LogDamageKind, TimestampRange } from '@pagewright/core';
import { isPagewrightError, type PagewrightError } from '@pagewright/core';
import { dropAll, Random, type SimulatedDevice } from '@pagewright/testkit';
import { assertSameRecords, LOG_DIRECTORY, readAll, recordOf, type Superblock } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import { comparePlaces, type Place } from '../src/format/place.js';
import { RECORD_HEADER_SIZE } from '../src/format/record.js';
import { SEGMENT_HEADER_SIZE } from '../src/format/segment-header.js';
import { CraftedLog, type Entry, rangesOf } from './crafted-log.js';
import { openLog, SMALL } from './store.js';

const SEED = Number(process.env.DAMAGE_SEED ?? Date.now() % 2 ** 31);
const SECTOR = 512;
const SEGMENTS = 4;

/** Four segments of commits of all sizes, with marks in between; each record says that all before it is durable. */
function durableLog(seed: number, incarnation?: number, storeId?: string): CraftedLog {
  const random = new Random(seed);
  const log = new CraftedLog({ ...(incarnation && { incarnation }), ...(storeId && { storeId }) });
  for (let segment = 1; segment <= SEGMENTS; segment++) {
    for (let i = random.between(5, 9); i > 0; i--) {
      if (random.chance(0.3)) log.mark(log.end);
      log.commit({ size: random.pick([0, 40, 300, 1500, 6000]), durable: log.end });
    }
    if (segment < SEGMENTS) log.goOn(log.end);
  }
  log.mark(log.end);
  return log;
}

/** One damage: what it does to the files, what it is to be taken for, and the place before which all is as it was. */
interface Damage {
  readonly name: string;
  readonly kind: LogDamageKind;
  /** What the message says. */
  readonly says: RegExp;
  readonly at: Place;
  /** Where the damage is said to lie: `at`, or the offset in the file. */
  readonly offset: number;
  readonly path?: string;
  apply(disk: SimulatedDevice): void;
}

function changed(disk: SimulatedDevice, path: string, change: (bytes: Uint8Array) => Uint8Array): void {
  disk.put(path, change(disk.contentOf(path).slice()));
}

const HEADER_FIELDS: Readonly<Record<string, readonly [number, number]>> = {
  magic: [0, 8],
  version: [8, 4],
  checksum: [12, 4],
  store: [16, 16],
  incarnation: [32, 4],
  segment: [36, 4],
  'file size': [40, 8],
  'origin incarnation': [48, 4],
  'origin segment': [52, 4],
  'origin offset': [56, 8],
  'origin timestamp': [64, 8],
  'first timestamp': [72, 8],
  'kept ranges': [80, 4],
  rest: [84, SEGMENT_HEADER_SIZE - 84],
};

const RECORD_FIELDS: Readonly<Record<string, readonly [number, number]>> = {
  checksum: [0, 4],
  'checksum of the body': [4, 4],
  length: [8, 4],
  kind: [12, 4],
  timestamp: [16, 8],
  'depends on': [24, 8],
  'durable segment': [32, 4],
  operations: [36, 4],
  'durable offset': [40, 8],
};

function segmentDamages(log: CraftedLog, random: Random): Damage[] {
  const damages: Damage[] = [];
  const whole = log.disk();
  const segments = Array.from({ length: SEGMENTS }, (_, i) => i + 1);
  const add = (
    name: string,
    kind: LogDamageKind,
    says: RegExp,
    segment: number,
    offset: number,
    apply: Damage['apply'],
  ) =>
    damages.push({
      name: `${name}, segment ${segment}`,
      kind,
      says,
      at: { segment, offset: SEGMENT_HEADER_SIZE },
      offset,
      apply,
      ...(kind === 'missing-segment' && { path: LOG_DIRECTORY }),
    });
  for (const segment of segments) {
    const path = log.pathOf(segment);
    for (const [field, [begin, length]] of Object.entries(HEADER_FIELDS)) {
      const offset = begin + random.below(length);
      const bit = random.below(8);
      add(`a bit of the header: ${field}`, 'damaged-header', /header .* is damaged/, segment, 0, (disk) =>
        disk.flip(path, offset, bit),
      );
    }
    add('a header of zeros', 'zeroed', /header .* is zeros/, segment, 0, (disk) =>
      changed(disk, path, (bytes) => bytes.fill(0, 0, SEGMENT_HEADER_SIZE)),
    );
    add('a missing file', 'missing-segment', /is missing/, segment, 0, (disk) => disk.drop(path));
    for (const size of [0, 100, SEGMENT_HEADER_SIZE, 5000 + random.below(50_000), 64 * 1024 - 1]) {
      const says = size < SEGMENT_HEADER_SIZE ? /only \d+ bytes/ : /shorter than it was made/;
      add(`cut to ${size}`, 'cut-short', says, segment, size, (disk) =>
        changed(disk, path, (bytes) => bytes.slice(0, size)),
      );
    }
    const foreign = durableLog(1, log.incarnation, 'f'.repeat(32));
    add('a file of another store', 'foreign-segment', /another store/, segment, 0, (disk) =>
      disk.put(path, foreign.disk().contentOf(foreign.pathOf(segment))),
    );
    const earlier = durableLog(2, 0x1234);
    add('a file of an earlier log', 'stale-segment', /another log of this store/, segment, 0, (disk) =>
      disk.put(path, earlier.disk().contentOf(earlier.pathOf(segment))),
    );
    for (const other of segments.filter((each) => each !== segment)) {
      const [mine, its] = [path, log.pathOf(other)].map((each) => whole.contentOf(each)) as [Uint8Array, Uint8Array];
      add(`copied over by ${other}`, 'duplicated-segment', /copied over/, segment, 0, (disk) => disk.put(path, its));
      if (other > segment) {
        add(`swapped with ${other}`, 'swapped-segments', /were swapped/, segment, 0, (disk) => {
          disk.put(path, its);
          disk.put(log.pathOf(other), mine);
        });
      }
    }
  }
  return damages;
}

function recordDamages(log: CraftedLog, random: Random): Damage[] {
  const damages: Damage[] = [];
  const add = (name: string, kind: LogDamageKind, says: RegExp, entry: Entry, apply: Damage['apply']) =>
    damages.push({
      name: `${name} of ${entry.kind} at ${entry.offset} of ${entry.segment}`,
      kind,
      says,
      at: entry,
      offset: entry.offset,
      apply,
    });
  const last = log.entries.at(-1)!;
  for (const entry of log.entries) {
    if (entry === last) continue; // nothing tells of it: see below
    const path = log.pathOf(entry.segment);
    const { offset, bytes } = entry;
    for (const [field, [begin, length]] of Object.entries(RECORD_FIELDS)) {
      const at = offset + begin + random.below(length);
      const bit = random.below(8);
      // The checksum of the body is no field of the body: the header's is wrong then.
      add(`a bit, ${field},`, 'damaged-record', /right checksum/, entry, (disk) => disk.flip(path, at, bit));
    }
    if (bytes.length > RECORD_HEADER_SIZE) {
      const inBody = [RECORD_HEADER_SIZE, bytes.length - 1, random.between(RECORD_HEADER_SIZE, bytes.length - 1)];
      for (const at of inBody) {
        add('a bit of the body', 'damaged-record', /operations of commit \d+ .* right checksum/, entry, (disk) =>
          disk.flip(path, offset + at, at % 8),
        );
      }
    }
    add('zeros in place', 'zeroed', /zeros/, entry, (disk) =>
      changed(disk, path, (content) => content.fill(0, offset, offset + bytes.length)),
    );
    const sector = Math.ceil((offset + RECORD_HEADER_SIZE) / SECTOR) * SECTOR;
    if (sector + SECTOR <= offset + bytes.length) {
      add('a sector of zeros', 'zeroed', /zeros/, entry, (disk) =>
        changed(disk, path, (content) => content.fill(0, sector, sector + SECTOR)),
      );
    }
    add('older bytes in place', 'damaged-record', /right checksum/, entry, (disk) =>
      changed(disk, path, (content) => {
        random.fill(content.subarray(offset, offset + bytes.length));
        return content;
      }),
    );
  }
  return damages;
}

interface Outcome {
  readonly records: Awaited<ReturnType<typeof readAll>>;
  readonly givenUp: GivenUp | null;
}

async function stoppedBefore(disk: SimulatedDevice, superblock: Superblock) {
  const { log, replay } = openLog(disk, superblock, SMALL, () => undefined, 'stop-before-damage');
  const found = await replay;
  const records = await readAll(found);
  return { log, found, records, givenUp: found.givenUp() };
}

async function refused(disk: SimulatedDevice, superblock: Superblock): Promise<PagewrightError | Outcome> {
  try {
    const { replay } = openLog(disk, superblock);
    const found = await replay;
    return { records: await readAll(found), givenUp: found.givenUp() };
  } catch (error) {
    if (isPagewrightError(error)) return error;
    throw error;
  }
}

/** What is there whole of the commits behind a place, looked up in the files themselves. */
function wholeBehind(log: CraftedLog, disk: SimulatedDevice, place: Place): number[] {
  const files = new Map(disk.files().map((path) => [path, disk.contentOf(path)]));
  const isThere = ({ segment, offset, bytes }: Entry): boolean => {
    const content = files.get(log.pathOf(segment))?.subarray(offset, offset + bytes.length);
    return content !== undefined && Buffer.compare(content, bytes) === 0;
  };
  const behind = log.entries.filter((entry) => entry.record !== null && comparePlaces(entry, place) >= 0);
  return behind.filter(isThere).map(({ record }) => record!.timestamp);
}

function listed(ranges: readonly TimestampRange[]): number[] {
  return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i));
}

async function check(log: CraftedLog, damage: Damage): Promise<void> {
  const { superblock } = log;
  const disk = log.disk();
  damage.apply(disk);
  const { segment } = damage.at;
  const error = await refused(disk.copy(), superblock);
  expect(error, 'is an error').toMatchObject({ code: 'PW_CORRUPT_LOG' });
  const { path = log.pathOf(segment), kind, offset } = damage;
  expect((error as PagewrightError).details).toEqual({ path, segment, offset, damage: kind });
  expect((error as PagewrightError).message).toMatch(damage.says);

  if (kind === 'foreign-segment') {
    await expect(stoppedBefore(disk, superblock)).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { damage: kind },
    });
    return;
  }
  const { log: opened, found, records, givenUp } = await stoppedBefore(disk, superblock);
  const before = log.entries.filter((entry) => entry.record !== null && comparePlaces(entry, damage.at) < 0);
  const kept = before.map(({ record }) => record!);
  assertSameRecords(records, kept);
  expect(givenUp!.damage).toMatchObject({ kind, path, segment, offset });
  // All behind it is told of, once: as whole, or as what cannot be read.
  const first = kept.length + 1;
  const whole = wholeBehind(log, disk, damage.at);
  expect(givenUp!.first).toBe(first);
  expect(givenUp!.whole).toEqual(rangesOf(whole));
  expect(givenUp!.wholeCount).toBe(whole.length);
  const lost = listed([{ first, last: log.timestamp }]).filter((timestamp) => !whole.includes(timestamp));
  const told = givenUp!.unreadable.flatMap((run) => listed([{ first: run.first, last: run.last ?? log.timestamp }]));
  expect(told).toEqual(lost);
  for (const run of givenUp!.unreadable) expect(comparePlaces(run, damage.at)).toBeGreaterThanOrEqual(0);
  const lasts = [...whole, ...givenUp!.unreadable.map(({ last }) => last ?? 0)];
  expect(givenUp!.last ?? 0).toBe(Math.max(0, ...lasts));

  // It does not come back, neither from the new log nor from the older superblock.
  const clock = found.lastTimestamp();
  expect(clock).toBeGreaterThanOrEqual(Math.max(kept.length, ...whole));
  const mark = opened.begin(clock);
  await opened.secure(mark);
  const later = recordOf(clock + 1, 1, 50);
  opened.reserveSync(opened.sizeOf(later.operations));
  opened.commitSync(opened.append(later));
  const after = disk.afterCrash(dropAll);
  const newer = { ...superblock, mark: { timestamp: clock, log: mark } };
  for (const [from, wanted] of [
    [newer, [later]],
    [superblock, [...kept, later]],
  ] as const) {
    const again = await refused(after.copy(), from);
    if (isPagewrightError(again)) throw again;
    assertSameRecords(again.records, wanted);
  }
}

async function checkAll(log: CraftedLog, damages: readonly Damage[]): Promise<void> {
  for (const damage of damages) {
    try {
      await check(log, damage);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new Error(`DAMAGE_SEED=${SEED}: ${damage.name}: ${reason}`, { cause: error });
    }
  }
}

/** Three at once, in different places: the first counts, and the others are told of. */
function several(damages: readonly Damage[], random: Random): Damage {
  const chosen: Damage[] = [];
  while (chosen.length < 3) {
    const damage = random.pick(damages);
    if (chosen.every(({ at }) => comparePlaces(at, damage.at) !== 0)) chosen.push(damage);
  }
  chosen.sort((a, b) => comparePlaces(a.at, b.at));
  const [first] = chosen as [Damage];
  const apply = (disk: SimulatedDevice) => {
    for (const damage of chosen) damage.apply(disk);
  };
  return { ...first, name: chosen.map(({ name }) => name).join('; '), apply };
}

describe('damage is recognised, and the state right before it can be had', () => {
  test('where a segment is not what it should be', async () => {
    const log = durableLog(SEED);
    await checkAll(log, segmentDamages(log, new Random(SEED)));
  });

  test('where a record is not what it should be', async () => {
    const log = durableLog(SEED);
    await checkAll(log, recordDamages(log, new Random(SEED)));
  });

  test('where several things are damaged: the first counts, and all that cannot be read is listed', async () => {
    const log = durableLog(SEED);
    const random = new Random(SEED);
    // Those that change one place each, and can be done in any order.
    const damages = [
      ...recordDamages(log, random),
      ...segmentDamages(log, random).filter(({ name, at }) => /^a bit|^a header/.test(name) && at.segment > 1),
    ];
    await checkAll(
      log,
      Array.from({ length: 150 }, () => several(damages, random)),
    );
  });
});
