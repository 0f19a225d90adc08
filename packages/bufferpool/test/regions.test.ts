import { newModel, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

it('a page finds room where only larger ones are, all of them children of the page that is latched', async () => {
  const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await pool.open({
    path: '/store.pw',
    io: new SimulatedDevice(),
    create: true,
    errorIfExists: false,
    readOnly: false,
  });
  const tree = new PageTree(pool);
  const model = newModel(1);
  tree.plant(1);
  // Pages of four blocks fill the pool but for what the root block and the root page leave.
  for (let slot = 0; slot < 15; slot++) {
    tree.insert([], slot, 100 + slot, 2);
    model.children[slot] = newModel(100 + slot, 2);
  }
  const { frame, offset } = pool.root;
  pool.latch(frame);
  const parent = pool.childOfLatched(frame, offset);
  pool.unlatch(frame);
  pool.latch(parent);
  const pages = [1, 2, 3].map(() => pool.allocate(1, 7, 1, 2));
  for (const page of pages) pool.free(page);
  pool.unlatch(parent);
  expect(pool.stats().evictions).toBeGreaterThan(0);
  tree.check(model);
  await pool.close();
});
