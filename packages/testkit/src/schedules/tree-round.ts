/**
 * One round of an index on a page store: actors of which each has its own view of the store and its own object of the
 * index, as threads would. Their operations are held up at schedule points, where others run whole ones, and their I/O
 * ends in an order chosen by seed. Answers are checked against the model, pages by the index, and at the end the store is
 * closed or loses power, and is opened again.
 */
import {
  type CheckpointMark,
  EntryBatch,
  EntryReference,
  type Index,
  type IndexType,
  type IoBackend,
  isPagewrightError,
  NO_LOG,
  type PageBounds,
  PageFault,
  type PageStore,
  POINT,
} from '@pagewright/core';
import { SimulatedDevice } from '../device/simulated-device.js';
import { keepSome } from '../device/survival.js';
import { Random } from '../random.js';
import { ControlledLoop } from './controlled-loop.js';
import type { ScheduleCoverage } from './coverage.js';
import type { PausePolicy } from './pause-policy.js';
import { StressDriver } from './stress-driver.js';
import { ThreadStack, ThreadView, WouldWait } from './thread-view.js';
import { ABSENT, describe, TreeModel, type Version, valueBytes, versionWith, type Watch } from './tree-model.js';
import { KEYS, keyOf, PREFILLED, type TreeOperation } from './tree-operations.js';

/** What a round tests. */
export interface TreeSubject {
  /** A page store of the least memory that it takes, open on a store of this device; created if there is none. */
  openPages(io: IoBackend, path: string): Promise<PageStore>;
  /** A new one for each actor: threads share no memory of their own. */
  indexType(): IndexType;
}

export interface TreePlan {
  readonly seed: number;
  /** What each actor does, one operation after another. */
  readonly scripts: readonly (readonly TreeOperation[])[];
  /** What runs while others stand at schedule points, in this order. */
  readonly intruders: readonly TreeOperation[];
  readonly policy: (random: Random) => PausePolicy;
}

/** What a store holds, so that rounds need not fill one each. */
export interface FilledTree {
  readonly device: SimulatedDevice;
  readonly content: ReadonlyMap<string, Version>;
  readonly timestamp: number;
}

const PATH = '/store/schedules.pw';
const INDEX = 7;
/** Every so many keys begin with a large value. */
const BULKY_STEP = 24;
/** Attempts of a read without blocking that finds its pages gone again. */
const MOST_LOADS = 200;
/** How many actors besides those with scripts run while these stand at points. */
const INTRUDING_ACTORS = 3;

