// Opens a pool of the size given, with a page provider or without, fills every frame, and prints what the process gained and what the pool says that it holds.
import { setTimeout } from 'node:timers/promises';
import { BufferPool } from '@pagewright/bufferpool';
import { NodeFiles } from '@pagewright/io-posix';

const [path, memory, provider] = process.argv.slice(2);
const rss = () => {
  globalThis.gc();
  return process.memoryUsage.rss();
};

async function openPool(file, bytes, pageProvider) {
  const pool = new BufferPool({ memory: bytes, pageSize: '16KiB', pageProvider });
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
fill(await openPool(`${path}.first`, '2MiB', false));
const before = rss();
const pool = await openPool(path, memory, provider === 'provider');
const filled = fill(pool);
const withoutThread = pool.stats().memoryBytes;
// It is started by the event loop, and says what it holds when it is there.
while (provider === 'provider' && pool.stats().memoryBytes === withoutThread) await setTimeout(10);
const gained = rss() - before;
const { memoryBytes, frames } = pool.stats();
console.log(JSON.stringify({ gained, memoryBytes, threadBytes: memoryBytes - withoutThread, frames, filled }));
await pool.close();
