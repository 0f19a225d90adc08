import { dropAll, keepAll, keepSome, SimulatedDevice } from '@pagewright/testkit';
import { assertSameRecord, newSuperblock, readAll, recordOf, type Superblock, settled } from '@pagewright/testkit/rig';
import { describe, expect, test } from 'vitest';
import { openLog, openLogStore } from './store.js';

interface TornLog {
  readonly disk: SimulatedDevice;
  readonly superblock: Superblock;
}

/** Three records in flight; the first and the last land, of the second the end does not. */
async function holeInTheMiddle(): Promise<TornLog> {
  for (let seed = 1; seed < 1000; seed++) {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    for (let i = 0; i < 3; i++) store.append(2000);
    store.disk.hold = ({ kind }) => (kind === 'sync' ? new Promise(() => undefined) : undefined);
    store.log.commit(store.log.stats().appendedBytes).catch(() => undefined);
    await settled();
    const disk = store.disk.afterCrash(keepSome(seed));
    const { replay } = openLog(disk.copy(), superblock);
    const found = await replay;
    const records = await readAll(found);
    const size = store.log.sizeOf(recordOf(2, 0, 2000).operations);
    if (records.length === 1 && found.tornBytes() === 2 * size) return { disk: disk.afterCrash(keepAll), superblock };
  }
  throw new Error('no seed leaves a hole in the middle');
}

