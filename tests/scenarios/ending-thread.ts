/** A thread that attaches to a pool, begins something, and is ended in the midst of it by whoever started it. */
import { parentPort, workerData } from 'node:worker_threads';
import { BufferPool, type PoolHandle } from '@pagewright/bufferpool';
import { EntryReference, PageFault } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';

export interface EndingTask {
  readonly handle: PoolHandle;
  readonly index: number;
  readonly begins: 'a change' | 'a latch' | 'a read';
}

const { handle, index: number, begins } = workerData as EndingTask;
const pages = new BufferPool();
await pages.attach({ io: new NodeFiles(), handle });
const { frame, offset } = pages.root;

if (begins === 'a read') read();
else {
  if (begins === 'a change') pages.enterGate();
  pages.latch(frame);
  const top = pages.childOfLatched(frame, offset);
  pages.latch(top);
  if (begins === 'a change') {
    pages.modify(top, 1e9);
    // Half of what the change would have written.
    const base = pages.baseOf(top);
    pages.segmentOf(top).u8.fill(0xff, base + pages.pageSize / 2, base + pages.pageSize - 64);
  }
}
parentPort?.postMessage('begun');
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);

/** Many reads that nobody here will ever be told of. */
function read(): void {
  const index = new BtreeType().open({ pages, number, root: pages.root });
  const reference = new EntryReference();
  for (let key = 0; key < 3000; key += 300) {
    pages.faulting = true;
    try {
      index.lookup(Buffer.from(`key/${key}`), reference);
    } catch (error) {
      if (!(error instanceof PageFault)) throw error;
      void pages.loadFault();
    }
  }
}
