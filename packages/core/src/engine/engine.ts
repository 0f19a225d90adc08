/** An open store, as programs use it. */

import type { TeardownStack } from '../composition/teardown.js';
import type { ConcurrencyStats, TransactionCore, WriterTurns } from '../contracts/concurrency.js';
import { type LogStats, OPERATION_CREATE_INDEX, OPERATION_DROP_INDEX } from '../contracts/log.js';
import type { CheckpointResult, PageStoreStats } from '../contracts/pages.js';
import { describe } from '../encodings/encoding.js';
import type { DecodedBy, EncodingSpec } from '../encodings/index.js';
import { isPagewrightError, PagewrightError } from '../errors.js';
import { onAbort } from '../on-abort.js';
import { type BackupOptions, type BackupReport, backupEngine } from './backup.js';
import { type CompactOptions, type CompactReport, compactEngine } from './compact.js';
import type { EngineCore } from './engine-core.js';
import { type EngineHandle, engineHandle } from './engine-handle.js';
import { EngineLog } from './engine-log.js';
import { encodeDescription } from './index-description.js';
import { type BatchOperation, IndexHandle } from './index-handle.js';
import { checkIndexRequest, codecFor, describeNew, type IndexOptions } from './index-options.js';
import { beginningOf, type Place, placeOfCaller } from './left-open.js';
import type { CallOptions, OwnerMethods } from './owner-calls.js';
import { argument } from './range.js';
import type { RecoveryResult } from './recovery.js';
import { type EngineSnapshot, isReported, type SnapshotOptions } from './snapshot.js';
import type { EngineStateName } from './state.js';
import { isThenable } from './thenable.js';
import { Transaction } from './transaction.js';
import { type VerifyOptions, type VerifyReport, verifyEngine } from './verify.js';
import { type BeginOptions, checkBeginOptions, checkWriteOptions, type WriteOptions } from './write-options.js';

/** One index, as `engine.indexes()` lists it. */
export interface IndexInfo {
  readonly name: string;
  readonly type: string;
  /** Names of its encodings. */
  readonly key: string;
  readonly value: string;
}

/** A change of an atomic batch over several indexes. Encodings check keys and values when it runs. */
export type EngineBatchOperation<Key = unknown, Value = unknown> = BatchOperation<Key, Value> & {
  readonly index: IndexHandle<Key, Value>;
};

/** Of the operations of a batch, by the types of the indexes that they name: each has a key and a value of its own index. */
export type EngineBatch<Indexes extends readonly unknown[]> = {
  readonly [At in keyof Indexes]: { readonly index: Indexes[At] } & (Indexes[At] extends IndexHandle<
    infer Key,
    infer Value
  >
    ? BatchOperation<Key, Value>
    : never);
};

export interface TransactionOptions extends BeginOptions {
  /** How often the function runs again after `PW_CONFLICT`. Default: 10. */
  readonly retries?: number;
  /**
   * Aborts the transaction, unless its commit has begun: `transaction()` rejects with the reason when the function has come to its end, and does not run it again. Where one
   * writes at a time it ends the wait for the turn as well. Of a commit that has begun the outcome is told as it is.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface EngineStats {
  readonly state: EngineStateName;
  readonly indexes: number;
  readonly pages: PageStoreStats;
  /** Null if the store was opened read-only: then the log is not looked at. */
  readonly log: LogStats | null;
  readonly concurrency: ConcurrencyStats;
}

const NOTHING = new Uint8Array(0);
const DEFAULT_RETRIES = 10;
/** The longest wait before a transaction is tried again. */
const MAX_BACKOFF_MS = 64;

/**
 * Errors of all methods: `PW_CLOSED` once it is being closed, `PW_ENGINE_FAILED` after a failure within a commit; of those that
 * change something also `PW_READ_ONLY`. `Types` is the union of the index types that it knows.
 */
export class Engine<Types extends string = string> {
  /** What was committed, transaction by transaction. */
  readonly log: EngineLog;
  private readonly creating = new Map<string, Promise<void>>();

