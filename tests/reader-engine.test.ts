/**
 * An engine that reads beside another one that writes, on a disk in memory: what its handles, snapshots and ranges show when it
 * goes on, and what becomes of it when the disk, the catalog or the power fails.
 */
import { type Engine, isPagewrightError } from '@pagewright/core';
import { dropAll, keepSome, SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, it, vi } from 'vitest';
import { type EngineChoice, engineOn } from './engine-on.js';

const PATH = '/store/app.pw';
const KEYS = 400;
const CHOICE: EngineChoice = { pageSize: 4096, memory: 2 ** 20 };

const writerOn = (disk: SimulatedDevice): Promise<Engine<'btree'>> => engineOn(disk, PATH, CHOICE);
const readerOn = (disk: SimulatedDevice, follow: number | false = false): Promise<Engine<'btree'>> =>
  engineOn(disk, PATH, { ...CHOICE, opening: { readOnly: true, follow } });

async function write(db: Engine, round: number): Promise<void> {
  const index = await db.index<string, unknown>('data');
  const keys = Array.from({ length: KEYS }, (_, number) => String(number).padStart(4, '0'));
  await index.batch(keys.map((key) => ({ type: 'put', key, value: { round, filling: 'x'.repeat(600) } })));
  await db.checkpoint();
}

async function roundsOf(db: Engine, options: { snapshot?: ReturnType<Engine['snapshot']> } = {}): Promise<number[]> {
  const index = await db.index<string, { round: number }>('data');
  const rounds = new Set<number>();
  let entries = 0;
  for await (const [, { round }] of index.range(options)) {
    rounds.add(round);
    entries++;
  }
  expect(entries).toBe(KEYS);
  return [...rounds];
}

async function all<Item>(items: AsyncIterable<Item>): Promise<Item[]> {
  const found: Item[] = [];
  for await (const item of items) found.push(item);
  return found;
}

async function codeOf(run: () => unknown): Promise<string> {
  try {
    await run();
    return 'none';
  } catch (error) {
    return isPagewrightError(error) ? error.code : String(error);
  }
}

/** A disk, its writer, and a reader that read the first round. */
async function pair(follow: number | false = false) {
  const disk = new SimulatedDevice();
  const writer = await writerOn(disk);
  await write(writer, 1);
  const reader = await readerOn(disk, follow);
  return { disk, writer, reader };
}

