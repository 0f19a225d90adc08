/**
 * An index as programs use it. Every method that can wait has two forms: `x()` returns a promise and never blocks the
 * event loop, `xSync()` runs now. Both check their arguments first; what lies behind them trusts what it gets.
 */
import type { Write } from '../contracts/concurrency.js';
import { EntryReference } from '../contracts/index-plugin.js';
import { OPERATION_CLEAR_INDEX } from '../contracts/log.js';
import { PageFault } from '../contracts/pages.js';
import { PagewrightError } from '../errors.js';
import type { EngineCore } from './engine-core.js';
import type { EntryCodec } from './entry-codec.js';
import { type EntrySource, EntryStream, entriesNow, type TakeEntry } from './entry-stream.js';
import type { IndexEntry } from './index-entry.js';
import { prefetchKeys } from './prefetching.js';
import { argument, checkRange, type RangeOptions } from './range.js';
import { attemptRead, FAULTED } from './reading.js';
import type { EngineSnapshot } from './snapshot.js';

export interface ReadOptions {
  /** Read what was there when the snapshot was taken. */
  readonly snapshot?: EngineSnapshot | undefined;
}

/** One change of a batch. */
export type BatchOperation<Key, Value> =
  | { readonly type: 'put'; readonly key: Key; readonly value: Value }
  | { readonly type: 'delete'; readonly key: Key };

