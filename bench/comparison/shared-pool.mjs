// A pool with one index in it, and worker threads that have attached to it: what benchmarks of threads begin and end with.
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { parentPort, Worker } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';

const INDEX = 7;

export const keyOf = (number) => Buffer.from(`key/${String(number).padStart(12, '0')}`);

export class SharedPool {
  workers = [];

  constructor(pool, index, directory) {
    this.pool = pool;
    this.index = index;
    this.directory = directory;
  }

  /** A pool in a directory of its own, with so many keys and what `valueFor` says of each. */
  static async filled({ memory, keys, valueFor }) {
    const directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-bench-'));
    const path = join(directory, 'bench.pw');
    const pool = new BufferPool({ memory });
    await pool.open({ path, io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
    const index = new BtreeType().create({ pages: pool, number: INDEX, root: pool.root }, 1);
    for (let i = 0; i < keys; i++) index.upsert(keyOf(i), 0, valueFor(i), 1);
    return new SharedPool(pool, index, directory);
  }

  /** Starts a thread of this program, which gets the task and the pool's handle; resolves when it is ready. */
  async start(program, task) {
    const worker = new Worker(program, { workerData: { ...task, handle: this.pool.share() } });
    await new Promise((resolve) => worker.once('message', resolve));
    this.workers.push(worker);
  }

  /** Asks so many threads for the same; resolves to their answers. */
  ask(question, count = this.workers.length) {
    return Promise.all(
      this.workers.slice(0, count).map((worker) => {
        worker.postMessage(question);
        return new Promise((resolve) => worker.once('message', resolve));
      }),
    );
  }

  async close() {
    for (const worker of this.workers) {
      worker.postMessage('close');
      await new Promise((resolve) => worker.once('exit', resolve));
    }
    await this.pool.close();
    fs.rmSync(this.directory, { recursive: true });
  }
}

/** In such a thread: the pool and the index. */
export async function attached(handle) {
  const pool = new BufferPool();
  await pool.attach({ io: new NodeFiles(), handle });
  return { pool, index: new BtreeType().open({ pages: pool, number: INDEX, root: pool.root }) };
}

/** In such a thread: answers what is asked, until the pool is closed. */
export function answering(pool, answer) {
  parentPort.on('message', async (question) => {
    if (question === 'close') {
      await pool.close();
      parentPort.close();
      return;
    }
    parentPort.postMessage(answer(question));
  });
  parentPort.postMessage('ready');
}