  /** @internal */
  constructor(
    private readonly core: EngineCore,
    private readonly teardown: TeardownStack,
    /** What recovery did when the store was opened. */
    readonly recovered: RecoveryResult,
  ) {
    this.log = new EngineLog(core);
  }

  /** `open`; `read-only`: it was opened so, or turned so after a failure; `failed`; `closing`; `closed`. */
  get state(): EngineStateName {
    return this.core.state.name;
  }

  /** Whether commits are refused. */
  get readOnly(): boolean {
    return this.core.state.readOnly;
  }

  /** What made the engine read-only, or made it fail; null if nothing did. */
  get failure(): Error | null {
    return this.core.state.failure;
  }

  /**
   * Timestamp of the newest commit that reads see: what a restoration can be asked to go up to. After a commit of one's own it is that, or a later one. When the engine
   * was closed it stays what it was then.
   */
  get lastCommit(): number {
    return this.core.lastCommit;
  }

  // ── Indexes ─────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Opens the index of that name, or creates it; it is there for good when the promise resolves. What is left out of the
   * options is as the index was created, or for a new one the first type, `utf8` and `json`. The types of keys and values
   * follow from the encodings; what JSON holds can be given: `db.index<string, User>('users')`.
   *
   * Errors: `PW_INDEX_NAME`, `PW_INDEX_MISMATCH`, `PW_INDEX_UNKNOWN`, `PW_ARGUMENT`, `PW_READ_ONLY`, `PW_FULL`, `PW_POOL_EXHAUSTED`.
   */
  index<KeySpec extends EncodingSpec = 'utf8', ValueSpec extends EncodingSpec = 'json'>(
    name: string,
    options?: IndexOptions<Types, KeySpec, ValueSpec>,
  ): Promise<IndexHandle<DecodedBy<KeySpec>, DecodedBy<ValueSpec>>>;
  index<Key, Value>(name: string, options?: IndexOptions<Types>): Promise<IndexHandle<Key, Value>>;
  async index(name: string, options: IndexOptions<string> = {}): Promise<IndexHandle<unknown, unknown>> {
    const { core } = this;
    core.state.assertUsable();
    checkIndexRequest(name, options);
    const { catalog, pages } = core;
    const creation = this.creating.get(name) ?? (catalog.byName.has(name) ? undefined : this.create(name, options));
    if (creation !== undefined) await creation;
    const entry = catalog.byName.get(name);
    if (entry === undefined) throw unknownIndex(name);
    const codec = codecFor<unknown, unknown>(entry, options, catalog.types, pages);
    entry.open(pages, catalog.types);
    return new IndexHandle(core, entry, codec);
  }

  /** Removes the index with all that is in it, at once; its space is given back little by little. Errors: `PW_INDEX_UNKNOWN`. */
  async dropIndex(name: string): Promise<void> {
    const { commits, catalog, housekeeping, state } = this.core;
    state.assertWritable();
    let dropped = catalog.byName.get(name);
    await commits.operation(
      () => {
        dropped = catalog.byName.get(name);
        if (dropped === undefined) throw unknownIndex(name);
        return { kind: OPERATION_DROP_INDEX, index: dropped.number, key: NOTHING };
      },
      (timestamp) => catalog.drop(dropped!, timestamp),
      dropped,
    );
    housekeeping.wake();
  }

  /** All indexes, by name. */
  indexes(): IndexInfo[] {
    this.core.state.assertUsable();
    const entries = [...this.core.catalog.byName.values()];
    entries.sort((a, b) => (a.name < b.name ? -1 : 1));
    return entries.map(({ description: { name, type, keyEncoding, valueEncoding } }) => ({
      name,
      type,
      key: keyEncoding,
      value: valueEncoding,
    }));
  }

