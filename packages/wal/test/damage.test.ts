import type { CommitRecord } from '@pagewright/core';
import { isPagewrightError, PagewrightError } from '@pagewright/core';
import { dropAll, Random, SimulatedDevice } from '@pagewright/testkit';
import {
  assertSameRecord,
  LOG_DIRECTORY,
  newSuperblock,
  readAll,
  recordOf,
  STORE_ID,
  type Superblock,
} from '@pagewright/testkit/rig';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { RECORD_HEADER_SIZE } from '../src/format/record.js';
import { SEGMENT_HEADER_SIZE } from '../src/format/segment-header.js';
import type { WalOptions } from '../src/options.js';
import { openLog, openLogStore } from './store.js';

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface IdleLog {
  readonly disk: SimulatedDevice;
  readonly superblock: Superblock;
  readonly records: CommitRecord[];
  readonly end: { readonly segment: number; readonly offset: number };
}

/** A log whose commits were all acknowledged, left idle, whose process was then killed. */
async function idleLog(sizes: readonly number[], storeId?: string, options?: WalOptions): Promise<IdleLog> {
  const superblock = newSuperblock();
  if (storeId !== undefined) superblock.storeId = storeId;
  const store = await openLogStore(new SimulatedDevice(), superblock, { ...(options && { options }) });
  const records: CommitRecord[] = [];
  for (const [i, size] of sizes.entries()) {
    if (i % 3 === 2) store.commitSync(size);
    else await store.commit(size);
    records.push(recordOf(i + 1, 0, size));
  }
  const end = store.log.mark();
  await vi.advanceTimersByTimeAsync(1000);
  return { disk: store.disk, superblock, records, end };
}

/** What the log of a changed disk gives: the right records, or the error. Anything else fails. */
async function outcome(disk: SimulatedDevice, log: IdleLog, what: string): Promise<'right' | PagewrightError> {
  let found: CommitRecord[];
  try {
    const { replay } = openLog(disk, log.superblock);
    found = await readAll(await replay);
  } catch (error) {
    if (isPagewrightError(error, 'PW_CORRUPT_LOG')) return error;
    throw error;
  }
  expect(found.length, what).toBe(log.records.length);
  for (const [i, record] of found.entries()) assertSameRecord(record, log.records[i]);
  return 'right';
}

const MANY_SEGMENTS = Array.from({ length: 14 }, (_, i) => 15_000 + i * 100);

