/** Pages of the sizes that the conformance suite is not run with, because it takes long: trees that change, checkpoints, and reading back. */
import { PageTree, PageTreeDriver, Random, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

it.each([8192, 32_768, 65_536])('a store of pages of %i bytes keeps what its checkpoints hold', async (pageSize) => {
  for (const seed of [1, 2]) {
    const files = new SimulatedDevice({ seed, schedule: { turns: 4 } });
    const open = async (): Promise<BufferPool> => {
      const pool = new BufferPool({ memory: 64 * pageSize, ...(files.files().length === 0 ? { pageSize } : {}) });
      await pool.open({ path: '/store.pw', io: files, create: true, errorIfExists: false, readOnly: false });
      return pool;
    };
    const pool = await open();
    const driver = await new PageTreeDriver(pool, new Random(seed)).runWithCheckpoints(800, { turns: true });
    driver.tree.check(driver.model);
    expect(pool.stats().evictions, `seed ${seed}`).toBeGreaterThan(0);
    expect(pool.stats().checkpoints, `seed ${seed}`).toBeGreaterThan(0);
    await pool.close();
    const again = await open();
    expect(again.pageSize).toBe(pageSize);
    new PageTree(again).check(driver.durable);
    await again.close();
  }
});
