/** Snapshots that are held for long are reported with where they were made, those of a Level database's iterators too. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Engine, EngineSnapshot, OpenOptions, OpenSnapshotReport } from '@pagewright/core';
import { PagewrightLevel } from '@pagewright/level';
import { SimulatedDevice } from '@pagewright/testkit';
import { describe, expect, test, vi } from 'vitest';
import { engineOn } from './engine-on.js';
import { listenTo, opened, stopClock } from './open-reports.js';

const CHANNEL = 'pagewright:snapshot:open';

const { reports, warnings } = listenTo<OpenSnapshotReport>(CHANNEL);

/** In a function of its own, so that its name is in the stack. */
function hold(db: Engine): EngineSnapshot {
  return db.snapshot();
}

describe('a snapshot that is held', () => {
  test('is reported once after ten minutes, with where it was made, and goes on showing what it did', async () => {
    const { db, index } = await opened();
    const held = hold(db);
    const { timestamp } = held;
    await index.put('a', '2');
    vi.advanceTimersByTime(590_000);
    expect(reports).toEqual([]);
    const young = db.snapshot();
    vi.advanceTimersByTime(30_000);
    young.release();
    vi.advanceTimersByTime(30_000_000);
    expect(reports).toEqual([expect.objectContaining({ path: '/app.pw', timestamp })]);
    expect(reports[0]!.openMs).toBeGreaterThanOrEqual(600_000);
    expect(reports[0]!.openMs).toBeLessThan(640_000);
    expect(reports[0]!.madeAt).toMatch(/^\s+at hold .*open-snapshots\.test\.ts:\d+/);
    expect(warnings).toEqual([
      expect.objectContaining({
        code: 'PAGEWRIGHT_OPEN_SNAPSHOT',
        detail: reports[0]!.madeAt,
        message: expect.stringMatching(/^A snapshot of \/app\.pw is held for 6\d\d s/),
      }),
    ]);
    expect(index.getSync('a', { snapshot: held })).toBe('1');
    held.release();
    await db.close();
  });

  test.each([
    [{ reportSnapshotAfterMs: 1000 }, 1],
    [{ reportSnapshotAfterMs: false }, 0],
    [{ reportAfterMs: false, abortAfterMs: 1000, reportSnapshotAfterMs: undefined }, 1],
  ] as const)('with the options %o', async (transactions, count) => {
    const { db, index } = await opened({ transactions });
    const held = hold(db);
    vi.advanceTimersByTime(4_000_000);
    expect([reports.length, warnings.length]).toEqual([count, count]);
    expect(index.getSync('a', { snapshot: held })).toBe('1');
    held.release();
    await db.close();
  });

  test.each([0, Number.NaN, '1h', null])('is not looked after by %o', async (reportSnapshotAfterMs) => {
    const opening = { transactions: { reportSnapshotAfterMs } } as unknown as OpenOptions;
    await expect(engineOn(new SimulatedDevice(), '/app.pw', { opening })).rejects.toMatchObject({
      code: 'PW_OPTION_INVALID',
      details: { option: 'transactions.reportSnapshotAfterMs' },
    });
  });

  test('on purpose is not reported', async () => {
    const { db, index } = await opened();
    const meant = db.snapshot({ report: false });
    vi.advanceTimersByTime(4_000_000);
    expect(reports).toEqual([]);
    expect(index.getSync('a', { snapshot: meant })).toBe('1');
    meant.release();
    for (const options of [{ report: 1 }, { reports: true }, 7, null])
      expect(() => db.snapshot(options as never)).toThrow(expect.objectContaining({ code: 'PW_ARGUMENT' }));
    await db.close();
  });

  test('is not reported once it was revoked: nothing is kept for it', async () => {
    const db = await engineOn(new SimulatedDevice(), '/app.pw', { versionMemory: '1MiB', memory: 2 ** 22 });
    const index = await db.index<number, string>('things', { key: 'u32', value: 'utf8' });
    for (let key = 0; key < 300; key++) await index.put(key, 'a'.repeat(9000));
    stopClock();
    const revoked = hold(db);
    for (let key = 0; key < 300; key++) await index.put(key, 'b'.repeat(9000));
    expect(() => index.getSync(7, { snapshot: revoked })).toThrow(
      expect.objectContaining({ code: 'PW_SNAPSHOT_TOO_OLD' }),
    );
    const other = hold(db);
    vi.advanceTimersByTime(4_000_000);
    expect(reports.map(({ timestamp }) => timestamp)).toEqual([other.timestamp]);
    await db.close();
  });

  test('keeps no timer when none is held, and none of a store that is closed', async () => {
    const { db } = await opened();
    const idle = vi.getTimerCount();
    for (let i = 0; i < 3; i++) {
      hold(db).release();
      vi.advanceTimersByTime(100_000);
      expect(vi.getTimerCount()).toBe(idle);
    }
    hold(db);
    expect(vi.getTimerCount()).toBe(idle + 1);
    await db.close();
    expect(vi.getTimerCount()).toBe(0);
    expect(reports).toEqual([]);
  });

  test('by a reader is reported as what keeps it, and the writer', async () => {
    const disk = new SimulatedDevice();
    await (await engineOn(disk, '/app.pw')).close();
    stopClock();
    const reader = await engineOn(disk, '/app.pw', { opening: { readOnly: true } });
    const held = hold(reader);
    vi.advanceTimersByTime(4_000_000);
    expect(reports.map(({ madeAt }) => madeAt)).toEqual([expect.stringContaining('at hold ')]);
    expect(warnings[0]!.message).toContain('this reader stays where it is, and the writer keeps that for it');
    held.release();
    await reader.close();
  });
});

test('an iterator of a Level database that is not closed is reported with where it was made', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'pagewright-held-'));
  try {
    const db = new PagewrightLevel<string, string>(join(directory, 'app.pw'));
    await db.open();
    await db.put('a', '1');
    stopClock();
    const iterate = () => db.iterator();
    const iterator = iterate();
    expect(await iterator.next()).toEqual(['a', '1']);
    vi.advanceTimersByTime(700_000);
    const place = expect.stringMatching(/at iterate .*open-snapshots\.test\.ts:\d+/);
    expect(reports.map(({ madeAt }) => madeAt)).toEqual([place]);
    await iterator.close();
    await db.close();
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
