/**
 * An index as programs use it. Every method that can wait has two forms: `x()` returns a promise and never blocks the
 * event loop, `xSync()` runs now. Both check their arguments first; what lies behind them trusts what it gets.
 */
import type { EntryCounter, Write } from '../contracts/concurrency.js';
import { EntryReference } from '../contracts/index-plugin.js';
import { OPERATION_CLEAR_INDEX } from '../contracts/log.js';
import { PageFault } from '../contracts/pages.js';
import { copyOf } from '../encodings/byte-slab.js';
import { describe } from '../encodings/encoding.js';
import { assertNotDropped, type BulkLoadOptions, type BulkLoadReport, bulkLoad } from './bulk-load.js';
import type { EngineCore } from './engine-core.js';
import type { LoggedTransaction } from './engine-log.js';
import type { EntryCodec } from './entry-codec.js';
import { type EntrySource, EntryStream, entriesNow, type TakeEntry } from './entry-stream.js';
import type { IndexEntry } from './index-entry.js';
import { argument, checkKeyRange, checkRange, type KeyRange, keyAfter, type RangeOptions } from './range.js';
import { inTurns, readMany } from './read-many.js';
import { attemptRead, FAULTED } from './reading.js';
import type { EngineSnapshot } from './snapshot.js';
import { checkWriteOptions, refuseOptions, type WriteOptions } from './write-options.js';

export interface ReadOptions {
  /** Read what was there when the snapshot was taken. */
  readonly snapshot?: EngineSnapshot | undefined;
}

/** Of a read that can wait. */
export interface DurableReadOptions extends ReadOptions {
  /**
   * Whether it waits until no loss of power can take back what it shows, and has it written if nobody else does. Default: false, it may show what was committed a moment ago, or
   * without being made durable. If the log has failed it rejects. What a store shows that is open read-only is durable.
   */
  readonly durable?: boolean | undefined;
}

/** Of a read of one key. */
export interface KeyReadOptions extends DurableReadOptions {
  /**
   * Whether a read that waits for pages shows what was there when it was called, whatever is committed until it has them. Default: false, it shows what is
   * there then. It may be `PW_SNAPSHOT_TOO_OLD`, as with a snapshot. Of a store that is open read-only it makes no difference: nothing is committed there.
   */
  readonly asCalled?: boolean | undefined;
}

/** One change of a batch. */
export type BatchOperation<Key, Value> =
  | { readonly type: 'put'; readonly key: Key; readonly value: Value }
  | { readonly type: 'delete'; readonly key: Key };

/** A change of an index, as a transaction in the log has it. */
export type IndexChange<Key, Value> =
  | BatchOperation<Key, Value>
  /** There is nothing in it, and nothing of an index that had the name before. */
  | { readonly type: 'create-index' }
  /** All entries went. */
  | { readonly type: 'clear-index' }
  /** All entries are others, from a bulk load, and to be read in the index itself. */
  | { readonly type: 'load-index' }
  | { readonly type: 'drop-index' };

const NOTHING = new Uint8Array(0);
const KEY_READ_OPTIONS = ['snapshot', 'asCalled', 'durable'];
const DURABLE_READ_OPTIONS = ['snapshot', 'durable'];

/**
 * Errors of all methods: `PW_CLOSED`, `PW_ENGINE_FAILED`, `PW_INDEX_DROPPED`, those of encoding (`PW_KEY_EMPTY`, `PW_KEY_TOO_LARGE`,
 * `PW_VALUE_TOO_LARGE`, `PW_ENCODING`), and of reading pages (`PW_CORRUPT_PAGE`, `PW_IO`, `PW_POOL_EXHAUSTED`). Of those that
 * change something: `PW_READ_ONLY`, `PW_FULL`, `PW_TXN_TOO_LARGE`, `PW_COMMIT_UNKNOWN`. Of reads with a snapshot: `PW_SNAPSHOT_TOO_OLD`.
 */
export class IndexHandle<Key = string, Value = unknown> {
  private readonly reference = new EntryReference();
  private readonly presence = new EntryReference();