describe('a reader that is told to go on', () => {
  it('keeps its handles, finds new indexes, and is told of those that were dropped', async () => {
    const { writer, reader } = await pair();
    await (await writer.index('going')).put('k', 1);
    await writer.checkpoint();
    expect(await codeOf(() => reader.index('going'))).toBe('PW_INDEX_UNKNOWN');
    expect(await reader.refresh()).toBe(true);
    const [data, going] = [await reader.index<string, { round: number }>('data'), await reader.index('going')];
    expect(await going.get('k')).toBe(1);
    await writer.dropIndex('going');
    await (await writer.index('going')).put('k', 2);
    await write(writer, 2);
    expect([data.getSync('0000')?.round, await going.get('k')]).toEqual([1, 1]);
    expect(await reader.refresh()).toBe(true);
    expect(await reader.refresh()).toBe(false);
    expect([data.getSync('0000')?.round, (await data.get('0399'))?.round]).toEqual([2, 2]);
    expect(await codeOf(() => going.get('k'))).toBe('PW_INDEX_DROPPED');
    expect(await (await reader.index('going')).get('k')).toBe(2);
    const cleared = await writer.index('data');
    await cleared.clear();
    await writer.checkpoint();
    await reader.refresh();
    expect(await data.count()).toBe(0);
    await Promise.all([reader.close(), writer.close()]);
  });

  it('tells snapshots and transactions of before that they are too old; a range without one goes on in what is newest', async () => {
    const { writer, reader } = await pair();
    const data = await reader.index<string, { round: number }>('data');
    const snapshot = reader.snapshot();
    const transaction = reader.begin();
    const [fixed, free] = [data.range({ snapshot }), data.range()];
    for (const range of [fixed, free]) expect((await range.next()).value?.[1].round).toBe(1);
    await write(writer, 2);
    expect(await roundsOf(reader, { snapshot })).toEqual([1]);
    await reader.refresh();
    expect(await codeOf(() => roundsOf(reader, { snapshot }))).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(await codeOf(() => data.getSync('0001', { snapshot }))).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(await codeOf(() => transaction.getSync(data, '0001'))).toBe('PW_SNAPSHOT_TOO_OLD');
    expect(await codeOf(async () => void (await all(fixed)))).toBe('PW_SNAPSHOT_TOO_OLD');
    const rest = await all(free);
    expect([rest.length, rest.at(-1)?.[1].round]).toEqual([KEYS - 1, 2]);
    expect(await roundsOf(reader, { snapshot: reader.snapshot() })).toEqual([2]);
    await Promise.all([reader.close(), writer.close()]);
  });

  it('goes on while many reads wait for pages, each of which shows the one or the other', async () => {
    const { writer, reader } = await pair();
    const data = await reader.index<string, { round: number }>('data');
    for (let round = 2; round <= 8; round++) {
      await write(writer, round);
      const keys = Array.from({ length: KEYS }, (_, number) => String(number).padStart(4, '0'));
      const reads = keys.map(async (key) => (await data.get(key))?.round);
      const moved = reader.refresh();
      for (const read of await Promise.all(reads)) expect([round - 1, round]).toContain(read);
      expect(await moved).toBe(true);
      expect(await roundsOf(reader)).toEqual([round]);
    }
    await Promise.all([reader.close(), writer.close()]);
  });

  it('that was opened before anything was written finds what comes', async () => {
    const disk = new SimulatedDevice();
    expect(await codeOf(() => readerOn(disk))).toBe('PW_NOT_FOUND');
    const writer = await writerOn(disk);
    const reader = await readerOn(disk);
    expect(reader.indexes()).toEqual([]);
    await write(writer, 1);
    await reader.refresh();
    expect(await roundsOf(reader)).toEqual([1]);
    expect(await writer.refresh()).toBe(false);
    await Promise.all([reader.close(), writer.close()]);
    expect(await codeOf(() => reader.refresh())).toBe('PW_CLOSED');
  });

  it('rejects if the newer catalog is damaged, throws that from all reads, and reads again when it was replaced', async () => {
    const { disk, writer, reader } = await pair();
    const data = await reader.index<string, { round: number }>('data');
    const before = disk.history.length;
    await write(writer, 2);
    // The catalog's root is the last page that a checkpoint writes before its map.
    const writes = disk.history
      .slice(before)
      .filter(({ kind, path, offset }) => kind === 'write' && path === PATH && offset! >= 8192);
    const catalog = writes.at(-2)!;
    disk.flip(PATH, catalog.offset! + 100, 3);
    expect(await codeOf(() => reader.refresh())).toBe('PW_CORRUPT_PAGE');
    expect(await codeOf(() => data.get('0000'))).toBe('PW_CORRUPT_PAGE');
    expect(await codeOf(() => reader.index('data'))).toBe('PW_CORRUPT_PAGE');
    expect(await codeOf(() => reader.refresh())).toBe('PW_CORRUPT_PAGE');
    disk.flip(PATH, catalog.offset! + 100, 3);
    expect(await reader.refresh()).toBe(false);
    expect((await data.get('0000'))?.round).toBe(2);
    disk.flip(PATH, catalog.offset! + 100, 3);
    await write(writer, 3);
    expect(await reader.refresh()).toBe(true);
    expect(await roundsOf(reader)).toEqual([3]);
    await Promise.all([reader.close(), writer.close()]);
  });

  it('verifies what it reads beside the writer, and finds nothing wrong that is not', async () => {
    const { disk, writer, reader } = await pair();
    for (let round = 2; round <= 6; round++) {
      const verification = reader.verify({});
      await write(writer, round);
      await write(writer, round);
      expect(await verification).toMatchObject({ ok: true, problems: [] });
      if (round % 2 === 0) await reader.refresh();
    }
    disk.pinsRefused = true;
    const unpinned = await readerOn(disk);
    const overtaken = unpinned.verify({}).catch((error) => error.code);
    for (let round = 7; round <= 12; round++) await write(writer, round);
    expect(['PW_SNAPSHOT_TOO_OLD', true]).toContain(await overtaken.then((report) => report.ok ?? report));
    await Promise.all([unpinned.close(), reader.close(), writer.close()]);
  });
});