/** A store with an index of several levels. */
export async function filledTree(subject: TreeSubject): Promise<FilledTree> {
  const device = new SimulatedDevice();
  const pages = await subject.openPages(device, PATH);
  const model = new TreeModel();
  const index = subject.indexType().create({ pages, number: INDEX, root: pages.root }, 1);
  for (let number = 0; number < KEYS; number += PREFILLED) {
    // Pages of several frames need room side by side: others must leave it, or move.
    const size = number % BULKY_STEP === 0 ? 12_000 : number % BULKY_STEP === BULKY_STEP / 2 ? 6000 : 150;
    const version = model.beginWrite(keyOf(number), size);
    index.upsert(bytes(keyOf(number)), tagOf(version), valueBytes(version.id, version.size), version.stamp);
    model.endWrite(keyOf(number));
    if (number % 500 === 0) await checkpoint(pages, model);
  }
  await checkpoint(pages, model);
  await pages.close();
  return { device, content: model.content(), timestamp: model.timestamp };
}

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
    const round = new TreeRound(subject, filled, plan, pages, loop, coverage, random);
    device.hold = loop.hold;
    const trace = await round.run();
    device.hold = null;
    await round.checkWhole();
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
  readonly #intruders: Actor[];
  #nextIntruder = 0;
  /** What the store holds as of the last checkpoint that is over. */
  #checkpointed: Map<string, Version>;
  /** What it held when each epoch closed: calls for a checkpoint may share one. */
  readonly #closed = new Map<CheckpointMark, Map<string, Version>>();

  constructor(
    private readonly subject: TreeSubject,
    filled: FilledTree,
    private readonly plan: TreePlan,
    private readonly pages: PageStore,
    private readonly loop: ControlledLoop,
    coverage: ScheduleCoverage,
    private readonly random: Random,
  ) {
    this.#model = new TreeModel(filled.content, filled.timestamp);
    this.#checkpointed = this.#model.content();
    this.#intruders = Array.from({ length: INTRUDING_ACTORS }, () => this.#actor());
    this.#driver = new StressDriver(plan.policy(random.fork('policy')), coverage, (point) => this.#intrude(point));
  }

  async run(): Promise<number> {
    this.#driver.install();
    try {
      await Promise.all(this.plan.scripts.map((script) => this.#play(script)));
    } catch (error) {
      this.#driver.fail(error);
    } finally {
      this.#driver.remove();
    }
    if (this.#driver.failure !== null) throw this.#driver.failure;
    return this.#driver.trace;
  }

  /** Nothing is under way: pages and entries are as they must be. */
  async checkWhole(): Promise<void> {
    if (this.#threads.held.size > 0) throw new Error(`${this.#threads.held.size} latches are held by nobody`);
    checkPages(this.#actor().index, this.pages);
    this.#checkContent(this.#actor(), this.#model.content(), 'the index');
  }

  /** Closes the store, or lets it lose power, and sees what is there when it is opened again. */
  async end(device: SimulatedDevice, path: string): Promise<void> {
    const loses = this.random.chance(0.5);
    if (!loses) await this.#checkpoint();
    await this.pages.close();
    const after = loses ? device.afterCrash(keepSome(this.plan.seed)) : device;
    const pages = await this.subject.openPages(after, path);
    const index = this.subject.indexType().open({ pages, number: INDEX, root: pages.root });
    const actor = { view: new ThreadView(pages, this.#threads), index, reference: new EntryReference() };
    checkPages(index, pages);
    this.#checkContent(actor, this.#checkpointed, loses ? 'what a crash left' : 'the store opened again');
    await pages.close();
  }

  #actor(): Actor {
    const view = new ThreadView(this.pages, this.#threads);
    const index = this.subject.indexType().open({ pages: view, number: INDEX, root: view.root });
    return { view, index, reference: new EntryReference() };
  }

  // ── Actors ──────────────────────────────────────────────────────────────────────────────────────────────────

  async #play(script: readonly TreeOperation[]): Promise<void> {
    const actor = this.#actor();
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
    const { faulting } = this.pages;
    try {
      if (this.#mayDoAnything(point)) this.#threads.run(actor.view, false, () => this.#perform(actor, operation));
      else this.#threads.run(actor.view, true, () => this.#peek(actor, operation));
    } finally {
      // On a store that is shared by threads each has its own.
      this.pages.faulting = faulting;
    }
    return true;
  }

  /**
   * Whether whole operations may run at the point. They may not while somebody holds a latch, because they might want it,
   * nor in the midst of what the store does: it is written for one thread, which never comes back into it there.
   */
  #mayDoAnything(point: number): boolean {
    if (this.#threads.held.size > 0) return false;
    const view = this.#threads.current;
    if (view?.peeks === true) return false;
    if (view === null) return point === POINT.loadArrived || point >= POINT.checkpointAsked;
    return view.inStore === 0 || point === POINT.swipNotHot;
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
      const waits = error instanceof WouldWait || error instanceof PageFault;
      // The store tells a thread that wants a latch which it has itself: here the one that the store has taken.
      if (!waits && !(isPagewrightError(error, 'PW_INTERNAL') && error.message.includes('latched twice'))) throw error;
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
    const scan = new CheckedScan(this.#model, actor, from, limit, reverse);
    try {
      while (scan.next());
    } finally {
      scan.end();
    }
  }

  async #scanLater(actor: Actor, { key, size, reverse }: TreeOperation): Promise<void> {
    const scan = new CheckedScan(this.#model, actor, key, size, reverse);
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
      await this.pages.loadFault();
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
    const { mark } = await this.pages.checkpoint({ gate, secureLog: () => this.loop.turn() });
    this.#checkpointed = this.#closed.get(mark) as Map<string, Version>;
  }

  #checkEntry(watch: Watch, key: string, value: Uint8Array | null, found: { tag: number; timestamp: number }): void {
    const possible = this.#model.possible(watch, key);
    const version = versionWith(value, possible);
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
      const scan = new CheckedScan(model, actor, null, Number.POSITIVE_INFINITY, reverse);
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

/** A scan, checked batch by batch: what stays is met once and in order, and what changes is met as it has been. */
class CheckedScan {
  readonly #watch: Watch;
  readonly #cursor;
  readonly #batch = new EntryBatch();
  /** Keys that are there from the beginning and that the scan must meet, in its order; what changes is passed over. */
  readonly #expected: string[];
  #at = 0;
  #last: string | null = null;
  #left: number;

  constructor(
    private readonly model: TreeModel,
    actor: Actor,
    from: number | null,
    limit: number,
    private readonly reverse: boolean,
  ) {
    this.#left = limit;
    this.#watch = model.beginRead();
    this.#cursor = actor.index.cursor();
    const first = from === null ? null : keyOf(from);
    this.#cursor.seek(first === null ? null : bytes(first), { reverse });
    this.#batch.limit = 32;
    const keys = [...model.content().keys()].filter((key) => first === null || (reverse ? key <= first : key >= first));
    this.#expected = keys.sort((a, b) => (a < b === reverse ? 1 : -1));
  }

  next(): boolean {
    const more = this.#cursor.next(this.#batch);
    if (!more) {
      this.#skipTo(null);
      return false;
    }
    for (let at = 0; at < this.#batch.count; at++) {
      this.#entry(
        Buffer.from(this.#batch.keys[at] as Uint8Array).toString('latin1'),
        this.#batch.values[at] as Uint8Array,
      );
      if (--this.#left === 0) return false;
    }
    return true;
  }

  end(): void {
    this.model.endRead(this.#watch);
  }

  #entry(key: string, value: Uint8Array): void {
    if (this.#last !== null && (key === this.#last || key < this.#last !== this.reverse))
      throw new Error(`A scan gives ${name(key)} after ${name(this.#last)}`);
    this.#last = key;
    this.#skipTo(key);
    const possible = this.model.possible(this.#watch, key);
    if (versionWith(value, possible) === undefined)
      throw new Error(`A scan gives ${name(key)} with ${value.length} bytes instead of ${describe(possible)}`);
  }

  /** Whatever is passed by must have changed meanwhile. */
  #skipTo(key: string | null): void {
    for (; this.#at < this.#expected.length; this.#at++) {
      const expected = this.#expected[this.#at] as string;
      if (key !== null && expected !== key && expected < key === this.reverse) return;
      if (expected === key) {
        this.#at++;
        return;
      }
      if (versionWith(null, this.model.possible(this.#watch, expected)) === undefined)
        throw new Error(`A scan passes over ${name(expected)}, which was there all the time`);
    }
  }
}

/** Everything that the index says of its own pages. */
function checkPages(index: Index, pages: PageStore): void {
  const damage: string[] = [];
  const visit = (frame: number, bounds: PageBounds): void => {
    // Pinned, so that it stays where it is while its children are brought in.
    pages.pin(frame);
    const children = index.check(frame, bounds, (message) => damage.push(message));
    for (const [offset, below] of children) visit(childOf(pages, frame, offset), below);
    pages.unpin(frame);
  };
  visit(childOf(pages, pages.root.frame, pages.root.offset), { lower: null, upper: null });
  if (damage.length > 0) throw new Error(`The pages of the index are damaged: ${damage.slice(0, 5).join('; ')}`);
}

function childOf(pages: PageStore, frame: number, offset: number): number {
  pages.latch(frame);
  try {
    return pages.childOfLatched(frame, offset);
  } finally {
    pages.unlatch(frame);
  }
}

async function checkpoint(pages: PageStore, model: TreeModel): Promise<void> {
  await pages.checkpoint({
    gate: () => ({ timestamp: model.timestamp, log: NO_LOG }),
    secureLog: async () => undefined,
  });
}

function bytes(key: string): Uint8Array {
  return Uint8Array.from(Buffer.from(key, 'latin1'));
}

/** A key whose value is large at the beginning. */
function bulky(number: number): number {
  return (number % Math.floor(KEYS / BULKY_STEP)) * BULKY_STEP;
}

function tagOf(version: Version): number {
  return version.id & 0xff;
}

function name(key: string): string {
  return `${key.slice(0, 4)}…${key.slice(-2)}`;
}
