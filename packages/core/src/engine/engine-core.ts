/**
 * What the public objects of one engine share: its parts, its state, and the ways that all calls take. Engine, index
 * handles, transactions and snapshots are façades of it.
 */
import type { Concurrency, ConcurrencyHost } from '../contracts/concurrency.js';
import type { IoBackend } from '../contracts/io.js';
import type { Log } from '../contracts/log.js';
import type { CheckpointResult, PageStore } from '../contracts/pages.js';
import { isPagewrightError, PagewrightError } from '../errors.js';
import type { Catalog } from './catalog.js';
import { type CheckpointOptions, Checkpoints } from './checkpoints.js';
import { Commits } from './commits.js';
import type { EngineHandle } from './engine-handle.js';
import { Following, type FollowOption } from './following.js';
import { Housekeeping } from './housekeeping.js';
import type { DurableReadOptions } from './index-handle.js';
import { IndexLocks } from './index-locks.js';
import type { Place } from './left-open.js';
import { LoadsElsewhere } from './loads-elsewhere.js';
import { LostLoads } from './lost-loads.js';
import { OpenSnapshots } from './open-snapshots.js';
import { type OpenTransactionOptions, OpenTransactions } from './open-transactions.js';
import { Operations } from './operations.js';
import type { EngineParts } from './parts.js';
import { argument } from './range.js';
import { readAfterFault } from './reading.js';
import type { SharedCatalog } from './shared-catalog.js';
import { Sharing } from './sharing.js';
import { EngineSnapshot } from './snapshot.js';
import { closedError, type EngineState } from './state.js';

const READ_OPTIONS = ['snapshot'];

export class EngineCore {
  readonly io: IoBackend;
  readonly pages: PageStore;
  readonly log: Log;
  readonly concurrency: Concurrency;
  readonly operations = new Operations();
  readonly locks = new IndexLocks();
  readonly loads: LoadsElsewhere;
  readonly checkpoints: Checkpoints;
  readonly commits: Commits;
  readonly housekeeping: Housekeeping;
  readonly following: Following;
  readonly sharing: Sharing;
  readonly catalog: Catalog;
  readonly transactions: OpenTransactions;
  /** Set when the last checkpoint holds everything: the log can go. */
  logIsSuperfluous = false;
  /** The newest commit when a thread left that had joined: what it knows of later ones. */
  private commitAtLeave: number | null = null;
  private readonly snapshots: OpenSnapshots;
  private readonly closed = new AbortController();

  constructor(
    parts: EngineParts,
    readonly shared: SharedCatalog,
    readonly state: EngineState,
    /** Of the store. */
    readonly path: string,
    readonly checkpointOptions: CheckpointOptions,
    follow: FollowOption,
    watching: OpenTransactionOptions,
    /** In a thread that joins another engine. */
    joined: EngineHandle | null = null,
  ) {
    const { io, pages, log, concurrency } = parts;
    this.io = io;
    this.pages = pages;
    this.log = log;
    this.concurrency = concurrency;
    this.transactions = new OpenTransactions(path, watching);
    this.snapshots = new OpenSnapshots(path, state.openedReadOnly, watching);
    this.checkpoints = new Checkpoints(pages, log, concurrency, state, checkpointOptions, this.closing);
    const { catalog } = shared;
    this.catalog = catalog;
    this.loads = new LoadsElsewhere(shared, pages.threads, state.memory);
    this.commits = new Commits(
      pages,
      log,
      concurrency,
      this.checkpoints,
      state,
      this.operations,
      shared,
      this.locks,
      this.loads,
    );
    this.housekeeping = new Housekeeping(pages, shared, concurrency, state, this.operations);
    this.following = new Following(pages, catalog, concurrency, state, this.operations, follow);
    const lost = new LostLoads(pages, shared, concurrency, this.checkpoints, state, this.operations);
    this.sharing = new Sharing(pages, state, joined, () => {
      lost.look();
      this.housekeeping.wake();
    });
    state.lossOf = () => pages.threads.loss;
    state.onNews = (news) => {
      // Closed where the store was opened: loads that wait for their input here end as well.
      if (!state.isOwner && state.memory.isClosed) this.closed.abort();
      shared.catchUp();
      this.sharing.hasSeen(news);
      if (!state.isOwner) return;
      this.checkpoints.beginIfDue();
      this.housekeeping.wake();
    };
  }

