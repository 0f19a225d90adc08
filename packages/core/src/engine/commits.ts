/**
 * The way of every commit. The asynchronous form prepares without blocking: it brings the pages that will be needed into
 * memory and waits for space in the log; then the commit itself is one synchronous step, and what is left is to wait for
 * the log. Commits take effect in the order in which they were asked for, however long each prepares. One that need not prepare anything takes
 * effect at once: most of what a commit cost was to find that out by way of a dozen promises.
 *
 * Who changes an index that is being loaded waits in the lines of its indexes first (`index-locks.ts`), and has no place among the commits yet: those of other indexes go on.
 *
 * Where one writes at a time (`WriterTurns`), that order is the order of turns: a plain change has its place in the line from when it was asked for, and
 * prepares meanwhile. A transaction that commits has the turn already, and must wait for nothing that may wait for it: neither for those that were asked for
 * before, nor for the load of an index.
 */
import type {
  CommitTicket,
  Concurrency,
  Target,
  TransactionCore,
  Write,
  WriteList,
  WriterTurns,
} from '../contracts/concurrency.js';
import { EntryReference } from '../contracts/index-plugin.js';
import type { Durability, Log } from '../contracts/log.js';
import { PageFault, type PageStore } from '../contracts/pages.js';
import { isPagewrightError } from '../errors.js';
import { POINT, schedulePoint } from '../schedule.js';
import type { Checkpoints } from './checkpoints.js';
import type { IndexLocks, IndexPlace } from './index-locks.js';
import type { LoadsElsewhere } from './loads-elsewhere.js';
import type { Operations } from './operations.js';
import { prefetchEntries } from './prefetching.js';
import type { SharedCatalog } from './shared-catalog.js';
import type { EngineState } from './state.js';
import type { WriteOptions } from './write-options.js';

/** M5: pages are brought into memory for so many writes of a commit, many at once; those of further ones are read in place. */
const TOUCH_QUOTA = 1024;
/** A page that is evicted again and again before the commit comes is read in place in the end. */
const MOST_LOADS = 64;
/** What a record takes beside keys and values, at most: for the record, and for each operation. */
const RECORD_OVERHEAD = 64;
const OPERATION_OVERHEAD = 24;

const TOOK_EFFECT = Promise.resolve();

/** Plain writes, or those of a transaction. */
type Writes = readonly Write[] | WriteList;

/** What else there is to say of a commit. */
interface CommitManner {
  /** The index that an operation on the catalog changes. */
  readonly changed?: Target | undefined;
  /** Whether it can be made once more when an index that it writes has been loaded meanwhile. */
  readonly again?: boolean;
  readonly durability?: Durability | undefined;
  /** Whether it is that of a transaction, which has the turn where there are turns. */
  readonly isWriters?: boolean;
}

/** As the log has it. */
export interface CatalogOperation {
  readonly kind: number;
  readonly index: number;
  readonly key: Uint8Array;
}

export class Commits {
  /** Resolves when all commits that were asked for so far have taken effect or failed. Null: there are none. */
  private last: Promise<void> | null = null;
  private readonly touched = new EntryReference();

  constructor(
    private readonly pages: PageStore,
    private readonly log: Log,
    private readonly concurrency: Concurrency,
    private readonly checkpoints: Checkpoints,
    private readonly state: EngineState,
    private readonly operations: Operations,
    private readonly shared: SharedCatalog,
    private readonly locks: IndexLocks,
    private readonly loads: LoadsElsewhere,
  ) {
    this.touched.wantsValue = false;
  }

  /** Resolves when the writes are as durable as is asked for, or as the log is set up: all of them, or it rejects and there are none. */
  writes(writes: readonly Write[], { durability, dependsOn }: WriteOptions): Promise<void> {
    const commit = (): CommitTicket => this.concurrency.commit(writes, dependsOn);
    if (writes.length === 0 && this.turns !== undefined) return this.behindOthers();
    const manner = { again: true, durability };
    return this.atOnce(writes, commit, manner) ?? this.inOrder(writes, commit, manner);
  }

  writesSync(writes: readonly Write[], { durability, dependsOn }: WriteOptions): void {
    this.now(writes, () => this.concurrency.commit(writes, dependsOn), durability);
  }

