/**
 * A transaction as users of Level have it: keys and values in any encoding, of the database and its sublevels, read at one moment and written together.
 */
import { AbstractIterator, type AbstractSublevel } from 'abstract-level';
import type { TransactionOptions as EngineOptions, IndexHandle, Transaction } from 'pagewright';
import { assertBounds, BOUNDS, checkingTargets } from './checked.js';
import type { Clearing } from './clearing.js';
import { Cursor, type EncodedIteratorOptions, type EntrySource, type Shape } from './cursor.js';
import { levelError, PagewrightLevelError } from './errors.js';
import {
  type IteratorOptions,
  type KeyIteratorOptions,
  PagewrightIterator,
  PagewrightKeyIterator,
  PagewrightValueIterator,
  type ValueIteratorOptions,
} from './iterators.js';
import {
  type EncodedOperation,
  type Format,
  inFormat,
  keyBytes,
  lendKey,
  lendValue,
  type Stored,
} from './stored-bytes.js';
import { type Encoded, inBytes } from './view-bytes.js';
import { engineWrite, type WriteOptions } from './write-options.js';

export interface TransactionOptions extends WriteOptions {
  /** How often the function runs again after a conflict. Default: 10. */
  readonly retries?: number | undefined;
  /** With `serializable` it is a conflict, too, if anything that it has read was changed meanwhile. Default: `snapshot`. */
  readonly isolation?: 'snapshot' | 'serializable' | undefined;
  /** Aborts the transaction, unless it is being committed: it rejects with the reason when the function has come to its end. */
  readonly signal?: AbortSignal | undefined;
}

// biome-ignore lint/suspicious/noExplicitAny: keys and values of a sublevel are what its own encodings say.
type AnySublevel = AbstractSublevel<any, any, any, any>;

type KeyEncoding<K> = NonNullable<IteratorOptions<K, unknown>['keyEncoding']>;
type ValueEncoding<V> = NonNullable<IteratorOptions<unknown, V>['valueEncoding']>;

export interface KeyOptions<K> {
  readonly keyEncoding?: KeyEncoding<K> | undefined;
  /** The sublevel, of the same database, that has the key. Its encodings are the default then. */
  readonly sublevel?: AnySublevel | undefined;
}

export interface ValueOptions<K, V> extends KeyOptions<K> {
  readonly valueEncoding?: ValueEncoding<V> | undefined;
}

/** Of an iterator in a transaction, which reads at the transaction's moment. */
export type TransactionRangeOptions<Options> = Omit<Options, 'snapshot'> & {
  readonly sublevel?: AnySublevel | undefined;
};

/** As in the engine. */
export const DEFAULT_RETRIES = 10;

/** With a batch: commits it within the transaction whose writes they are. */
export const WITHIN: unique symbol = Symbol('within');
export type CommitWithin = (operations: readonly EncodedOperation[]) => Promise<void>;

/** A database or sublevel as abstract-level has it for implementations, which it does not declare, with keys and values of any type. */
interface Level {
  /** Of a sublevel: what all its keys begin with, in ASCII. */
  readonly prefix?: string;
  /** Of a sublevel: the database. */
  readonly db?: unknown;
  readonly hooks: { readonly prewrite: { readonly noop: boolean } };
  keyEncoding(encoding: unknown): Encoding;
  valueEncoding(encoding: unknown): Encoding;
  prefixKey(key: Stored, format: Format, local: boolean): Encoded;
  listenerCount(event: string): number;
  batch(operations: readonly Operation[], options: { readonly [WITHIN]: CommitWithin }): Promise<void>;
  _assertValidKey(key: unknown): void;
  _assertValidValue(value: unknown): void;
}

interface Encoding {
  readonly format: Format;
  encode(data: unknown): Encoded;
  decode(data: Stored): unknown;
}

interface Operation {
  readonly type: 'put' | 'del';
  readonly [option: string]: unknown;
}

interface Kept {
  readonly encoding: Encoding;
  readonly encoded: Stored;
}

/** A write; without a value a key is deleted. */
interface Made {
  readonly options: object;
  readonly key: Kept;
  readonly value: Kept | null;
}

/** Errors: `LEVEL_INVALID_OPTION`. */
export function checkTransaction(run: unknown, options: TransactionOptions): EngineOptions {
  if (typeof run !== 'function') throw invalid('A transaction takes a function.');
  if (typeof options !== 'object' || options === null) throw invalid('The options of a transaction are an object.');
  const { sync, durability, ...rest } = options;
  return { ...rest, ...engineWrite({ sync, durability }) } as EngineOptions;
}

