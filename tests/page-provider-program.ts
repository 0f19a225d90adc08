/** What the tests of the page provider run in processes of their own, which begin threads: one case each, and what came of it as JSON. */
import { subscribe } from 'node:diagnostics_channel';
import fs from 'node:fs';
import { pathToFileURL } from 'node:url';
import { BufferPool, type PoolProvider } from '@pagewright/bufferpool';
import { EntryReference, type Index, type IoBackend, isPagewrightError, NO_LOG, TAG_VALUE } from '@pagewright/core';
import { BtreeType } from '@pagewright/index-btree';
import { NodeFiles } from '@pagewright/io-posix';
import { Random } from '@pagewright/testkit';
import { type StressOptions, stress } from '../soak/threads/stress.js';
import { FailingWrites } from './failing-writes.js';

const PAGE_SIZE = 4096;
const FRAMES = 128;
/** About eight times as much as there are frames. */
const KEYS = 3500;
const VALUE_BYTES = 1000;

const [, , name = '', directory = '', given = '{}'] = process.argv;
const told: PoolProvider[] = [];
subscribe('pagewright:pool:provider', (message) => told.push(message as PoolProvider));
let workers = 0;
process.on('worker', () => {
  workers++;
});

class Store {
  readonly pages: BufferPool;
  #index!: Index;
  #clock = 1;

  constructor(
    private readonly io: IoBackend = new NodeFiles(),
    frames = FRAMES,
    pageProvider = true,
  ) {
    this.pages = new BufferPool({ memory: frames * PAGE_SIZE, pageSize: PAGE_SIZE, pageProvider });
  }

  async open(): Promise<this> {
    const path = `${directory}/store.pw`;
    await this.pages.open({ path, io: this.io, create: true, errorIfExists: false, readOnly: false });
    this.#index = new BtreeType().create({ pages: this.pages, number: 7, root: this.pages.root }, this.#clock++);
    return this;
  }

  put(key: number, version: number): void {
    this.pages.enterGate();
    try {
      this.#index.upsert(keyOf(key), TAG_VALUE, bytesOf(key, version), this.#clock++);
    } finally {
      this.pages.leaveGate();
    }
  }

  /** Throws if the key has another value than this version. */
  check(key: number, version: number): void {
    const reference = new EntryReference();
    const found = this.#index.lookup(keyOf(key), reference);
    if (!found || Buffer.compare(reference.value, bytesOf(key, version)) !== 0)
      throw new Error(`Key ${key} does not have version ${version}`);
  }

  /** Puts all keys, with turns of the event loop in between. */
  async fill(version: number, keys = KEYS): Promise<void> {
    for (let key = 0; key < keys; key++) {
      this.put(key, version);
      if (key % 20 === 0) await turn();
    }
  }

  checkAll(version: number): void {
    for (let key = 0; key < KEYS; key++) this.check(key, version);
  }

  /** Puts until the page provider has evicted something. */
  async fillUntilProvided(version: number): Promise<void> {
    for (let rounds = 0; this.pages.stats().evictionsAhead === 0; rounds++) {
      if (rounds === 200) throw new Error(`There is no page provider: ${JSON.stringify(told)}`);
      await this.fill(version);
    }
  }

  async checkpoint(): Promise<void> {
    await this.pages.checkpoint({ gate: () => ({ timestamp: this.#clock, log: NO_LOG }), secureLog: async () => {} });
  }
}

const CASES: Record<string, () => Promise<unknown>> = {
  /** Threads on one pool. */
  async stress() {
    return await stress(JSON.parse(given) as StressOptions);
  },

  async 'is started when memory is full, and ends with the pool'() {
    const store = await new Store().open();
    const before = workers;
    await store.fillUntilProvided(1);
    await store.fill(1);
    store.checkAll(1);
    const { evictions, evictionsAhead, pageWrites, pageWritesAhead } = store.pages.stats();
    await store.pages.close();
    return { before, workers, events: events(), evictions, evictionsAhead, pageWrites, pageWritesAhead };
  },

  async 'is not started while there is room'() {
    const store = await new Store(undefined, 4000).open();
    await store.fill(1);
    const { evictions } = store.pages.stats();
    await store.pages.close();
    return { workers, evictions, events: events() };
  },

  async 'is not started if it is not wanted'() {
    const store = await new Store(undefined, FRAMES, false).open();
    await store.fill(1);
    store.checkAll(1);
    const { evictions } = store.pages.stats();
    await store.pages.close();
    return { workers, evictions: evictions > 0, events: events() };
  },

  async 'may be on its way when the pool is closed'() {
    const random = new Random(Number(given));
    for (let times = 0; times < 8; times++) {
      const store = await new Store().open();
      await store.fill(times, random.between(500, 900));
      for (let turns = random.below(3000); turns > 0; turns--) await turn();
      await store.pages.close();
      fs.rmSync(`${directory}/store.pw`);
    }
    return { events: events() };
  },

  async 'leaves an error of writing to others'() {
    const broken = new Int32Array(new SharedArrayBuffer(4));
    const store = await new Store(new FailingWrites(broken, programUrl('failing-writes.js'))).open();
    await store.fillUntilProvided(1);
    await store.fill(1);
    Atomics.store(broken, 0, 1);
    let code: unknown;
    try {
      for (;;) {
        await turn();
        store.checkAll(1);
      }
    } catch (error) {
      code = isPagewrightError(error) ? error.code : String(error);
    }
    while (!events().includes('ended')) await turn();
    Atomics.store(broken, 0, 0);
    store.checkAll(1);
    await store.fill(2);
    await store.checkpoint();
    store.checkAll(2);
    const ended = told.find(({ event }) => event === 'ended');
    await store.pages.close();
    return { code, told: (ended?.error as { code?: string } | undefined)?.code, workers };
  },

  async 'cannot be had'() {
    const io = new FailingWrites(new Int32Array(new SharedArrayBuffer(4)), 'file:///nowhere/at-all.js');
    const store = await new Store(io).open();
    await store.fill(1);
    while (!events().includes('ended')) await turn();
    store.checkAll(1);
    await store.pages.close();
    return { events: events() };
  },

  async 'does not keep the process'() {
    const store = await new Store().open();
    await store.fillUntilProvided(1);
    return { events: events() };
  },
};

function events(): string[] {
  return told.map(({ event }) => event);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function programUrl(file: string): string {
  return new URL(file, pathToFileURL(process.argv[1] as string)).href;
}

function keyOf(key: number): Uint8Array {
  return Buffer.from(`key/${String((key * 7919) % KEYS).padStart(6, '0')}`);
}

function bytesOf(key: number, version: number): Uint8Array {
  return Buffer.alloc(VALUE_BYTES, `${key}:${version}.`);
}

const run = CASES[name];
if (run === undefined) throw new Error(`There is no case "${name}"`);
fs.writeFileSync(`${directory}/result.json`, JSON.stringify(await run()));
