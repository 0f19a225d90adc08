/**
 * One cell of `pool-translation`: builds the store, or looks keys up with one translation and so many threads, in this process
 * alone. Prints what it saw as JSON. An answer that is wrong ends it.
 */
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { BufferPool } from '@pagewright/bufferpool';
import { EntryReference, NO_LOG } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';

const INDEX = 7;
const KEY_BYTES = 8;
const VALUE_BYTES = 64;
/** Between two looks at the clock. */
const BATCH = 500;
/** So many are looked up before it counts: code is compiled by then. */
const WARM_UP = 300_000;
const WARM_UP_MS = 2000;

// Words that the threads of a cell have in common:
const READY = 0;
const GO = 1;

async function build({ path, keys, pageSize }) {
  const pages = new BufferPool({ memory: '512MiB', pageSize });
  await pages.open({ path, io: new NodeFiles(), create: true, errorIfExists: true, readOnly: false });
  const index = new BtreeType().create({ pages, number: INDEX, root: pages.root }, 1);
  const [key, keyView] = bytesAndView(KEY_BYTES);
  const [value, valueView] = bytesAndView(VALUE_BYTES);
  for (let number = 0; number < keys; number++) {
    keyView.setUint32(KEY_BYTES - 4, number);
    valueView.setUint32(0, number, true);
    index.upsert(key, 0, value, 1);
  }
  await pages.checkpoint({ gate: () => ({ timestamp: 1, log: NO_LOG }), secureLog: async () => {} });
  await pages.close();
  return {};
}

async function lookUpAll(task) {
  const { path, memory, threads, translation, pageSize } = task;
  const pages = new BufferPool({ memory: Math.max(memory, 1024 * pageSize), translation });
  await pages.open({ path, io: new NodeFiles(), create: false, errorIfExists: false, readOnly: false });
  const signals = new SharedArrayBuffer(8);
  const others = Array.from({ length: threads - 1 }, (_, thread) => {
    const workerData = { task: { ...task, seed: task.seed + thread + 1 }, handle: pages.share(), signals };
    return resultOf(new Worker(new URL(import.meta.url), { workerData }));
  });
  const words = new Int32Array(signals);
  // A thread attaches by turns of its own loop, but this one has to be there for it until then.
  while (Atomics.load(words, READY) < threads - 1) await new Promise((resolve) => setTimeout(resolve, 1));
  const own = measure(task, pages, words, task.seed);
  const all = [own, ...(await Promise.all(others))];
  const { user, system } = process.cpuUsage(own.cpuBefore);
  const { pageReads, hits } = pages.stats();
  await pages.close();
  const lookups = all.reduce((sum, thread) => sum + thread.lookups, 0);
  const wallNs = all.reduce((sum, { ns, lookups }) => sum + ns / lookups, 0) / all.length;
  return {
    lookups,
    wallNs,
    cpuNs: ((user + system) * 1000) / lookups,
    pageReads: pageReads - own.readsBefore,
    hits: hits - own.hitsBefore,
  };
}

/** Warms up, waits for the others, and looks up until the time is over. */
function measure({ keys, span, ms }, pages, signals, seed) {
  const index = new BtreeType().open({ pages, number: INDEX, root: pages.root });
  const reader = new Reader(index, seed);
  // From somewhere in the middle, so that what is hot has neighbours like any other.
  const first = span === keys ? 0 : Math.floor(keys / 3);
  const fits = pages.stats().frames * pages.pageSize > pages.stats().fileBytes;
  if (span === keys && fits) for (let number = 0; number < keys; number++) reader.look(number);
  const latest = performance.now() + WARM_UP_MS;
  for (let left = WARM_UP; left > 0 && performance.now() < latest; left -= BATCH) reader.lookUp(first, span, BATCH);
  // Of all threads of the process: the others wait until now.
  const cpuBefore = process.cpuUsage();
  if (isMainThread) {
    Atomics.store(signals, GO, 1);
    Atomics.notify(signals, GO);
  } else {
    Atomics.add(signals, READY, 1);
    Atomics.wait(signals, GO, 0);
  }
  const { pageReads: readsBefore, hits: hitsBefore } = pages.stats();
  const begun = performance.now();
  const end = begun + ms;
  let lookups = 0;
  let now = begun;
  for (; now < end; now = performance.now(), lookups += BATCH) reader.lookUp(first, span, BATCH);
  return { lookups, ns: (now - begun) * 1e6, readsBefore, hitsBefore, cpuBefore };
}

class Reader {
  #reference = new EntryReference();
  #random;
  #index;
  #key;
  #keyView;

  constructor(index, seed) {
    this.#index = index;
    this.#random = Math.imul(seed, 0x9e3779b1) | 1;
    [this.#key, this.#keyView] = bytesAndView(KEY_BYTES);
  }

  lookUp(first, span, count) {
    for (let left = count; left > 0; left--) {
      let x = this.#random;
      x ^= x << 13;
      x ^= x >>> 17;
      x ^= x << 5;
      this.#random = x;
      this.look(first + ((x >>> 0) % span));
    }
  }

  look(number) {
    this.#keyView.setUint32(KEY_BYTES - 4, number);
    const reference = this.#reference;
    const found = this.#index.lookup(this.#key, reference);
    const value = reference.value;
    const got = found ? (value[0] | (value[1] << 8) | (value[2] << 16) | (value[3] << 24)) >>> 0 : -1;
    if (got !== number) throw new Error(`Key ${number} has the value of ${got}`);
  }
}

function resultOf(worker) {
  return new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
}

function bytesAndView(length) {
  const bytes = new Uint8Array(length);
  return [bytes, new DataView(bytes.buffer)];
}

if (isMainThread) {
  const task = JSON.parse(process.argv[2]);
  console.log(JSON.stringify(task.what === 'build' ? await build(task) : await lookUpAll(task)));
} else {
  const { task, handle, signals } = workerData;
  const pages = new BufferPool();
  await pages.attach({ io: new NodeFiles(), handle });
  const measured = measure(task, pages, new Int32Array(signals), task.seed * 7919 + 1);
  await pages.close();
  parentPort.postMessage(measured);
}
