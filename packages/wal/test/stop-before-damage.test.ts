/** Where a replay stops that goes up to damage, in logs that are less simple than one whose end is known: behind a hole, and over several incarnations. */
import type { LogReplay, ReplayedRecord } from '@pagewright/core';
import { dropAll, type SimulatedDevice } from '@pagewright/testkit';
import { LOG_DIRECTORY, readAll, recordOf, type Superblock } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import { SEGMENT_HEADER_SIZE } from '../src/format/segment-header.js';
import { segmentName } from '../src/format/segment-name.js';
import type { WriteAheadLog } from '../src/write-ahead-log.js';
import { CraftedLog, type Entry, timestampsOf } from './crafted-log.js';
import { openLog, SMALL } from './store.js';

interface Replayed {
  readonly log: WriteAheadLog;
  readonly found: LogReplay;
  readonly timestamps: number[];
}

async function replayed(
  disk: SimulatedDevice,
  superblock: Superblock,
  recover: 'all' | 'stop-before-damage' = 'stop-before-damage',
): Promise<Replayed> {
  const { log, replay } = openLog(disk, superblock, SMALL, () => undefined, recover);
  const found = await replay;
  return { log: log as WriteAheadLog, found, timestamps: timestampsOf(await readAll(found)) };
}

/** Goes on from a replay with commits in a new log; the old one is not removed yet when the power goes. */
async function goOn(disk: SimulatedDevice, { log, found }: Replayed, count: number) {
  const clock = found.lastTimestamp();
  const mark = log.begin(clock);
  await log.secure(mark);
  const later: ReplayedRecord[] = [];
  for (let i = 1; i <= count; i++) {
    const record = recordOf(clock + i, 1, 30);
    log.reserveSync(log.sizeOf(record.operations));
    log.commitSync(log.append(record));
    later.push(record);
  }
  return { disk: disk.afterCrash(dropAll), mark: { timestamp: clock, log: mark }, later: timestampsOf(later) };
}

function zero(disk: SimulatedDevice, log: CraftedLog, segment: number, offset: number, length: number): void {
  const bytes = disk.contentOf(log.pathOf(segment)).slice();
  bytes.fill(0, offset, offset + length);
  disk.put(log.pathOf(segment), bytes);
}

/** 1, 2 missing, 3, 4 cut; 5 in segment 2; 6, 7 cut, 8 in segment 3. */
function holedLog() {
  const log = new CraftedLog();
  log.commit();
  const lost = log.commit();
  log.commit({ dependsOn: 1 });
  log.commit({ dependsOn: 2 });
  log.goOn();
  log.commit({ dependsOn: 1 });
  log.goOn();
  log.commit({ dependsOn: 1 });
  log.commit({ dependsOn: 6 });
  log.commit({ dependsOn: 0 });
  return { log, disk: log.disk((entry: Entry) => (entry === lost ? 'missing' : 'whole')) };
}

