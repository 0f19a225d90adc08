/**
 * What the public objects of one engine share: its parts, its state, and the ways that all calls take. Engine, index
 * handles, transactions and snapshots are façades of it.
 */
import type { Concurrency, ConcurrencyHost } from '../contracts/concurrency.js';
import type { IoBackend } from '../contracts/io.js';
import type { Log } from '../contracts/log.js';
import type { PageStore } from '../contracts/pages.js';
import { PagewrightError } from '../errors.js';
import type { Catalog } from './catalog.js';
import { type CheckpointOptions, Checkpoints } from './checkpoints.js';
import { Commits } from './commits.js';
import { Following, type FollowOption } from './following.js';
import { Housekeeping } from './housekeeping.js';
import { IndexLocks } from './index-locks.js';
import { Operations } from './operations.js';
import type { EngineParts } from './parts.js';
import { readAfterFault } from './reading.js';
import { EngineSnapshot } from './snapshot.js';
import type { EngineState } from './state.js';

/** Something that closing puts an end to. */
interface Abortable {
  abort(): void;
}

export class EngineCore {
  readonly io: IoBackend;
  readonly pages: PageStore;
  readonly log: Log;
  readonly concurrency: Concurrency;
  readonly operations = new Operations();
  readonly locks = new IndexLocks();
  readonly checkpoints: Checkpoints;
  readonly commits: Commits;
  readonly housekeeping: Housekeeping;
  readonly following: Following;
  readonly transactions = new Set<Abortable>();
  /** Set when the last checkpoint holds everything: the log can go. */
  logIsSuperfluous = false;
  private readonly snapshots = new Set<EngineSnapshot>();
  private readonly closed = new AbortController();

  constructor(
    parts: EngineParts,
    readonly catalog: Catalog,
    readonly state: EngineState,
    checkpoint: CheckpointOptions,
    follow: FollowOption,
  ) {
    const { io, pages, log, concurrency } = parts;
    this.io = io;
    this.pages = pages;
    this.log = log;
    this.concurrency = concurrency;
    this.checkpoints = new Checkpoints(pages, log, concurrency, state, checkpoint);
    this.commits = new Commits(pages, log, concurrency, this.checkpoints, state, this.operations, this.locks);
    this.housekeeping = new Housekeeping(pages, catalog, concurrency, state, this.operations);
    this.following = new Following(pages, catalog, concurrency, state, this.operations, follow);
  }

  /** What concurrency control needs of the engine. */
  get host(): ConcurrencyHost {
    const { pages, log, state, checkpoints } = this;
    return {
      pages,
      log,
      assertWritable: () => state.assertAcceptsCommits(),
      fail: (error) => state.fail(error),
      committed: (bytes) => checkpoints.committed(bytes),
    };
  }

  /** Aborted when closing begins: wakes what waits for nothing but time. */
  get closing(): AbortSignal {
    return this.closed.signal;
  }

  snapshot(): EngineSnapshot {
    this.state.assertUsable();
    const snapshot = new EngineSnapshot(this, this.concurrency.snapshot(), (released) => {
      if (this.snapshots.delete(released)) this.housekeeping.wake();
    });
    this.snapshots.add(snapshot);
    return snapshot;
  }

  /** The snapshot that the options of a read name. Errors: `PW_ARGUMENT`. */
  snapshotFor(options: { readonly snapshot?: EngineSnapshot | undefined } | undefined): EngineSnapshot['core'] | null {
    if (options === undefined) return null;
    const isOptions = typeof options === 'object' && options !== null && !(options instanceof EngineSnapshot);
    const unknown = isOptions ? Object.keys(options).find((name) => name !== 'snapshot') : '';
    if (unknown !== undefined) {
      const what = isOptions ? `A read has no option '${unknown}'.` : 'The options of a read are an object.';
      throw new PagewrightError('PW_ARGUMENT', `${what} There is: { snapshot }.`);
    }
    return this.snapshotOf(options.snapshot);
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
    const { state, operations, housekeeping, checkpoints, following } = this;
    try {
      state.beginClosing();
      this.closed.abort();
      housekeeping.stop();
      checkpoints.stopTimer();
      following.stop();
      await operations.idle();
      for (const transaction of [...this.transactions]) transaction.abort();
      for (const snapshot of [...this.snapshots]) snapshot.release();
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
}
