/** Transactions that are left open are reported with where they were begun, and end some day; and what tells a function in a transaction to come to an end. */
import type { Engine, OpenOptions, OpenTransactionReport, Transaction } from '@pagewright/core';
import { SimulatedDevice } from '@pagewright/testkit';
import { settled } from '@pagewright/testkit/rig';
import { describe, expect, test, vi } from 'vitest';
import { engineOn } from './engine-on.js';
import { listenTo, opened, stopClock } from './open-reports.js';

const CHANNEL = 'pagewright:transaction:open';

const { reports, warnings } = listenTo<OpenTransactionReport>(CHANNEL);

/** In a function of its own, so that its name is in the stack. */
function leaveOpen(db: Engine): Transaction {
  return db.begin();
}

describe('a transaction that is left open', () => {
  test('is reported once after a minute, with where it was begun, and others are not', async () => {
    const { db } = await opened();
    const left = leaveOpen(db);
    vi.advanceTimersByTime(55_000);
    const young = db.begin();
    expect(reports).toEqual([]);
    vi.advanceTimersByTime(30_000);
    young.abort();
    vi.advanceTimersByTime(300_000);
    const { timestamp } = left;
    expect(reports).toEqual([expect.objectContaining({ path: '/app.pw', timestamp, isAborted: false })]);
    expect(reports[0]!.openMs).toBeGreaterThanOrEqual(60_000);
    expect(reports[0]!.begunAt).toMatch(/^\s+at leaveOpen .*open-transactions\.test\.ts:\d+/);
    expect(warnings).toEqual([
      expect.objectContaining({
        code: 'PAGEWRIGHT_OPEN_TRANSACTION',
        detail: reports[0]!.begunAt,
        message: expect.stringMatching(/is open for (\d\.\d|\d\d+) s/),
      }),
    ]);
    left.abort();
    await db.close();
  });

  test('by a function that does not end is reported with the function', async () => {
    const { db } = await opened();
    let goOn = (): void => {};
    const running = db.transaction(async function forgetful() {
      await new Promise<void>((resolve) => {
        goOn = resolve;
      });
    });
    vi.advanceTimersByTime(100_000);
    expect(reports[0]!.begunAt).toMatch(/in the function forgetful: async function forgetful\(\) \{ …/);
    goOn();
    await running;
    await db.close();
  });

  test('is aborted after an hour: versions are not kept for it any more, and it says why', async () => {
    const { db, index } = await opened();
    const left = leaveOpen(db);
    left.put(index, 'a', '2');
    const { signal } = left;
    index.putSync('a', '3');
    expect(db.stats().concurrency).toMatchObject({ versions: 1, activeSnapshots: 1 });
    vi.advanceTimersByTime(3_700_000);
    expect(reports.map(({ isAborted }) => isAborted)).toEqual([false, true]);
    expect(db.stats().concurrency).toMatchObject({ versions: 0, activeSnapshots: 0 });
    const gone = { code: 'PW_TXN_CLOSED', message: expect.stringMatching(/open for 3\d\d\d s.*abortAfterMs/) };
    expect([left.closed, left.committed, signal.aborted]).toEqual([true, false, true]);
    expect(signal.reason).toMatchObject(gone);
    await expect(left.commit()).rejects.toMatchObject(gone);
    expect(() => left.put(index, 'a', '4')).toThrow(expect.objectContaining(gone));
    left.abort();
    expect(index.getSync('a')).toBe('3');
    await db.close();
  });

  test('by a function that goes on after an hour rejects, and is not run again', async () => {
    const { db, index } = await opened();
    let runs = 0;
    const running = db.transaction((tx) => {
      runs++;
      tx.put(index, 'a', '2');
      vi.advanceTimersByTime(3_700_000);
    });
    await expect(running).rejects.toMatchObject({ code: 'PW_TXN_CLOSED' });
    expect([runs, index.getSync('a')]).toEqual([1, '1']);
    await db.close();
  });

  test.each([
    [{ reportAfterMs: false, abortAfterMs: false }, 0, false],
    [{ reportAfterMs: 5 }, 1, false],
    [{ reportAfterMs: false, abortAfterMs: 1000 }, 1, true],
  ] as const)('with the options %o', async (transactions, count, isAborted) => {
    const { db } = await opened({ transactions });
    const left = leaveOpen(db);
    vi.advanceTimersByTime(100_000);
    expect(reports.length).toBe(count);
    expect(warnings.length).toBe(transactions.reportAfterMs === false ? 0 : count);
    expect(left.closed).toBe(isAborted);
    left.abort();
    await db.close();
  });

  test.each([
    [{ reportAfterMs: 0 }, 'transactions.reportAfterMs'],
    [{ abortAfterMs: Number.NaN }, 'transactions.abortAfterMs'],
    [{ abortAfterMs: '1h' }, 'transactions.abortAfterMs'],
    [{ after: 1 }, 'transactions.after'],
    [7, 'transactions'],
  ])('is not looked after by %o', async (transactions, option) => {
    const refused = engineOn(new SimulatedDevice(), '/app.pw', { opening: { transactions } as OpenOptions });
    await expect(refused).rejects.toMatchObject({ code: 'PW_OPTION_INVALID', details: { option } });
  });

  test('for its commit is reported as what it is, and not aborted', async () => {
    const disk = new SimulatedDevice();
    const db = await engineOn(disk, '/app.pw');
    const index = await db.index<string, string>('things', { key: 'utf8', value: 'utf8' });
    await index.put('a', '1');
    stopClock();
    let goOn = (): void => {};
    const held = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    disk.hold = ({ kind, path }) => (kind !== 'read' && path.includes('-wal') ? held : undefined);
    const slow = db.begin();
    slow.put(index, 'a', '2');
    const committing = slow.commit();
    vi.advanceTimersByTime(4_000_000);
    expect(reports.map(({ isAborted }) => isAborted)).toEqual([false]);
    disk.hold = null;
    goOn();
    await committing;
    expect(slow.committed).toBe(true);
    await db.close();
  });

  test('keeps no timer when none is open', async () => {
    const { db } = await opened();
    for (let i = 0; i < 3; i++) {
      leaveOpen(db).abort();
      vi.advanceTimersByTime(100_000);
      expect(vi.getTimerCount()).toBe(0);
    }
    leaveOpen(db);
    await db.close();
    expect(vi.getTimerCount()).toBe(0);
  });
});

describe('a signal', () => {
  test('aborts a transaction, which rejects with its reason when the function has ended, and is not run again', async () => {
    const { db, index } = await opened();
    const controller = new AbortController();
    const reason = new Error('not wanted any more');
    let runs = 0;
    const running = db.transaction(
      async (tx) => {
        runs++;
        tx.put(index, 'a', '2');
        controller.abort(reason);
        expect(tx.signal.reason).toBe(reason);
        await settled(1);
        tx.put(index, 'b', '2');
      },
      { signal: controller.signal },
    );
    await expect(running).rejects.toBe(reason);
    expect([runs, index.getSync('a')]).toEqual([1, '1']);
    await expect(db.transaction(() => runs++, { signal: controller.signal })).rejects.toBe(reason);
    expect(runs).toBe(1);
    await db.close();
  });

  test('that is aborted after the commit has begun changes nothing', async () => {
    const { db, index } = await opened();
    const controller = new AbortController();
    const running = db.transaction(
      (tx) => {
        tx.put(index, 'a', '2');
        const committing = tx.commit();
        controller.abort();
        return committing;
      },
      { signal: controller.signal },
    );
    await running;
    expect(index.getSync('a')).toBe('2');
    await db.close();
  });

  test('that is none is refused', async () => {
    const { db } = await opened();
    const refused = db.transaction(() => 1, { signal: 'now' as unknown as AbortSignal });
    await expect(refused).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    await db.close();
  });

  test('that is asked for when the engine was closed tells so as well', async () => {
    const { db } = await opened();
    const left = leaveOpen(db);
    await db.close();
    expect(left.signal.reason).toMatchObject({ code: 'PW_CLOSED' });
  });

  test('of a transaction tells that the engine is being closed', async () => {
    const { db } = await opened();
    const { signal } = leaveOpen(db);
    expect(signal.aborted).toBe(false);
    await db.close();
    expect(signal.reason).toMatchObject({ code: 'PW_CLOSED' });
  });
});