describe('recovery', () => {
  test('writes 1, 2, 3 are in flight, 1 and 3 land: an ordinary crash, which is cut and counted (scenario 26)', async () => {
    const { disk, superblock } = await holeInTheMiddle();
    const store = await openLogStore(disk, superblock);
    expect(store.recovered).toEqual([recordOf(1, 0, 2000)]);
  });

  test('the hole is filled by a new record, and the old valid record after it stays dead (scenario 27)', async () => {
    const { disk, superblock } = await holeInTheMiddle();
    const store = await openLogStore(disk, superblock, { generation: 1 });
    await store.commit(2000);
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock);
    expect(again.recovered).toEqual([recordOf(4, 1, 2000)]);
    expect(again.superblock.mark.timestamp).toBe(4);
  });

  test('a record left out does not come back when what it depended on is written again (scenario 28)', async () => {
    const { disk, superblock } = await holeInTheMiddle();
    const old = { ...superblock };
    const store = await openLogStore(disk, superblock, { generation: 1 });
    await store.commit(2000);
    await store.commit(2000);
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock);
    expect(again.recovered).toEqual([recordOf(4, 1, 2000), recordOf(5, 1, 2000)]);
    // The superblock is lost, and the older one names a log that was removed: loud, not a shorter history.
    const { replay } = openLog(again.disk.afterCrash(dropAll), old);
    await expect(replay.then(readAll)).rejects.toMatchObject({ code: 'PW_CORRUPT_LOG' });
  });

  test('a replay from an older superblock obeys where an earlier recovery had ended (scenario 29)', async () => {
    const { disk, superblock } = await holeInTheMiddle();
    const old = { ...superblock };
    // The old segments are there still: the crash came before they were removed.
    const { log, replay } = openLog(disk, superblock);
    await readAll(await replay);
    await log.secure(log.begin());
    for (const timestamp of [4, 5]) {
      const record = recordOf(timestamp, 1, 500);
      log.reserveSync(log.sizeOf(record.operations));
      log.commitSync(log.append(record));
    }
    const next = openLog(disk.afterCrash(dropAll), old);
    const records = await readAll(await next.replay);
    expect(records).toEqual([recordOf(1, 0, 2000), { ...recordOf(4, 1, 500), after: 1 }, recordOf(5, 1, 500)]);
  });

  test('a store whose only named superblock is from before its first log finds that log', async () => {
    const superblock = newSuperblock();
    const old = { ...superblock };
    const store = await openLogStore(new SimulatedDevice(), superblock);
    await store.commit(10);
    await store.commit(10);
    const { replay } = openLog(store.disk.afterCrash(dropAll), old);
    expect(await readAll(await replay)).toEqual([recordOf(1, 0, 10), recordOf(2, 0, 10)]);
  });

  test('a segment whose name was not durable is made so before its records are trusted', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    const killed = store.disk.afterKill();
    const { replay } = openLog(killed, superblock);
    await readAll(await replay);
    expect(killed.history.filter(({ kind }) => kind === 'sync-directory').map(({ path }) => path)).toEqual([
      '/store/app.pw-wal',
      '/store',
    ]);
  });

  test('reads only records above the checkpoint, and says how much there is to read', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    await store.commit(10);
    const early = store.log.mark();
    for (let i = 0; i < 5; i++) await store.commit(10);
    superblock.mark = { timestamp: 4, log: early };
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock);
    expect(again.recovered.map(({ timestamp }) => timestamp)).toEqual([5, 6]);
    expect(again.replay.bytes).toBe(64 * 1024);
  });

  test('records say when they were appended, and a clock that is put back does not put the log back', async () => {
    const superblock = newSuperblock();
    let now = 1000;
    const clock = (): number => now;
    const store = await openLogStore(new SimulatedDevice(), superblock, { clock });
    for (now of [1000, 1000, 1005, 400, 1006]) await store.commit(10);
    now = 500;
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock, { clock });
    expect(again.recovered.map(({ time }) => time)).toEqual([1000, 1000, 1005, 1005, 1006]);
    await again.commit(10);
    now = 2000;
    await again.commit(10);
    const last = await openLogStore(again.disk.afterCrash(dropAll), superblock, { clock });
    expect(last.recovered.map(({ time }) => time)).toEqual([1006, 2000]);
  });

  test('a gap in the timestamps is damage', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    await store.commit(10);
    const late = store.log.mark();
    await store.commit(10);
    superblock.mark = { timestamp: 0, log: late };
    const { replay } = openLog(store.disk.afterCrash(dropAll), superblock);
    await expect(replay.then(readAll)).rejects.toMatchObject({
      code: 'PW_CORRUPT_LOG',
      message: expect.stringContaining('commit 2 follows commit 0'),
    });
  });

  test('records keep their bytes when later ones have been read', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    for (let i = 0; i < 60; i++) await store.commit(20_000);
    const again = await openLogStore(store.disk.afterCrash(dropAll), superblock);
    for (const [i, record] of again.recovered.entries()) assertSameRecord(record, recordOf(i + 1, 0, 20_000));
  });

  test('begins an incarnation that no file in the directory has, and removes the others when asked', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    await store.commit(10);
    const first = superblock.mark.log.incarnation;
    const disk = store.disk.afterCrash(dropAll);
    disk.put('/store/app.pw-wal/notes.txt', new Uint8Array(3));
    const { log, replay } = openLog(disk, superblock);
    await readAll(await replay);
    const mark = log.begin();
    expect(mark).toMatchObject({ segment: 1, offset: 4096 });
    expect([0, first]).not.toContain(mark.incarnation);
    await log.secure(mark);
    expect(disk.files()).toHaveLength(3);
    await log.discardOld();
    expect(disk.files().filter((path) => path.endsWith('.log'))).toHaveLength(1);
    await log.close({ discard: true });
    expect(disk.files()).toEqual(['/store/app.pw-wal/notes.txt']);
  });

  test('is not over before the replay was read to its end', async () => {
    const superblock = newSuperblock();
    const store = await openLogStore(new SimulatedDevice(), superblock);
    await store.commit(10);
    const { log, replay } = openLog(store.disk.afterCrash(dropAll), superblock);
    await replay;
    expect(() => log.begin()).toThrow(expect.objectContaining({ code: 'PW_INTERNAL' }));
  });

  test('a secured mark of the new log survives before anything is appended to it', async () => {
    const superblock = newSuperblock();
    const { log, replay } = openLog(new SimulatedDevice(), superblock);
    await readAll(await replay);
    expect(log.mark).toThrow();
    const disk = new SimulatedDevice();
    const store = await openLogStore(disk, superblock);
    expect(store.superblock.mark.log.incarnation).not.toBe(0);
    await expect(openLogStore(disk.afterCrash(dropAll), superblock)).resolves.toMatchObject({ recovered: [] });
  });
});
