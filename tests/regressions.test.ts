/** Faults that were found by attacking the engine as a whole, each as the shortest way to it. */
import type { Engine, IndexHandle } from '@pagewright/core';
import { dropAll, ioError, keepAll, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { engineOn } from './engine-on.js';

const PATH = '/store/app.pw';
const PAGE = 4096;
/** The smallest pool that there is. */
const SMALLEST = { pageSize: PAGE, memory: 64 * PAGE };

type Bytes = IndexHandle<string, Uint8Array>;

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
const bytesOf = (size: number): Uint8Array => new Uint8Array(size).fill(size);
const codeOf = (work: Promise<unknown>): Promise<string | undefined> =>
  work.then(
    () => undefined,
    (error) => error.code,
  );

function indexOf(db: Engine<'btree'>, name = 'things'): Promise<Bytes> {
  return db.index<string, Uint8Array>(name, { key: 'utf8', value: 'buffer' });
}

/** Bytes of the page file that something living takes. */
function usedBytes(db: Engine<'btree'>): number {
  const { fileBytes, freeFileBytes, retainedFileBytes } = db.stats().pages;
  return fileBytes - freeFileBytes - retainedFileBytes;
}

it('a store can be opened after a crash at any moment of opening it', async () => {
  const crashed = new SimulatedDevice();
  const db = await engineOn(crashed, PATH, SMALLEST);
  await (await indexOf(db)).put('key', bytesOf(10));
  const afterCrash = crashed.copy();
  await db.close();
  const beginnings = [
    { found: new SimulatedDevice(), holds: undefined },
    { found: crashed, holds: bytesOf(10) },
    { found: afterCrash, holds: bytesOf(10) },
  ];
  for (const { found, holds } of beginnings) {
    const whole = found.copy();
    await engineOn(whole, PATH, SMALLEST);
    for (let at = 1; at <= whole.operations; at++) {
      for (const survives of [dropAll, keepAll]) {
        const disk = found.copy();
        disk.crashAt = at;
        await engineOn(disk, PATH, SMALLEST).catch(() => undefined);
        const again = await engineOn(disk.afterCrash(survives), PATH, SMALLEST);
        expect((await indexOf(again)).getSync('key'), `cut off at operation ${at}`).toEqual(holds);
        await again.close();
      }
    }
  }
});

it('a store that met a full disk when its log was to begin can be opened once there is room', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, SMALLEST);
  await (await indexOf(db)).put('key', bytesOf(10));
  await db.close();
  disk.onOperation = ({ kind, path }) => {
    if (kind === 'allocate' && path !== PATH) throw ioError('ENOSPC', path);
  };
  expect(await codeOf(engineOn(disk, PATH, SMALLEST))).toBe('PW_FULL');
  disk.onOperation = null;
  const again = await engineOn(disk, PATH, SMALLEST);
  expect((await indexOf(again)).getSync('key')).toHaveLength(10);
  await again.close();
});

it('a commit that fails while it prepares lets none behind it overtake those before it', async () => {
  const disk = new SimulatedDevice();
  const keyOf = (number: number): string => `key ${String(number).padStart(4, '0')}`;
  let db = await engineOn(disk, PATH, SMALLEST);
  let index = await indexOf(db);
  for (let number = 0; number < 600; number++) index.putSync(keyOf(number), bytesOf(900));
  await db.close();
  db = await engineOn(disk, PATH, SMALLEST);
  index = await indexOf(db);
  index.getSync(keyOf(0)); // the inner pages are in memory now
  let letGo = (): void => {};
  const held = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  let reads = 0;
  disk.hold = ({ kind, inPlace }) => (kind === 'read' && !inPlace && reads++ === 0 ? held : undefined);
  disk.onOperation = ({ kind, inPlace, path }) => {
    if (kind === 'read' && !inPlace && reads > 1) throw ioError('EIO', path);
  };
  const first = index.put(keyOf(300), Buffer.from('first'));
  const failing = codeOf(index.put(keyOf(500), bytesOf(10)));
  for (let turns = 0; turns < 3; turns++) await turn();
  index.getSync(keyOf(300));
  const second = index.put(keyOf(300), Buffer.from('second'));
  for (let turns = 0; turns < 3; turns++) await turn();
  disk.onOperation = null;
  letGo();
  await Promise.all([first, second]);
  expect(await failing).toBe('PW_IO');
  expect(Buffer.from(index.getSync(keyOf(300)) as Uint8Array).toString()).toBe('second');
  await db.close();
});