  // ── Transactions ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Runs the function in a transaction and commits it; resolves to what the function returned when that is durable. If
   * another transaction was first to change the same key, all is done again, after a short wait. `attempt` counts from 1. If the
   * function throws, the transaction is aborted and the error passed on. If it has aborted the transaction itself, nothing is committed; a commit that it has begun is
   * waited for. `transaction.signal` tells the function when there is no use in going on. Where one writes at a time, it waits until those that were asked for before have ended, has no conflicts then, and must not wait
   * for another change of the same store itself. Errors: those of `commit`, `PW_CLOSED` if the engine was closed before it was committed, `PW_TXN_CLOSED` if it was open for too long, the reason of the signal.
   */
  async transaction<Result>(
    run: (transaction: Transaction, attempt: number) => Result | PromiseLike<Result>,
    options: TransactionOptions = {},
  ): Promise<Result> {
    const { retries, signal, beginning } = checkTransaction(run, options, ['retries', 'signal']);
    for (let attempt = 1; ; attempt++) {
      signal?.throwIfAborted();
      const place = (): string => beginningOf(run);
      const { turns } = this;
      const transaction =
        turns === undefined ? this.beginAt(place, beginning) : await this.beginWriting(turns, place, beginning, signal);
      let isAbandoned = false;
      const abandon = (): void => {
        isAbandoned ||= transaction.abandon(signal?.reason);
      };
      const stop = signal === undefined || signal.aborted ? null : onAbort(signal, abandon);
      try {
        if (signal?.aborted) abandon();
        signal?.throwIfAborted();
        const returned = run(transaction, attempt);
        // Where there is nothing to wait for nothing is waited for: so no other transaction of this thread comes between, which one of the two would pay for by a conflict.
        const result = isThenable(returned) ? await returned : returned;
        await transaction.settle();
        return result;
      } catch (error) {
        // A commit that the function has begun may still go through: then it must not be run again.
        await transaction[Symbol.asyncDispose]();
        if (transaction.committed) throw error;
        if (isAbandoned) throw signal?.reason;
        // Whether what a commit has appended is there after a crash may be unknown: the reason of the signal would say that it is not.
        if (!isInTheWay(error) || attempt > retries) throw error;
        signal?.throwIfAborted();
        await backOff(attempt);
      } finally {
        stop?.();
      }
    }
  }

  /**
   * The same, now, and once: nothing else of this thread runs meanwhile, so there is nothing there to conflict with, unless the function itself commits
   * something beside the transaction. Other threads that have the store open go on: one of them may be first. Errors: `PW_CONFLICT`, `PW_ARGUMENT` if the function is asynchronous.
   */
  transactionSync<Result>(run: (transaction: Transaction) => Result, options: BeginOptions = {}): Result {
    const { beginning } = checkTransaction(run, options, []);
    const place = (): string => beginningOf(run);
    const { turns } = this;
    const transaction =
      turns === undefined
        ? this.beginAt(place, beginning)
        : this.begun(() => turns.beginNow(beginning.isolation), place, beginning);
    try {
      const result = run(transaction);
      if (isThenable(result)) {
        result.then(undefined, () => {}); // Nobody waits for it: its rejection must not end the process.
        throw argument(
          'transactionSync takes a function that does all at once. Use transaction() for an asynchronous one.',
          {},
        );
      }
      if (!transaction.closed) transaction.commitSync();
      return result;
    } finally {
      transaction.abort();
    }
  }

  /** Begins a transaction that the caller commits or aborts. */
  begin(options?: BeginOptions): Transaction {
    const checked = checkBeginOptions(options);
    return this.beginAt(placeOfCaller(this.begin), checked);
  }

  private beginAt(place: Place, options: BeginOptions): Transaction {
    return this.begun(() => this.core.concurrency.begin(options.isolation), place, options);
  }

  /** A view of the store as it is now. Release it when it is not needed any more. Errors: `PW_ARGUMENT` for options that there are not. */
  snapshot(options?: SnapshotOptions): EngineSnapshot {
    return this.core.snapshot(isReported(options) ? placeOfCaller(this.snapshot) : null);
  }