const NOTHING = new Uint8Array(0);
/** Entries counted, or keys read, between two turns of the event loop. */
const ENTRIES_A_TURN = 8192;

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
  get(key: Key, options?: ReadOptions): Promise<Value | undefined> {
    const { core, reference } = this;
    try {
      core.state.assertUsable();
      const snapshot = core.snapshotFor(options);
      const lent = this.codec.borrowKey(key);
      let found: boolean;
      core.pages.faulting = true;
      try {
        found = core.concurrency.lookup(this.entry, lent, reference, snapshot);
      } catch (error) {
        if (!(error instanceof PageFault)) throw error;
        core.pages.faulting = false;
        const bytes = lent.slice();
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
  async getMany(keys: readonly Key[], options?: ReadOptions): Promise<(Value | undefined)[]> {
    if (!Array.isArray(keys)) throw argument('getMany takes a list of keys.', { keys });
    const snapshot = this.core.snapshotFor(options);
    const encoded = keys.map((key) => this.keyToRead(key));
    const values: (Value | undefined)[] = [];
    // An older snapshot may see the tree that was there before a `clear`.
    const isNewest = snapshot === null || snapshot.timestamp >= this.entry.incarnation;
    const readSome = (): void => {
      const end = Math.min(encoded.length, (Math.floor(values.length / ENTRIES_A_TURN) + 1) * ENTRIES_A_TURN);
      while (values.length < end) values.push(this.read(encoded[values.length]!, snapshot));
    };
    // One read waits for the page that it misses; those behind it, which miss others, begin anew.
    const readOne = (): void => {
      values.push(this.read(encoded[values.length]!, snapshot));
    };
    while (values.length < encoded.length) {
      this.core.state.assertUsable();
      if (attemptRead(this.core.pages, readSome) === FAULTED) {
        if (isNewest) prefetchKeys(this.core.pages, this.entry, encoded, values.length);
        await this.core.readOn(readOne);
      } else if (values.length < encoded.length) await new Promise(setImmediate);
    }
    return values;
  }

  has(key: Key, options?: ReadOptions): Promise<boolean> {
    try {
      const bytes = this.keyToRead(key);
      const snapshot = this.core.snapshotFor(options);
      const look = (): boolean => this.isThere(bytes, snapshot);
      const found = attemptRead(this.core.pages, look);
      return found === FAULTED ? this.core.readOn(look) : Promise.resolve(found);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  hasSync(key: Key, options?: ReadOptions): boolean {
    this.core.state.assertUsable();
    const snapshot = this.core.snapshotFor(options);
    return this.isThere(this.codec.borrowKey(key), snapshot);
  }

  /** Inserts or replaces. Durable when it resolves. Puts take effect in the order in which they were called. */
  async put(key: Key, value: Value): Promise<void> {
    await this.core.commits.writes([this.putOf(key, value)]);
  }

  /** The same, now: it overtakes asynchronous changes that were called before it and are still being prepared. */
  putSync(key: Key, value: Value): void {
    this.core.commits.writesSync([this.putOf(key, value)]);
  }

  /** Deletes; a key that is not there is no error. Durable when it resolves. */
  async delete(key: Key): Promise<void> {
    await this.core.commits.writes([this.deletionOf(key)]);
  }

  deleteSync(key: Key): void {
    this.core.commits.writesSync([this.deletionOf(key)]);
  }

  /** All changes or none. Of several changes of one key the last counts. */
  async batch(operations: readonly BatchOperation<Key, Value>[]): Promise<void> {
    if (!Array.isArray(operations)) throw argument('batch takes a list of operations.', { operations });
    await this.core.commits.writes(operations.map((operation) => this.writeOf(operation)));
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
    return this.stream(options, false, (scan, at) => this.codec.decodeKey(scan.keys[at]!));
  }

  values(options: RangeOptions<Key> = {}): EntryStream<Value> {
    return this.stream(options, true, (scan, at) => this.codec.decodeValue(scan.values[at]!));
  }

  /** How many entries there are in the range. Goes through their keys. */
  async count(options: RangeOptions<Key> = {}): Promise<number> {
    const { scan, limit, assertOpen } = this.source(options, false, () => undefined);
    let count = 0;
    let more = true;
    const countBatch = (): void => {
      more = scan.next();
      count += scan.count;
    };
    const countSome = (): void => {
      for (let seen = 0; more && count < limit && seen < ENTRIES_A_TURN; seen += scan.count + 1) countBatch();
    };
    while (more && count < limit) {
      assertOpen();
      if (attemptRead(this.core.pages, countSome) === FAULTED) await this.core.readOn(countBatch);
      else if (more && count < limit) await new Promise(setImmediate);
    }
    return Math.min(count, limit);
  }

  /** Removes all entries, at once whatever their number. Older snapshots still see them. Durable when it resolves. */
  async clear(): Promise<void> {
    const { core, entry } = this;
    await core.commits.operation(
      () => {
        this.assertNotDropped();
        core.catalog.assertRoom();
        return { kind: OPERATION_CLEAR_INDEX, index: entry.number, key: NOTHING };
      },
      (timestamp) => core.catalog.clear(entry, timestamp),
    );
    core.housekeeping.wake();
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
  readonly takeEntry: TakeEntry<[Key, Value]> = (scan, at) => [
    this.codec.decodeKey(scan.keys[at]!),
    this.codec.decodeValue(scan.values[at]!),
  ];

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

  private isThere(key: Uint8Array, snapshot: EngineSnapshot['core'] | null): boolean {
    return this.core.concurrency.lookup(this.entry, key, this.presence, snapshot);
  }

  private stream<Item>(options: RangeOptions<Key>, wantsValues: boolean, take: TakeEntry<Item>): EntryStream<Item> {
    return new EntryStream(this.core, this.source(options, wantsValues, take));
  }

  private source<Item>(options: RangeOptions<Key>, wantsValues: boolean, take: TakeEntry<Item>): EntrySource<Item> {
    const assertOpen = (): void => this.core.state.assertUsable();
    assertOpen();
    this.assertNotDropped();
    const { bounds, limit, snapshot } = checkRange(options, (key) => this.codec.encodeBound(key), wantsValues);
    const scan = this.core.concurrency.scan(this.entry, bounds, this.core.snapshotOf(snapshot));
    return { scan, limit, take, assertOpen };
  }

  private assertNotDropped(): void {
    if (!this.entry.dropped) return;
    throw new PagewrightError(
      'PW_INDEX_DROPPED',
      `The index '${this.name}' was dropped. Open or create it again with index().`,
      {
        details: { index: this.name },
      },
    );
  }
}
