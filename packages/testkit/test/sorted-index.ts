/** The smallest index there is: a sorted array in memory, nothing on pages. It keeps the contract as far as that goes. */
import {
  assertBatchLimit,
  assertKeyFits,
  type Cursor,
  type EntryBatch,
  type EntryReference,
  type Index,
  type IndexType,
  type PageBounds,
} from '@pagewright/core';

interface Entry {
  readonly key: Buffer;
  readonly tag: number;
  readonly value: Uint8Array;
}

const BATCH_BYTES = 1024 * 1024;
const LONGEST_KEY = 1000;

export class SortedType implements IndexType {
  readonly name = 'sorted';

  limits() {
    return { maxKeySize: LONGEST_KEY, maxValueSize: 2_000_000 };
  }

  create(): Index {
    return new SortedIndex();
  }

  open(): Index {
    return this.create();
  }
}

class SortedIndex implements Index {
  readonly entries: Entry[] = [];
  timestamp = 0;

  lookup(key: Uint8Array, into: EntryReference): boolean {
    const entry = this.entries[this.position(key)];
    into.timestamp = this.timestamp;
    if (entry?.key.equals(key) !== true) return false;
    into.tag = entry.tag;
    if (into.wantsValue) into.value = entry.value.slice();
    return true;
  }

  upsert(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void {
    assertKeyFits(key, LONGEST_KEY);
    const at = this.position(key);
    const replaced = this.entries[at]?.key.equals(key) === true ? 1 : 0;
    this.entries.splice(at, replaced, { key: Buffer.from(key), tag, value: new Uint8Array(value) });
    this.timestamp = Math.max(this.timestamp, timestamp);
  }

  remove(key: Uint8Array, timestamp: number): boolean {
    const at = this.position(key);
    if (this.entries[at]?.key.equals(key) !== true) return false;
    this.entries.splice(at, 1);
    this.timestamp = Math.max(this.timestamp, timestamp);
    return true;
  }

  cursor(): Cursor {
    return new SortedCursor(this);
  }

  check(): ReadonlyMap<number, PageBounds> {
    return new Map();
  }

  stats() {
    return { height: 0 };
  }

  /** Of the first entry that is not below the key. */
  position(key: Uint8Array): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle]!.key.compare(key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

class SortedCursor implements Cursor {
  #from: Buffer | null = null;
  #exclusive = false;
  #reverse = false;

  constructor(private readonly index: SortedIndex) {}

  seek(key: Uint8Array | null, options: { readonly exclusive?: boolean; readonly reverse?: boolean }): void {
    this.#from = key === null ? null : Buffer.from(key);
    this.#exclusive = options.exclusive === true;
    this.#reverse = options.reverse === true;
  }

  next(batch: EntryBatch): boolean {
    const { entries, timestamp } = this.index;
    assertBatchLimit(batch.limit);
    batch.count = 0;
    batch.timestamp = timestamp;
    let bytes = 0;
    for (let at = this.#start(); batch.count < batch.limit && bytes <= BATCH_BYTES; at += this.#reverse ? -1 : 1) {
      const entry = entries[at];
      if (entry === undefined) break;
      batch.keys[batch.count] = Uint8Array.from(entry.key);
      batch.tags[batch.count] = entry.tag;
      if (batch.wantsValues) {
        batch.values[batch.count] = entry.value.slice();
        bytes += entry.value.length;
      }
      batch.count++;
      this.#from = entry.key;
      this.#exclusive = true;
    }
    return batch.count > 0;
  }

  #start(): number {
    const { entries } = this.index;
    if (this.#from === null) return this.#reverse ? entries.length - 1 : 0;
    const at = this.index.position(this.#from);
    const isThere = entries[at]?.key.equals(this.#from) === true;
    if (isThere && !this.#exclusive) return at;
    if (this.#reverse) return at - 1;
    return isThere ? at + 1 : at;
  }
}
