import { dropAll, ioError, SimulatedDevice } from '@pagewright/testkit';
import { LogStore, newSuperblock, recordOf, settled } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import { firstOf, openLogStore } from './store.js';

const KIB = 1024;

async function openStore(options = {}): Promise<LogStore> {
  return openLogStore(new SimulatedDevice(), newSuperblock(), { options: { segmentSize: 64 * KIB, ...options } });
}

/** Commits as a careful caller does: waits for room first. */
async function reserveAndCommit(store: LogStore, size: number): Promise<void> {
  await store.log.reserve(store.log.sizeOf(recordOf(store.timestamp + 1, 0, size).operations));
  await store.commit(size);
}

async function expectRecovered(store: LogStore, count: number): Promise<void> {
  const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
  expect(again.recovered.map(({ timestamp }) => timestamp)).toEqual(Array.from({ length: count }, (_, i) => i + 1));
}

describe('segment files', () => {
  test('of an empty log take less than 80 KiB', async () => {
    const store = await openLogStore(new SimulatedDevice(), newSuperblock(), { options: {} });
    expect(store.disk.used).toBeLessThan(80 * KIB);
    await store.commit(10);
    await settled();
    expect(store.disk.used).toBeLessThan(80 * KIB);
  });

  test('grow before records are appended, so that no write of the log extends a file', async () => {
    // The simulated disk fails a write that would.
    const store = await openStore({ segmentSize: 1024 * KIB });
    for (let i = 0; i < 30; i++) await reserveAndCommit(store, 20 * KIB);
    expect(store.disk.history.filter(({ kind }) => kind === 'allocate').length).toBeLessThan(8);
    await expectRecovered(store, 30);
  });

  test('are prepared before they are needed: commits of a busy stream allocate nothing in place', async () => {
    const store = await openStore();
    for (let i = 0; i < 40; i++) {
      await reserveAndCommit(store, 10 * KIB);
      await settled();
    }
    expect(store.disk.history.filter(({ kind, inPlace }) => kind === 'allocate' && inPlace)).toEqual([]);
    expect(store.disk.files().length).toBeGreaterThan(6);
    await expectRecovered(store, 40);
  });

  test('grow beyond their size when commits in place leave the event loop no time to prepare the next', async () => {
    const store = await openStore();
    for (let i = 0; i < 300; i++) store.commitSync(KIB);
    expect(Math.max(...store.disk.files().map((path) => store.disk.sizeOf(path)))).toBeGreaterThan(256 * KIB);
    await settled();
    for (let i = 0; i < 5; i++) store.commitSync(KIB);
    expect(store.log.mark().segment).toBe(2);
    await expectRecovered(store, 305);
  });

  test('hold a record that is larger than a segment, without allocating it in place', async () => {
    const store = await openStore();
    await reserveAndCommit(store, 10);
    await reserveAndCommit(store, 3000 * KIB);
    await reserveAndCommit(store, 10);
    expect(store.disk.history.filter(({ kind, inPlace }) => kind === 'allocate' && inPlace)).toEqual([]);
    store.commitSync(1000 * KIB);
    await store.commit(70 * KIB);
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    const sizes = [10, 3000 * KIB, 10, 1000 * KIB, 70 * KIB];
    const expected = sizes.map((size, i) => firstOf(recordOf(i + 1, 0, size)).value);
    expect(again.recovered.map((record) => Buffer.compare(firstOf(record).value, expected.shift()!))).toEqual(
      sizes.map(() => 0),
    );
  });

  test('are used again when a checkpoint has made them superfluous, and their old records never come back', async () => {
    const store = await openStore();
    let base = 0;
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 12; i++) {
        await store.commit(8 * KIB);
        await settled();
      }
      base = store.timestamp;
      await store.checkpoint();
    }
    const renames = store.disk.history.filter(({ kind }) => kind === 'rename');
    expect(renames.length).toBeGreaterThan(3);
    expect(store.disk.files().length).toBeLessThanOrEqual(6);
    expect(store.log.stats().segments).toBe(store.disk.files().length);
    for (let i = 0; i < 10; i++) {
      await store.commit(8 * KIB); // where one of the same size has been before
      await settled();
      const again = await openLogStore(store.disk.copy().afterCrash(dropAll), { ...store.superblock });
      expect(again.recovered.map(({ timestamp }) => timestamp)).toEqual(
        Array.from({ length: i + 1 }, (_, k) => base + k + 1),
      );
    }
  });

  test('that are not durable yet are kept, whatever the mark says', async () => {
    const store = await openStore();
    for (let i = 0; i < 30; i++) {
      const { operations } = recordOf(store.timestamp + 1, 0, 2 * KIB);
      await store.log.reserve(store.log.sizeOf(operations));
      store.append(2 * KIB);
      await settled();
    }
    store.append(62 * KIB);
    expect(store.log.stats().pendingBytes).toBeGreaterThan(100 * KIB);
    await store.log.recycle(store.log.mark());
    await store.log.secure(store.log.mark());
    await expectRecovered(store, 31);
  });

  test('that a replay still needs are kept', async () => {
    const store = await openStore();
    for (let i = 0; i < 20; i++) {
      await store.commit(8 * KIB);
      await settled();
    }
    await store.log.recycle(store.superblock.mark.log);
    await store.log.recycle({ incarnation: 0, segment: 0, offset: 0 });
    await store.log.recycle({ ...store.log.mark(), incarnation: 1 });
    await expectRecovered(store, 20);
  });
});

