// Fills a pool, closes it, and prints what the process gained by that, and what is left of it when nobody has the pool any more.
import { BufferPool } from '@pagewright/bufferpool';
import { NodeFiles } from '@pagewright/io-posix';

const [path] = process.argv.slice(2);

/** Resident memory when all that can be given back was. */
async function resident() {
  for (let turn = 0; turn < 10; turn++) {
    globalThis.gc();
    await new Promise(setImmediate);
  }
  return process.memoryUsage.rss();
}

async function openFillAndClose(file, memory) {
  const filled = new BufferPool({ memory, pageSize: '4KiB' });
  await filled.open({ path: file, io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
  for (let page = 0; page < filled.stats().frames - 1; page++) {
    const at = filled.allocate(1, 1, 0, 1);
    filled.segmentOf(at).u8.fill(1, filled.baseOf(at) + 64, filled.baseOf(at) + filled.pageSize);
  }
  const full = process.memoryUsage.rss();
  await filled.close();
  return full;
}

// A small one first: what the code itself takes is not the pool's.
await openFillAndClose(`${path}.first`, '2MiB');
const before = await resident();
const full = await openFillAndClose(path, '256MiB');
const after = await resident();
console.log(JSON.stringify({ taken: full - before, kept: after - before }));
