/**
 * A pool that reads beside a writer goes on to later checkpoints: it empties its memory, and begins anew with what the newer superblock
 * names. In one step, so that nobody sees pages of two checkpoints.
 */
import type { AllocationMap } from './allocation-map.js';
import { FileSpace } from './file-space.js';
import type { PoolInThread } from './pool-in-thread.js';
import { emptyTree } from './resident-tree.js';
import { nameCatalog, ROOT_FRAME } from './root-frame.js';
import { mapOf } from './stored-map.js';

/** Goes on to the newest checkpoint, and calls `moved` in that step; false if there is none that is newer. Errors: `PW_CORRUPT_FILE`, `PW_IO`. */
export async function followWriter(pool: PoolInThread, moved: () => void): Promise<boolean> {
  const { file, latches, poolLatch } = pool;
  const { reader } = file;
  if (reader === null) return false;
  let newer = await reader.newer();
  while (newer !== null) {
    const { newest } = newer;
    let map: AllocationMap | null;
    try {
      map = await mapOf(file, newest);
    } catch (error) {
      if (reader.isNamed(newest)) throw error;
      newer = await reader.newer();
      continue;
    }
    try {
      file.adopt(newer);
      loadSpace(pool, map, file.olderSuperblock?.epoch ?? newest.epoch);
      latches.latch(ROOT_FRAME);
      poolLatch.holding(() => emptyTree(pool, pool.residency, ROOT_FRAME));
      nameCatalog(pool, newest);
      latches.unlatch(ROOT_FRAME);
      moved();
    } finally {
      await reader.movePin();
    }
    return true;
  }
  return false;
}

/** What the newer map says. Its own memory goes with the old one. */
function loadSpace(pool: PoolInThread, map: AllocationMap | null, oldestEpoch: number): void {
  const { io, pageSize, reservedUnits } = pool.file;
  pool.space = new FileSpace(io, FileSpace.memory(), pageSize, reservedUnits, true);
  pool.space.load(map, oldestEpoch);
}
