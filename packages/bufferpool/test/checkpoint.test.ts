import { isPagewrightError, NO_LOG, sizeClassOf } from '@pagewright/core';
import {
  FANOUT,
  keepSome,
  type PageModel,
  PageTree,
  PageTreeDriver,
  Random,
  SimulatedDevice,
} from '@pagewright/testkit';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';
const MEMORY = 64 * 4096;
const part = fc.double({ min: 0, max: 1, noNaN: true });

async function openPool(files: SimulatedDevice, memory = MEMORY): Promise<BufferPool> {
  const pool = new BufferPool({ memory, ...(files.files().includes(PATH) ? {} : { pageSize: 4096 }) });
  await pool.open({ path: PATH, io: files, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

async function drive(files: SimulatedDevice, seed: number, steps: number): Promise<PageTreeDriver> {
  return new PageTreeDriver(await openPool(files), new Random(seed)).runWithCheckpoints(steps, { turns: true });
}

function unitsOf(model: PageModel | null): number {
  return model === null ? 0 : 2 ** model.sizeClass + model.children.reduce((sum, child) => sum + unitsOf(child), 0);
}

/** C5: what a store that was just opened has in use is what its tree reaches, its map, and the superblocks. */
function expectNoLeak(pool: BufferPool, files: SimulatedDevice, model: PageModel | null): void {
  const { fileBytes, freeFileBytes, retainedFileBytes, pageSize } = pool.stats();
  const used = (fileBytes - freeFileBytes - retainedFileBytes) / pageSize;
  const slots = Buffer.from(files.contentOf(PATH));
  const mapAddress = slots.readUInt32LE(newestSlot(slots) + 64);
  expect(used).toBe(2 + unitsOf(model) + (mapAddress === 0 ? 0 : 2 ** sizeClassOf(mapAddress)));
}

/** Byte offset of the superblock that counts. A damaged one is told by a mark that the tests leave. */
function newestSlot(slots: Buffer): number {
  const epochs = [0, 4096].map((at) => (slots[at + 100] === 0 ? slots.readDoubleLE(at + 40) : -1)) as [number, number];
  return epochs[0] > epochs[1] ? 0 : 4096;
}

describe('a checkpoint', () => {
  it('holds the tree as it was at its gate, while the tree goes on changing and is larger than memory', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const files = new SimulatedDevice(seed % 2 === 0 ? { seed } : { seed, schedule: { turns: 4 } });
        const driver = await drive(files, seed, 1500);
        driver.tree.check(driver.model);
        const expected = driver.durable;
        await driver.pages.close();
        const after = files.copy();
        const again = await openPool(after);
        expectNoLeak(again, after, expected);
        new PageTree(again).check(expected);
        expect(again.stats().pageReads).toBeGreaterThanOrEqual(expected === null ? 0 : 1);
      }),
      { numRuns: 25 },
    );
  });

  it('is whole after a crash at any write, whatever part of the unsynced writes is lost', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), part, part, async (seed, fraction, share) => {
        // With a schedule the writes of a checkpoint overtake each other; without one each happens when it is issued.
        const options = seed % 2 === 0 ? { seed } : { seed, schedule: { turns: 4 } };
        const rehearsal = new SimulatedDevice(options);
        await drive(rehearsal, seed, 600);
        const files = new SimulatedDevice(options);
        const pool = await openPool(files);
        const created = files.operations;
        files.crashAt = created + 1 + Math.floor((rehearsal.operations - created) * fraction);
        const driver = new PageTreeDriver(pool, new Random(seed));
        try {
          await driver.runWithCheckpoints(600, { turns: true });
        } catch (error) {
          if (!isPagewrightError(error, 'PW_IO')) throw error;
        }
        await pool.close();
        const survived = files.afterCrash(keepSome(seed, share));
        const again = await openPool(survived);
        const tree = new PageTree(again);
        // Either the last checkpoint that was reported, or one that was under way.
        const candidates = [driver.durable, ...driver.possible];
        const errors = candidates.map((candidate) => {
          try {
            tree.check(candidate);
            return null;
          } catch (error) {
            return error;
          }
        });
        expect(errors, `no candidate matches: ${errors.join(' | ')}`).toContain(null);
        expectNoLeak(again, survived, candidates[errors.indexOf(null)] as PageModel | null);
        // The store goes on from there.
        const next = new PageTreeDriver(again, new Random(seed + 1));
        next.resume(candidates[errors.indexOf(null)] as PageModel | null, driver.tree.timestamp);
        for (let step = 0; step < 100; step++) next.step();
        await next.checkpoint();
        await next.checkpoint();
        next.tree.check(next.model);
        await again.close();
      }),
      { numRuns: 80 },
    );
  });

  it('gives back all the space of what is gone', async () => {
    const files = new SimulatedDevice();
    const driver = await drive(files, 42, 1500);
    for (let slot = 0; slot < FANOUT; slot++) {
      if ((driver.model as PageModel).children[slot] === null) continue;
      driver.tree.remove([], slot);
      (driver.model as PageModel).children[slot] = null;
    }
    for (let round = 0; round < 3; round++) {
      driver.tree.change([], round);
      (driver.model as PageModel).number = round;
      await driver.checkpoint();
    }
    const { fileBytes, freeFileBytes, retainedFileBytes } = driver.pages.stats();
    // The superblocks, the root page and the map are in use; the page and the map before them are retained.
    expect((fileBytes - freeFileBytes - retainedFileBytes) / 4096).toBeLessThanOrEqual(2 + 1 + 2);
    expect(retainedFileBytes / 4096).toBeLessThanOrEqual(3);
  });

  it('is found whole when the superblock of the next one rots, however much was written since (scenario 22)', async () => {
    await fc.assert(
      fc.asyncProperty(fc.integer(), async (seed) => {
        const files = new SimulatedDevice();
        const driver = await drive(files, seed, 1200);
        await driver.checkpoint();
        const older = driver.durable;
        for (let step = 0; step < 150; step++) driver.step();
        await driver.checkpoint();
        for (let step = 0; step < 400; step++) driver.step();
        await driver.pages.close();
        const after = files.copy();
        const bytes = Buffer.from(after.contentOf(PATH));
        bytes[newestSlot(bytes) + 100] = 0xff;
        after.put(PATH, bytes);
        const again = await openPool(after);
        new PageTree(again).check(older);
        expectNoLeak(again, after, older);
      }),
      { numRuns: 6 },
    );
  });

  it('that is asked for while another is about to begin shares it, at whatever instant that is', async () => {
    const driver = await drive(new SimulatedDevice(), 11, 50);
    const steps = { gate: () => ({ timestamp: 10_000, log: NO_LOG }), secureLog: async () => {} };
    for (let instant = 0; instant < 10; instant++) {
      const third = driver.pages.checkpoint(steps).then(async () => {
        for (let tick = 0; tick < instant; tick++) await null;
        await driver.pages.checkpoint(steps);
      });
      await Promise.all([driver.pages.checkpoint(steps), third]);
    }
    await driver.pages.close();
  });

  it('that meets an error is the last one, and the earlier one still counts', async () => {
    const files = new SimulatedDevice();
    const driver = await drive(files, 7, 300);
    await driver.checkpoint();
    driver.tree.change([], 1);
    const takeBack = files.inject({
      fault: { kind: 'error', errno: 'EIO' },
      kinds: ['write', 'sync'],
      from: files.operations + 2,
      times: Number.POSITIVE_INFINITY,
    });
    await expect(driver.checkpoint()).rejects.toMatchObject({ code: 'PW_IO' });
    takeBack();
    await expect(driver.checkpoint()).rejects.toMatchObject({ code: 'PW_READ_ONLY' });
    await driver.pages.close();
    const again = await openPool(files.copy());
    new PageTree(again).check(driver.durable);
  });
});