  /** Changes entries of several indexes: all or none. Of several changes of one key the last counts. */
  batch<Key, Value>(operations: readonly EngineBatchOperation<Key, Value>[], options?: WriteOptions): Promise<void>;
  batch<Indexes extends readonly unknown[]>(operations: EngineBatch<Indexes>, options?: WriteOptions): Promise<void>;
  async batch(operations: readonly EngineBatchOperation[], options?: WriteOptions): Promise<void> {
    const writing = checkWriteOptions(options);
    if (!Array.isArray(operations)) throw argument('batch takes a list of operations.', { operations });
    const writes = operations.map((operation) => {
      const index = operation?.index;
      if (!(index instanceof IndexHandle) || index.core !== this.core) {
        throw argument('Every operation of a batch names an index of this engine.', { operation });
      }
      return index.writeOf(operation);
    });
    await this.core.commits.writes(writes, writing);
  }

  // ── The store ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Writes a checkpoint of now while other work goes on, and lets go of the log before it. Errors: `PW_FULL`, `PW_IO`. */
  checkpoint(): Promise<CheckpointResult> {
    return this.underWay(true, () => this.core.checkpoint());
  }

  /**
   * Goes on to the newest checkpoint, of a store that is open read-only; whether there was a newer one. What the writer has committed
   * since that checkpoint is seen after its next one. Handles of indexes stay; snapshots and transactions of before throw
   * `PW_SNAPSHOT_TOO_OLD` from then on, and a range without a snapshot goes on in what is newest, as ever. A store that is open for writing
   * is at its newest state always: false.
   *
   * Errors: `PW_IO`, `PW_CORRUPT_FILE`; then what was read before is still read. `PW_CORRUPT_PAGE` if the catalog of the newer
   * checkpoint is damaged; then reads throw it too, until another call succeeds.
   */
  async refresh(): Promise<boolean> {
    this.core.state.assertUsable();
    return this.core.following.refresh();
  }

  /**
   * Looks for damage in the whole store while other work goes on, and reports all that it finds, with the way to each damaged
   * page. It reads the last checkpoint in the file, page by page, and the one before as far as it differs: checksums, headers,
   * that each page is reached once, what each index says of its pages and their bounds, and that every extent of the file is
   * accounted for. Then the pages in memory, and what is stored below them, which has what was committed since. The log is
   * not looked at: opening the store does that.
   *
   * It writes nothing. A commit that comes meanwhile is verified or not, and never reported as damage. Until it ends, no space that
   * it reads is used again, so the file may grow. Memory: one bit for each page of the file and the largest page, besides the
   * pool. Damage never makes it reject. Of a store that is open read-only it looks at the checkpoint that is read. Errors: `PW_SNAPSHOT_TOO_OLD`
   * if the writer could not be asked to wait, and has overtaken it; `PW_ARGUMENT`, `PW_CLOSED` when the engine is closed meanwhile, the reason of the signal.
   */
  verify(options: VerifyOptions = {}): Promise<VerifyReport> {
    return this.underWay(false, () => this.asked('verify', [], options) ?? verifyEngine(this.core, options));
  }

  /**
   * Writes a copy of the store to a new file while other work goes on: one that opens by itself, verifies, and can be written to. It
   * begins with a checkpoint, and has exactly the commits up to that: all that was committed before the call, and nothing by
   * half. An engine that was opened read-only copies the checkpoint that it shows; one that turned read-only after a failure
   * makes none (`PW_READ_ONLY`), because commits may be in its log alone: open the store again first.
   *
   * The copy has the store's id, because it is the same store at an earlier time, and no log; it is as small as what is in it. It
   * has its name when all of it is durable: until then it is `….pw-part`, beside. Every page is held against its checksum, and one that does
   * not match ends it. What is in memory stays there; memory beside it: 512 KiB for each level of the trees and for what is on its way to the
   * copy, or the largest pages. Until it ends, no space of the checkpoint is used again, so the store's file may grow.
   *
   * Errors, all of which leave nothing at the path: `PW_ARGUMENT`, `PW_EXISTS`, `PW_NOT_FOUND` (the directory), `PW_LOCKED` (another backup to
   * the same path is under way), `PW_CORRUPT_PAGE`, `PW_FULL`, `PW_IO`, `PW_PERMISSION`, `PW_READ_ONLY`, `PW_CLOSED` when the engine is closed
   * meanwhile, the reason of the signal, what `onProgress` throws.
   */
  backup(path: string, options: BackupOptions = {}): Promise<BackupReport> {
    return this.underWay(false, () => this.asked('backup', [path], options) ?? backupEngine(this.core, path, options));
  }