describe('a reader that follows by itself', () => {
  it('goes on in time, but not while a snapshot or a transaction is open', async () => {
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    try {
      const { writer, reader } = await pair(50);
      const data = await reader.index<string, { round: number }>('data');
      const turns = async (): Promise<void> => {
        vi.advanceTimersByTime(60);
        for (let turn = 0; turn < 30; turn++) await new Promise(setImmediate);
      };
      await write(writer, 2);
      expect((await data.get('0000'))?.round).toBe(1);
      await turns();
      expect((await data.get('0000'))?.round).toBe(2);
      const snapshot = reader.snapshot();
      await write(writer, 3);
      await turns();
      expect((await data.get('0000'))?.round).toBe(2);
      snapshot.release();
      const transaction = reader.begin();
      await turns();
      expect(transaction.getSync(data, '0000')?.round).toBe(2);
      transaction.abort();
      await turns();
      expect((await data.get('0000'))?.round).toBe(3);
      await reader.close();
      await turns();
      await writer.close();
    } finally {
      vi.useRealTimers();
    }
  });

  it.each([
    { follow: 0 },
    { follow: 1.5 },
    { follow: true },
    { readOnly: false, follow: 10 },
  ])('is not asked for with %o', async (options) => {
    const disk = new SimulatedDevice();
    const opening = { readOnly: true, ...options } as never;
    expect(await codeOf(() => engineOn(disk, PATH, { opening }))).toBe('PW_OPTION_INVALID');
  });
});

describe('a reader that cannot ask the writer to wait', () => {
  it('reads anew by itself where it may wait, and says so where it may not', async () => {
    const disk = new SimulatedDevice();
    disk.pinsRefused = true;
    const writer = await writerOn(disk);
    await write(writer, 1);
    const reader = await readerOn(disk);
    expect(reader.stats().pages.pinnedEpoch).toBeNull();
    const data = await reader.index<string, { round: number }>('data');
    let refused = 0;
    for (let round = 2; round <= 12; round++) {
      await write(writer, round);
      await write(writer, round);
      await write(writer, round);
      const key = String(round * 30).padStart(4, '0');
      const code = await codeOf(() => data.getSync(key));
      if (code !== 'none') expect(code).toBe('PW_SNAPSHOT_TOO_OLD');
      if (code !== 'none') refused++;
      const found = (await data.get(key))?.round;
      expect(found).toBeLessThanOrEqual(round);
      if (code !== 'none') expect(found).toBe(round);
    }
    expect(refused).toBeGreaterThan(0);
    await Promise.all([reader.close(), writer.close()]);
  });
});

describe('a crash while readers are there', () => {
  it('at any operation of the disk leaves a store that is whole, and nothing kept for them', async () => {
    let points = 0;
    for (let at = 0; ; at += 7) {
      const { disk, writer, reader } = await pair();
      const begun = disk.operations;
      disk.crashAt = begun + at;
      let acknowledged = 1;
      try {
        for (let round = 2; round <= 5; round++) {
          await write(writer, round);
          acknowledged = round;
          if (round === 3) expect(await roundsOf(reader)).toEqual([1]);
          if (round === 4) await reader.refresh();
        }
      } catch {
        // The power is gone.
      }
      const isOver = !disk.isDead;
      const after = disk.afterCrash(at % 2 === 0 ? dropAll : keepSome(at));
      const again = await writerOn(after);
      const [round, ...others] = await roundsOf(again);
      expect(others).toEqual([]);
      expect([acknowledged, acknowledged + 1], `crash at ${at}`).toContain(round);
      expect(await again.verify()).toMatchObject({ ok: true, problems: [] });
      expect(again.stats().pages.readers).toBe(0);
      await again.close();
      await Promise.allSettled([reader.close(), writer.close()]);
      points++;
      if (isOver) break;
    }
    expect(points).toBeGreaterThan(5);
  });
});
