/** A Level database in one index of a Pagewright store. */
import type {
  AbstractBatchOperation,
  AbstractBatchOptions,
  AbstractChainedBatch,
  AbstractChainedBatchWriteOptions,
  AbstractClearOptions,
  AbstractDatabaseOptions,
  AbstractDelOptions,
  AbstractIteratorOptions,
  AbstractKeyIteratorOptions,
  AbstractOpenOptions,
  AbstractPutOptions,
  AbstractResource,
  AbstractSnapshot,
  AbstractValueIteratorOptions,
} from 'abstract-level';
import {
  type Engine,
  type EngineSnapshot,
  type BatchOperation as EntryChange,
  type IndexHandle,
  isPagewrightError,
  type OpenStoreOptions,
  open,
  type Transaction,
} from 'pagewright';
import { boundsOf, type EncodedRange } from './bounds.js';
import { CheckedLevel } from './checked.js';
import { Clearing } from './clearing.js';
import { Cursor, type EncodedIteratorOptions, type EntrySource, type Shape } from './cursor.js';
import { makeDirectoryOf } from './database-directory.js';
import { levelError, notOpen, openingError, PagewrightLevelError, rethrow } from './errors.js';
import {
  type IteratorOptions,
  type KeyIteratorOptions,
  PagewrightIterator,
  PagewrightKeyIterator,
  PagewrightValueIterator,
  type ValueIteratorOptions,
} from './iterators.js';
import { isOfLevelDb, notReadHere } from './leveldb-directory.js';
import { engineSnapshotOf, PagewrightSnapshot } from './snapshot.js';
import {
  copyOfKey,
  copyOfValue,
  type EncodedOperation,
  type Format,
  inFormat,
  keyBytes,
  lendKey,
  lendValue,
  type Stored,
  valueBytes,
} from './stored-bytes.js';
import {
  type CommitWithin,
  checkTransaction,
  DEFAULT_RETRIES,
  LevelTransaction,
  type TransactionOptions,
  WITHIN,
} from './transaction.js';
import type { Encoded } from './view-bytes.js';
import { engineWrite, type WriteOptions } from './write-options.js';

/** What `pagewright`'s `open` takes, but what Level has words of its own for. */
type EngineOptions = Omit<OpenStoreOptions, 'create' | 'errorIfExists'>;

/** Of {@link PagewrightLevel.open}. */
export interface OpenOptions extends AbstractOpenOptions, EngineOptions {}

/** Of the constructor. */
export interface DatabaseOptions<K, V> extends AbstractDatabaseOptions<K, V>, EngineOptions {}

export interface PutOptions<K, V> extends AbstractPutOptions<K, V>, WriteOptions {}
export interface DelOptions<K> extends AbstractDelOptions<K>, WriteOptions {}
export interface BatchOptions<K, V> extends AbstractBatchOptions<K, V>, WriteOptions {}
export interface ClearOptions<K> extends AbstractClearOptions<K>, WriteOptions {}
export interface ChainedBatchWriteOptions extends AbstractChainedBatchWriteOptions, WriteOptions {}
export type BatchOperation<TDatabase, K, V> = AbstractBatchOperation<TDatabase, K, V>;

export interface ChainedBatch<TDatabase, K, V> extends AbstractChainedBatch<TDatabase, K, V> {
  write(): Promise<void>;
  write(options: ChainedBatchWriteOptions): Promise<void>;
}

/** All of them: others that a program gives are for its `postopen` hooks. */
const ENGINE_OPTIONS = Object.keys({
  archive: true,
  archiveTimeoutMs: true,
  checkpoint: true,
  commit: true,
  concurrency: true,
  durability: true,
  follow: true,
  from: true,
  indexes: true,
  io: true,
  log: true,
  memory: true,
  onFailure: true,
  onRecovery: true,
  pages: true,
  pageSize: true,
  plugins: true,
  readOnly: true,
  recover: true,
  transactions: true,
} satisfies Record<keyof EngineOptions, true>) as (keyof EngineOptions)[];

/** The index of the store that has the entries. */
const INDEX = 'level';
/** Times that a reader begins a read of several keys anew, because it went on to a later checkpoint meanwhile. */
const MOST_TIMES_OVERTAKEN = 16;

// What abstract-level hands to the methods below.

interface ReadRequest {
  readonly valueEncoding: Format;
  readonly snapshot?: AbstractSnapshot | null | undefined;
}

interface BatchRequest extends WriteOptions {
  readonly [WITHIN]?: CommitWithin;
}

interface ClearRequest extends EncodedRange, WriteOptions {
  readonly reverse: boolean;
  readonly limit: number;
  readonly snapshot?: AbstractSnapshot | null | undefined;
}

