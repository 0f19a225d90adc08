/**
 * Lines of the list of scenarios that a checkpoint can go wrong by, each with the order of events that it needs: the
 * checkpoint is stopped after its gate, and what must not show in it is done before its images are written.
 */
import { expect, it } from 'vitest';
import { CheckpointedTree, type Path } from './checkpointed-tree.js';

/** A tree with `count` pages below [0], and as many below [1]: all dirty, more than go with the first images. */
async function withTwoFamilies(count: number): Promise<CheckpointedTree> {
  const store = await CheckpointedTree.create();
  for (const a of [0, 1]) {
    store.insert([], a);
    for (let b = 0; b < count; b++) store.insert([a], b);
  }
  return store;
}

/** The first images of a checkpoint are an eighth of the pool. */
const FIRST_IMAGES = 8;

const below = (a: number, count: number): Path[] => Array.from({ length: count }, (_, b) => [a, b]);

it('scenario 1: pages change after their images were sealed and before these are written, and the images verify', async () => {
  const store = await withTwoFamilies(12);
  await store.checkpointAround(() => {
    for (const path of [...below(0, 12), ...below(1, 12), [0], [1], []]) store.change(path);
  });
  await store.close();
});

it('scenario 2: a dirty page that cools is touched, and there is no second, older copy of it', async () => {
  const store = await withTwoFamilies(12);
  await store.checkpoint();
  for (const path of [...below(0, 12), ...below(1, 12)]) store.change(path);
  const { rewarmed } = store.pool.stats();
  for (let round = 0; round < 400; round++) {
    store.touchBallast();
    const path = below(round & 1, 12)[round % 12] as Path;
    store.touch(path);
    if (round % 3 === 0) store.change(path);
  }
  expect(store.pool.stats().rewarmed).toBeGreaterThan(rewarmed);
  await store.checkpointAround(() => undefined);
  await store.close();
});

it('scenario 3: frames that an image still waits for are used by other pages before it gets their addresses', async () => {
  const store = await withTwoFamilies(12);
  await store.checkpointAround(() => {
    // The images of the parents are put aside, and wait for the addresses of their children, which leave.
    store.change([0]);
    store.change([1]);
    store.change([]);
    store.driveOut([...below(0, 12), ...below(1, 12)], 24 - FIRST_IMAGES);
  });
  await store.close();
});

it('scenario 13: of changes that belong together no half is in the checkpoint, whatever was written already', async () => {
  const store = await withTwoFamilies(14);
  await store.checkpointAround(() => {
    // The images of the first are on their way; the others would be taken from their frames.
    for (let b = 0; b < 14; b++) {
      store.change([0, b]);
      store.change([1, 13 - b]);
    }
  }, 3);
  await store.close();
});

it('scenario 15: a page is divided after the gate, and neither half is missing from the checkpoint, nor in it too early', async () => {
  const store = await withTwoFamilies(14);
  store.change([0, 3]);
  await store.checkpointAround(() => {
    // What a split does: a new page beside the old, some of what that had moves over, and the parent names both.
    store.insert([0], 14);
    for (let b = 0; b < 3; b++) store.insert([0, 3], b);
    store.move([0, 3], 1, [0, 14], 1);
    store.change([0, 3]);
    store.change([0]);
  });
  await store.checkpointAround(() => undefined);
  await store.close();
});

it('scenario 16: a page is moved to a parent whose image is written already, and from one whose image is not', async () => {
  const store = await withTwoFamilies(12);
  await store.checkpointAround(() => {
    store.move([1], 0, [0], 12);
    store.move([0], 1, [1], 12);
    store.move([1], 2, [], 7);
    store.change([0, 12]);
  }, 14);
  await store.close();
});

it('scenario 17: a page that was clean at the gate changes, is written elsewhere and leaves, before its parent is written', async () => {
  const store = await withTwoFamilies(12);
  await store.checkpoint();
  for (const path of below(0, 12)) store.touch(path);
  store.change([0]);
  for (const path of below(1, 12)) store.change(path);
  await store.checkpointAround(() => {
    for (const path of below(0, 12)) store.change(path);
    store.driveOut(below(0, 12));
  });
  await store.close();
});

it('scenario 18: a page is dirty at the gate, its parent was not changed, and changes before the checkpoint comes by', async () => {
  const store = await withTwoFamilies(12);
  await store.checkpoint();
  for (const path of [...below(0, 12), ...below(1, 12)]) store.change(path);
  await store.checkpointAround(() => {
    store.change([0]);
    store.change([1]);
    store.insert([1], 13);
  });
  await store.close();
});

it('scenario 19: pages that leave during a checkpoint with what it needs are given up after it, not at once', async () => {
  const store = await withTwoFamilies(14);
  await store.checkpointAround(() => {
    store.driveOut([...below(0, 14), ...below(1, 14)], 28 - FIRST_IMAGES);
    for (let b = 0; b < 14; b++) {
      store.discard([0], b);
      store.change([1, b]);
    }
    store.driveOut(below(1, 14));
    // Whatever was free by mistake is used again now.
    for (let b = 0; b < 14; b++) store.insert([0], b);
    store.driveOut(below(0, 14));
  });
  await store.close();
});

it('scenario 20: an image that is in the file, and in no superblock yet, is not written over', async () => {
  const store = await withTwoFamilies(14);
  await store.checkpointAround(() => {
    for (let b = 0; b < 14; b++) {
      store.change([0, b]);
      store.change([1, b]);
    }
    store.driveOut([...below(0, 14), ...below(1, 14)]);
    for (let b = 0; b < 14; b++) {
      store.remove([0], b);
      store.insert([0], b);
    }
    store.driveOut(below(0, 14));
  }, 22);
  await store.close();
});