  transaction(core: TransactionCore, { durability, dependsOn }: WriteOptions): Promise<void> {
    const writes = core.writes();
    if (this.turns !== undefined && this.locks.any) {
      const locked = this.lockAmong(writes);
      if (locked !== null) return this.giveUp(core, [...writes.targets], locked);
    }
    const commit = (): CommitTicket => core.commit(dependsOn);
    const manner = { durability, isWriters: true };
    return this.atOnce(writes, commit, manner) ?? this.inOrder(writes, commit, manner);
  }

  transactionSync(core: TransactionCore, { durability, dependsOn }: WriteOptions): void {
    this.now(core.writes(), () => core.commit(dependsOn), durability, this.turns !== undefined);
  }

  /** Where one writes at a time, what changes nothing is over when all that was asked for before has taken effect: as elsewhere. */
  private async behindOthers(): Promise<void> {
    this.state.assertWritable();
    this.operations.begin();
    try {
      await this.behindAll(() => {});
    } finally {
      this.operations.end();
    }
  }

  /** Runs a step when all changes that were asked for before have taken effect or failed, but for those that wait in the lines of indexes. */
  async behindAll(step: () => void): Promise<void> {
    if (this.turns === undefined) {
      if (this.last !== null) await this.last;
      return step();
    }
    const place = this.turns.line();
    try {
      await place.run(step);
    } finally {
      place.leave();
    }
  }

  /**
   * Commits an operation on the catalog, durably whatever the log is set up for. `describe` runs right before, with the catalog as it is then, and may refuse by throwing. It waits in
   * the line of `changed`; a load, which is the first there, leaves that out.
   */
  async operation(
    describe: () => CatalogOperation,
    install: (timestamp: number) => void,
    changed?: Target,
  ): Promise<void> {
    const { shared, concurrency } = this;
    const change = (timestamp: number): void => shared.change(() => install(timestamp));
    const commit = (): CommitTicket =>
      shared.exclusively(() => {
        const operation = describe();
        this.loads.assertNone([{ number: operation.index }]);
        return concurrency.commitOperation(operation, change);
      });
    await this.inOrder([], commit, { changed, again: true, durability: 'durable' });
  }

  private now(writes: Writes, commit: () => CommitTicket, durability: Durability | undefined, hasTurn = false): void {
    this.state.assertWritable();
    let ticket: CommitTicket;
    try {
      if (this.checkpoints.behind) this.catchUpSync();
      if (this.locks.any) this.locks.assertFree(targetsOf(writes), hasTurn);
      for (let i = 0; i < writes.length; i++) this.touchNow(writes, i);
      ticket = commit();
    } catch (error) {
      throw this.noted(error);
    }
    if (ticket.position < 0) return;
    if (durability === undefined) this.log.commitSync(ticket.position);
    else this.log.commitSync(ticket.position, { durability });
  }

  /** In the thread that writes checkpoints nothing can be waited for in place: there it is for the program to give way. */
  private catchUpSync(): void {
    this.checkpoints.catchUpSync();
    this.state.assertAcceptsCommits();
  }

  /**
   * The short way, which most commits go: if all that they need is there, they take effect in this turn, and only the log is waited for. Null if there is anything to wait for
   * before that; then nothing has happened.
   */
  private atOnce(
    writes: Writes,
    commit: () => CommitTicket,
    { again = false, durability, isWriters = false }: CommitManner,
  ): Promise<void> | null {
    let ticket: CommitTicket | null;
    try {
      this.state.assertWritable();
      if (!this.isFree || writes.length > TOUCH_QUOTA) return null;
      for (let i = 0; i < writes.length; i++) if (!this.isThere(writes, i)) return null;
      schedulePoint(POINT.writeTouched);
      const { log } = this;
      if (log.hasRoom?.(Math.min(mostBytesOf(writes), log.maxRecordSize)) !== true || !this.isFree) return null;
      ticket = this.turns === undefined || isWriters ? commit() : this.turns.atOnce(commit);
      if (ticket === null) return null;
    } catch (error) {
      // The load of another thread is waited for.
      return again && isPagewrightError(error, 'PW_INDEX_LOADING') ? null : Promise.reject(this.noted(error));
    }
    const { position, dependsOn } = ticket;
    if (position < 0) return TOOK_EFFECT;
    schedulePoint(POINT.writeVisible);
    this.operations.begin();
    try {
      return this.log.commit(position, { durability, dependsOn }).then(this.becameDurable, this.becameUnknown);
    } catch (error) {
      this.operations.end();
      return Promise.reject(this.noted(error));
    }
  }

