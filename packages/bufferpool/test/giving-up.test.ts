/** Giving up a page whose image is owed, where that cannot be written. */
import { driveSchedule, NO_LOG, POINT } from '@pagewright/core';
import { PageTree, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { BufferPool } from '../src/index.js';

it('a page that cannot be given up, because its image cannot be written, keeps its place, and nobody holds its latch', async () => {
  const files = new SimulatedDevice();
  const pool = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await pool.open({ path: '/store.pw', io: files, create: true, errorIfExists: false, readOnly: false });
  const tree = new PageTree(pool);
  tree.plant(1);
  for (let slot = 0; slot < 12; slot++) tree.insert([], slot, 100 + slot, 0);
  const failed = expect.objectContaining({ code: 'PW_IO' });
  const before = driveSchedule((point) => {
    if (point !== POINT.gateClosed) return;
    driveSchedule(before);
    const fault = { kind: 'error', errno: 'EIO' } as const;
    const takeBack = files.inject({ fault, kinds: ['write'], from: 0, times: 1e9 });
    // With the page above them these fill the eighth of the pool that is for images.
    for (let slot = 0; slot < 7; slot++) tree.change([slot], 200 + slot);
    expect(() => tree.discardLeaf([], 9)).toThrow(failed);
    takeBack();
  });
  try {
    await expect(
      pool.checkpoint({ gate: () => ({ timestamp: tree.timestamp, log: NO_LOG }), secureLog: async () => {} }),
    ).rejects.toThrow(failed);
  } finally {
    driveSchedule(before);
  }
  expect(tree.numberAt([9])).toBe(109);
  tree.change([9], 300);
  tree.discardLeaf([], 9);
  await pool.close();
});