it('a log of more clears than the catalog has slots is replayed', async () => {
  const disk = new SimulatedDevice();
  const index = await indexOf(await engineOn(disk, PATH, SMALLEST));
  for (let round = 0; round < 1000; round++) {
    await index.clear();
    await turn();
  }
  await index.put('key', bytesOf(10));
  const db = await engineOn(disk.afterCrash(dropAll), PATH, SMALLEST);
  expect((await indexOf(db)).getSync('key')).toHaveLength(10);
  await db.close();
});

it('more indexes than the pool can keep the catalog of are refused before anything is logged', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, SMALLEST);
  let code: string | undefined;
  for (let number = 0; code === undefined; number++) code = await codeOf(indexOf(db, `index ${number}`));
  expect(code).toBe('PW_POOL_EXHAUSTED');
  expect(db.state).toBe('open');
  await (await indexOf(db, 'index 0')).put('key', bytesOf(10));
  await db.close();
  await (await engineOn(disk, PATH, SMALLEST)).close();
});

it('reads of large values at once wait for each other, however small the pool', async () => {
  const disk = new SimulatedDevice();
  const large = await engineOn(disk, PATH, { pageSize: PAGE, memory: 4096 * PAGE });
  const index = await indexOf(large);
  for (let number = 0; number < 20; number++) index.putSync(`value ${number}`, bytesOf(60_000));
  index.putSync('too large', bytesOf(200_000));
  await large.close();
  const small = await engineOn(disk, PATH, SMALLEST);
  const same = await indexOf(small);
  const values = await Promise.all(Array.from({ length: 20 }, (_, number) => same.get(`value ${number}`)));
  expect(values.every((value) => value?.length === 60_000)).toBe(true);
  expect(await codeOf(same.get('too large'))).toBe('PW_POOL_EXHAUSTED');
  await small.close();
});

it('a large value that is replaced while a checkpoint has much to put aside gives its space back', async () => {
  const disk = new SimulatedDevice();
  const db = await engineOn(disk, PATH, { pageSize: 16384, memory: 64 << 20 });
  const index = await indexOf(db);
  const values = 24;
  for (let number = 0; number < values; number++) index.putSync(`value ${number}`, bytesOf(1 << 20));
  const checkpoint = db.checkpoint();
  for (let number = 0; number < values; number++) index.putSync(`value ${number}`, bytesOf(10));
  await checkpoint;
  for (let round = 0; round < 3; round++) {
    index.putSync('one more', bytesOf(10));
    await db.checkpoint();
  }
  expect(usedBytes(db)).toBeLessThan(1 << 20);
  await db.close();
}, 60_000);

it('reading and counting thousands of entries that are not in memory never reads in place', async () => {
  const disk = new SimulatedDevice();
  const keys = Array.from({ length: 2000 }, (_, number) => `key ${String((number * 7) % 2000).padStart(4, '0')}`);
  let db = await engineOn(disk, PATH, SMALLEST);
  let index = await indexOf(db);
  for (const key of keys) index.putSync(key, bytesOf(900));
  await db.close();
  db = await engineOn(disk, PATH, SMALLEST);
  index = await indexOf(db);
  let inPlace = 0;
  disk.onOperation = (operation) => {
    if (operation.kind === 'read' && operation.inPlace) inPlace++;
  };
  expect((await index.getMany(keys)).every((value) => value?.length === 900)).toBe(true);
  expect(await index.count()).toBe(2000);
  expect(inPlace).toBe(0);
  await db.close();
});