  /** Whether a commit would wait for nothing but pages and the log. */
  private get isFree(): boolean {
    const { last, locks, shared, checkpoints } = this;
    return last === null && !locks.any && shared.catalog.loads.size === 0 && !checkpoints.behind;
  }

  private readonly becameDurable = (): void => {
    this.operations.end();
    schedulePoint(POINT.writeDurable);
  };

  private readonly becameUnknown = (error: unknown): never => {
    this.operations.end();
    throw this.noted(error);
  };

  private async inOrder(
    writes: Writes,
    commit: () => CommitTicket,
    { changed, again = false, durability, isWriters = false }: CommitManner,
  ): Promise<void> {
    this.state.assertWritable();
    this.operations.begin();
    try {
      const hasTurn = isWriters && this.turns !== undefined;
      const ticket = await (hasTurn
        ? this.prepared(writes).then(commit)
        : this.whenFree(writes, commit, changed, again));
      schedulePoint(POINT.writeVisible);
      const { position, dependsOn } = ticket;
      if (position >= 0) await this.log.commit(position, { durability, dependsOn });
      schedulePoint(POINT.writeDurable);
    } catch (error) {
      throw this.noted(error);
    } finally {
      this.operations.end();
    }
  }

  /**
   * When no index that is written is being loaded, in this thread or in another one, whose load may begin at any time: `again` says that the commit can be made
   * once more then.
   */
  private async whenFree(
    writes: Writes,
    commit: () => CommitTicket,
    changed: Target | undefined,
    again: boolean,
  ): Promise<CommitTicket> {
    const { loads, locks, turns } = this;
    const place = locks.place(() => targetsOf(writes, changed));
    const last = (): CommitTicket | null => this.inPlace(place, commit, again);
    // A new index, or a loaded tree, needs no turn.
    const needsNoTurn = turns === undefined || (writes.length === 0 && changed === undefined);
    try {
      for (let hasComeBack = false; ; hasComeBack = true) {
        while (this.mustWait(place)) {
          place.join();
          await (place.isBehind ? place.comesFirst() : loads.end(numbersOf(place.targets), this.assertGoesOn));
        }
        // In one step: it has its place among the commits before the next one in line goes on. Who has come back stays in line until it is over: of those behind it, some may be among the
        // commits already, before it.
        if (!hasComeBack) place.leave();
        const ticket = await (needsNoTurn ? this.inTurn(writes, last) : this.inLine(turns, writes, last));
        if (ticket !== null) return ticket;
      }
    } finally {
      place.leave();
    }
  }

  private mustWait(place: IndexPlace): boolean {
    return place.isBehind || (this.shared.catalog.loads.size > 0 && this.loads.hasAny(place.targets));
  }

  /**
   * The last step of a commit; null if it must wait again, and is in line then: because of another thread that has begun to load an index, or because one that was asked for before waits again
   * for that reason.
   */
  private inPlace(place: IndexPlace, commit: () => CommitTicket, again: boolean): CommitTicket | null {
    if (!place.isBehind) {
      try {
        return commit();
      } catch (error) {
        if (!again || !isPagewrightError(error, 'PW_INDEX_LOADING')) throw error;
      }
    }
    place.join();
    return null;
  }

  /** Closing does not wait for what waits for others. */
  private readonly assertGoesOn = (): void => this.state.assertWritable();

  private async inTurn<Ticket>(writes: Writes, commit: () => Ticket): Promise<Ticket> {
    const before = this.last;
    let tookEffect = (): void => {};
    const turn = new Promise<void>((resolve) => {
      tookEffect = resolve;
    });
    this.last = turn;
    schedulePoint(POINT.writeAsked);
    try {
      const bytes = await this.touch(writes);
      schedulePoint(POINT.writeTouched);
      if (before !== null) await before;
      schedulePoint(POINT.writeInTurn);
      if (this.checkpoints.behind) await this.checkpoints.catchUp();
      this.state.assertAcceptsCommits();
      // The estimate may be above what the record will have; the log knows best, and is asked again by the commit.
      await this.log.reserve(Math.min(bytes, this.log.maxRecordSize));
      schedulePoint(POINT.writeReserved);
      this.state.assertAcceptsCommits();
      return commit();
    } catch (error) {
      // One that fails early must not let those behind it overtake those before it.
      if (before !== null) await before;
      throw error;
    } finally {
      tookEffect();
      if (this.last === turn) this.last = null;
    }
  }