describe('a full disk', () => {
  test('is met before anything is appended, and when there is space again the log goes on', async () => {
    const store = await openStore();
    for (let i = 0; i < 3; i++) await reserveAndCommit(store, 10 * KIB);
    store.disk.capacity = store.disk.used + 40 * KIB;
    let committed = 3;
    for (;;) {
      try {
        await reserveAndCommit(store, 10 * KIB);
        committed++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'PW_FULL', details: { errno: 'ENOSPC' } });
        break;
      }
    }
    expect(store.timestamp).toBe(committed);
    expect(() => store.append(10 * KIB)).toThrow(expect.objectContaining({ code: 'PW_FULL' }));
    expect(store.timestamp).toBe(committed);
    // A small record still finds room, and the log is whole.
    await reserveAndCommit(store, 10);
    await settled();
    const full = await openLogStore(store.disk.copy(), { ...store.superblock }).catch((error) => error);
    expect(full).toBeInstanceOf(LogStore);
    store.disk.capacity = Number.POSITIVE_INFINITY;
    await reserveAndCommit(store, 100 * KIB);
    store.commitSync(100 * KIB);
    expect(store.failures).toEqual([]);
    await expectRecovered(store, committed + 3);
  });

  test('leaves a record as much room as there is, if not for a whole segment', async () => {
    const store = await openStore({ segmentSize: 1024 * KIB });
    store.disk.capacity = store.disk.used + 500 * KIB;
    await reserveAndCommit(store, 300 * KIB);
    store.commitSync(40 * KIB);
    await expect(reserveAndCommit(store, 300 * KIB)).rejects.toMatchObject({ code: 'PW_FULL' });
    await expectRecovered(store, 2);
  });
});

describe('limits', () => {
  test('a record larger than the log takes is refused before anything has changed', async () => {
    const store = await openStore({ maxRecordSize: 8 * KIB });
    const { log } = store;
    await expect(log.reserve(8 * KIB + 1)).rejects.toMatchObject({ code: 'PW_TXN_TOO_LARGE' });
    expect(() => store.append(8 * KIB)).toThrow(expect.objectContaining({ code: 'PW_TXN_TOO_LARGE' }));
    await store.commit(7 * KIB);
    await expectRecovered(store, 1);
  });

  test('records that wait for a flush stay within the limit, and nobody waits for ever', async () => {
    const limit = 16 * KIB;
    const store = await openStore({ bufferLimit: limit });
    let most = 0;
    const writer = async () => {
      await store.log.reserve(store.log.sizeOf(recordOf(1, 0, 1000).operations));
      store.append(1000); // never committed: nobody but the reservations asks for a flush
      most = Math.max(most, store.log.stats().pendingBytes);
    };
    await Promise.all(Array.from({ length: 200 }, writer));
    expect(most).toBeLessThanOrEqual(limit);
    expect(store.log.stats().records).toBe(200);
    // and nobody had to hold up the event loop for it
    expect(store.disk.history.filter(({ kind, inPlace }) => kind === 'sync' && inPlace)).toEqual([]);
  });

  test('those who reserved and never appended hold nobody up', async () => {
    const store = await openStore({ bufferLimit: 8 * KIB });
    store.append(5 * KIB);
    await Promise.all(Array.from({ length: 50 }, () => store.log.reserve(5 * KIB)));
    expect(store.log.stats().records).toBe(1);
  });

  test('one record larger than the limit passes when nothing else is pending', async () => {
    const store = await openStore({ bufferLimit: 8 * KIB });
    await Promise.all([reserveAndCommit(store, 30 * KIB), reserveAndCommit(store, 30 * KIB)]);
    expect(store.log.stats()).toMatchObject({ records: 2, pendingBytes: 0 });
  });

  test('commits in place flush when too much waits', async () => {
    const store = await openStore({ bufferLimit: 16 * KIB });
    let most = 0;
    for (let i = 0; i < 200; i++) {
      store.append(1000);
      most = Math.max(most, store.log.stats().pendingBytes);
    }
    expect(most).toBeLessThanOrEqual(16 * KIB);
  });

  test('whoever waits for memory when the log fails is told that the commit has not begun', async () => {
    const store = await openStore({ bufferLimit: 8 * KIB });
    store.append(7 * KIB);
    const waiting = [store.log.reserve(7 * KIB), store.log.reserve(7 * KIB)];
    store.disk.onOperation = ({ path }) => {
      throw ioError('EIO', path);
    };
    for (const each of await Promise.allSettled(waiting)) {
      expect(each).toMatchObject({ status: 'rejected', reason: { code: 'PW_READ_ONLY' } });
    }
  });

  test('whoever waits for memory when the log closes is told', async () => {
    const store = await openStore({ bufferLimit: 8 * KIB });
    store.append(7 * KIB);
    const waiting = store.log.reserve(7 * KIB);
    const closing = store.log.close({ discard: false });
    await expect(waiting).rejects.toMatchObject({ code: 'PW_CLOSED' });
    await closing;
  });
});