  /** Errors: `PW_ENGINE_FAILED`, `PW_THREAD_LOST`; `PW_CLOSED` if it had failed before it was closed. */
  get lastCommit(): number {
    const { state } = this;
    if (!state.isEnding || state.hasFailed) state.assertUsable();
    return this.commitAtLeave ?? this.concurrency.visible;
  }

  /** What concurrency control needs of the engine. */
  get host(): ConcurrencyHost {
    const { pages, log, state, checkpoints, catalog, shared } = this;
    return {
      pages,
      log,
      assertWritable: () => state.assertAcceptsCommits(),
      fail: (error) => state.fail(pages.threads.loss ?? error),
      committed: (bytes, changes) => checkpoints.committed(bytes, changes),
      kept: () => this.housekeeping.wake(),
      catchUp: (changed) => {
        shared.catchUp();
        this.loads.assertNone(changed);
      },
      target: (number) => {
        const entry = catalog.live(number);
        entry?.open(pages, catalog.types);
        return entry ?? null;
      },
    };
  }

  /** Writes a checkpoint, by the thread that opened the store. */
  checkpoint(): Promise<CheckpointResult> {
    return this.sharing.owner?.ask('checkpoint', []) ?? this.checkpoints.run();
  }

  /** The same, for which others wait: it makes no way for anybody. */
  checkpointAtOnce(): Promise<CheckpointResult> {
    return this.sharing.owner?.ask('checkpointAtOnce', []) ?? this.checkpoints.runAtOnce();
  }

  /** Aborted when closing begins: wakes what waits for nothing but time. */
  get closing(): AbortSignal {
    return this.closed.signal;
  }

  /** `place`: where the program asked for it. */
  snapshot(place: Place | null = null): EngineSnapshot {
    const core = this.withKnownIndexes(() => this.concurrency.snapshot());
    const released = (snapshot: EngineSnapshot): void => {
      if (!this.snapshots.delete(snapshot)) return;
      this.housekeeping.wake();
      // Trees that another thread gives up may have waited for it.
      if (!this.state.isOwner && this.catalog.dropped.size > 0) this.state.memory.tell();
    };
    const snapshot = new EngineSnapshot(this, core, released, place);
    this.snapshots.add(snapshot);
    return snapshot;
  }

  /**
   * Begins what reads as of a commit: whatever that commit, or one before, has changed in the catalog is known here then. A change is
   * made known before its commit can be seen.
   */
  withKnownIndexes<Reader>(begin: () => Reader): Reader {
    this.state.assertUsable();
    const reader = begin();
    this.state.assertUsable();
    return reader;
  }

  /** The snapshot that the options of a read name. `known`: the options that it has. Errors: `PW_ARGUMENT`. */
  snapshotFor(
    options: { readonly snapshot?: EngineSnapshot | undefined } | undefined,
    known: readonly string[] = READ_OPTIONS,
  ): EngineSnapshot['core'] | null {
    if (options === undefined) return null;
    if (typeof options !== 'object' || options === null || options instanceof EngineSnapshot)
      throw badOptions('The options of a read are an object.', known);
    // Of every read that has options: no list of names, and no function.
    for (const name in options) {
      if (!known.includes(name) && Object.hasOwn(options, name))
        throw badOptions(`A read has no option '${name}'.`, known);
    }
    return this.snapshotOf(options.snapshot);
  }

