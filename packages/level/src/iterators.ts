/** The three kinds of iterators. All that they do is done by a cursor; abstract-level minds calls, limits and decoding. */
import {
  AbstractIterator,
  type AbstractIteratorOptions,
  AbstractKeyIterator,
  type AbstractKeyIteratorOptions,
  AbstractValueIterator,
  type AbstractValueIteratorOptions,
} from 'abstract-level';
import type { Cursor } from './cursor.js';
import type { Encoded } from './view-bytes.js';

export interface ReadAheadOptions {
  /**
   * `nextv(size)` gives no further entries once those that it has exceed so many bytes of keys and values: fewer than `size`, and one at least. Default: 1 MiB.
   */
  readonly highWaterMarkBytes?: number | undefined;
}

export type IteratorOptions<K, V> = AbstractIteratorOptions<K, V> & ReadAheadOptions;
export type KeyIteratorOptions<K> = AbstractKeyIteratorOptions<K> & ReadAheadOptions;
export type ValueIteratorOptions<K, V> = AbstractValueIteratorOptions<K, V> & ReadAheadOptions;

export class PagewrightIterator<TDatabase, K, V> extends AbstractIterator<TDatabase, K, V> {
  readonly #cursor: Cursor;

  /** @internal */
  constructor(db: TDatabase, options: AbstractIteratorOptions<K, V>, cursor: Cursor) {
    super(db, options);
    this.#cursor = cursor;
  }

  /** @internal */
  _next(): Promise<unknown> {
    return this.#cursor.next();
  }

  /** @internal */
  _nextv(size: number): Promise<unknown[]> {
    return this.#cursor.nextv(size);
  }

  /** @internal */
  _seek(target: Encoded): void {
    this.#cursor.seek(target);
  }

  /** @internal */
  async _close(): Promise<void> {
    this.#cursor.close();
  }
}

export class PagewrightKeyIterator<TDatabase, K> extends AbstractKeyIterator<TDatabase, K> {
  readonly #cursor: Cursor;

  /** @internal */
  constructor(db: TDatabase, options: AbstractKeyIteratorOptions<K>, cursor: Cursor) {
    super(db, options);
    this.#cursor = cursor;
  }

  /** @internal */
  _next(): Promise<unknown> {
    return this.#cursor.next();
  }

  /** @internal */
  _nextv(size: number): Promise<unknown[]> {
    return this.#cursor.nextv(size);
  }

  /** @internal */
  _seek(target: Encoded): void {
    this.#cursor.seek(target);
  }

  /** @internal */
  async _close(): Promise<void> {
    this.#cursor.close();
  }
}

export class PagewrightValueIterator<TDatabase, K, V> extends AbstractValueIterator<TDatabase, K, V> {
  readonly #cursor: Cursor;

  /** @internal */
  constructor(db: TDatabase, options: AbstractValueIteratorOptions<K, V>, cursor: Cursor) {
    super(db, options);
    this.#cursor = cursor;
  }

  /** @internal */
  _next(): Promise<unknown> {
    return this.#cursor.next();
  }

  /** @internal */
  _nextv(size: number): Promise<unknown[]> {
    return this.#cursor.nextv(size);
  }

  /** @internal */
  _seek(target: Encoded): void {
    this.#cursor.seek(target);
  }

  /** @internal */
  async _close(): Promise<void> {
    this.#cursor.close();
  }
}
