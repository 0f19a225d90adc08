/**
 * C6 for many small entries, which take several times their bytes: on a disk that gets full at any size, a large transaction is refused and nothing has changed, or it is acknowledged, and
 * then the store can be checkpointed, closed and opened, with the disk as full as it is. Where power is cut instead, the log is replayed on that disk. ROOM_SEED repeats a run.
 */
import { bufferPool } from '@pagewright/bufferpool';
import { compose, definePlugin, type Engine, IO, type IoBackend } from '@pagewright/core';
import { art } from '@pagewright/index-art';
import { btree } from '@pagewright/index-btree';
import { mvcc } from '@pagewright/mvcc';
import { singleWriter } from '@pagewright/single-writer';
import { dropAll, keepSome, Random, SimulatedDevice } from '@pagewright/testkit';
import { wal } from '@pagewright/wal';
import { expect, it } from 'vitest';

const SEED = Number(process.env.ROOM_SEED ?? Math.floor(Math.random() * 2 ** 31));
const PATH = '/full.pw';
const MIB = 1024 * 1024;
const COUNT = 30_000;
/** Room for the log and for nothing else, for some of the pages, and for all. */
const ROOMS = [1.3, 1.55, 1.7, 3, 8];
/** The same for several commits of a third of the entries. */
const ROOMS_FOR_MANY = [1.7, 2.5, 4, 8];

function openOn(io: IoBackend, type: 'art' | 'btree', concurrency: 'mvcc' | 'singleWriter'): Promise<Engine> {
  const given = definePlugin({
    name: 'the-disk-of-the-test',
    kind: 'io',
    contract: 1,
    provides: [IO],
    setup: (container) => {
      container.register(IO, { useValue: io });
    },
  });
  return compose({
    io: given(),
    pages: bufferPool({ memory: '16MiB', pageSize: 4096 }),
    indexes: type === 'art' ? art() : btree(),
    concurrency: concurrency === 'mvcc' ? mvcc() : singleWriter(),
    log: wal({ commit: 'pipelined', segmentSize: '1MiB' }),
  }).open(PATH) as Promise<Engine>;
}

it.each([
  ['art', 'mvcc', 8],
  ['btree', 'mvcc', 8],
  ['art', 'mvcc', 2],
  ['btree', 'singleWriter', 4],
] as const)(`a commit that is acknowledged can be written, in %s with %s and keys of %i bytes (ROOM_SEED=${SEED})`, async (type, concurrency, size) => {
  let acknowledged = 0;
  let refused = 0;
  // The second commit meets what the first one has left in memory; one that is refused leaves no checkpoint to be seen, so each number is tried.
  for (const [room, commits] of ROOMS.flatMap((room) => [[room, 1] as const, [room, 2] as const])) {
    const random = new Random(SEED);
    const disk = new SimulatedDevice();
    let db = await openOn(disk, type, concurrency);
    let index = await indexOf(db);
    index.putSync(new Uint8Array(1), new Uint8Array(0));
    const keys = new Set(['\0']);
    await db.checkpoint();
    disk.capacity = disk.used + Math.floor(room * MIB);
    let isRefused = false;
    for (let commit = 0; commit < commits && !isRefused; commit++) {
      const put = Array.from({ length: COUNT }, () => Uint8Array.from({ length: size }, () => random.below(256)));
      try {
        await db.transaction((tx) => {
          for (const key of put) tx.put(index, key, new Uint8Array(0));
        });
        for (const key of put) keys.add(Buffer.from(key).toString('latin1'));
        acknowledged++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'PW_FULL' });
        isRefused = true;
        refused++;
      }
    }
    const what = `${room} MiB`;
    if (!isRefused) await db.checkpoint();
    await db.close();
    if (!isRefused) {
      // The disk is as full as it was.
      db = await openOn(disk, type, concurrency);
      index = await indexOf(db);
      expect(await index.count(), what).toBe(keys.size);
      await db.close();
    }
    disk.capacity = Number.POSITIVE_INFINITY;
    db = await openOn(disk, type, concurrency);
    index = await indexOf(db);
    expect(new Set([...index.rangeSync()].map(([key]) => Buffer.from(key).toString('latin1'))), what).toEqual(keys);
    expect((await db.verify()).problems, what).toEqual([]);
    await db.close();
  }
  expect(acknowledged).toBeGreaterThan(0);
  expect(refused).toBeGreaterThan(0);
});

it.each([
  ['art', 'mvcc', 8],
  ['btree', 'mvcc', 8],
  ['art', 'singleWriter', 2],
] as const)(`a commit that is acknowledged right before power is cut is replayed on a disk as full, or fuller, where that may be refused with nothing lost, in %s with %s and keys of %i bytes (ROOM_SEED=${SEED})`, async (type, concurrency, size) => {
  const outcomes = { replayed: 0, refused: 0 };
  let acknowledged = 0;
  const tries = ROOMS_FOR_MANY.flatMap((room) =>
    [1, 2, Number.POSITIVE_INFINITY].map((commits) => ({ room, commits })),
  );
  for (const [at, { room, commits }] of tries.entries()) {
    const random = new Random(SEED + at);
    const first = new SimulatedDevice();
    const before = await openOn(first, type, concurrency);
    const index = await indexOf(before);
    index.putSync(new Uint8Array(1), new Uint8Array(0));
    const keys = new Set(['\0']);
    await before.checkpoint();
    first.capacity = first.used + Math.floor(room * MIB);
    // At last until there is no room for more.
    for (let commit = 0; commit < commits && before.state === 'open'; commit++) {
      const put = Array.from({ length: COUNT / 3 }, () => Uint8Array.from({ length: size }, () => random.below(256)));
      try {
        await before.transaction((tx) => {
          for (const key of put) tx.put(index, key, new Uint8Array(0));
        });
        for (const key of put) keys.add(Buffer.from(key).toString('latin1'));
        acknowledged++;
      } catch (error) {
        expect(error).toMatchObject({ code: 'PW_FULL' });
        break;
      }
    }
    const disk = first.copy().afterCrash(at % 2 === 0 ? dropAll : keepSome(SEED + at, 0.5));
    // As full as it was, or another program has what was left.
    const { capacity } = first;
    const isAsFull = at % 4 < 2;
    disk.capacity = isAsFull ? capacity : Math.min(capacity, disk.used);
    first.cutPower();
    await before.close().catch(() => undefined);
    const what = `${room} MiB, ${commits} commits`;
    const expectAll = async () => {
      const db = await openOn(disk, type, concurrency);
      const found = [...(await indexOf(db)).rangeSync()].map(([key]) => Buffer.from(key).toString('latin1'));
      expect(new Set(found), what).toEqual(keys);
      expect((await db.verify()).problems, what).toEqual([]);
      return db;
    };
    try {
      const db = await expectAll();
      outcomes.replayed++;
      await db.close();
    } catch (error) {
      expect(error, what).toMatchObject({ code: 'PW_FULL' });
      expect(isAsFull, `${what}: what was secured is not enough`).toBe(false);
      outcomes.refused++;
    }
    disk.capacity = Number.POSITIVE_INFINITY;
    const db = await expectAll();
    (await indexOf(db)).putSync(new Uint8Array(1), new Uint8Array(0));
    await db.close();
  }
  expect(acknowledged).toBeGreaterThan(tries.length);
  console.log(`a replay on a full disk, ROOM_SEED=${SEED}: ${JSON.stringify(outcomes)}`);
});

function indexOf(db: Engine) {
  return db.index<Uint8Array, Uint8Array>('index', { key: 'buffer', value: 'buffer' });
}
