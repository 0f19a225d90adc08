/** In what order pages that leave are written, and how many wait to leave. */
import { type IoBackend, type IoFile, NO_LOG } from '@pagewright/core';
import { PageTree, PageTreeDriver, Random, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { BufferPool } from '../src/index.js';

async function openPool(io: IoBackend, options: { frames: number; coolingFraction?: number }): Promise<BufferPool> {
  const { frames, ...others } = options;
  const pool = new BufferPool({ memory: frames * 4096, pageSize: 4096, ...others });
  await pool.open({ path: '/store.pw', io, create: true, errorIfExists: false, readOnly: false });
  return pool;
}

it('pages that leave together, and those of a checkpoint, are written in the order of the file', async () => {
  const batches: number[][] = [];
  const noted = (...[operations]: Parameters<IoFile['submit']>): void => {
    const writes = operations.flatMap((operation) => (operation.kind === 'write' ? [operation.offset] : []));
    if (writes.length > 1) batches.push(writes);
  };
  const files = new SimulatedDevice();
  const io = over<IoBackend>(files, {
    open: async (path, flags) => {
      const file = await files.open(path, flags);
      return over(file, {
        submit: (...given) => {
          noted(...given);
          return file.submit(...given);
        },
        submitSync: (...given) => {
          noted(...given);
          file.submitSync(...given);
        },
      });
    },
  });
  const seed = 7;
  const pool = await openPool(io, { frames: 64 });
  const driver = new PageTreeDriver(pool, new Random(seed));
  for (let round = 0; round < 5; round++) {
    driver.run(400);
    await pool.checkpoint({
      gate: () => ({ timestamp: driver.tree.timestamp, log: NO_LOG }),
      secureLog: async () => {},
    });
  }
  expect(batches.length).toBeGreaterThan(20);
  for (const writes of batches) expect(writes, `seed ${seed}`).toEqual([...writes].sort((one, other) => one - other));
  await pool.close();
});

it('so many of the pages that have been in use cool as coolingFraction says', async () => {
  const cool: number[] = [];
  for (const coolingFraction of [0.05, 0.4]) {
    const pool = await openPool(new SimulatedDevice(), { frames: 512, coolingFraction });
    const [fanout, inUse] = [200, 350];
    const tree = new PageTree(pool, fanout);
    const read = (n: number): number => tree.numberAt([Math.floor(n / fanout), n % fanout]);
    tree.plant(1);
    for (let a = 0; a < 6; a++) tree.insert([], a, 1 + a, 0);
    for (let n = 0; n < 6 * fanout; n++) tree.insert([Math.floor(n / fanout)], n % fanout, 100 + n, 0);
    // Those that are read again and again prove themselves whenever they are found cool. The others come and go.
    for (let n = inUse, round = 0; round < 60; round++) {
      for (let hot = 0; hot < inUse; hot++) read(hot);
      for (let times = 0; times < 40; times++, n = n + 1 < 6 * fanout ? n + 1 : inUse) read(n);
    }
    cool.push(pool.stats().coolFrames);
    await pool.close();
  }
  const [few, many] = cool as [number, number];
  expect(many - few, `${few} and ${many} pages are cool`).toBeGreaterThan(0.2 * 512);
});
