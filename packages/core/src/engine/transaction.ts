/**
 * A transaction as programs use it: reads see the store as it was at its beginning, and its own writes; the writes
 * take effect together when it commits, or not at all.
 */
import type { TransactionCore } from '../contracts/concurrency.js';
import { EntryReference } from '../contracts/index-plugin.js';
import { PagewrightError } from '../errors.js';
import type { EngineCore } from './engine-core.js';
import { type EntrySource, EntryStream, entriesNow, type TakeEntry } from './entry-stream.js';
import { IndexHandle } from './index-handle.js';
import { now, type Place, secondsOf, textOf } from './left-open.js';
import type { Watched } from './open-transactions.js';
import { argument, checkRange, type TransactionRangeOptions } from './range.js';
import { inTurns, readMany } from './read-many.js';
import { attemptRead, FAULTED } from './reading.js';
import { closedError } from './state.js';
import { refuseOptions, type WriteOptions } from './write-options.js';

/**
 * Errors of all methods, besides those of {@link IndexHandle}: `PW_TXN_CLOSED`, and `PW_SNAPSHOT_TOO_OLD` if what the
 * transaction reads had to be given up; of commits `PW_CONFLICT`, with `index` and `key` in the details.
 */
export class Transaction implements Watched {
  private readonly reference = new EntryReference();
  private readonly presence = new EntryReference();
  private ending: 'committing' | 'committed' | 'aborted' | null = null;
  private committing: Promise<void> | null = null;
  /** Whether it was the engine that ended it, by being closed. */
  private isCutOff = false;
  /** Why it was aborted, if not by the program. */
  private ended: { readonly reason: unknown } | null = null;
  private interruption: AbortController | null = null;
  /** @internal */
  readonly begun: number;

  /** @internal */
  constructor(
    private readonly engine: EngineCore,
    private readonly core: TransactionCore,
    private readonly writing: WriteOptions,
    private readonly place: Place,
  ) {
    this.presence.wantsValue = false;
    this.begun = now();
    engine.transactions.add(this);
  }

  /** Whether it was committed or aborted, or is being committed. */
  get closed(): boolean {
    return this.ending !== null;
  }

  /** Whether it has committed. */
  get committed(): boolean {
    return this.ending === 'committed';
  }

  /** The timestamp of the last commit that it sees. */
  get timestamp(): number {
    return this.core.snapshot.timestamp;
  }

  /** Aborted when it will not be committed any more, or should come to an end: the engine is being closed, it was open for too long, or who asked for it has no use of it any more. */
  get signal(): AbortSignal {
    this.interruption ??= new AbortController();
    if (this.ended !== null) this.interruption.abort(this.ended.reason);
    return this.interruption.signal;
  }