describe('damage to an idle log', () => {
  test('is found wherever a bit flips, and never costs a commit in silence', async () => {
    const log = await idleLog([10, 300, 0, 1, 700, 40]);
    const [path] = log.disk.files();
    const damaged: number[] = [];
    const bytes: { offset: number; bits: number[] }[] = [];
    for (let offset = 0; offset < 128; offset++) bytes.push({ offset, bits: [0, 1, 2, 3, 4, 5, 6, 7] });
    for (let offset = 128; offset < SEGMENT_HEADER_SIZE; offset += 61) bytes.push({ offset, bits: [offset % 8] });
    for (let offset = SEGMENT_HEADER_SIZE; offset < log.end.offset; offset++) {
      bytes.push({ offset, bits: [offset % 8, (offset * 5 + 3) % 8] });
    }
    for (let offset = log.end.offset; offset < log.end.offset + 300; offset++)
      bytes.push({ offset, bits: [offset % 8] });
    const copy = log.disk.copy();
    for (const { offset, bits } of bytes) {
      for (const bit of bits) {
        copy.flip(path!, offset, bit);
        const found = await outcome(copy, log, `byte ${offset}, bit ${bit}`);
        if (found !== 'right') damaged.push(offset);
        copy.flip(path!, offset, bit);
      }
    }
    // Whatever was acknowledged is guarded; what lies behind it is not.
    const guarded = new Set(damaged);
    for (const { offset } of bytes) expect(guarded.has(offset), `byte ${offset}`).toBe(offset < log.end.offset);
  });

  test('is found in every segment, and named with file, segment and offset', async () => {
    const log = await idleLog(MANY_SEGMENTS);
    expect(log.end.segment).toBeGreaterThan(2);
    const copy = log.disk.copy();
    const random = new Random(3);
    for (let i = 0; i < 150; i++) {
      const files = copy.files();
      const path = files[Math.floor(random.fraction() * files.length)]!;
      const offset = Math.floor(random.fraction() * copy.sizeOf(path));
      copy.flip(path, offset, i % 8);
      const found = await outcome(copy, log, `${path} at ${offset}`);
      if (found instanceof PagewrightError) {
        expect(found.details).toMatchObject({ path, segment: files.indexOf(path) + 1 });
      }
      copy.flip(path, offset, i % 8);
    }
  });

  test('in the last acknowledged record is told from a torn tail by the mark that the idle stream wrote', async () => {
    const log = await idleLog([50, 50]);
    const [path] = log.disk.files();
    const copy = log.disk.copy();
    copy.flip(path!, log.end.offset - 1, 0);
    expect(await outcome(copy, log, 'the last byte')).toMatchObject({
      code: 'PW_CORRUPT_LOG',
      details: { path, segment: 1 },
    });
  });

  test('in the last record before a close that kept the log is found, also after a loss of power', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    await store.commit(100);
    const end = store.log.mark().offset;
    await store.log.close({ discard: false });
    const copy = store.disk.afterCrash(dropAll);
    copy.flip(copy.files()[0]!, end - 1, 5);
    const { replay } = openLog(copy, superblock);
    await expect(replay.then(readAll)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
  });

  test('is found when a segment is missing', async () => {
    const log = await idleLog(MANY_SEGMENTS);
    for (const [i, path] of log.disk.files().entries()) {
      const copy = log.disk.copy();
      copy.drop(path);
      const found = await outcome(copy, log, `without ${path}`);
      if (i + 1 > log.end.segment) expect(found).toBe('right');
      else expect(found).toMatchObject({ code: 'PW_CORRUPT_LOG', message: expect.stringContaining('missing') });
    }
  });

  test('is found when segments are swapped, duplicated, or of another store', async () => {
    const log = await idleLog(MANY_SEGMENTS);
    const other = await idleLog(MANY_SEGMENTS, 'f'.repeat(32));
    const paths = log.disk.files();
    const foreign = other.disk.files();
    for (const [i, path] of paths.entries()) {
      const used = i + 1 <= log.end.segment;
      for (const [j, source] of paths.entries()) {
        if (i === j) continue;
        const swapped = log.disk.copy();
        swapped.put(path, log.disk.contentOf(source));
        swapped.put(source, log.disk.contentOf(path));
        const bothUnused = !used && j + 1 > log.end.segment;
        expect((await outcome(swapped, log, `${path} and ${source} swapped`)) === 'right').toBe(bothUnused);
        const duplicated = log.disk.copy();
        duplicated.put(path, log.disk.contentOf(source));
        expect((await outcome(duplicated, log, `${source} in place of ${path}`)) === 'right').toBe(!used);
      }
      const replaced = log.disk.copy();
      replaced.put(path, other.disk.contentOf(foreign[i]!));
      const found = await outcome(replaced, log, `${path} of another store`);
      if (used) expect(found).toMatchObject({ message: expect.stringContaining('another store') });
    }
  });

  test('is found when a segment was cut short', async () => {
    const log = await idleLog(MANY_SEGMENTS);
    for (const path of log.disk.files().slice(0, log.end.segment)) {
      const content = log.disk.contentOf(path);
      for (const size of [0, 100, SEGMENT_HEADER_SIZE, 20_000, 64 * 1024 - 8]) {
        const copy = log.disk.copy();
        copy.put(path, content.slice(0, size));
        expect(await outcome(copy, log, `${path} cut to ${size}`)).toMatchObject({ code: 'PW_CORRUPT_LOG' });
      }
    }
  });

  test('is found when a segment that has grown many times was cut short, wherever that was', async () => {
    const log = await idleLog(
      Array.from({ length: 300 }, (_, i) => (i * 7919) % 21_000),
      STORE_ID,
      { segmentSize: 64 * 1024 * 1024 },
    );
    const [path] = log.disk.files();
    const content = log.disk.contentOf(path!);
    expect(log.disk.files()).toHaveLength(1);
    expect(log.end.offset).toBeGreaterThan(3_000_000);
    const whole = log.disk.copy();
    whole.put(path!, content);
    expect(await outcome(whole, log, 'whole')).toBe('right');
    const sizes = [content.length - 1, log.end.offset, log.end.offset - 1];
    for (let size = 0; size < content.length; size += 4096 * 7 + 512) sizes.push(size);
    for (const size of sizes) {
      const copy = log.disk.copy();
      copy.put(path!, content.slice(0, size));
      expect(await outcome(copy, log, `cut to ${size}`)).toMatchObject({ code: 'PW_CORRUPT_LOG' });
    }
  });

  test.each([
    'closed',
    'idle',
  ])('is found when a segment was cut short that had grown for the last record and has no room for a mark, and is %s', async (how) => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock, { options: { segmentSize: 1024 * 1024 } });
    await store.commit(10);
    const used = store.log.mark().offset;
    let size = 200_000;
    const ends = () => used + store.log.sizeOf(recordOf(2, 0, size).operations) + RECORD_HEADER_SIZE;
    while (ends() % 4096 !== 0) size++;
    store.commitSync(size);
    expect(ends() - store.log.mark().offset).toBe(RECORD_HEADER_SIZE);
    if (how === 'closed') await store.log.close({ discard: false });
    else await vi.advanceTimersByTimeAsync(1000);
    const after = how === 'closed' ? store.disk.afterCrash(dropAll) : store.disk.afterKill();
    const [path] = after.files();
    const content = after.contentOf(path!);
    for (const cut of [content.length - 1, 100_000, 68 * 1024, 4300]) {
      const copy = after.copy();
      copy.put(path!, content.slice(0, cut));
      const { replay } = openLog(copy, superblock);
      await expect(replay.then(readAll), `cut to ${cut}`).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
    }
  });

  test('a directory that is gone, or another one in its place, is not taken for an empty log', async () => {
    const log = await idleLog([10]);
    const bare = new SimulatedDevice();
    await expect(openLog(bare, log.superblock).replay).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      message: expect.stringContaining('removed, belongs to another store'),
      details: { path: LOG_DIRECTORY },
    });
    const other = await idleLog([10], 'f'.repeat(32));
    await expect(openLog(other.disk.copy(), log.superblock).replay).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
  });

  test('a format that this release does not know is named', async () => {
    const { encodeSegmentHeader } = await import('../src/format/segment-header.js');
    const { crc32 } = await import('node:zlib');
    const log = await idleLog([10]);
    const [path] = log.disk.files();
    const content = log.disk.contentOf(path!);
    const header = encodeSegmentHeader({
      storeId: log.superblock.storeId,
      incarnation: log.superblock.mark.log.incarnation,
      segment: 1,
      fileSize: content.length,
      origin: { end: { incarnation: 0, segment: 0, offset: 0 }, timestamp: 0, keptRanges: 0, first: 1 },
    });
    const view = new DataView(header.buffer);
    view.setUint32(8, 3, true);
    view.setUint32(12, 0, true);
    view.setUint32(12, crc32(header), true);
    content.set(header);
    const copy = log.disk.copy();
    copy.put(path!, content);
    await expect(openLog(copy, log.superblock).replay).rejects.toMatchObject({ code: 'PW_FORMAT_VERSION' });
  });

  test('a mark is no longer than a record header, and takes no timestamp', async () => {
    const log = await idleLog([10]);
    const superblock = log.superblock;
    const again = await openLogStore(log.disk.copy(), superblock);
    expect(again.recovered.map(({ timestamp }) => timestamp)).toEqual([1]);
    expect(again.replay.tornBytes()).toBe(0);
    await again.commit(10);
    const before = again.log.mark().offset;
    await vi.advanceTimersByTimeAsync(1000);
    expect(again.log.mark().offset).toBe(before + RECORD_HEADER_SIZE);
    await vi.advanceTimersByTimeAsync(10_000);
    expect(again.log.mark().offset).toBe(before + RECORD_HEADER_SIZE);
  });
});