/**
 * Made by `db.transaction()`. Errors of all methods: `LEVEL_TRANSACTION_NOT_OPEN` once the function has returned or thrown, `LEVEL_SNAPSHOT_TOO_OLD` if what it
 * reads had to be given up, and those of the database.
 */
export class LevelTransaction<KDefault = string, VDefault = string> {
  readonly #db: Level;
  readonly #core: Transaction;
  readonly #entries: IndexHandle<Uint8Array, Uint8Array>;
  readonly #clearing: Clearing;
  /** Those that are open. */
  readonly #iterators = new Map<Cursor, { close(): Promise<void> }>();
  /** The writes as the program made them, for hooks and listeners: who is told is known only when it commits. */
  readonly #made: Made[] = [];
  /** The point before them. */
  readonly #before: number;

  /** @internal */
  constructor(db: object, core: Transaction, entries: IndexHandle<Uint8Array, Uint8Array>, clearing: Clearing) {
    this.#db = db as Level;
    this.#core = core;
    this.#entries = entries;
    this.#clearing = clearing;
    this.#before = core.savepoint();
  }

  /** Aborted when there is no use in going on: by the option `signal`, because it was open for too long, or because the database is being closed. */
  get signal(): AbortSignal {
    return this.#core.signal;
  }

  /** The value, or undefined if there is none. */
  get(key: KDefault): Promise<VDefault | undefined>;
  get<K = KDefault, V = VDefault>(key: K, options: ValueOptions<K, V>): Promise<V | undefined>;
  async get(key: unknown, given?: ValueOptions<unknown, unknown>): Promise<unknown> {
    try {
      const options = optionsOf(given);
      const { db, stored } = this.#keyOf(key, options);
      return this.#decode(db, await this.#core.get(this.#entries, lendKey(stored)), options);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** The same, now. */
  getSync(key: KDefault): VDefault | undefined;
  getSync<K = KDefault, V = VDefault>(key: K, options: ValueOptions<K, V>): V | undefined;
  getSync(key: unknown, given?: ValueOptions<unknown, unknown>): unknown {
    try {
      const options = optionsOf(given);
      const { db, stored } = this.#keyOf(key, options);
      return this.#decode(db, this.#core.getSync(this.#entries, lendKey(stored)), options);
    } catch (error) {
      throw levelError(error);
    }
  }

  /** The values in the order of the keys. */
  getMany(keys: KDefault[]): Promise<(VDefault | undefined)[]>;
  getMany<K = KDefault, V = VDefault>(keys: K[], options: ValueOptions<K, V>): Promise<(V | undefined)[]>;
  async getMany(keys: unknown[], given?: ValueOptions<unknown, unknown>): Promise<unknown[]> {
    if (!Array.isArray(keys)) throw new TypeError("The first argument 'keys' must be an array");
    try {
      const options = optionsOf(given);
      const db = this.#levelOf(options);
      const stored = keys.map((key) => keyBytes(this.#keyOf(key, options).stored));
      const values = await this.#core.getMany(this.#entries, stored);
      return values.map((bytes) => this.#decode(db, bytes, options));
    } catch (error) {
      throw levelError(error);
    }
  }

  has(key: KDefault): Promise<boolean>;
  has<K = KDefault>(key: K, options: KeyOptions<K>): Promise<boolean>;
  async has(key: unknown, given?: KeyOptions<unknown>): Promise<boolean> {
    try {
      const { stored } = this.#keyOf(key, optionsOf(given));
      return await this.#core.has(this.#entries, lendKey(stored));
    } catch (error) {
      throw levelError(error);
    }
  }

  /** Kept in memory until the transaction is committed. */
  put(key: KDefault, value: VDefault): void;
  put<K = KDefault, V = VDefault>(key: K, value: V, options: ValueOptions<K, V>): void;
  put(key: unknown, value: unknown, given?: ValueOptions<unknown, unknown>): void {
    try {
      const options = optionsOf(given);
      const { db, stored, asGiven } = this.#keyOf(key, options);
      db._assertValidValue(value);
      const encoding = db.valueEncoding(options.valueEncoding);
      const encoded = inBytes(encoding.encode(value), 'value');
      this.#core.put(this.#entries, lendKey(stored), lendValue(encoded));
      this.#made.push({ options: { ...options }, key: asGiven(), value: kept(encoding, encoded) });
    } catch (error) {
      throw levelError(error);
    }
  }

  del(key: KDefault): void;
  del<K = KDefault>(key: K, options: KeyOptions<K>): void;
  del(key: unknown, given?: KeyOptions<unknown>): void {
    try {
      const options = optionsOf(given);
      const { stored, asGiven } = this.#keyOf(key, options);
      this.#core.delete(this.#entries, lendKey(stored));
      this.#made.push({ options: { ...options }, key: asGiven(), value: null });
    } catch (error) {
      throw levelError(error);
    }
  }

  /** Entries in order of key, the transaction's own writes among them. It ends with the transaction. */
  iterator(): PagewrightIterator<unknown, KDefault, VDefault>;
  iterator<K = KDefault, V = VDefault>(
    options: TransactionRangeOptions<IteratorOptions<K, V>>,
  ): PagewrightIterator<unknown, K, V>;
  iterator(given?: object): PagewrightIterator<unknown, unknown, unknown> {
    const { db, encoded, cursor } = this.#range('entries', optionsOf(given));
    return this.#attached(cursor, new PagewrightIterator<unknown, unknown, unknown>(db, encoded as never, cursor));
  }

  keys(): PagewrightKeyIterator<unknown, KDefault>;
  keys<K = KDefault>(options: TransactionRangeOptions<KeyIteratorOptions<K>>): PagewrightKeyIterator<unknown, K>;
  keys(given?: object): PagewrightKeyIterator<unknown, unknown> {
    const { db, encoded, cursor } = this.#range('keys', optionsOf(given));
    return this.#attached(cursor, new PagewrightKeyIterator<unknown, unknown>(db, encoded as never, cursor));
  }

  values(): PagewrightValueIterator<unknown, KDefault, VDefault>;
  values<K = KDefault, V = VDefault>(
    options: TransactionRangeOptions<ValueIteratorOptions<K, V>>,
  ): PagewrightValueIterator<unknown, K, V>;
  values(given?: object): PagewrightValueIterator<unknown, unknown, unknown> {
    const { db, encoded, cursor } = this.#range('values', optionsOf(given));
    return this.#attached(cursor, new PagewrightValueIterator<unknown, unknown, unknown>(db, encoded as never, cursor));
  }

  /** Forgets all writes. `db.transaction()` then resolves to what the function returns, and nothing is written. */
  abort(): void {
    this.#core.abort();
  }

  /**
   * Commits, between clearings, and lets hooks and listeners have their say.
   * @internal
   */
  async settle(): Promise<void> {
    if (this.#made.length > 0) await this.#clearing.commit(() => this.#commit());
  }

  /** @internal */
  async end(): Promise<void> {
    await Promise.all([...this.#iterators.values()].map((iterator) => iterator.close()));
  }

  async #commit(): Promise<void> {
    if (this.#core.closed) return;
    const { hooks } = this.#db;
    const isTold = !hooks.prewrite.noop || this.#db.listenerCount('write') > 0;
    if (!isTold) return this.#core.commit();
    // It commits within, and only then tells the listeners.
    await this.#db.batch(this.#made.map(operationOf), { [WITHIN]: (made) => this.#commitInstead(made) });
  }

  /** Commits what the hooks have made of its writes in place of these. */
  #commitInstead(made: readonly EncodedOperation[]): Promise<void> {
    const core = this.#core;
    core.rollbackTo(this.#before);
    for (const operation of made) {
      if (operation.type === 'put') core.put(this.#entries, lendKey(operation.key), lendValue(operation.value));
      else core.delete(this.#entries, lendKey(operation.key));
    }
    return core.commit();
  }

  /** The key as it is stored, and as the program gave it. */
  #keyOf(
    key: unknown,
    options: KeyOptions<unknown>,
  ): { readonly db: Level; readonly stored: Encoded; readonly asGiven: () => Kept } {
    const db = this.#levelOf(options);
    db._assertValidKey(key);
    const encoding = db.keyEncoding(options.keyEncoding);
    const encoded = inBytes(encoding.encode(key), 'key');
    return { db, stored: db.prefixKey(encoded, encoding.format, false), asGiven: () => kept(encoding, encoded) };
  }

  #levelOf({ sublevel }: KeyOptions<unknown>): Level {
    if (sublevel === undefined || sublevel === null) return this.#db;
    const level = sublevel as unknown as Level;
    if (level.db === this.#db || level === this.#db) return level;
    throw invalid('The option sublevel takes a sublevel of the database of the transaction.');
  }

  #decode(db: Level, bytes: Uint8Array | undefined, options: ValueOptions<unknown, unknown>): unknown {
    if (bytes === undefined) return undefined;
    const encoding = db.valueEncoding(options.valueEncoding);
    try {
      return encoding.decode(inFormat(bytes, encoding.format));
    } catch (error) {
      throw new PagewrightLevelError('LEVEL_DECODE_ERROR', 'Could not decode value', { cause: error });
    }
  }

  #range(
    shape: Shape,
    given: TransactionRangeOptions<IteratorOptions<unknown, unknown>>,
  ): { readonly db: Level; readonly encoded: object; readonly cursor: Cursor } {
    const { sublevel, ...options } = given;
    const db = this.#levelOf({ sublevel });
    assertBounds(options);
    if ('snapshot' in options)
      throw invalid('An iterator in a transaction reads at its moment, and takes no snapshot.');
    const keyEncoding = db.keyEncoding(options.keyEncoding);
    const valueEncoding = db.valueEncoding(options.valueEncoding);
    const encoded: Record<string | symbol, unknown> = {
      ...options,
      reverse: options.reverse === true,
      limit: Number.isInteger(options.limit) && (options.limit as number) >= 0 ? options.limit : -1,
      keyEncoding: keyEncoding.format,
      valueEncoding: valueEncoding.format,
      // Where AbstractIterator looks for how to decode.
      [ITERATOR.keyEncoding]: keyEncoding,
      [ITERATOR.valueEncoding]: valueEncoding,
    };
    for (const bound of BOUNDS) {
      if (!Object.hasOwn(options, bound)) continue;
      const bytes: Encoded | undefined = keyEncoding.encode(options[bound]);
      // As abstract-level has it: a bound that is encoded as nothing is none.
      encoded[bound] = bytes === undefined ? undefined : db.prefixKey(inBytes(bytes, 'key'), keyEncoding.format, false);
    }
    const { prefix = '' } = db;
    if (prefix !== '') {
      if (encoded.gt === undefined && encoded.gte === undefined) encoded.gte = prefix;
      if (encoded.lt === undefined && encoded.lte === undefined) encoded.lte = endOf(prefix);
    }
    try {
      const source = this.#source(() => this.#iterators.delete(cursor));
      const cursor = new Cursor(source, shape, encoded as unknown as EncodedIteratorOptions, prefix.length);
      return { db, encoded, cursor };
    } catch (error) {
      throw levelError(error);
    }
  }

  #source(release: () => void): EntrySource {
    const core = this.#core;
    const entries = this.#entries;
    return {
      range: (options) => core.range(entries, options),
      keys: (options) => core.keys(entries, options),
      values: (options) => core.values(entries, options),
      release,
    };
  }

  #attached<Iterator extends { close(): Promise<void> }>(cursor: Cursor, iterator: Iterator): Iterator {
    this.#iterators.set(cursor, iterator);
    return checkingTargets(iterator);
  }
}

const ITERATOR = AbstractIterator as unknown as { readonly keyEncoding: symbol; readonly valueEncoding: symbol };

/** As abstract-level has it: the separator is followed by a character that no name has. */
function endOf(prefix: string): string {
  return prefix.slice(0, -1) + String.fromCharCode(prefix.charCodeAt(prefix.length - 1) + 1);
}

function invalid(message: string): PagewrightLevelError {
  return new PagewrightLevelError('LEVEL_INVALID_OPTION', message);
}

/** As abstract-level has it: what is no object is as if nothing had been given. */
function optionsOf<Options extends object>(given: Options | null | undefined): Options {
  return typeof given === 'object' && given !== null ? given : ({} as Options);
}

/** A key or value as it was encoded, whatever becomes of what the program has given: it may change its own when the call has returned. */
function kept(encoding: Encoding, encoded: Stored): Kept {
  return { encoding, encoded: typeof encoded === 'string' ? encoded : Uint8Array.from(encoded) };
}

/** A write as hooks and listeners are given it. */
function operationOf({ options, key, value }: Made): Operation {
  if (value === null) return { ...options, type: 'del', key: decoded(key) };
  return { ...options, type: 'put', key: decoded(key), value: decoded(value) };
}

function decoded({ encoding, encoded }: Kept): unknown {
  return encoding.decode(typeof encoded === 'string' ? encoded : inFormat(encoded, encoding.format));
}