  /** A read whose options have `durable`. Errors: `PW_ARGUMENT`, those of the read, and those of {@link untilDurable}. */
  async durably<Options extends DurableReadOptions, Result>(
    options: Options,
    known: readonly string[],
    read: (options: Options) => Promise<Result>,
  ): Promise<Result> {
    this.snapshotFor(options, known);
    const { durable } = options;
    if (typeof durable !== 'boolean') throw argument('The option durable is true or false.', { durable });
    const result = await read(options);
    if (durable) await this.untilDurable();
    return result;
  }

  /**
   * Resolves when all that was committed before the call is durable, and has it written. What is open read-only has nothing else. Errors: `PW_COMMIT_UNKNOWN` if
   * the log has failed, `PW_THREAD_LOST`, `PW_CLOSED`, `PW_ENGINE_FAILED`.
   */
  async untilDurable(): Promise<void> {
    const { log, operations, state } = this;
    state.assertUsable();
    if (state.openedReadOnly) return;
    operations.begin();
    try {
      await log.secure(log.mark());
    } finally {
      operations.end();
    }
  }

  /** The snapshot that a read was given. Errors: `PW_ARGUMENT` if it is another engine's, or none at all. */
  snapshotOf(snapshot: EngineSnapshot | null | undefined): EngineSnapshot['core'] | null {
    if (snapshot === null || snapshot === undefined) return null;
    if (snapshot instanceof EngineSnapshot && snapshot.owner === this) return snapshot.core;
    throw new PagewrightError('PW_ARGUMENT', 'The option snapshot takes what snapshot() of the same engine returned.');
  }

  /** Goes on with a read that has just met a page that is not in memory. Call it at once. */
  async readOn<Result>(read: () => Result): Promise<Result> {
    const { pages, state, following } = this;
    const attempt = (): Result => {
      // Closing waits for reads under way; a failure while a page was read leaves nothing to be read.
      if (state.hasFailed) state.assertUsable();
      return read();
    };
    this.operations.begin();
    try {
      return await readAfterFault(pages, attempt).catch((error) => following.readAnew(error, attempt));
    } finally {
      this.operations.end();
    }
  }

  /** The first step of closing: everything that is under way ends, and the page file holds all of it, if that can be. */
  async finish(): Promise<void> {
    const { state, checkpoints, housekeeping } = this;
    try {
      await this.end();
      await checkpoints.catchUp();
      if (state.readOnly) return;
      await housekeeping.finish();
      if (state.readOnly) return;
      await checkpoints.finish();
      this.logIsSuperfluous = true;
    } finally {
      state.closed();
    }
  }

  /** The same in a thread that joined another engine, which goes on. */
  async leave(): Promise<void> {
    const { state, shared, concurrency } = this;
    try {
      await this.end();
      // Where the store has failed, or is closed for all, there is nothing to be left to others.
      if (state.hasFailed || state.memory.isClosed) return;
      shared.leave();
      this.commitAtLeave = concurrency.visible;
      concurrency.detach();
    } catch (error) {
      // That a thread was lost may be met here first.
      if (!state.hasFailed && !state.memory.isClosed && !isPagewrightError(error, 'PW_THREAD_LOST')) throw error;
    } finally {
      state.closed();
    }
  }

  /** All that is under way in this thread comes to its end, and nothing begins. */
  private async end(): Promise<void> {
    const { state, operations, housekeeping, checkpoints, following, sharing } = this;
    const { turns } = this.concurrency;
    state.beginClosing();
    this.closed.abort();
    this.transactions.interrupt(closedError());
    housekeeping.stop();
    checkpoints.stopTimer();
    following.stop();
    sharing.owner?.abort(closedError());
    if (turns !== undefined) {
      // Whoever waits for the turn of a transaction waits for this engine's program, which may wait for the end.
      this.transactions.cutOff();
      turns.close();
    }
    await operations.idle();
    await sharing.stop();
    this.transactions.cutOff();
    this.snapshots.releaseAll();
  }
}

function badOptions(what: string, known: readonly string[]): PagewrightError {
  return new PagewrightError('PW_ARGUMENT', `${what} There is: { ${known.join(', ')} }.`);
}
