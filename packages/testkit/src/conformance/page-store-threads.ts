/**
 * Clauses about a store that several threads have open. Here they are several stores in one thread, attached to one another's pages:
 * what is wrong between threads shows already when they take turns. Where one would wait for another, what it waits by, which
 * is `Atomics.wait`, lets the other go on; so no clause depends on time, and what needs two threads at the same instant is left to stress.
 */

import assert from 'node:assert/strict';
import { isPagewrightError, NO_LOG, PageFault, type PageStore, type PageStoreAttachRequest } from '@pagewright/core';
import { keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import {
  clause,
  crashed,
  gateAt,
  LARGE,
  type OpenStore,
  type PageStoreClause,
  rejectionOf,
  SMALL,
  STORE,
  type Stores,
  thrownBy,
} from './page-store-subject.js';
import { newModel, PageTree, TREE_INDEX } from './page-tree.js';
import { PageTreeDriver } from './page-tree-driver.js';

export const threadClauses: readonly PageStoreClause[] = [
  clause(
    'attached-has-the-same-pages',
    ['M1', 'M2'],
    'has the same pages, frames and versions in every thread that is attached',
    ['threads'],
    async (stores) => {
      const { pages, others } = await shared(stores, 2);
      for (const other of others) {
        assert.equal(other.pageSize, pages.pageSize);
        assert.equal(other.maxSizeClass, pages.maxSizeClass);
        assert.deepEqual(other.root, pages.root);
      }
      const all = [pages, ...others];
      for (const [at, store] of all.entries()) {
        const next = all[(at + 1) % all.length] as PageStore;
        const frame = store.allocate(1, 1, 0, 1);
        store.segmentOf(frame).u32[(store.baseOf(frame) + 64) >>> 2] = 1000 + at;
        store.unlatch(frame);
        assert.equal(next.segmentOf(frame).u32[(next.baseOf(frame) + 64) >>> 2], 1000 + at, 'A page has other bytes.');
        assert.equal(next.sizeOf(frame), store.sizeOf(frame));
        const version = store.readVersion(frame);
        assert.equal(next.readVersion(frame), version, 'A page has another version.');
        next.latch(frame);
        next.unlatch(frame);
        assert.ok(!store.validate(frame, version), 'One thread has latched a page, and to another it seems unchanged.');
        assert.ok(!store.upgrade(frame, version), 'A version was upgraded that another thread has ended.');
      }
    },
  ),
  clause(
    'frames-are-given-once',
    ['M1'],
    'gives a frame to one page, whichever threads allocate and free',
    ['threads'],
    async (stores) => {
      const { pages, others } = await shared(stores, 2, { frames: LARGE });
      const random = new Random(8);
      const all = [pages, ...others];
      const live = new Map<number, number>();
      for (let step = 0; step < 900; step++) {
        const store = random.pick(all);
        if (live.size < 60 && random.chance(0.6)) {
          const frame = store.allocate(1, 1, random.below(Math.min(store.maxSizeClass, 3) + 1), 1);
          fill(store, frame, step);
          store.unlatch(frame);
          assert.ok(!live.has(frame), `Frame ${frame} was given to two pages.`);
          live.set(frame, step);
        } else if (live.size > 0) {
          const [frame, filled] = random.pick([...live]);
          store.latch(frame);
          assert.ok(isFilled(store, frame, filled), `What is in frame ${frame} was written over by another page.`);
          store.free(frame);
          live.delete(frame);
        }
      }
      for (const [frame, filled] of live) assert.ok(isFilled(pages, frame, filled), `Frame ${frame} was written over.`);
    },
  ),
  clause(
    'attached-keeps-the-tree',
    ['P1', 'P2'],
    'keeps a tree that several threads change by turns, with less memory than it takes',
    ['threads', 'eviction'],
    async (stores) => {
      for (const seed of [1, 2]) {
        const store = await shared(stores, 2);
        const driver = new SharedTreeDriver(store, new Random(seed)).run(900);
        for (const pages of [store.pages, ...store.others]) new PageTree(pages).check(driver.model);
        const { evictions } = store.pages.stats();
        assert.ok(evictions > 100, `${evictions} pages were evicted: the clause tests nothing.`);
        assert.equal(store.others[0]?.stats().evictions, evictions, 'What is counted is not counted for all threads.');
      }
    },
  ),
  clause(
    'attached-changes-are-in-checkpoints',
    ['C1', 'C2'],
    'writes into a checkpoint what all threads have changed, as it was at the gate',
    ['threads', 'eviction'],
    async (stores) => {
      for (const seed of [3, 4]) {
        const store = await shared(stores, 2);
        const driver = new SharedTreeDriver(store, new Random(seed));
        await driver.runWithCheckpoints(900);
        await driver.checkpoint();
        driver.run(60);
        const found = await stores.open(crashed(store.files, keepSome(seed)), { frames: SMALL });
        new PageTree(found.pages).check(driver.durable);
      }
    },
  ),
  clause(
    'attached-faults-by-itself',
    [],
    'faults in the thread that asked for it, loads there what that one missed, and others find it in memory',
    ['threads', 'faulting'],
    async (stores) => {
      const { files, model } = await written(stores);
      const again = await shared(stores, 1, { files, frames: SMALL });
      const other = again.others[0] as PageStore;
      const [tree, others] = [new PageTree(again.pages), new PageTree(other)];
      other.faulting = true;
      assert.ok(!again.pages.faulting, 'Faulting was turned on in one thread, and is on in another.');
      assert.ok(thrownBy(() => others.numberAt([])) instanceof PageFault, 'A page was read in place.');
      await other.loadFault();
      assert.equal(others.numberAt([]), model.number);
      files.forget();
      assert.equal(tree.numberAt([]), model.number);
      assert.equal(files.readCalls + files.readsInPlace, 0, 'A page was read that another thread had brought in.');
      assert.equal(tree.numberAt([0]), model.children[0]?.number, 'A thread that does not fault could not read.');
      assert.equal(
        others.numberAt([0]),
        model.children[0]?.number,
        'A page is missing that another thread brought in.',
      );
    },
  ),
  clause(
    'gate-waits-for-all',
    ['C1'],
    'takes no checkpoint while another thread is in the gate, however often that one entered it',
    ['threads'],
    async (stores) => {
      const { pages, others } = await shared(stores, 1);
      const other = others[0] as PageStore;
      let entered = 2;
      other.enterGate();
      other.enterGate();
      const leave = (): void => {
        if (entered-- > 0) other.leaveGate();
      };
      try {
        const gate = () => {
          assert.ok(entered <= 0, 'The epoch closed while a thread was in the midst of a change.');
          return { timestamp: 1, log: NO_LOG };
        };
        await insteadOfWaiting(leave, async () => {
          let over = false;
          const running = pages.checkpoint({ gate, secureLog: async () => {} }).finally(() => {
            over = true;
          });
          running.catch(() => {});
          // A store may also wait by the event loop.
          for (let turns = 0; !over; turns++) {
            if (turns > 20) leave();
            await turn();
          }
          await running;
        });
        other.enterGate();
        other.leaveGate();
      } finally {
        while (entered > 0) leave();
      }
    },
  ),
  clause(
    'verification-waits-for-all',
    ['C1'],
    'verifies pages in memory while no other thread is in the midst of a change',
    ['threads'],
    async (stores) => {
      const { pages, others } = await shared(stores, 1);
      const other = others[0] as PageStore;
      const tree = new PageTree(other);
      tree.plant(1);
      tree.insert([], 0, 2, 0);
      await pages.checkpoint(gateAt(5));
      let isChanging = true;
      let taken = -1;
      other.enterGate();
      tree.withPage([], (root) => {
        other.modify(root, 5);
        taken = other.unlink(root, tree.offsetOf(0));
      });
      const finish = (): void => {
        if (!isChanging) return;
        isChanging = false;
        tree.withPage([], (root) => other.link(root, tree.offsetOf(0), taken));
        other.leaveGate();
      };
      const problems: string[] = [];
      const root = { index: TREE_INDEX, label: 'tree' };
      const slots = Array.from({ length: tree.fanout }, (_, slot) => [tree.offsetOf(slot), root] as const);
      try {
        await insteadOfWaiting(finish, async () => {
          await pages.verify({
            begin: () => ({ root, inspect: () => new Map(slots) }),
            visible: () => 1000,
            report: ({ path, message }) => problems.push(`${path}: ${message}`),
            advanced: () => {},
          });
        });
      } finally {
        finish();
      }
      assert.deepEqual(problems, [], 'A page was found wrong that another thread was about to put right.');
    },
  ),
  clause(
    'latch-waits-for-others',
    ['M2'],
    'waits for a latch that another thread has, and for the version of a page that it is changing',
    ['threads'],
    async (stores) => {
      const { pages, others } = await shared(stores, 1);
      const other = others[0] as PageStore;
      const frame = pages.allocate(1, 1, 0, 1);
      pages.unlatch(frame);
      const takes = [
        () => {
          pages.latch(frame);
          pages.unlatch(frame);
        },
        () => pages.readVersion(frame),
      ];
      for (const take of takes) {
        const before = pages.readVersion(frame);
        other.latch(frame);
        let isHeld = true;
        const release = (): void => {
          if (!isHeld) return;
          isHeld = false;
          other.unlatch(frame);
        };
        try {
          assert.ok(!pages.upgrade(frame, before), 'A latch was taken that another thread has.');
          await insteadOfWaiting(release, async () => void take());
          assert.ok(!isHeld, 'A thread did not wait for the latch of another.');
        } finally {
          release();
        }
        assert.ok(!pages.validate(frame, before), 'A version is valid still, though another thread had the latch.');
      }
    },
  ),
  clause(
    'attach-refuses-what-is-no-handle',
    [],
    'refuses to be attached to what is no handle (PW_ARGUMENT)',
    ['threads'],
    async (stores) => {
      const { files } = await stores.open();
      for (const handle of [undefined, null, 7, 'a handle', {}, [], { what: 'another' }]) {
        const error = await rejectionOf(stores.subject.make(SMALL).attach({ io: files, handle }));
        assert.ok(isPagewrightError(error, 'PW_ARGUMENT'), `${JSON.stringify(handle)} was refused with ${error}`);
      }
    },
  ),
  clause(
    'attaches-once',
    [],
    'refuses to be attached or opened again, and serves as before',
    ['threads'],
    async (stores) => {
      const { pages, others, files } = await shared(stores, 1);
      const other = others[0] as PageStore;
      const tree = new PageTree(pages);
      tree.plant(1);
      const request = { io: files, handle: pages.share() };
      await rejectionOf(other.attach(request));
      await rejectionOf(pages.attach(request));
      await rejectionOf(other.open({ path: STORE, io: files, create: true, errorIfExists: false, readOnly: false }));
      new PageTree(other).change([], 2);
      tree.check(newModel(2));
    },
  ),
  clause(
    'the-whole-store-is-its-owner-s',
    [],
    'writes checkpoints, verifies and makes backups in the thread that opened it alone (PW_UNSUPPORTED)',
    ['threads'],
    async (stores) => {
      const { pages, others, files } = await shared(stores, 1);
      const other = others[0] as PageStore;
      new PageTree(other).plant(1);
      const asked = [
        () => other.checkpoint(gateAt(1)),
        () => other.verify({ expected: null as never, advanced: () => {} } as never),
        () => other.backup({ path: '/store/copy.pw', io: files, advanced: () => {} }),
      ];
      for (const ask of asked) {
        const error = await rejectionOf(ask());
        assert.ok(isPagewrightError(error, 'PW_UNSUPPORTED'), `It was refused with ${error}`);
      }
      await pages.checkpoint(gateAt(2));
      new PageTree(pages).check(newModel(1));
    },
  ),
  clause(
    'attached-closes-alone',
    [],
    'leaves the pages to the other threads when one that was attached closes',
    ['threads'],
    async (stores) => {
      const store = await shared(stores, 2);
      const { pages, others, files } = store;
      const [first, second] = others as [PageStore, PageStore];
      new PageTree(first).plant(1);
      await first.close();
      await first.close();
      assert.ok(files.locked.has(STORE), 'The lock of the file is gone, and the store is open.');
      new PageTree(second).change([], 2);
      await pages.checkpoint(gateAt(2));
      const third = await attached(stores, store);
      new PageTree(third).change([], 3);
      for (const each of [pages, second, third]) new PageTree(each).check(newModel(3));
    },
  ),
  clause(
    'owner-closes-for-all',
    [],
    'waits with closing until other threads are in the midst of nothing, and refuses them from then on (PW_CLOSED)',
    ['threads'],
    async (stores) => {
      const { pages, others, files } = await shared(stores, 1);
      const other = others[0] as PageStore;
      const handle = pages.share();
      other.enterGate();
      let isOver = false;
      const closing = pages.close().then(() => {
        isOver = true;
      });
      for (let turns = 0; turns < 50; turns++) await turn();
      const wasOver = isOver;
      other.leaveGate();
      await closing;
      assert.ok(!wasOver, 'The store was closed while another thread was changing pages.');
      const error = thrownBy(() => other.enterGate());
      assert.ok(isPagewrightError(error, 'PW_CLOSED'), `The other thread was refused with ${error}`);
      const late = await rejectionOf(stores.subject.make(SMALL).attach({ io: files, handle }));
      assert.ok(isPagewrightError(late, 'PW_CLOSED'), `A thread that came later was refused with ${late}`);
      await other.close();
    },
  ),
];

interface SharedStore extends OpenStore {
  /** Stores that are attached to the one that was opened. */
  readonly others: readonly PageStore[];
}

/** An open store, and so many that are attached to it. */
async function shared(
  stores: Stores,
  count: number,
  { files, frames = SMALL }: { readonly files?: OpenStore['files']; readonly frames?: number } = {},
): Promise<SharedStore> {
  const store = await stores.open(files, { frames });
  const others: PageStore[] = [];
  for (let at = 0; at < count; at++) others.push(await attached(stores, store));
  return { ...store, others };
}

/** One more thread's store; the handle has gone through what a post makes of it. */
function attached(stores: Stores, { pages, files }: OpenStore): Promise<PageStore> {
  const request: PageStoreAttachRequest = { io: files, handle: structuredClone(pages.share()) };
  return stores.attach(request);
}

/** Drives a tree, each step in another of the stores, chosen at random; the checkpoints are the owner's. */
class SharedTreeDriver extends PageTreeDriver {
  readonly #turns: { current: PageStore };
  readonly #all: readonly PageStore[];

  constructor({ pages, others }: SharedStore, random: Random) {
    const turns = { current: pages };
    const byTurns = new Proxy(pages, {
      get(owner, name) {
        const store = name === 'checkpoint' ? owner : turns.current;
        const value: unknown = Reflect.get(store, name, store);
        return typeof value === 'function' ? value.bind(store) : value;
      },
    });
    super(byTurns, random);
    this.#turns = turns;
    this.#all = [pages, ...others];
  }

  override step(): void {
    this.#turns.current = this.random.pick(this.#all);
    super.step();
  }
}

const MOST_WAITS = 1000;

/** Runs something; whenever this thread would wait in it, `others` go on instead, and the wait is over. */
async function insteadOfWaiting(others: () => void, run: () => Promise<void>): Promise<void> {
  const { wait } = Atomics;
  let waits = 0;
  Atomics.wait = () => {
    if (++waits > MOST_WAITS) throw new Error('A thread waits for ever, though all that it could wait for is over.');
    others();
    return 'timed-out';
  };
  try {
    await run();
  } finally {
    Atomics.wait = wait;
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function fill(pages: PageStore, frame: number, number: number): void {
  const { u8 } = pages.segmentOf(frame);
  const base = pages.baseOf(frame);
  u8.fill(number, base + 64, base + pages.sizeOf(frame));
}

function isFilled(pages: PageStore, frame: number, number: number): boolean {
  const { u8 } = pages.segmentOf(frame);
  const base = pages.baseOf(frame);
  return u8.subarray(base + 64, base + pages.sizeOf(frame)).every((byte) => byte === (number & 0xff));
}

/** A store in whose last checkpoint is a page with two below it; closed. */
async function written(stores: Stores) {
  const { pages, files } = await stores.open(undefined, { frames: SMALL });
  const tree = new PageTree(pages);
  const model = newModel(1);
  tree.plant(1);
  for (const slot of [0, 1]) {
    tree.insert([], slot, 10 + slot, 0);
    model.children[slot] = newModel(10 + slot);
  }
  await pages.checkpoint(gateAt(5));
  await pages.close();
  return { files, model };
}
