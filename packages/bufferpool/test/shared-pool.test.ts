/** A pool that two threads have open, which take turns here: one of them goes on while the other waits for the file. */
import type { IoBackend, IoFile } from '@pagewright/core';
import { FANOUT, PageTree, SimulatedDevice } from '@pagewright/testkit';
import { expect, it } from 'vitest';
import { over } from '../../testkit/test/over.js';
import { BufferPool } from '../src/index.js';

const PATH = '/store.pw';

/** The same files, where something happens before each batch is written or read in place. */
function interrupted(files: IoBackend, between: () => void): IoBackend {
  return over<IoBackend>(files, {
    open: async (path, flags) => {
      const file = await files.open(path, flags);
      const submitSync: IoFile['submitSync'] = (...given) => {
        between();
        file.submitSync(...given);
      };
      return over(file, { submitSync });
    },
  });
}

/** A pool with 64 frames, and one that attaches to it as another thread would. */
async function twoPools(io: IoBackend, otherIo = io): Promise<{ owner: BufferPool; other: BufferPool }> {
  const owner = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  await owner.open({ path: PATH, io, create: true, errorIfExists: false, readOnly: false });
  const other = new BufferPool();
  await other.attach({ io: otherIo, handle: owner.share() });
  return { owner, other };
}

/** A root with pages below it, and below these more than the pool holds, so that what is in memory has changed. */
function plant(pages: BufferPool, below = 4): PageTree {
  const tree = new PageTree(pages);
  tree.plant(1);
  for (let a = 0; a < below; a++) {
    tree.insert([], a, 100 + a, 0);
    for (let b = 0; b < FANOUT; b++) tree.insert([a], b, 1000 + a * FANOUT + b, 0);
  }
  return tree;
}

it('writes nothing more once it was closed, whatever other threads look for', async () => {
  const files = new SimulatedDevice();
  let writes = 0;
  const { owner, other } = await twoPools(
    files,
    interrupted(files, () => writes++),
  );
  plant(owner, 8);
  const tree = new PageTree(other);
  const closed = expect.objectContaining({ code: 'PW_CLOSED' });
  other.faulting = true;
  expect(() => {
    for (let b = 0; b < FANOUT; b++) tree.numberAt([0, b]);
  }).toThrow();
  await owner.close();
  const { operations } = files;
  await expect(other.loadFault()).rejects.toThrow(closed);
  other.faulting = false;
  expect(() => {
    for (let a = 0; a < 8; a++) for (let b = 0; b < FANOUT; b++) tree.numberAt([a, b]);
  }).toThrow(closed);
  expect(writes).toBe(0);
  expect(files.operations).toBe(operations);
  await other.close();
});

it('lets a change come to its end that was begun before it is closed', async () => {
  const { owner, other } = await twoPools(new SimulatedDevice());
  plant(owner, 8);
  const tree = new PageTree(other);
  other.enterGate();
  let isClosed = false;
  const closing = owner.close().then(() => {
    isClosed = true;
  });
  for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate);
  tree.insert([3, 2], 0, 77, 0);
  expect(isClosed).toBe(false);
  other.leaveGate();
  await closing;
  await other.close();
});