describe('a replay that stops before damage', () => {
  test('gives up nothing of a log that an ordinary crash has left', async () => {
    const { log, disk } = holedLog();
    const { timestamps, found } = await replayed(disk, log.superblock);
    expect(timestamps).toEqual([1, 3, 5, 6, 8]);
    expect(found.givenUp()).toBeNull();
  });

  test('keeps behind a hole what lies before the damage, and gives up what may have been acknowledged', async () => {
    const { log, disk } = holedLog();
    disk.drop(log.pathOf(2));
    await expect(replayed(disk.copy(), log.superblock, 'all')).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { segment: 2, damage: 'missing-segment', path: LOG_DIRECTORY },
    });
    const stopped = await replayed(disk, log.superblock);
    expect(stopped.timestamps).toEqual([1, 3]);
    const whole = [
      { first: 6, last: 6 },
      { first: 8, last: 8 },
    ];
    expect(stopped.found.givenUp()).toMatchObject({ first: 5, last: 8, whole, wholeCount: 2 });
    expect(stopped.found.givenUp()!.unreadable).toEqual([{ first: 5, last: 5, segment: 2, offset: 4096 }]);
    expect(stopped.found.lastTimestamp()).toBe(8);
    const { disk: after, later } = await goOn(disk, stopped, 1);
    expect((await replayed(after, log.superblock, 'all')).timestamps).toEqual([1, 3, ...later]);
  });

  test('a segment that only its records tell of must be whole as well', async () => {
    const { log, disk } = holedLog();
    disk.flip(log.pathOf(3), 70, 1);
    const { timestamps, found } = await replayed(disk, log.superblock);
    expect(timestamps).toEqual([1, 3, 5]);
    expect(found.givenUp()).toMatchObject({
      damage: { kind: 'damaged-header', segment: 3, offset: 0 },
      first: 6,
      wholeCount: 2,
    });
    // The record that ends the segment before it tells of it as well, though nothing else is left.
    const ended = new CraftedLog();
    ended.commit();
    const lost = ended.commit();
    ended.goOn();
    const cut = ended.disk((entry) => (entry === lost ? 'missing' : 'whole'));
    expect((await replayed(cut.copy(), ended.superblock, 'all')).timestamps).toEqual([1]);
    cut.drop(ended.pathOf(2));
    await expect(replayed(cut, ended.superblock, 'all')).rejects.toMatchObject({
      details: { segment: 2, damage: 'missing-segment' },
    });
    // One that nothing tells of need not be there: it may have been in the making.
    const short = new CraftedLog();
    short.commit();
    const unused = short.disk();
    unused.put(short.pathOf(2), new Uint8Array(64 * 1024));
    expect((await replayed(unused, short.superblock, 'all')).timestamps).toEqual([1]);
  });

  test('at a hole that had been durable gives up all behind it, whatever it depends on', async () => {
    const log = new CraftedLog();
    log.commit();
    const lost = log.commit();
    log.commit({ dependsOn: 0 });
    log.commit({ dependsOn: 0, durable: log.end });
    const { timestamps, found } = await replayed(
      log.disk((entry) => (entry === lost ? 'missing' : 'whole')),
      log.superblock,
    );
    expect(timestamps).toEqual([1]);
    expect(found.givenUp()).toMatchObject({ first: 2, last: 4, whole: [{ first: 3, last: 4 }], wholeCount: 2 });
    expect(found.givenUp()!.unreadable).toEqual([{ first: 2, last: 2, segment: 1, offset: lost.offset }]);
  });

  test('in a log that another one went on from gives up the later one too, and then goes on from there', async () => {
    const { log, disk } = holedLog();
    const first = await goOn(disk, await replayed(disk, log.superblock), 3);
    expect(first.later).toEqual([9, 10, 11]);
    const fifth = log.entries.find(({ record }) => record?.timestamp === 5)!;
    zero(first.disk, log, fifth.segment, fifth.offset, fifth.bytes.length);
    await expect(replayed(first.disk.copy(), log.superblock, 'all')).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
    const stopped = await replayed(first.disk, log.superblock);
    expect(stopped.timestamps).toEqual([1, 3]);
    const whole = [
      { first: 6, last: 6 },
      { first: 8, last: 11 },
    ];
    expect(stopped.found.givenUp()).toMatchObject({ first: 4, last: 11, whole, wholeCount: 5 });
    expect(stopped.found.givenUp()!.unreadable).toMatchObject([{ first: 5, last: 5, segment: 2 }]);
    const second = await goOn(first.disk, stopped, 1);
    expect(second.later).toEqual([12]);
    // From the newest superblock on nothing of either is left.
    expect((await replayed(second.disk, { ...log.superblock, mark: second.mark }, 'all')).timestamps).toEqual([12]);
  });

  test('without the list of what was kept behind a hole ends with the gapless run', async () => {
    const { log, disk } = holedLog();
    const first = await goOn(disk, await replayed(disk, log.superblock), 2);
    const incarnation = first.mark.log.incarnation;
    first.disk.drop(`${LOG_DIRECTORY}/${segmentName(incarnation, 0)}`);
    const { timestamps, found } = await replayed(first.disk, log.superblock);
    expect(timestamps).toEqual([1]);
    expect(found.givenUp()).toMatchObject({
      damage: { kind: 'missing-segment', segment: 0 },
      last: 10,
      whole: [{ first: 9, last: 10 }],
    });
    expect(found.givenUp()!.unreadable).toMatchObject([{ last: null, segment: 1 }]);
  });

  test('before a file that was to be used again, and never was, knows it as such', async () => {
    const log = new CraftedLog();
    log.commit();
    log.goOn(log.end);
    log.commit({ durable: log.end });
    log.goOn(log.end);
    log.commit({ durable: log.end });
    log.mark(log.end);
    const superblock = { ...log.superblock };
    superblock.mark = { timestamp: 1, log: { ...superblock.mark.log, segment: 2, offset: SEGMENT_HEADER_SIZE } };
    const disk = log.disk();
    disk.put(log.pathOf(3), disk.contentOf(log.pathOf(1)));
    disk.drop(log.pathOf(1));
    await expect(replayed(disk.copy(), superblock, 'all')).rejects.toMatchObject({
      message: expect.stringContaining('was to be used again'),
      details: { segment: 3, offset: 0, damage: 'stale-segment' },
    });
    const { timestamps, found } = await replayed(disk, superblock);
    expect(timestamps).toEqual([2]);
    expect(found.givenUp()!.unreadable).toEqual([{ first: 3, last: null, segment: 3, offset: 4096 }]);
  });

  test('before a block of zeros lists all that it has taken', async () => {
    const log = new CraftedLog();
    while (log.end.offset < 20_000) log.commit({ size: 500, durable: log.end });
    log.mark(log.end);
    const disk = log.disk();
    zero(disk, log, 1, 8192, 4096);
    const taken = log.entries.filter(({ offset, bytes }) => offset < 12_288 && offset + bytes.length > 8192);
    const [first] = taken as [Entry];
    const { timestamps, found } = await replayed(disk, log.superblock);
    expect(timestamps.at(-1)).toBe(first.record!.timestamp - 1);
    const range = { first: first.record!.timestamp, last: taken.at(-1)!.record!.timestamp };
    expect(found.givenUp()!.damage).toMatchObject({ kind: 'zeroed', segment: 1, offset: first.offset });
    expect(found.givenUp()!.unreadable).toEqual([{ ...range, segment: 1, offset: first.offset }]);
    expect(found.givenUp()!.whole).toEqual([{ first: range.last + 1, last: log.timestamp }]);
  });

  test('refuses two logs that go on from the same place', async () => {
    const { log, disk } = holedLog();
    const origin = {
      end: { incarnation: log.incarnation, segment: 1, offset: log.entries[1]!.offset },
      timestamp: 1,
      first: 20,
    };
    for (const incarnation of [0x11, 0x22]) {
      const successor = new CraftedLog({ timestamp: 19, incarnation, origin });
      successor.commit();
      disk.put(successor.pathOf(1), successor.disk().contentOf(successor.pathOf(1)));
    }
    await expect(replayed(disk, log.superblock)).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { damage: 'contradiction' },
    });
  });
});
