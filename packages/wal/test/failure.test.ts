import type { PagewrightError } from '@pagewright/core';
import { dropAll, ioError, keepAll, SimulatedDevice } from '@pagewright/testkit';
import { type LogStore, newSuperblock, readAll, recordOf, settled } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import { openLog, openLogStore } from './store.js';

async function openStore(): Promise<LogStore> {
  return openLogStore(new SimulatedDevice(), newSuperblock());
}

function failOnce(disk: SimulatedDevice, kind: 'write' | 'sync'): void {
  disk.onOperation = (operation) => {
    if (operation.kind !== kind) return;
    disk.onOperation = null;
    throw ioError('EIO', operation.path);
  };
}

describe('a failed write or sync (IO1)', () => {
  test.each([
    'write',
    'sync',
  ] as const)('scenario 32: a %s fails, the next one would succeed: nothing is acknowledged by it', async (kind) => {
    const store = await openStore();
    await store.commit(10);
    failOnce(store.disk, kind);
    const pending = [store.commit(20), store.commit(30)];
    const results = await Promise.allSettled(pending);
    for (const result of results) {
      expect(result).toMatchObject({ status: 'rejected', reason: { code: 'PW_COMMIT_UNKNOWN' } });
      const { cause } = (result as PromiseRejectedResult).reason as PagewrightError;
      expect(cause).toMatchObject({ code: 'PW_IO', details: { errno: 'EIO' } });
    }
    const { syncs, operations } = store.disk;
    const { log } = store;
    await expect(log.commit(1)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect(() => log.commitSync(1)).toThrow(expect.objectContaining({ code: 'PW_COMMIT_UNKNOWN' }));
    await expect(log.secure(log.mark())).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    await expect(log.reserve(10)).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
    expect(() => log.reserveSync(10)).toThrow(expect.objectContaining({ code: 'PW_READ_ONLY' }));
    await log.close({ discard: true });
    expect(store.failures).toHaveLength(1);
    expect(store.failures[0]).toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect({ syncs: store.disk.syncs, operations: store.disk.operations }).toEqual({ syncs, operations });
    expect(store.disk.files()).not.toEqual([]);

    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered).toHaveLength(1);
  });

  test('in place ends the log as well, and for the flush that is under way', async () => {
    const store = await openStore();
    let release = (): void => undefined;
    store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise((resolve) => (release = resolve)) : undefined);
    const waiting = store.commit(10);
    await settled();
    failOnce(store.disk, 'sync');
    expect(() => store.commitSync(20)).toThrow(expect.objectContaining({ code: 'PW_COMMIT_UNKNOWN' }));
    release();
    await expect(waiting).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect(store.failures).toHaveLength(1);
    await store.log.close({ discard: false });
  });

  test('of a flush in the background is not hidden from a flush in place at the same time', async () => {
    const store = await openStore();
    const [path] = store.disk.files();
    store.disk.onOperation = ({ kind }) => {
      if (kind !== 'sync') return;
      store.disk.onOperation = null;
      store.disk.failWriteBack(path!);
    };
    let inPlace: unknown = null;
    store.disk.onWriteBackError = () => {
      store.disk.onWriteBackError = null;
      try {
        store.log.commitSync(store.log.stats().appendedBytes);
      } catch (error) {
        inPlace = error;
      }
    };
    await expect(store.commit(10)).rejects.toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
    expect(inPlace).toMatchObject({ code: 'PW_COMMIT_UNKNOWN' });
  });

  test('while a new segment is made ends the log: a header that was not synced is never relied on', async () => {
    const store = await openStore();
    store.disk.onOperation = ({ kind, path }) => {
      if (kind === 'sync' && path.endsWith('2.log')) throw ioError('EIO', path);
    };
    await expect(
      (async () => {
        for (let i = 0; i < 20; i++) await store.commit(9000);
      })(),
    ).rejects.toMatchObject({ cause: { details: { errno: 'EIO' } } });
    expect(store.failures).toHaveLength(1);
    store.disk.onOperation = null;
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered.length).toBeGreaterThan(2);
  });

  test('of the first segment is met by whoever waits for it', async () => {
    const disk = new SimulatedDevice();
    disk.onOperation = ({ kind, path }) => {
      if (kind === 'sync') throw ioError('EIO', path);
    };
    await expect(openLogStore(disk, newSuperblock())).rejects.toMatchObject({ code: expect.stringMatching(/^PW_/) });
  });

  test('of a mark that the idle stream writes ends the log', async () => {
    const store = await openStore();
    await store.commit(10);
    const failed = new Promise<void>((resolve) => {
      store.disk.onOperation = ({ kind, path }) => {
        if (kind !== 'write') return;
        resolve();
        throw ioError('EIO', path);
      };
    });
    await failed;
    await settled();
    expect(store.failures).toHaveLength(1);
    expect(() => store.append(10)).toThrow(expect.objectContaining({ code: 'PW_READ_ONLY' }));
    await store.log.close({ discard: false });
  });
});

