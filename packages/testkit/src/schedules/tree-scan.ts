/** A scan of an index that is checked batch by batch: what stays is met once and in order, and what changes is met as it has been. */
import { type Cursor, EntryBatch, type Index } from '@pagewright/core';
import { describe, type TreeModel, versionWith, type Watch } from './tree-model.js';
import { keyOf } from './tree-operations.js';
import { bytes, name } from './tree-store.js';

/** Entries in a batch at most. */
const BATCH = 32;

export class CheckedScan {
  readonly #watch: Watch;
  readonly #cursor: Cursor;
  readonly #batch = new EntryBatch();
  /** Keys that are there from the beginning and that the scan must meet, in its order; what changes is passed over. */
  readonly #expected: string[];
  #at = 0;
  #last: string | null = null;
  #left: number;

  constructor(
    private readonly model: TreeModel,
    index: Index,
    from: number | null,
    limit: number,
    private readonly reverse: boolean,
  ) {
    this.#left = limit;
    this.#watch = model.beginRead();
    this.#cursor = index.cursor();
    const first = from === null ? null : keyOf(from);
    this.#cursor.seek(first === null ? null : bytes(first), { reverse });
    this.#batch.limit = BATCH;
    const keys = [...model.content().keys()].filter((key) => first === null || (reverse ? key <= first : key >= first));
    this.#expected = keys.sort((a, b) => (a < b === reverse ? 1 : -1));
  }

  next(): boolean {
    const more = this.#cursor.next(this.#batch);
    if (!more) {
      this.#skipTo(null);
      return false;
    }
    for (let at = 0; at < this.#batch.count; at++) {
      this.#entry(
        Buffer.from(this.#batch.keys[at] as Uint8Array).toString('latin1'),
        this.#batch.values[at] as Uint8Array,
      );
      if (--this.#left === 0) return false;
    }
    return true;
  }

  end(): void {
    this.model.endRead(this.#watch);
  }

  #entry(key: string, value: Uint8Array): void {
    if (this.#last !== null && (key === this.#last || key < this.#last !== this.reverse))
      throw new Error(`A scan gives ${name(key)} after ${name(this.#last)}`);
    this.#last = key;
    this.#skipTo(key);
    const possible = this.model.possible(this.#watch, key);
    if (versionWith(value, possible) === undefined)
      throw new Error(`A scan gives ${name(key)} with ${value.length} bytes instead of ${describe(possible)}`);
  }

  /** Whatever is passed by must have changed meanwhile. */
  #skipTo(key: string | null): void {
    for (; this.#at < this.#expected.length; this.#at++) {
      const expected = this.#expected[this.#at] as string;
      if (key !== null && expected !== key && expected < key === this.reverse) return;
      if (expected === key) {
        this.#at++;
        return;
      }
      if (versionWith(null, this.model.possible(this.#watch, expected)) === undefined)
        throw new Error(`A scan passes over ${name(expected)}, which was there all the time`);
    }
  }
}