  /** @internal */
  constructor(
    /** @internal */
    readonly core: EngineCore,
    /** @internal */
    readonly entry: IndexEntry,
    /** @internal */
    readonly codec: EntryCodec<Key, Value>,
  ) {
    this.presence.wantsValue = false;
  }

  get name(): string {
    return this.entry.name;
  }

  /** The index type, as in `db.index(name, { type })`. */
  get type(): string {
    return this.entry.description.type;
  }

  // ── One entry ───────────────────────────────────────────────────────────────────────────────────────────────

  /** The value, or undefined if there is none. */
  get(key: Key, options?: KeyReadOptions): Promise<Value | undefined> {
    if (options?.durable !== undefined) {
      return this.core.durably(options, KEY_READ_OPTIONS, ({ snapshot, asCalled }) =>
        this.get(key, { snapshot, asCalled }),
      );
    }
    const { core, reference } = this;
    try {
      core.state.assertUsable();
      const snapshot = core.snapshotFor(options, KEY_READ_OPTIONS);
      const lent = this.codec.borrowKey(key);
      let found: boolean;
      core.pages.faulting = true;
      try {
        found = core.concurrency.lookup(this.entry, lent, reference, snapshot);
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
        core.pages.faulting = false;
        const bytes = copyOf(lent);
        if (snapshot === null && options?.asCalled === true) return this.asCalled((now) => this.read(bytes, now));
        return core.readOn(() => this.read(bytes, snapshot));
      } finally {
        core.pages.faulting = false;
      }
      return Promise.resolve(found ? this.codec.decodeValue(reference.value) : undefined);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  getSync(key: Key, options?: ReadOptions): Value | undefined {
    this.core.state.assertUsable();
    const snapshot = this.core.snapshotFor(options);
    return this.read(this.codec.borrowKey(key), snapshot);
  }

  /** The values in the order of the keys; undefined where there is none. Without a snapshot, each is read at its own moment. */
  async getMany(keys: readonly Key[], options?: DurableReadOptions): Promise<(Value | undefined)[]> {
    if (options?.durable !== undefined) {
      return this.core.durably(options, DURABLE_READ_OPTIONS, ({ snapshot }) => this.getMany(keys, { snapshot }));
    }
    if (!Array.isArray(keys)) throw argument('getMany takes a list of keys.', { keys });
    const snapshot = this.core.snapshotFor(options, DURABLE_READ_OPTIONS);
    const encoded = keys.map((key) => this.keyToRead(key));
    return readMany(this.core, this.entry, encoded, snapshot, (key) => {
      this.core.state.assertUsable();
      return this.read(key, snapshot);
    });
  }

  has(key: Key, options?: KeyReadOptions): Promise<boolean> {
    if (options?.durable !== undefined) {
      return this.core.durably(options, KEY_READ_OPTIONS, ({ snapshot, asCalled }) =>
        this.has(key, { snapshot, asCalled }),
      );
    }
    try {
      const bytes = this.keyToRead(key);
      const snapshot = this.core.snapshotFor(options, KEY_READ_OPTIONS);
      const look = (): boolean => this.isThere(bytes, snapshot);
      const found = attemptRead(this.core.pages, look);
      if (found !== FAULTED) return Promise.resolve(found);
      if (snapshot === null && options?.asCalled === true) return this.asCalled((now) => this.isThere(bytes, now));
      return this.core.readOn(look);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  hasSync(key: Key, options?: ReadOptions): boolean {
    this.core.state.assertUsable();
    const snapshot = this.core.snapshotFor(options);
    return this.isThere(this.codec.borrowKey(key), snapshot);
  }

  /** Inserts or replaces. Durable when it resolves, or as the options say. Puts take effect in the order in which they were called. */
  put(key: Key, value: Value, options?: WriteOptions): Promise<void> {
    try {
      const writing = checkWriteOptions(options);
      return this.core.commits.writes([this.putOf(key, value)], writing);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** The same, now: it overtakes asynchronous changes that were called before it and are still being prepared. */
  putSync(key: Key, value: Value, options?: WriteOptions): void {
    const writing = checkWriteOptions(options);
    this.core.commits.writesSync([this.putOf(key, value)], writing);
  }

  /** Deletes; a key that is not there is no error. Durable when it resolves, or as the options say. */
  delete(key: Key, options?: WriteOptions): Promise<void> {
    try {
      const writing = checkWriteOptions(options);
      return this.core.commits.writes([this.deletionOf(key)], writing);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  deleteSync(key: Key, options?: WriteOptions): void {
    const writing = checkWriteOptions(options);
    this.core.commits.writesSync([this.deletionOf(key)], writing);
  }

  /** All changes or none. Of several changes of one key the last counts. */
  async batch(operations: readonly BatchOperation<Key, Value>[], options?: WriteOptions): Promise<void> {
    if (!Array.isArray(operations)) throw argument('batch takes a list of operations.', { operations });
    const writing = checkWriteOptions(options);
    const writes = operations.map((operation) => {
      this.assertOwn(operation);
      return this.writeOf(operation);
    });
    await this.core.commits.writes(writes, writing);
  }

  // ── Many entries ────────────────────────────────────────────────────────────────────────────────────────────

  /** Entries in order of key. */
  range(options: RangeOptions<Key> = {}): EntryStream<[Key, Value]> {
    return this.stream(options, true, this.takeEntry);
  }

  rangeSync(options: RangeOptions<Key> = {}): Generator<[Key, Value], void, undefined> {
    return entriesNow(this.source(options, true, this.takeEntry));
  }

  keys(options: RangeOptions<Key> = {}): EntryStream<Key> {
    return this.stream(options, false, this.takeKey);
  }

  values(options: RangeOptions<Key> = {}): EntryStream<Value> {
    return this.stream(options, true, this.takeValue);
  }

  /**
   * How many entries there are in the range: exact, without looking at keys or values but at the edges, so that it takes a moment for each page and not for each
   * entry. Without a snapshot, each page is counted as it is when it is reached, as in a range: for the number at one moment of an index that changes
   * meanwhile, give one. Pages with changes above the snapshot take longer.
   */
  async count(options: RangeOptions<Key> = {}): Promise<number> {
    const { core } = this;
    const { counter, limit } = this.counting(options);
    await inTurns(core, () => {
      if (counter.count >= limit) return false;
      core.state.assertUsable();
      return counter.next();
    });
    return Math.min(counter.count, limit);
  }

  /**
   * The same, now. Nothing else of this thread comes between. Other threads that have the store open go on, so that the number may be that of no moment: give a snapshot
   * for one.
   */
  countSync(options: RangeOptions<Key> = {}): number {
    const { counter, limit } = this.counting(options);
    while (counter.count < limit && counter.next());
    return Math.min(counter.count, limit);
  }

  /**
   * About how many entries there are in the range, from a few pages whatever its size. It knows what is on the pages of both ends, and takes those between for
   * as full as the few that it looks at: a few percent off for keys and values of about one size, and in the worst case, with values of very different sizes at
   * different places, by a factor. Entries that were deleted and are kept for snapshots count as well, and what changes meanwhile is seen in part: even of a range
   * within one page it is exact only of an index at rest. An index of a type that cannot tell is counted.
   */
  async estimateCount(range: KeyRange<Key> = {}): Promise<number> {
    const { core } = this;
    const estimate = this.estimating(range);
    if (estimate === null) return this.count(range);
    const about = attemptRead(core.pages, estimate);
    return about === FAULTED ? core.readOn(estimate) : about;
  }

  estimateCountSync(range: KeyRange<Key> = {}): number {
    return this.estimating(range)?.() ?? this.countSync(range);
  }

  /** Removes all entries, at once whatever their number. Older snapshots still see them. Durable when it resolves. */
  async clear(...options: readonly never[]): Promise<void> {
    refuseOptions('clear', options);
    const { core, entry } = this;
    await core.commits.operation(
      () => {
        assertNotDropped(entry);
        core.catalog.assertRoom();
        return { kind: OPERATION_CLEAR_INDEX, index: entry.number, key: NOTHING };
      },
      (timestamp) => core.catalog.clear(entry, timestamp),
      entry,
    );
    core.housekeeping.wake();
  }

  /**
   * Replaces all that is in the index by the entries of an iterable, synchronous or asynchronous, that come in rising order of their keys (as bytes), each
   * key once. Much faster than puts: pages are written once, from the first to the last, and the entries are not logged. It takes as little memory as puts
   * do, however much there is. It resolves when what was loaded is durable; if it rejects, the index is as it was, and a crash leaves one or the other.
   *
   * While the input is read, readers and snapshots see what was there before; all of the new appears in one step, at the end. Other indexes go on. Changes of this
   * one that were called before take effect before; those that come after wait until the load is over, then take effect upon what was loaded: also `clear`, `dropIndex` and another `bulkLoad`. So the input itself must not wait
   * for a change of this index. Synchronous changes throw `PW_INDEX_LOADING`. Transactions that began before it and have changed the index get `PW_CONFLICT`.
   *
   * Errors: `PW_ARGUMENT`, `PW_UNSORTED` with both keys, those of encoding, what the input throws, what `onProgress` throws, the reason of the signal,
   * `PW_FULL`, `PW_POOL_EXHAUSTED`, `PW_IO`, `PW_READ_ONLY`, `PW_INDEX_DROPPED`, `PW_CLOSED` when the engine is closed meanwhile; `PW_COMMIT_UNKNOWN`, after which the
   * index is found as it was or as it was to be when the store is opened again.
   */
  async bulkLoad(
    entries: Iterable<readonly [Key, Value]> | AsyncIterable<readonly [Key, Value]>,
    options: BulkLoadOptions = {},
  ): Promise<BulkLoadReport> {
    return bulkLoad(this.core, this.entry, this.codec, entries, options);
  }

  /**
   * What a transaction from the log has changed in this index, in order, with keys and values as this handle has them. The first is `create-index`: what an index of that name had which was dropped
   * before is gone then, and changes of that one are not among these. Errors, while they are iterated over: `PW_ENCODING`, `PW_ARGUMENT`.
   */
  *changesIn(transaction: LoggedTransaction): Generator<IndexChange<Key, Value>, void, void> {
    const operations = transaction?.operations;
    if (typeof operations?.[Symbol.iterator] !== 'function')
      throw argument('changesIn takes a transaction, as log.read() gives it.', {});
    for (const { type, index, key, value } of operations) {
      if (index.number !== this.entry.number) continue;
      if (type === 'put') yield { type, key: this.codec.decodeKey(key), value: this.codec.decodeValue(value) };
      else if (type === 'delete') yield { type, key: this.codec.decodeKey(key) };
      else yield { type };
    }
  }

  // ── For transactions and batches ────────────────────────────────────────────────────────────────────────────

  /** @internal */
  putOf(key: Key, value: Value): Write {
    return { target: this.entry, key: this.codec.encodeKey(key), value: this.codec.encodeValue(value) };
  }

  /** @internal */
  deletionOf(key: Key): Write {
    return { target: this.entry, key: this.codec.encodeKey(key), value: null };
  }

  /** @internal */
  writeOf(operation: BatchOperation<Key, Value>): Write {
    if (operation?.type === 'put') return this.putOf(operation.key, operation.value);
    if (operation?.type === 'delete') return this.deletionOf(operation.key);
    throw argument("An operation of a batch is { type: 'put', key, value } or { type: 'delete', key }.", { operation });
  }

  /** @internal */
  readonly takeEntry: TakeEntry<[Key, Value]> = (scan, at) => {
    const { codec } = this;
    const packed = scan.packed ?? null;
    // The bytes of both, before an encoding of the program's runs: it might go on with this very range.
    const value = packed === null ? scan.values[at]! : packed.valueAt(at);
    const key = packed === null ? codec.decodeKey(scan.keys[at]!) : codec.packedKey(packed, at);
    return [key, codec.decodeValue(value)];
  };

  /** @internal */
  readonly takeKey: TakeEntry<Key> = (scan, at) => {
    const packed = scan.packed ?? null;
    return packed === null ? this.codec.decodeKey(scan.keys[at]!) : this.codec.packedKey(packed, at);
  };

  /** @internal */
  readonly takeValue: TakeEntry<Value> = (scan, at) => {
    const packed = scan.packed ?? null;
    return packed === null ? this.codec.decodeValue(scan.values[at]!) : this.codec.decodeValue(packed.valueAt(at));
  };

  /** An operation as `db.batch()` takes it may be of another index. */
  private assertOwn(operation: BatchOperation<Key, Value> & { readonly index?: unknown }): void {
    const index = operation?.index;
    if (index === undefined || (index instanceof IndexHandle && index.entry === this.entry)) return;
    const which = index instanceof IndexHandle ? `the index '${index.name}'` : describe(index);
    throw argument(
      `A batch of the index '${this.name}' changes no other: an operation names ${which}. Use db.batch().`,
      {
        index: this.name,
      },
    );
  }

  private keyToRead(key: Key): Uint8Array {
    this.core.state.assertUsable();
    return this.codec.encodeKey(key);
  }

  private read(key: Uint8Array, snapshot: EngineSnapshot['core'] | null): Value | undefined {
    const { reference } = this;
    return this.core.concurrency.lookup(this.entry, key, reference, snapshot)
      ? this.codec.decodeValue(reference.value)
      : undefined;
  }

  /** A read of a key whose page is missing, as of now. */
  private asCalled<Result>(read: (snapshot: EngineSnapshot['core'] | null) => Result): Promise<Result> {
    const { core } = this;
    // A reader reads again, from a later checkpoint, when the writer has overtaken it: a snapshot would forbid that.
    const snapshot = core.state.openedReadOnly ? null : core.snapshot();
    const look = (): Result => read(snapshot?.core ?? null);
    const release = (): void => snapshot?.release();
    try {
      // Once more: what is read on goes on from the fault that came last.
      const result = attemptRead(core.pages, look);
      if (result === FAULTED) return core.readOn(look).finally(release);
      release();
      return Promise.resolve(result);
    } catch (error) {
      release();
      throw error;
    }
  }

  private isThere(key: Uint8Array, snapshot: EngineSnapshot['core'] | null): boolean {
    return this.core.concurrency.lookup(this.entry, key, this.presence, snapshot);
  }

  private counting(options: RangeOptions<Key>): { readonly counter: EntryCounter; readonly limit: number } {
    const { core, entry } = this;
    core.state.assertUsable();
    assertNotDropped(entry);
    const { bounds, limit, snapshot } = checkRange(options, (key) => this.codec.encodeBound(key), false);
    return { counter: core.concurrency.count(entry, bounds, core.snapshotOf(snapshot)), limit };
  }

  /** Null: the index has to be counted. */
  private estimating(range: KeyRange<Key>): (() => number) | null {
    const { core, entry } = this;
    core.state.assertUsable();
    assertNotDropped(entry);
    const { bounds, limit } = checkKeyRange(range, (key) => this.codec.encodeBound(key));
    if (limit === 0) return () => 0;
    if (entry.index.estimate === undefined) return null;
    // An estimate is of what lies from one key up to, and without, another.
    const { maxKeySize } = this.codec;
    const { lowerExclusive, upperExclusive } = bounds;
    const lower = lowerExclusive && bounds.lower !== null ? keyAfter(bounds.lower, maxKeySize) : bounds.lower;
    if (lower === null && bounds.lower !== null) return () => 0;
    const upper = upperExclusive || bounds.upper === null ? bounds.upper : keyAfter(bounds.upper, maxKeySize);
    return () => {
      assertNotDropped(entry);
      return entry.index.estimate?.(lower, upper) ?? 0;
    };
  }

  private stream<Item>(options: RangeOptions<Key>, wantsValues: boolean, take: TakeEntry<Item>): EntryStream<Item> {
    return new EntryStream(this.core, this.source(options, wantsValues, take));
  }

  private source<Item>(options: RangeOptions<Key>, wantsValues: boolean, take: TakeEntry<Item>): EntrySource<Item> {
    const assertOpen = (): void => this.core.state.assertUsable();
    assertOpen();
    assertNotDropped(this.entry);
    const { bounds, limit, snapshot } = checkRange(options, (key) => this.codec.encodeBound(key), wantsValues);
    const scan = this.core.concurrency.scan(this.entry, bounds, this.core.snapshotOf(snapshot));
    return { scan, limit, take, assertOpen };
  }
}
