// Opens a pool of the size given, fills every frame, and prints what the process gained and what the pool says that it holds.
import { BufferPool } from '@pagewright/bufferpool';
import { NodeFiles } from '@pagewright/io-posix';

const [path, memory] = process.argv.slice(2);
const rss = () => {
  globalThis.gc();
  return process.memoryUsage.rss();
};

/** Without the thread that a full pool may have: its memory is not the pool's. */
async function openPool(file, bytes) {
  const pool = new BufferPool({ memory: bytes, pageSize: '16KiB', pageProvider: false });
  await pool.open({ path: file, io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
  return pool;
}

/** Pages without a place in the tree stay where they are, so that every frame is touched and none is used twice. */
function fill(pool) {
  for (let filled = 0; ; filled++) {
    try {
      const frame = pool.allocate(1, 1, 0, 1);
      const base = pool.baseOf(frame);
      pool.segmentOf(frame).u8.fill(filled & 255, base + 64, base + pool.pageSize);
    } catch (error) {
      if (error.code === 'PW_POOL_EXHAUSTED') return filled;
      throw error;
    }
  }
}

// A small one first: what the code itself takes is not the pool's.
fill(await openPool(`${path}.first`, '2MiB'));
const before = rss();
const pool = await openPool(path, memory);
const filled = fill(pool);
const gained = rss() - before;
const { memoryBytes, frames } = pool.stats();
console.log(JSON.stringify({ gained, memoryBytes, frames, filled }));
