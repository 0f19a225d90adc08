/** One cell of the benchmark of I/O: one backend at one depth, or its durable writes, in a process of its own. Every page that is read is checked. */
import { answerWith } from './comparison/cell-process.mjs';
import { NotThere } from './comparison/not-there.mjs';
import { Random } from './comparison/random.mjs';
import { CONTESTANTS } from './io/contestants.mjs';
import { assertPage, PAGE } from './io/pages.mjs';

const FLUSHED = 4096;

answerWith(async ({ contestant, path, kind, depth, pages, seconds, seed }) => {
  const file = await CONTESTANTS[contestant].open(path);
  const measured = await measure(
    kind === 'read' ? reader(file, { path, depth, pages, seed }) : writer(file, pages),
    seconds,
  );
  await file.close();
  return { measured };
});

/** Runs the work for a while: it counts what it does until it is told that the time is over. */
async function measure(work, seconds) {
  await work.prepare?.();
  const began = process.hrtime.bigint();
  const cpuBefore = process.cpuUsage();
  const until = began + BigInt(Math.round(seconds * 1e9));
  const operations = await work.run(() => process.hrtime.bigint() >= until);
  const wallNs = Number(process.hrtime.bigint() - began) / operations;
  const cpu = process.cpuUsage(cpuBefore);
  return { wallNs, cpuNs: ((cpu.user + cpu.system) * 1000) / operations, operations };
}

/**
 * `depth` reads are in flight: whichever is over is followed by the next, of a page at random. Through the page cache no page is read twice, and what it had
 * of the file before is dropped.
 */
function reader(file, { path, depth, pages, seed }) {
  const wasmPages = Math.ceil((depth * PAGE) / 65536);
  const { buffer } = new WebAssembly.Memory({ initial: wasmPages, maximum: wasmPages, shared: true });
  const words = new Float64Array(buffer);
  const random = new Random(seed);
  const order = file.isCached ? shuffled(pages, random) : null;
  let begun = 0;
  let operations = 0;
  const chain = async (place, isOver) => {
    const view = new Uint8Array(buffer, place * PAGE, PAGE);
    while (!isOver() && (order === null || begun < pages)) {
      const page = order === null ? random.below(pages) : order[begun];
      begun++;
      await file.read(view, page * PAGE);
      assertPage(words, (place * PAGE) / 8, page);
      operations++;
    }
  };
  return {
    prepare: () => (file.isCached ? dropCached(path) : undefined),
    async run(isOver) {
      await Promise.all(Array.from({ length: depth }, (_, place) => chain(place, isOver)));
      return operations;
    },
  };
}

/** One write at a time, each durable when it is over, over what is there. */
function writer(file, pages) {
  const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const view = new Uint8Array(buffer, 0, FLUSHED).fill(7);
  return {
    async run(isOver) {
      let operations = 0;
      while (!isOver()) {
        await file.writeDurably(view, (operations * FLUSHED) % (pages * PAGE));
        operations++;
      }
      return operations;
    },
  };
}

async function dropCached(path) {
  const { PosixFiles } = await import('@pagewright/io-posix');
  const files = new PosixFiles({ native: true });
  const { supported, reason } = files.probe();
  if (!supported) throw new NotThere(`what is in the page cache cannot be dropped: ${reason}`);
  const file = await files.open(path, {});
  file.advise('dontNeed');
  await file.close();
}

function shuffled(count, random) {
  const order = Uint32Array.from({ length: count }, (_, at) => at);
  for (let at = count - 1; at > 0; at--) {
    const other = random.below(at + 1);
    [order[at], order[other]] = [order[other], order[at]];
  }
  return order;
}