  /** The same where one writes at a time. */
  private async inLine<Ticket>(turns: WriterTurns, writes: Writes, commit: () => Ticket): Promise<Ticket> {
    const place = turns.line();
    schedulePoint(POINT.writeAsked);
    try {
      await this.prepared(writes);
      return await place.run(() => {
        schedulePoint(POINT.writeInTurn);
        this.state.assertAcceptsCommits();
        return commit();
      });
    } finally {
      place.leave();
    }
  }

  /** All that a commit may wait for, but for other commits. */
  private async prepared(writes: Writes): Promise<void> {
    const bytes = await this.touch(writes);
    schedulePoint(POINT.writeTouched);
    if (this.checkpoints.behind) await this.checkpoints.catchUp();
    this.state.assertAcceptsCommits();
    await this.log.reserve(Math.min(bytes, this.log.maxRecordSize));
    schedulePoint(POINT.writeReserved);
    this.state.assertAcceptsCommits();
  }

  private get turns(): WriterTurns | undefined {
    return this.concurrency.turns;
  }

  /** What is thrown if one of the indexes is being loaded; null if none is. */
  private lockAmong(writes: WriteList): Error | null {
    try {
      this.locks.assertFree(writes.targets, true);
      return null;
    } catch (error) {
      return error as Error;
    }
  }

  /**
   * A transaction with the turn has changed an index that is being loaded. When that is over it would have a conflict, and until then nobody could write: it ends, and its caller is told
   * when it can be done again.
   */
  private async giveUp(core: TransactionCore, targets: readonly Target[], error: Error): Promise<never> {
    core.abort();
    const place = this.locks.place(() => targets);
    place.join();
    await place.comesFirst();
    place.leave();
    throw error;
  }

  /** Brings the pages of the written entries into memory. Returns the bytes that the record may have. */
  private async touch(writes: Writes): Promise<number> {
    let loads = 0;
    for (let i = 0; i < writes.length; i++) {
      if (i >= TOUCH_QUOTA) {
        this.touchNow(writes, i);
        continue;
      }
      while (loads <= MOST_LOADS + i && !this.isThere(writes, i)) {
        loads++;
        prefetchEntries(this.pages, writes, i);
        await this.pages.loadFault();
      }
    }
    return mostBytesOf(writes);
  }

  /**
   * Reads the page of a written entry in place, before anything is logged: a page that cannot be read must refuse the
   * commit. Found out when the commit is in the log already, it would fail the engine, and recovery after it (T6).
   */
  private touchNow(writes: Writes, number: number): void {
    const { target, key } = writes.at(number)!;
    if (!target.dropped) target.index.lookup(key, this.touched);
  }

  private isThere(writes: Writes, number: number): boolean {
    const { target, key } = writes.at(number)!;
    if (target.dropped) return true;
    this.pages.faulting = true;
    try {
      target.index.lookup(key, this.touched);
      return true;
    } catch (error) {
      if (error instanceof PageFault) return false;
      throw error;
    } finally {
      this.pages.faulting = false;
    }
  }

  /**
   * What a failed commit means for the engine. Without space nothing more can be logged or checkpointed: it says so from now on, and answers reads. After the loss
   * of a thread it answers nothing.
   */
  private noted(error: unknown): unknown {
    if (isPagewrightError(error, 'PW_THREAD_LOST')) return this.state.fail(error);
    if (isPagewrightError(error, 'PW_FULL') && error.details.catalog !== true && !this.state.hasFailed) {
      this.state.turnReadOnly(error);
    }
    return error;
  }
}

/** The indexes that are changed. */
function* targetsOf(writes: Writes, other?: Target): Generator<Target> {
  if ('targets' in writes) yield* writes.targets;
  else for (const { target } of writes) yield target;
  if (other !== undefined) yield other;
}

function numbersOf(targets: Iterable<Target>): Set<number> {
  const numbers = new Set<number>();
  for (const { number } of targets) numbers.add(number);
  return numbers;
}

/** What the record may have, at most. */
function mostBytesOf(writes: Writes): number {
  return RECORD_OVERHEAD + OPERATION_OVERHEAD * writes.length + bytesOf(writes);
}

function bytesOf(writes: Writes): number {
  if ('bytes' in writes) return writes.bytes;
  let bytes = 0;
  for (const { key, value } of writes) bytes += key.length + (value === null ? 0 : value.length);
  return bytes;
}
