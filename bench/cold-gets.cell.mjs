/** One cell of the benchmark of cold gets: one backend, in a process of its own. Every value is checked. */
import { PosixFiles } from '@pagewright/io-posix';
import { open } from 'pagewright';
import { assertValue, SCHEMA } from './cold-gets/entries.mjs';
import { backendNamed } from './comparison/backends.mjs';
import { answerWith } from './comparison/cell-process.mjs';
import { NotThere } from './comparison/not-there.mjs';
import { Random } from './comparison/random.mjs';

answerWith(async ({ backend, path, memory, count, keys, seconds, seed }) => {
  const io = await backendNamed(backend);
  const cached = await pageCacheOf(path);
  const db = await open(path, { memory, io, checkpoint: { intervalMs: 3_600_000 } });
  const index = await db.index('bench', SCHEMA);
  const random = new Random(seed);
  const some = () => Array.from({ length: keys }, () => random.below(count));
  // The pool holds what it can, as it does at any later time.
  for (let read = 0; read < (2 * memory) / 16384; read += keys) await index.getMany(some());
  const seen = { wallNs: 0, cpuNs: 0, keys: 0, pages: 0 };
  for (const until = performance.now() + 1000 * seconds; performance.now() < until; ) {
    const wanted = some();
    // Nothing that the system has kept of the file makes a key less cold.
    cached.advise('dontNeed');
    const { pageReads } = db.stats().pages;
    const cpuBefore = process.cpuUsage();
    const began = process.hrtime.bigint();
    const values = await index.getMany(wanted);
    seen.wallNs += Number(process.hrtime.bigint() - began);
    const cpu = process.cpuUsage(cpuBefore);
    seen.cpuNs += (cpu.user + cpu.system) * 1000;
    seen.keys += keys;
    seen.pages += db.stats().pages.pageReads - pageReads;
    for (let at = 0; at < keys; at++) assertValue(values[at], wanted[at]);
  }
  await db.close();
  await cached.close();
  return {
    measured: {
      wallNs: seen.wallNs / seen.pages,
      keyNs: seen.wallNs / seen.keys,
      keyCpuNs: seen.cpuNs / seen.keys,
      pagesAKey: seen.pages / seen.keys,
      keys: seen.keys,
    },
  };
});

/** The file by a descriptor that can drop what the system's cache has of it. */
async function pageCacheOf(path) {
  const files = new PosixFiles({ native: true });
  const { supported, reason } = files.probe();
  if (!supported) throw new NotThere(`what is in the page cache cannot be dropped: ${reason}`);
  return files.open(path, { readOnly: true });
}
