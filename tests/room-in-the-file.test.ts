/** What the engine does beside commits has room in the file of its own (C6): it is secured before pages change, kept until they have, and given back. */
import { BufferPool } from '@pagewright/bufferpool';
import { SimulatedDevice } from '@pagewright/testkit';
import { afterEach, expect, it, vi } from 'vitest';
import { engineOn } from './engine-on.js';

afterEach(() => void vi.restoreAllMocks());

/** What is secured at a time, and was when trees were given up, or pages allocated by a load. */
function watched(): { secured: number; readonly releasing: number[]; readonly allocating: number[] } {
  const { secureSpace, giveSpace, releaseTree, allocate } = BufferPool.prototype;
  const seen = { secured: 0, releasing: [] as number[], allocating: [] as number[] };
  vi.spyOn(BufferPool.prototype, 'secureSpace').mockImplementation(function (this: BufferPool, pages) {
    secureSpace.call(this, pages);
    seen.secured += pages;
  });
  vi.spyOn(BufferPool.prototype, 'giveSpace').mockImplementation(function (this: BufferPool, pages) {
    seen.secured -= pages;
    giveSpace.call(this, pages);
  });
  vi.spyOn(BufferPool.prototype, 'releaseTree').mockImplementation(function (this: BufferPool, ...given) {
    seen.releasing.push(seen.secured - given[2]);
    return releaseTree.apply(this, given);
  });
  vi.spyOn(BufferPool.prototype, 'allocate').mockImplementation(function (this: BufferPool, ...given) {
    seen.allocating.push(seen.secured);
    return allocate.apply(this, given);
  });
  return seen;
}

function* entries(count: number): Generator<[number, Uint8Array]> {
  for (let key = 0; key < count; key++) yield [key, new Uint8Array(300)];
}

const turn = (): Promise<void> => new Promise(setImmediate);

it('trees are given up with room for what that changes, and it is given back', async () => {
  const seen = watched();
  const db = await engineOn(new SimulatedDevice(), '/store.pw', { pageSize: 4096 });
  const index = await db.index('dropped', { key: 'u32', value: 'buffer' });
  for (const [key, value] of entries(800)) index.putSync(key, value);
  await db.dropIndex('dropped');
  while (seen.releasing.length < 3) await turn();
  await db.close();
  expect(Math.min(...seen.releasing)).toBeGreaterThanOrEqual(0);
  expect(seen.secured).toBe(0);
});

it('a load has room between its steps, whatever ends it, and gives it back', async () => {
  const seen = watched();
  const db = await engineOn(new SimulatedDevice(), '/store.pw', { pageSize: 4096 });
  const index = await db.index('loaded', { key: 'u32', value: 'buffer' });
  seen.allocating.length = 0;
  await index.bulkLoad(entries(2000));
  expect(seen.secured).toBe(0);
  await expect(
    index.bulkLoad(
      (async function* () {
        yield* entries(500);
        // Others commit meanwhile.
        const before = seen.secured;
        expect(before).toBeGreaterThan(0);
        await (await db.index('other')).put('key', 'value');
        expect(seen.secured).toBe(before);
        yield [3, new Uint8Array(1)];
      })(),
    ),
  ).rejects.toMatchObject({ code: 'PW_UNSORTED' });
  expect(Math.min(...seen.allocating)).toBeGreaterThan(0);
  expect(seen.secured).toBe(0);
  await db.close();
});

it('a load that the disk is too small for gives back its room, and what is left can be read and closed', async () => {
  const seen = watched();
  const device = new SimulatedDevice();
  const db = await engineOn(device, '/store.pw', { pageSize: 4096 });
  const index = await db.index('loaded', { key: 'u32', value: 'buffer' });
  await index.put(1, new Uint8Array(1));
  device.capacity = device.used + 500 * 4096;
  await expect(index.bulkLoad(entries(20_000))).rejects.toMatchObject({ code: 'PW_FULL' });
  expect(seen.secured).toBe(0);
  expect(index.getSync(1)).toEqual(new Uint8Array(1));
  device.capacity = Number.POSITIVE_INFINITY;
  await db.close();
});