  get<Key, Value>(index: IndexHandle<Key, Value>, key: Key): Promise<Value | undefined> {
    try {
      const look = this.lookupOf(index, key);
      const value = attemptRead(this.engine.pages, look);
      return value === FAULTED ? this.engine.readOn(look) : Promise.resolve(value);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  getSync<Key, Value>(index: IndexHandle<Key, Value>, key: Key): Value | undefined {
    return this.lookupOf(index, key)();
  }

  /** The values in the order of the keys; undefined where there is none. */
  async getMany<Key, Value>(index: IndexHandle<Key, Value>, keys: readonly Key[]): Promise<(Value | undefined)[]> {
    this.assertMayRead(index);
    if (!Array.isArray(keys)) throw argument('getMany takes an index and a list of keys.', { keys });
    const { codec, entry } = index;
    const encoded = keys.map((key) => codec.encodeKey(key));
    return readMany(this.engine, entry, encoded, this.core.snapshot, (key) => this.lookup(index, key));
  }

  has<Key, Value>(index: IndexHandle<Key, Value>, key: Key): Promise<boolean> {
    try {
      const look = this.presenceOf(index, key);
      const found = attemptRead(this.engine.pages, look);
      return found === FAULTED ? this.engine.readOn(look) : Promise.resolve(found);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  hasSync<Key, Value>(index: IndexHandle<Key, Value>, key: Key): boolean {
    return this.presenceOf(index, key)();
  }

  /** Entries in order of key, the transaction's own writes among them. */
  range<Key, Value>(
    index: IndexHandle<Key, Value>,
    options: TransactionRangeOptions<Key> = {},
  ): EntryStream<[Key, Value]> {
    return new EntryStream(this.engine, this.sourceOf(index, options, true, index.takeEntry));
  }

  rangeSync<Key, Value>(
    index: IndexHandle<Key, Value>,
    options: TransactionRangeOptions<Key> = {},
  ): Generator<[Key, Value], void, undefined> {
    return entriesNow(this.sourceOf(index, options, true, index.takeEntry));
  }

  keys<Key, Value>(index: IndexHandle<Key, Value>, options: TransactionRangeOptions<Key> = {}): EntryStream<Key> {
    return new EntryStream(this.engine, this.sourceOf(index, options, false, index.takeKey));
  }

  values<Key, Value>(index: IndexHandle<Key, Value>, options: TransactionRangeOptions<Key> = {}): EntryStream<Value> {
    return new EntryStream(this.engine, this.sourceOf(index, options, true, index.takeValue));
  }

  /** How many entries there are in the range, with the transaction's own writes: all of their keys are gone through. */
  async count<Key, Value>(index: IndexHandle<Key, Value>, options: TransactionRangeOptions<Key> = {}): Promise<number> {
    const counting = this.countingOf(index, options);
    await inTurns(this.engine, counting.step);
    return counting.counted();
  }

  countSync<Key, Value>(index: IndexHandle<Key, Value>, options: TransactionRangeOptions<Key> = {}): number {
    const { step, counted } = this.countingOf(index, options);
    while (step());
    return counted();
  }

  put<Key, Value>(index: IndexHandle<Key, Value>, key: Key, value: Value): void {
    this.assertMayWrite(index);
    // The value first: an encoding of the program's own may read something meanwhile, which would borrow a key as well.
    const bytes = index.codec.borrowValue(value);
    this.core.put(index.entry, index.codec.borrowKey(key), bytes);
  }

  delete<Key, Value>(index: IndexHandle<Key, Value>, key: Key): void {
    this.assertMayWrite(index);
    this.core.delete(index.entry, index.codec.borrowKey(key));
  }

  /** A point to roll back to. */
  savepoint(): number {
    this.engine.state.assertUsable();
    this.assertOpen();
    return this.core.savepoint();
  }

  /** Undoes what was written after the savepoint. Savepoints that were made after it are none any more: `PW_ARGUMENT`. */
  rollbackTo(savepoint: number): void {
    this.engine.state.assertUsable();
    this.assertOpen();
    this.core.rollbackTo(savepoint);
  }

  /** Resolves when the writes are durable, or as the transaction was asked to. Without writes there is nothing to wait for. Options are those of `begin`: `PW_ARGUMENT` for any. */
  commit(...options: readonly never[]): Promise<void> {
    try {
      refuseOptions('commit', options);
      this.assertOpen();
      if (!this.core.hasWrites) {
        this.end('committed');
        return Promise.resolve();
      }
      this.ending = 'committing';
      this.committing = this.beginCommit().then(
        () => this.end('committed'),
        (error: unknown) => {
          this.end('aborted');
          throw error;
        },
      );
      return this.committing;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  commitSync(...options: readonly never[]): void {
    refuseOptions('commitSync', options);
    this.assertOpen();
    let outcome: 'committed' | 'aborted' = 'aborted';
    try {
      if (this.core.hasWrites) this.engine.commits.transactionSync(this.core, this.writing);
      outcome = 'committed';
    } finally {
      this.end(outcome);
    }
  }

  /** Forgets all writes. Idempotent; without effect once `commit` was called. */
  abort(): void {
    if (this.ending === null) this.end('aborted');
  }

  /**
   * What is left to do when the function of `db.transaction()` has returned: to commit, or to wait for the commit that it has begun. Without effect if it
   * has aborted. Errors: those of `commit`, `PW_CLOSED` if the engine was closed meanwhile.
   * @internal
   */
  settle(): Promise<void> {
    if (this.ended !== null && !this.isCutOff) return Promise.reject(this.ended.reason);
    if (this.isCutOff) {
      const message =
        'The engine was closed before the transaction was committed: nothing of it was. Open the store again, and run it again.';
      return Promise.reject(new PagewrightError('PW_CLOSED', message));
    }
    return this.ending === null ? this.commit() : (this.committing ?? Promise.resolve());
  }

  /** The engine is being closed. @internal */
  cutOff(): void {
    if (this.ending !== null) return;
    this.isCutOff = true;
    this.ended = { reason: closedError() };
    this.abort();
    this.interrupt(this.ended.reason);
  }

  /** @internal */
  begunAt(): string {
    return textOf(this.place);
  }

  /** Tells who works in it to come to an end. @internal */
  interrupt(reason: unknown): void {
    this.interruption?.abort(reason);
  }

  /** @internal */
  giveUp(openMs: number): void {
    this.abandon(
      new PagewrightError(
        'PW_TXN_CLOSED',
        `The transaction was aborted, because it was open for ${secondsOf(openMs)} s. Begin a new one, keep it open for less time, or raise transactions.abortAfterMs.`,
        { details: { openMs } },
      ),
    );
  }

  /** Aborts it, unless it has ended or its commit has begun: whatever is done with it afterwards, but to abort it, fails with the reason. Whether it was aborted by this. @internal */
  abandon(reason: unknown): boolean {
    if (this.ending !== null) return false;
    this.ended = { reason };
    this.abort();
    this.interrupt(reason);
    return true;
  }

  /** Aborts the transaction if it is open; waits for its commit if there is one under way. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.abort();
    await this.committing?.catch(() => {});
  }

  /** What is thrown before there is anything to wait for ends the transaction too: it must not stay one that is being committed. */
  private beginCommit(): Promise<void> {
    try {
      return this.engine.commits.transaction(this.core, this.writing);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  private end(outcome: 'committed' | 'aborted'): void {
    this.ending = outcome;
    this.core.abort();
    this.engine.transactions.delete(this);
    this.engine.housekeeping.wake();
  }

  private lookupOf<Key, Value>(index: IndexHandle<Key, Value>, key: Key): () => Value | undefined {
    this.assertMayRead(index);
    const bytes = index.codec.encodeKey(key);
    return () => this.lookup(index, bytes);
  }

  private lookup<Key, Value>({ entry, codec }: IndexHandle<Key, Value>, key: Uint8Array): Value | undefined {
    this.assertOpen();
    return this.core.lookup(entry, key, this.reference) ? codec.decodeValue(this.reference.value) : undefined;
  }

  private presenceOf<Key, Value>(index: IndexHandle<Key, Value>, key: Key): () => boolean {
    this.assertMayRead(index);
    const bytes = index.codec.encodeKey(key);
    return () => {
      this.assertOpen();
      return this.core.lookup(index.entry, bytes, this.presence);
    };
  }

  private countingOf<Key, Value>(
    index: IndexHandle<Key, Value>,
    options: TransactionRangeOptions<Key>,
  ): { readonly step: () => boolean; readonly counted: () => number } {
    const { scan, limit, assertOpen } = this.sourceOf(index, options, false, index.takeKey);
    let counted = 0;
    const step = (): boolean => {
      if (counted >= limit) return false;
      assertOpen();
      const isThere = scan.next();
      if (isThere) counted += scan.count;
      return isThere;
    };
    return { step, counted: () => Math.min(counted, limit) };
  }

  private sourceOf<Key, Value, Item>(
    index: IndexHandle<Key, Value>,
    options: TransactionRangeOptions<Key>,
    wantsValues: boolean,
    take: TakeEntry<Item>,
  ): EntrySource<Item> {
    this.assertMayRead(index);
    const { bounds, limit, snapshot } = checkRange(options, (key: Key) => index.codec.encodeBound(key), wantsValues);
    if (snapshot !== null) throw argument('A range in a transaction reads at its snapshot, and takes no other.', {});
    const scan = this.core.scan(index.entry, bounds);
    return { scan, limit, take, assertOpen: () => this.assertOpen() };
  }

  private assertOpen(): void {
    if (this.ending === null) return;
    this.engine.state.assertUsable();
    if (this.ended !== null) throw this.ended.reason;
    throw new PagewrightError('PW_TXN_CLOSED', 'The transaction was committed or aborted already. Begin a new one.');
  }

  private assertMayRead<Key, Value>(index: IndexHandle<Key, Value>): void {
    this.engine.state.assertUsable();
    this.assertOpen();
    if (!(index instanceof IndexHandle))
      throw argument('The first argument is an index, as index() returns it.', { index });
    if (index.core !== this.engine)
      throw argument(`The index '${index.name}' belongs to another engine.`, { index: index.name });
  }

  private assertMayWrite<Key, Value>(index: IndexHandle<Key, Value>): void {
    this.assertMayRead(index);
    this.engine.state.assertWritable();
  }
}
