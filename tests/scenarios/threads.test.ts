/** Lines of the list of scenarios that need several threads, on real files. */
import fs from 'node:fs';
import os from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import { EntryReference, type Index, NO_LOG } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { bundle } from '../../packages/io-posix/test/bundle.js';
import type { EndingTask } from './ending-thread.js';

const INDEX = 5;
const KEYS = 3000;
const LOST = expect.objectContaining({ code: 'PW_THREAD_LOST' });

let directory: string;
let program: string;

beforeAll(async () => {
  directory = fs.mkdtempSync(join(os.tmpdir(), 'pagewright-ending-'));
  program = await bundle('../../../tests/scenarios/ending-thread.ts', directory);
});
afterAll(() => fs.rmSync(directory, { recursive: true, force: true }));

interface Store {
  readonly pages: BufferPool;
  readonly index: Index;
}

/** The store of this name, open with a pool much smaller than it. */
async function open(name: string): Promise<Store> {
  const pages = new BufferPool({ memory: 64 * 4096, pageSize: 4096 });
  const path = join(directory, `${name}.pw`);
  const { created } = await pages.open({
    path,
    io: new NodeFiles(),
    create: true,
    errorIfExists: false,
    readOnly: false,
  });
  const type = new BtreeType();
  const context = { pages, number: INDEX, root: pages.root };
  return { pages, index: created ? type.create(context, 1) : type.open(context) };
}

/** A new store, and in its last checkpoint each key with the value 1. */
async function filled(name: string): Promise<Store> {
  const store = await open(name);
  write(store, 1);
  await checkpoint(store, 2);
  return store;
}

function write({ index, pages }: Store, value: number): void {
  for (let key = 0; key < KEYS; key++) {
    pages.enterGate();
    try {
      index.upsert(Buffer.from(`key/${key}`), 0, Buffer.alloc(100, value), value);
    } finally {
      pages.leaveGate();
    }
  }
}

function checkpoint({ pages }: Store, timestamp: number): Promise<unknown> {
  return pages.checkpoint({ gate: () => ({ timestamp, log: NO_LOG }), secureLog: async () => {} });
}

function expectEach({ index }: Store, value: number): void {
  const reference = new EntryReference();
  let wrong = 0;
  for (let key = 0; key < KEYS; key++) {
    const isThere = index.lookup(Buffer.from(`key/${key}`), reference);
    if (!isThere || !reference.value.every((byte) => byte === value)) wrong++;
  }
  expect(wrong).toBe(0);
}

/** A thread that begins something and is ended before it is over. */
async function endInTheMidst(pages: BufferPool, begins: EndingTask['begins']): Promise<void> {
  const task: EndingTask = { handle: pages.share(), index: INDEX, begins };
  const worker = new Worker(program, { workerData: task });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
  });
  await worker.terminate();
}

/** Where threads that end are found out. */
const hasTasks = fs.existsSync('/proc/thread-self');

describe.skipIf(!hasTasks)('a thread that ends', () => {
  it.each([
    'a latch',
    'a change',
  ] as const)('scenario 8: with %s begun fails the others, and the store is what its last checkpoint was', async (begins) => {
    const store = await filled(begins);
    await endInTheMidst(store.pages, begins);
    expect(() => write(store, 2)).toThrow(LOST);
    await expect(checkpoint(store, 3)).rejects.toEqual(LOST);
    await store.pages.close();
    const again = await open(begins);
    expectEach(again, 1);
    await again.pages.close();
  });

  it('with reads under way leaves memory that others use as it is, and they go on', async () => {
    const store = await filled('reads');
    for (let times = 0; times < 3; times++) {
      await endInTheMidst(store.pages, 'a read');
      write(store, 10 + times);
      await checkpoint(store, 10 + times);
      expectEach(store, 10 + times);
    }
    await store.pages.close();
    const again = await open('reads');
    expectEach(again, 12);
    await again.pages.close();
  });
});