describe('what a gate answers', () => {
  const log = NO_LOG;
  it.each([
    ['nothing', undefined],
    ['a promise', Promise.resolve({ timestamp: 6, log })],
    ['a timestamp below that of the checkpoint before', { timestamp: 4, log }],
    ['a time in seconds', { timestamp: 1.7e9 + 0.5, log }],
    ['no number', { timestamp: '6', log }],
    ['a number that is none', { timestamp: Number.NaN, log }],
    ['a number without end', { timestamp: Number.POSITIVE_INFINITY, log }],
    ['a number that is not exact', { timestamp: 2 ** 53, log }],
    ['a bigint', { timestamp: 6n, log }],
    ['no log', { timestamp: 6 }],
    ['a log that is none', { timestamp: 6, log: {} }],
    ['an incarnation that is none', { timestamp: 6, log: { incarnation: 1.5, segment: 1, offset: 0 } }],
    ['an offset below 0', { timestamp: 6, log: { incarnation: 1, segment: 1, offset: -1 } }],
  ])('is refused before anything happens if it is %s', async (_, answer) => {
    const device = new SimulatedDevice();
    const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
    const request = { path: '/gate.pw', io: device, create: true, errorIfExists: false, readOnly: false };
    await pool.open(request);
    const tree = new PageTree(pool);
    tree.plant(1);
    const secureLog = async (): Promise<void> => {};
    await pool.checkpoint({ gate: () => ({ timestamp: 5, log }), secureLog });
    const gate = () => answer as unknown as { timestamp: number; log: typeof NO_LOG };
    await expect(pool.checkpoint({ gate, secureLog })).rejects.toMatchObject({ code: 'PW_ARGUMENT' });
    expect((await pool.checkpoint({ gate: () => ({ timestamp: 5, log }), secureLog })).mark.timestamp).toBe(5);
    await pool.close();
    const again = new BufferPool({ memory: 64 * 4096 });
    expect(await again.open({ ...request, create: false })).toMatchObject({
      usedOlderSlot: false,
      mark: { timestamp: 5 },
    });
    await again.close();
  });
});