describe('flushes in the background and in place (IO3)', () => {
  test.each([
    'write',
    'sync',
  ] as const)('scenario 9: a commit in place does not wait for a flush whose %s the event loop would have to finish', async (kind) => {
    const store = await openStore();
    let release = (): void => undefined;
    store.disk.hold = (operation) =>
      operation.kind === kind ? new Promise((resolve) => (release = resolve)) : undefined;
    const waiting = [store.commit(100), store.commit(200)];
    await settled();
    store.commitSync(300);
    const crashed = await openLogStore(store.disk.copy().afterCrash(dropAll), { ...store.superblock });
    expect(crashed.recovered).toEqual([recordOf(1, 0, 100), recordOf(2, 0, 200), recordOf(3, 0, 300)]);
    release();
    await Promise.allSettled(waiting);
  });

  test('a late flush in the background changes nothing that was flushed in place meanwhile', async () => {
    const store = await openStore();
    const held: (() => void)[] = [];
    store.disk.hold = ({ kind }) =>
      kind === 'write' ? new Promise((resolve) => held.push(() => resolve())) : undefined;
    const first = store.commit(100);
    await settled();
    for (let i = 0; i < 300; i++) store.commitSync(1500); // over several chunks and segments
    store.disk.hold = null;
    for (const release of held) release();
    await first;
    await store.commit(50);
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered).toHaveLength(302);
    expect(again.recovered[301]).toEqual(recordOf(302, 0, 50));
    expect(again.recovered[0]).toEqual(recordOf(1, 0, 100));
  });

  test('a flush in the background over segments that were flushed in place, and closed, meanwhile does no harm', async () => {
    const store = await openStore();
    const appendSlowly = async (count: number) => {
      for (let i = 0; i < count; i++) {
        const { operations } = recordOf(store.timestamp + 1, 0, 10_000);
        await store.log.reserve(store.log.sizeOf(operations));
        store.append(10_000);
      }
    };
    await appendSlowly(10); // into a second segment
    let release = (): void => undefined;
    const reached = new Promise<void>((resolve) => {
      store.disk.hold = ({ kind }) => {
        if (kind !== 'write') return undefined;
        store.disk.hold = null;
        resolve();
        return new Promise((go) => (release = go));
      };
    });
    const first = store.log.commit(store.log.stats().appendedBytes);
    await reached;
    for (let i = 0; i < 20; i++) {
      await appendSlowly(1);
      store.commitSync(10);
    }
    expect(store.log.mark().segment).toBeGreaterThan(3);
    const checkpoint = store.checkpoint(); // which waits for the write before it uses the file again
    await settled();
    const before = store.timestamp;
    for (let i = 0; i < 30; i++) {
      await appendSlowly(1);
      store.commitSync(10);
    }
    release();
    await Promise.all([first, checkpoint]);
    await store.commit(10);
    expect(store.failures).toEqual([]);
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered.map(({ timestamp }) => timestamp)).toEqual(
      Array.from({ length: 61 }, (_, i) => before + i + 1),
    );
  });

  test('closing waits for what is in flight, and may be asked for twice', async () => {
    const store = await openStore();
    const waiting = store.commit(10);
    const first = store.log.close({ discard: false });
    expect(store.log.close({ discard: true })).toBe(first);
    await first;
    await waiting;
    const { operations } = store.disk;
    await settled();
    expect(store.disk.operations).toBe(operations);
    await expect(store.log.reserve(10)).rejects.toMatchObject({ code: 'PW_CLOSED' });
    expect(() => store.append(10)).toThrow(expect.objectContaining({ code: 'PW_CLOSED' }));
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered).toHaveLength(1);
  });

  test('records that nobody waits for are flushed by close', async () => {
    const store = await openStore();
    store.append(10);
    store.append(10);
    await store.log.close({ discard: false });
    const again = await openLogStore(store.disk.afterCrash(dropAll), store.superblock);
    expect(again.recovered).toHaveLength(2);
  });

  test('a log that was opened and never begun closes without a trace', async () => {
    const store = await openStore();
    await store.commit(10);
    const disk = store.disk.afterCrash(keepAll);
    const { log, replay } = openLog(disk, store.superblock);
    const before = disk.files();
    await readAll(await replay);
    await log.close({ discard: true });
    expect(disk.files()).toEqual(before);
  });
});
