/**
 * One round of an index on a page store: actors of which each has a store of its own, attached to the pages of all, and its own
 * object of the index, as threads would. Their operations are held up at schedule points, where others run whole ones, and their I/O
 * ends in an order chosen by seed. Answers are checked against the model, pages by the index, and at the end the store is
 * closed or loses power, and is opened again.
 */
import {
  type CheckpointMark,
  EntryReference,
  type Index,
  isPagewrightError,
  NO_LOG,
  PageFault,
  type PageStore,
  POINT,
} from '@pagewright/core';
import type { SimulatedDevice } from '../device/simulated-device.js';
import { keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import { ControlledLoop } from './controlled-loop.js';
import type { ScheduleCoverage } from './coverage.js';
import { endWaits, WouldWait } from './nested-waits.js';
import type { PausePolicy } from './pause-policy.js';
import { StressDriver } from './stress-driver.js';
import { ThreadStack, ThreadView } from './thread-view.js';
import { ABSENT, describe, TreeModel, tagOf, type Version, valueBytes, versionRead, type Watch } from './tree-model.js';
import { KEYS, keyOf, type TreeOperation } from './tree-operations.js';
import { CheckedScan } from './tree-scan.js';
import { bulky, bytes, checkPages, type FilledTree, INDEX, name, PATH, type TreeSubject } from './tree-store.js';

export interface TreePlan {
  readonly seed: number;
  /** What each actor does, one operation after another. */
  readonly scripts: readonly (readonly TreeOperation[])[];
  /** What runs while others stand at schedule points, in this order. */
  readonly intruders: readonly TreeOperation[];
  readonly policy: (random: Random) => PausePolicy;
}

/** Attempts of a read without blocking that finds its pages gone again. */
const MOST_LOADS = 200;
/** Values that fit into a leaf: pages of their own need room, which others may have for as long as they stand at a point. */
const LARGEST_IN_LEAF = 900;
/** How many actors besides those with scripts run while these stand at points. */
const INTRUDING_ACTORS = 3;

/** Runs a round; throws what it finds to be wrong. Answers a number that tells which way it went. */
export async function runTreeRound(
  subject: TreeSubject,
  filled: FilledTree,
  plan: TreePlan,
  coverage: ScheduleCoverage,
): Promise<number> {
  const random = new Random(plan.seed);
  const loop = new ControlledLoop(random.fork('loop'));
  const device = filled.device.copy();
  return loop.run(async () => {
    const pages = await subject.openPages(device, PATH);
    const stores: PageStore[] = [];
    for (let actors = plan.scripts.length + INTRUDING_ACTORS; actors > 0; actors--)
      stores.push(await subject.joinPages(pages, device));
    const round = new TreeRound(subject, filled, plan, pages, stores, loop, coverage, random);
    device.hold = loop.hold;
    const trace = await round.run();
    device.hold = null;
    round.checkWhole();
    for (const store of stores) await store.close();
    await round.end(device, PATH);
    return trace;
  });
}

interface Actor {
  readonly view: ThreadView;
  readonly index: Index;
  readonly reference: EntryReference;
}

class TreeRound {
  readonly #model: TreeModel;
  readonly #threads = new ThreadStack();
  readonly #driver: StressDriver;
  readonly #actors: readonly Actor[];
  readonly #intruders: readonly Actor[];
  #nextIntruder = 0;
  /** Whether operations run beside an eviction: another one would leave them too little. */
  #isEvicting = false;
  /** What the store holds as of the last checkpoint that is over. */
  #checkpointed: Map<string, Version>;
  /** What it held when each epoch closed: calls for a checkpoint may share one. */
  readonly #closed = new Map<CheckpointMark, Map<string, Version>>();

  constructor(
    private readonly subject: TreeSubject,
    filled: FilledTree,
    private readonly plan: TreePlan,
    /** The store that was opened, whose the checkpoints are. */
    private readonly pages: PageStore,
    stores: readonly PageStore[],
    private readonly loop: ControlledLoop,
    coverage: ScheduleCoverage,
    private readonly random: Random,
  ) {
    this.#model = new TreeModel(filled.content, filled.timestamp);
    this.#checkpointed = this.#model.content();
    this.#actors = stores.map((store) => this.#actor(store));
    this.#intruders = this.#actors.slice(plan.scripts.length);
    this.#driver = new StressDriver(
      plan.policy(random.fork('policy')),
      coverage,
      (point) => this.#intrude(point),
      (point) => this.#threads.reached(point),
    );
  }

  async run(): Promise<number> {
    this.#driver.install();
    const letWait = endWaits(() => this.#driver.depth > 0);
    try {
      await Promise.all(this.plan.scripts.map((script, at) => this.#play(this.#actors[at] as Actor, script)));
    } catch (error) {
      this.#driver.fail(error);
    } finally {
      letWait();
      this.#driver.remove();
    }
    if (this.#driver.failure !== null) throw this.#driver.failure;
    return this.#driver.trace;
  }

  /** Nothing is under way: pages and entries are as they must be. */
  checkWhole(): void {
    if (this.#threads.latches !== 0) throw new Error(`${this.#threads.latches} latches are held by nobody`);
    const actor = this.#actor(this.pages);
    checkPages(actor.index, this.pages);
    this.#checkContent(actor, this.#model.content(), 'the index');
  }

  /** Closes the store, or lets it lose power, and sees what is there when it is opened again. */
  async end(device: SimulatedDevice, path: string): Promise<void> {
    const loses = this.random.chance(0.5);
    if (!loses) await this.#checkpoint();
    await this.pages.close();
    const after = loses ? device.afterCrash(keepSome(this.plan.seed)) : device;
    const pages = await this.subject.openPages(after, path);
    const actor = this.#actor(pages);
    checkPages(actor.index, pages);
    this.#checkContent(actor, this.#checkpointed, loses ? 'what a crash left' : 'the store opened again');
    await pages.close();
  }

  #actor(store: PageStore): Actor {
    const view = new ThreadView(store, this.#threads);
    const index = this.subject.indexType().open({ pages: view, number: INDEX, root: view.root });
    return { view, index, reference: new EntryReference() };
  }

  // ── Actors ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #play(actor: Actor, script: readonly TreeOperation[]): Promise<void> {
    for (const operation of script) {
      await this.loop.turn();
      if (this.#driver.failure !== null) return;
      if (operation.kind === 'checkpoint') await this.#checkpoint();
      else if (operation.later && operation.kind === 'scan') await this.#scanLater(actor, operation);
      else if (operation.later && operation.kind === 'lookup') await this.#lookupLater(actor, operation);
      else this.#threads.run(actor.view, false, () => this.#perform(actor, operation));
    }
  }

  /** One operation of others, if the point allows any. */
  #intrude(point: number): boolean {
    const operation = this.plan.intruders[this.#nextIntruder];
    const actor = this.#intruders.find(({ view }) => !this.#threads.isRunning(view));
    if (operation === undefined || actor === undefined) return false;
    this.#nextIntruder++;
    if (!this.#mayDoAnything(point)) this.#threads.run(actor.view, true, () => this.#peek(actor, operation));
    else if (point === POINT.evictionStaged || this.#isEvicting) this.#beside(actor, operation);
    else this.#threads.run(actor.view, false, () => this.#perform(actor, operation));
    return true;
  }

  /**
   * Whether whole operations may run at the point: none of them may want what somebody has who stands at one. That is a latch
   * of a page, or within the store the pool latch, which is held wherever a page is not being read or written.
   */
  #mayDoAnything(point: number): boolean {
    if (this.#threads.latches > 0 || this.#threads.held.size > 0) return false;
    const view = this.#threads.current;
    if (view?.peeks === true) return false;
    if (point === POINT.evictionStaged) return !this.#isEvicting;
    if (view === null) return point === POINT.loadArrived || point >= POINT.checkpointAsked;
    return view.inStore === 0 || point === POINT.swipNotHot || point === POINT.pageRead;
  }

  /** An operation while pages are being written for their frames, which take up to half of the pool: it must do with what is left. */
  #beside(actor: Actor, operation: TreeOperation): void {
    const isLarge = operation.kind === 'upsert' && operation.size > LARGEST_IN_LEAF;
    const small: TreeOperation = isLarge ? { ...operation, kind: 'lookup' } : operation;
    const isWrite = small.kind === 'upsert' || small.kind === 'remove';
    const before = this.#isEvicting;
    this.#isEvicting = true;
    try {
      this.#threads.run(actor.view, false, () => this.#perform(actor, small));
    } catch (error) {
      const findsNoRoom = error instanceof WouldWait || isPagewrightError(error, 'PW_POOL_EXHAUSTED');
      if (isWrite || !findsNoRoom) throw error;
    } finally {
      this.#isEvicting = before;
    }
  }

  #perform(actor: Actor, { kind, key, size, reverse }: TreeOperation): void {
    if (kind === 'lookup') this.#lookup(actor, keyOf(key));
    else if (kind === 'scan') this.#scan(actor, key, size, reverse);
    else if (kind === 'upsert') this.#write(actor, keyOf(key), size);
    else if (kind === 'remove') this.#write(actor, keyOf(key), ABSENT);
    else if (reverse) for (let i = 0; i < size; i++) this.#lookup(actor, keyOf(bulky(key + i)));
    else for (let i = 0; i < size; i++) this.#lookup(actor, keyOf((key + i * 23) % KEYS));
  }

  /** Reads what is in memory, and leaves it at that where a page is missing or latched. */
  #peek(actor: Actor, { kind, key, size, reverse }: TreeOperation): void {
    try {
      if (kind === 'scan') this.#scan(actor, key, Math.min(size, 20), reverse);
      else this.#lookup(actor, keyOf(key));
    } catch (error) {
      if (!(error instanceof WouldWait) && !(error instanceof PageFault)) throw error;
    }
  }

  // ── Operations ──────────────────────────────────────────────────────────────────────────────────────────────

  #lookup(actor: Actor, key: string): void {
    const watch = this.#model.beginRead();
    try {
      const found = actor.index.lookup(bytes(key), actor.reference);
      this.#checkEntry(watch, key, found ? actor.reference.value : null, actor.reference);
    } finally {
      this.#model.endRead(watch);
    }
  }

  async #lookupLater(actor: Actor, { key }: TreeOperation): Promise<void> {
    const watch = this.#model.beginRead();
    try {
      const found = await this.#later(actor, () => actor.index.lookup(bytes(keyOf(key)), actor.reference));
      this.#checkEntry(watch, keyOf(key), found ? actor.reference.value : null, actor.reference);
    } finally {
      this.#model.endRead(watch);
    }
  }

  #write(actor: Actor, key: string, size: number): void {
    if (this.#model.isBeingWritten(key)) return;
    const present = this.#model.current.get(key)?.[0]?.size ?? ABSENT;
    const version = this.#model.beginWrite(key, size);
    if (size === ABSENT) {
      const removed = actor.index.remove(bytes(key), this.#model.timestamp);
      if (removed !== (present !== ABSENT)) throw new Error(`The removal of ${name(key)} answered ${removed}`);
    } else {
      actor.index.upsert(bytes(key), tagOf(version), valueBytes(version.id, size), version.stamp);
    }
    this.#model.endWrite(key);
  }

  #scan(actor: Actor, from: number, limit: number, reverse: boolean): void {
    const scan = new CheckedScan(this.#model, actor.index, from, limit, reverse);
    try {
      while (scan.next());
    } finally {
      scan.end();
    }
  }

  async #scanLater(actor: Actor, { key, size, reverse }: TreeOperation): Promise<void> {
    const scan = new CheckedScan(this.#model, actor.index, key, size, reverse);
    try {
      while (await this.#later(actor, () => scan.next())) await this.loop.turn();
    } finally {
      scan.end();
    }
  }

  /** A read that loads what it misses, and starts again. */
  async #later<Result>(actor: Actor, read: () => Result): Promise<Result> {
    for (let loads = 0; loads < MOST_LOADS; loads++) {
      actor.view.faulting = true;
      try {
        return this.#threads.run(actor.view, false, read);
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
      } finally {
        actor.view.faulting = false;
      }
      await actor.view.loadFault();
    }
    return this.#threads.run(actor.view, false, read);
  }

  async #checkpoint(): Promise<void> {
    const gate = (): CheckpointMark => {
      if (this.#threads.current !== null) throw new Error('The gate closes while an operation is under way');
      const mark = { timestamp: this.#model.timestamp, log: NO_LOG };
      this.#closed.set(mark, this.#model.content());
      return mark;
    };
    const { mark } = await this.pages.checkpoint({
      gate,
      secureLog: () => this.loop.turn(),
      advanced: async (_progress, sync) => {
        await sync();
        await this.loop.turn();
      },
    });
    this.#checkpointed = this.#closed.get(mark) as Map<string, Version>;
  }

  #checkEntry(watch: Watch, key: string, value: Uint8Array | null, found: { tag: number; timestamp: number }): void {
    const possible = this.#model.possible(watch, key);
    const version = versionRead(value, found.tag, possible);
    if (version === undefined) {
      const got = value === null ? 'absent' : `another value of ${value.length} bytes`;
      throw new Error(`${name(key)} is ${got} instead of ${describe(possible)}`);
    }
    if (value !== null && found.tag !== tagOf(version)) throw new Error(`${name(key)} has the tag ${found.tag}`);
    // X1: whoever reads at a snapshot relies on the stamp to tell that nothing newer was here.
    if (found.timestamp < version.stamp)
      throw new Error(`${name(key)} was changed at ${version.stamp}, and its page has the stamp ${found.timestamp}`);
    this.#model.seen(key, version);
  }

  #checkContent(actor: Actor, content: ReadonlyMap<string, Version>, where: string): void {
    const model = new TreeModel(content, this.#model.timestamp);
    for (const reverse of [false, true]) {
      const scan = new CheckedScan(model, actor.index, null, Number.POSITIVE_INFINITY, reverse);
      try {
        while (scan.next());
      } catch (error) {
        throw new Error(`In ${where}: ${(error as Error).message}`, { cause: error });
      } finally {
        scan.end();
      }
    }
  }
}