/** What there is while the database is open. */
interface Opened {
  readonly engine: Engine;
  readonly entries: IndexHandle<Uint8Array, Uint8Array>;
  readonly clearing: Clearing;
}

const MANIFEST = {
  encodings: { buffer: true, utf8: true, view: true },
  has: true,
  getSync: true,
  createIfMissing: true,
  errorIfExists: true,
  implicitSnapshots: true,
  explicitSnapshots: true,
  additionalMethods: { transaction: true },
  signals: { iterators: true },
};

/** Thrown by an attempt that is to begin anew when clearing is over. */
const COMES_LATER = Symbol('comes later');

const AS_CALLED = Object.freeze({ asCalled: true });
/** Released at once: nobody has to be told where it was made. */
const ONE_CALL = Object.freeze({ report: false });

/**
 * An abstract-level database in a file. Errors have the codes of {@link PagewrightLevelError}, or those of abstract-level.
 *
 * @template KDefault The default type of keys if not overridden on operations.
 * @template VDefault The default type of values if not overridden on operations.
 */
// biome-ignore lint/suspicious/noUnsafeDeclarationMerging: the methods that the interface declares are abstract-level's, which take more options here.
export class PagewrightLevel<KDefault = string, VDefault = string> extends CheckedLevel<
  string | Buffer | Uint8Array,
  KDefault,
  VDefault