  /**
   * Makes the page file smaller while other work goes on. What was deleted leaves free space in the file, which is used again; this gives it
   * back to the file system. Pages that lie near the end of the file are written to free space nearer to its beginning, by some checkpoints, and when
   * none of the two that a store keeps names what was there, the file is cut off. About an eighth of what is in use is left as room.
   *
   * The whole tree is read, unless there is next to nothing to gain, and each page that is read is held against its checksum. Pages in
   * memory stay there; inner pages are brought in. Memory beside the pool: 512 KiB, or the largest page. A crash or an error at any point leaves a
   * whole store, with the file as long as it was, or shorter. Readers in other processes, backups and verifications keep what they read, so the
   * file shrinks less while they last: `retainedBytes` says how much they keep. A call that comes while another is under way begins after it.
   *
   * Errors: `PW_ARGUMENT`, `PW_READ_ONLY`, `PW_FULL` (no room to move anything), `PW_CORRUPT_PAGE`, `PW_IO`, `PW_POOL_EXHAUSTED`, `PW_ENGINE_FAILED`, `PW_CLOSED`
   * when the engine is closed meanwhile, the reason of the signal, what `onProgress` throws.
   */
  compact(options: CompactOptions = {}): Promise<CompactReport> {
    return this.underWay(true, () => this.asked('compact', [], options) ?? compactEngine(this.core, options));
  }

  /**
   * What another thread of this process needs to work on the same store: post it, and give it to `attach` there, of the same blueprint. That engine has
   * the same API, and the same pages, commits and snapshots; `checkpoint`, `backup`, `verify` and `compact` are done in this thread when it is asked there.
   * Any number of threads may attach; this engine is closed last, as it ends the use of the store for all (`PW_CLOSED`). If a thread ends in the midst of a
   * change, by `terminate()` or an error that nobody catches, all get `PW_THREAD_LOST`: close and open the store again; nothing that was acknowledged is lost.
   *
   * Errors: `PW_UNSUPPORTED` for a store that is open read-only, or whose parts serve one thread.
   */
  share(): EngineHandle {
    const { core } = this;
    core.state.assertUsable();
    const { pages, concurrency, log, state, sharing } = core;
    if (sharing.joined !== null) return sharing.joined;
    const handle = engineHandle({
      path: core.path,
      channel: sharing.channel,
      owner: pages.threads.tag,
      checkpoint: core.checkpointOptions,
      memory: { words: state.memory.buffer, latch: state.memory.latch },
      pages: pages.share(),
      concurrency: concurrency.share(),
      log: log.share(),
    });
    const methods: OwnerMethods = {
      checkpoint: () => this.checkpoint(),
      checkpointAtOnce: () => this.underWay(true, () => core.checkpointAtOnce()),
      verify: (options) => this.verify(options as VerifyOptions),
      backup: (path, options) => this.backup(path, options as BackupOptions),
      compact: (options) => this.compact(options as CompactOptions),
    };
    sharing.begin(methods, core.shared.news);
    return handle;
  }

  stats(): EngineStats {
    const { state, catalog, pages, log, concurrency } = this.core;
    state.assertUsable();
    return {
      state: state.name,
      indexes: catalog.byName.size,
      pages: pages.stats(),
      log: state.openedReadOnly ? null : log.stats(),
      concurrency: concurrency.stats(),
    };
  }