> {
  /** Path of the store's file, as it was given. */
  readonly location: string;
  #opened: Opened | null = null;

  /** `location`: path of the file; its log is beside it, in `<location>-wal`. */
  constructor(location: string, options?: DatabaseOptions<KDefault, VDefault>) {
    if (typeof location !== 'string' || location === '') {
      throw new TypeError("The first argument 'location' must be a non-empty string");
    }
    super(MANIFEST, options);
    this.location = location;
  }

  /** The engine, for backups, verification, statistics and all else that Level has no words for. Errors: `LEVEL_DATABASE_NOT_OPEN`. */
  get engine(): Engine {
    return this.#open.engine;
  }

  /**
   * Runs the function in a transaction and commits it; resolves to what the function returned. The transaction reads what there was at its beginning, and its own
   * writes; these take effect together, or not at all. If something else was first to change a key that it writes, all is done again after a short wait, `retries`
   * times; `attempt` counts from 1. If the function throws, nothing is written.
   *
   * Errors: `LEVEL_TRANSACTION_CONFLICT`, `LEVEL_TRANSACTION_TOO_LARGE`, `LEVEL_COMMIT_UNKNOWN`, what the function throws.
   */
  async transaction<Result>(
    run: (transaction: LevelTransaction<KDefault, VDefault>, attempt: number) => Result | PromiseLike<Result>,
    options: TransactionOptions = {},
  ): Promise<Result> {
    const engineOptions = checkTransaction(run, options);
    if (this.status === 'opening') return this.deferAsync(() => this.transaction(run, options));
    const { engine, entries, clearing } = this.#open;
    let attempts = 0;
    const attemptOnce = async (core: Transaction, attempt: number): Promise<Result> => {
      // It may have the turn to write, and what is under way may wait for that: it waits with everything given up.
      if (attempt > 1 && clearing.isUnderWay) throw COMES_LATER;
      attempts++;
      const transaction = new LevelTransaction<KDefault, VDefault>(this, core, entries, clearing);
      try {
        const result = await run(transaction, attempts);
        await transaction.settle();
        return result;
      } finally {
        await transaction.end();
      }
    };
    for (;;) {
      const left = attempts === 0 ? {} : { retries: (options.retries ?? DEFAULT_RETRIES) - attempts };
      try {
        return await clearing.transaction(() => engine.transaction(attemptOnce, { ...engineOptions, ...left }));
      } catch (error) {
        if (error !== COMES_LATER) throw levelError(error);
      }
    }
  }

  get #open(): Opened {
    if (this.#opened === null) throw notOpen();
    return this.#opened;
  }

  // ── For abstract-level ──────────────────────────────────────────────────────────────────────────────────────

  /** @internal */
  async _open(options: OpenOptions): Promise<void> {
    const { createIfMissing = true, errorIfExists = false } = options;
    if ('create' in options) {
      throw new PagewrightLevelError(
        'LEVEL_INVALID_OPTION',
        "The option is called 'createIfMissing' here, not 'create'.",
      );
    }
    const engineOptions = pick(options, ENGINE_OPTIONS);
    const create = createIfMissing && engineOptions.readOnly !== true;
    let engine: Engine | null = null;
    try {
      if (create) await makeDirectoryOf(this.location);
      engine = await open(this.location, { ...engineOptions, create, errorIfExists });
      const entries = await engine.index(INDEX, { key: 'buffer', value: 'buffer' });
      this.#opened = { engine, entries, clearing: new Clearing(entries) };
    } catch (error) {
      await engine?.close().catch(() => {});
      if (isPagewrightError(error, 'PW_NOT_A_STORE') && (await isOfLevelDb(this.location)))
        throw notReadHere(this.location, error);
      throw openingError(error, this.location);
    }
  }

  /** @internal */
  async _close(): Promise<void> {
    const opened = this.#opened;
    // Whatever comes of it, this engine has ended: after an error the database can be closed once more, and opened again.
    this.#opened = null;
    await opened?.engine.close().catch(rethrow);
  }

  /** @internal */
  async _get(key: Encoded, options: ReadRequest): Promise<Stored | undefined> {
    const { entries } = this.#open;
    try {
      const snapshot = this.#snapshotOf(options);
      const value = await entries.get(lendKey(key), snapshot === null ? AS_CALLED : { snapshot });
      return value === undefined ? undefined : inFormat(value, options.valueEncoding);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  _getSync(key: Encoded, options: ReadRequest): Stored | undefined {
    const { entries } = this.#open;
    try {
      const snapshot = this.#snapshotOf(options);
      const value = entries.getSync(lendKey(key), snapshot === null ? undefined : { snapshot });
      return value === undefined ? undefined : inFormat(value, options.valueEncoding);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  async _getMany(keys: readonly Encoded[], options: ReadRequest): Promise<(Stored | undefined)[]> {
    const { entries } = this.#open;
    const stored = keys.map(keyBytes);
    const values = await this.#atOneMoment(options, (snapshot) => entries.getMany(stored, { snapshot }));
    return values.map((value) => (value === undefined ? undefined : inFormat(value, options.valueEncoding)));
  }

  /** @internal */
  async _has(key: Encoded, options: ReadRequest): Promise<boolean> {
    const { entries } = this.#open;
    try {
      const snapshot = this.#snapshotOf(options);
      return await entries.has(lendKey(key), snapshot === null ? AS_CALLED : { snapshot });
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  async _hasMany(keys: readonly Encoded[], options: ReadRequest): Promise<boolean[]> {
    const { entries } = this.#open;
    const stored = keys.map(keyBytes);
    return this.#atOneMoment(options, (snapshot) => Promise.all(stored.map((key) => entries.has(key, { snapshot }))));
  }

  /** @internal */
  async _put(key: Encoded, value: Encoded, options: WriteOptions): Promise<void> {
    const { entries, clearing } = this.#open;
    try {
      const write = engineWrite(options);
      if (clearing.any) return await this.#later([{ type: 'put', key, value }], write);
      await entries.put(lendKey(key), lendValue(value), write);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  async _del(key: Encoded, options: WriteOptions): Promise<void> {
    const { entries, clearing } = this.#open;
    try {
      const write = engineWrite(options);
      if (clearing.any) return await this.#later([{ type: 'del', key }], write);
      await entries.delete(lendKey(key), write);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  async _batch(operations: readonly EncodedOperation[], options: BatchRequest): Promise<void> {
    const { entries, clearing } = this.#open;
    const within = options[WITHIN];
    // Its errors are for the engine to see first.
    if (within !== undefined) return within(operations);
    try {
      const write = engineWrite(options);
      if (clearing.any) return await this.#later(operations, write);
      await entries.batch(operations.map(changeOf), write);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  async _clear(options: ClearRequest): Promise<void> {
    const { clearing } = this.#open;
    try {
      const snapshot = this.#snapshotOf(options);
      const bounds = boundsOf(options);
      const write = engineWrite(options);
      const { reverse, limit } = options;
      await clearing.clear({ bounds, reverse, limit, snapshot, write });
    } catch (error) {
      throw levelError(error);
    }
  }

  /** @internal */
  _iterator<K, V>(options: AbstractIteratorOptions<K, V>): PagewrightIterator<this, K, V> {
    return new PagewrightIterator(this, options, this.#cursor('entries', options));
  }

  /** @internal */
  _keys<K>(options: AbstractKeyIteratorOptions<K>): PagewrightKeyIterator<this, K> {
    return new PagewrightKeyIterator(this, options, this.#cursor('keys', options));
  }

  /** @internal */
  _values<K, V>(options: AbstractValueIteratorOptions<K, V>): PagewrightValueIterator<this, K, V> {
    return new PagewrightValueIterator(this, options, this.#cursor('values', options));
  }

  /** @internal */
  _snapshot(options: { readonly owner: AbstractResource }): AbstractSnapshot {
    const { engine } = this.#open;
    try {
      return new PagewrightSnapshot(options, engine.snapshot());
    } catch (error) {
      throw levelError(error);
    }
  }

  // ── Inside ──────────────────────────────────────────────────────────────────────────────────────────────────

  #snapshotOf({ snapshot }: { readonly snapshot?: AbstractSnapshot | null | undefined }): EngineSnapshot | null {
    return snapshot === undefined || snapshot === null ? null : engineSnapshotOf(snapshot);
  }

  /** Changes that come after clearing what they may be about. Their bytes are the program's until then, so they are copied. */
  async #later(operations: readonly EncodedOperation[], write: ReturnType<typeof engineWrite>): Promise<void> {
    const { entries, clearing } = this.#open;
    const copies = operations.map((operation): EncodedOperation => {
      const key = copyOfKey(operation.key);
      return operation.type === 'put'
        ? { type: 'put', key, value: copyOfValue(operation.value) }
        : { type: 'del', key };
    });
    const keys = copies.map(({ key }) => key as Uint8Array);
    await clearing.change(keys, () => entries.batch(copies.map(changeOf), write));
  }

  /** Reads several keys at the moment of the call. */
  async #atOneMoment<Result>(
    options: ReadRequest,
    read: (snapshot: EngineSnapshot) => Promise<Result>,
  ): Promise<Result> {
    const { engine } = this.#open;
    try {
      const given = this.#snapshotOf(options);
      if (given !== null) return await read(given);
      for (let times = 1; ; times++) {
        const snapshot = engine.snapshot(ONE_CALL);
        try {
          return await read(snapshot);
        } catch (error) {
          // A reader goes on to later checkpoints, and nothing is committed here meanwhile.
          if (!engine.readOnly || !isPagewrightError(error, 'PW_SNAPSHOT_TOO_OLD') || times === MOST_TIMES_OVERTAKEN)
            throw error;
        } finally {
          snapshot.release();
        }
      }
    } catch (error) {
      throw levelError(error);
    }
  }

  #cursor(shape: Shape, options: object): Cursor {
    const { engine, entries } = this.#open;
    const encoded = options as EncodedIteratorOptions;
    const given = this.#snapshotOf(encoded);
    let own: EngineSnapshot | null = null;
    try {
      own = given === null ? engine.snapshot() : null;
      const snapshot = given ?? own!;
      const source: EntrySource = {
        range: (range) => entries.range({ ...range, snapshot }),
        keys: (range) => entries.keys({ ...range, snapshot }),
        values: (range) => entries.values({ ...range, snapshot }),
        release: () => own?.release(),
      };
      return new Cursor(source, shape, encoded);
    } catch (error) {
      own?.release();
      throw levelError(error);
    }
  }
}

/** As classic-level has them: with this database's options, and iterators. */
export interface PagewrightLevel<KDefault = string, VDefault = string> {
  open(): Promise<void>;
  open(options: OpenOptions): Promise<void>;

  put(key: KDefault, value: VDefault): Promise<void>;
  put<K = KDefault, V = VDefault>(key: K, value: V, options: PutOptions<K, V>): Promise<void>;

  del(key: KDefault): Promise<void>;
  del<K = KDefault>(key: K, options: DelOptions<K>): Promise<void>;

  batch(operations: BatchOperation<this, KDefault, VDefault>[]): Promise<void>;
  batch<K = KDefault, V = VDefault>(
    operations: BatchOperation<this, K, V>[],
    options: BatchOptions<K, V>,
  ): Promise<void>;
  batch(): ChainedBatch<this, KDefault, VDefault>;

  clear(): Promise<void>;
  clear<K = KDefault>(options: ClearOptions<K>): Promise<void>;

  iterator(): PagewrightIterator<this, KDefault, VDefault>;
  iterator<K = KDefault, V = VDefault>(options: IteratorOptions<K, V>): PagewrightIterator<this, K, V>;

  keys(): PagewrightKeyIterator<this, KDefault>;
  keys<K = KDefault>(options: KeyIteratorOptions<K>): PagewrightKeyIterator<this, K>;

  values(): PagewrightValueIterator<this, KDefault, VDefault>;
  values<K = KDefault, V = VDefault>(options: ValueIteratorOptions<K, V>): PagewrightValueIterator<this, K, V>;
}

function changeOf(operation: EncodedOperation): EntryChange<Uint8Array, Uint8Array> {
  const key = keyBytes(operation.key);
  return operation.type === 'put' ? { type: 'put', key, value: valueBytes(operation.value) } : { type: 'delete', key };
}

function pick<Options extends object, Name extends keyof Options>(
  options: Options,
  names: readonly Name[],
): Pick<Options, Name> {
  const picked: Partial<Options> = {};
  for (const name of names) if (options[name] !== undefined) picked[name] = options[name];
  return picked as Pick<Options, Name>;
}