  /**
   * Waits for what is under way, aborts open transactions, writes a last checkpoint and closes the files: afterwards the
   * page file alone is the store. After a failure the log is kept, for recovery. Idempotent; all calls get the same promise.
   */
  close(): Promise<void> {
    this.core.state.beginClosing();
    return this.teardown.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Where one writes at a time, and changes are accepted. */
  private get turns(): WriterTurns | undefined {
    return this.core.state.readOnly ? undefined : this.core.concurrency.turns;
  }

  private async beginWriting(
    turns: WriterTurns,
    place: Place,
    options: BeginOptions,
    signal: AbortSignal | undefined,
  ): Promise<Transaction> {
    this.core.state.assertUsable();
    const begun = await turns.begin(options.isolation, signal);
    try {
      return this.begun(() => begun, place, options);
    } catch (error) {
      // The engine was closed, or has failed, when its turn came: the turn goes on.
      if (!begun.closed) begun.abort();
      throw error;
    }
  }

  private begun(begin: () => TransactionCore, place: Place, writing: BeginOptions): Transaction {
    let begun: TransactionCore | null = null;
    try {
      const core = this.core.withKnownIndexes(() => {
        begun = begin();
        return begun;
      });
      return new Transaction(this.core, core, writing, place);
    } catch (error) {
      (begun as TransactionCore | null)?.abort();
      throw error;
    }
  }

  /** Closing waits for it. */
  private async underWay<Result>(writes: boolean, work: () => Promise<Result>): Promise<Result> {
    const { operations, state } = this.core;
    if (writes) state.assertWritable();
    else state.assertUsable();
    operations.begin();
    try {
      return await work();
    } finally {
      operations.end();
    }
  }

  /** Asks the thread that opened the store; null in that one itself. */
  private asked<Method extends keyof OwnerMethods>(
    method: Method,
    given: readonly unknown[],
    options?: CallOptions,
  ): ReturnType<OwnerMethods[Method]> | null {
    return (this.core.sharing.owner?.ask(method, given, options) ?? null) as ReturnType<OwnerMethods[Method]> | null;
  }

  private create(name: string, options: IndexOptions<string>): Promise<void> {
    const { catalog, commits, state } = this.core;
    if (state.openedReadOnly) throw unknownIndex(name);
    const description = describeNew(name, options, catalog.types);
    const creation = commits
      .operation(
        () => {
          // Another thread may have been first.
          if (catalog.byName.has(name)) throw MADE;
          catalog.assertRoom();
          return { kind: OPERATION_CREATE_INDEX, index: catalog.nextNumber, key: encodeDescription(description) };
        },
        (timestamp) => {
          catalog.create(catalog.nextNumber, description, timestamp);
        },
      )
      .catch((error) => {
        if (error !== MADE) throw error;
      })
      .finally(() => this.creating.delete(name));
    this.creating.set(name, creation);
    return creation;
  }
}

/** Thrown by who finds that the index is there. */
const MADE = Symbol('made');

function unknownIndex(name: string): PagewrightError {
  return new PagewrightError('PW_INDEX_UNKNOWN', `There is no index '${name}' in this store.`, {
    details: { index: name },
  });
}

function checkTransaction(
  run: unknown,
  options: TransactionOptions,
  others: readonly string[],
): { readonly retries: number; readonly signal: AbortSignal | undefined; readonly beginning: BeginOptions } {
  if (typeof run !== 'function') throw argument('A transaction takes a function.', { run });
  const beginning = checkBeginOptions(options, others);
  const { retries = DEFAULT_RETRIES, signal } = options;
  if (!Number.isInteger(retries) || retries < 0) {
    throw argument(`The option retries is a whole number from 0 on, not ${describe(retries)}.`, { retries });
  }
  if (signal !== undefined && !(signal instanceof AbortSignal)) {
    throw argument('The option signal is an AbortSignal.', { signal });
  }
  return { retries, signal, beginning };
}

/** What was in the way of a transaction may be gone when it is done again. */
function isInTheWay(error: unknown): boolean {
  return isPagewrightError(error, 'PW_CONFLICT') || isPagewrightError(error, 'PW_INDEX_LOADING');
}

/** Waits a random time that grows with the attempts, so that those who met once do not meet again. */
function backOff(attempt: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, Math.random() * Math.min(MAX_BACKOFF_MS, 2 ** attempt)));
}
