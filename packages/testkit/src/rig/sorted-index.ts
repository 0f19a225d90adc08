/**
 * An index that keeps its entries in a sorted array. Keys with the same first byte share a page, as far as stamps,
 * batches and faults go, so that what concurrency control makes of them is put to the test.
 */
import {
  type Cursor,
  type EntryBatch,
  type EntryCount,
  type EntryReference,
  type Index,
  type PageBounds,
  PageFault,
  TAG_VALUE,
} from '@pagewright/core';

export interface SortedEntry {
  /** The key, one character for each byte. */
  readonly text: string;
  readonly tag: number;
  readonly value: Uint8Array;
}

/** What an index tells its surroundings, and asks of them. */
export interface SortedIndexHooks {
  /** Whether the next access of a page must wait for a read: then it throws `PageFault`. */
  mustFault(): boolean;
  /** An entry is about to be put or removed by the commit of this timestamp. May throw to refuse it. */
  onChange(index: SortedIndex, change: 'upsert' | 'remove', tag: number, timestamp: number): void;
}

export class SortedIndex implements Index {
  entries: SortedEntry[] = [];
  /** Set to fail the next change, as a page does that cannot be read. */
  failNextUpsert = false;
  /** Set to fail all reads. */
  unreadable: Error | null = null;
  /** Entries that cursors have handed out. */
  handedOut = 0;
  /** Whether its cursors count: that is theirs to choose. */
  counts = true;
  private readonly stamps = new Map<string, number>();

  constructor(private readonly hooks: SortedIndexHooks) {}

  lookup(key: Uint8Array, into: EntryReference): boolean {
    this.touch();
    const text = textOf(key);
    into.timestamp = this.stampOf(text);
    const entry = this.entries[this.position(text)];
    if (entry?.text !== text) return false;
    into.tag = entry.tag;
    if (into.wantsValue) into.value = new Uint8Array(entry.value);
    return true;
  }

  upsert(key: Uint8Array, tag: number, value: Uint8Array, timestamp: number): void {
    if (this.failNextUpsert) {
      this.failNextUpsert = false;
      throw new Error('the page could not be read');
    }
    this.hooks.onChange(this, 'upsert', tag, timestamp);
    const text = textOf(key);
    const at = this.position(text);
    const replaces = this.entries[at]?.text === text ? 1 : 0;
    this.entries.splice(at, replaces, { text, tag, value: new Uint8Array(value) });
    this.stamp(text, timestamp);
  }

  remove(key: Uint8Array, timestamp: number): boolean {
    this.touch();
    this.hooks.onChange(this, 'remove', TAG_VALUE, timestamp);
    const text = textOf(key);
    const at = this.position(text);
    if (this.entries[at]?.text !== text) return false;
    this.entries.splice(at, 1);
    this.stamp(text, timestamp);
    return true;
  }

  cursor(): Cursor {
    const cursor = new SortedCursor(this);
    return this.counts ? Object.assign(cursor, { count: (into: EntryCount) => cursor.countPage(into) }) : cursor;
  }

  check(): ReadonlyMap<number, PageBounds> {
    return new Map();
  }

  stats() {
    return { height: 1 };
  }

  touch(): void {
    if (this.hooks.mustFault()) throw new PageFault();
    if (this.unreadable !== null) throw this.unreadable;
  }

  /** The first entry that is not below the key. */
  position(text: string): number {
    let low = 0;
    let high = this.entries.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.entries[middle]!.text < text) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  stampOf(text: string): number {
    return this.stamps.get(pageOf(text)) ?? 0;
  }

  /** Of the pages from that of one key to that of another, both included; null is open. */
  highestStamp(from: string | null, to: string | null): number {
    let highest = 0;
    for (const [page, stamp] of this.stamps) {
      const isBefore = from !== null && page < pageOf(from);
      if (!isBefore && (to === null || page <= pageOf(to))) highest = Math.max(highest, stamp);
    }
    return highest;
  }

  private stamp(text: string, timestamp: number): void {
    this.stamps.set(pageOf(text), Math.max(timestamp, this.stampOf(text)));
  }
}

class SortedCursor implements Cursor {
  private from: string | null = null;
  private exclusive = false;
  private reverse = false;

  constructor(private readonly index: SortedIndex) {}

  seek(key: Uint8Array | null, options: { readonly exclusive?: boolean; readonly reverse?: boolean }): void {
    this.from = key === null ? null : textOf(key);
    this.exclusive = options.exclusive === true;
    this.reverse = options.reverse === true;
  }

  next(batch: EntryBatch): boolean {
    batch.count = 3; // What a fault leaves in the batch is not said.
    this.index.touch();
    const { entries } = this.index;
    let at = this.start();
    batch.count = 0;
    const first = entries[at];
    const next = first?.text ?? null;
    batch.timestamp = this.reverse
      ? this.index.highestStamp(next, this.from)
      : this.index.highestStamp(this.from, next);
    if (first === undefined) return false;
    const page = pageOf(first.text);
    while (batch.count < batch.limit) {
      const entry = entries[at];
      if (entry === undefined || pageOf(entry.text) !== page) break;
      batch.keys[batch.count] = Uint8Array.from(Buffer.from(entry.text, 'latin1'));
      batch.tags[batch.count] = entry.tag;
      if (batch.wantsValues) batch.values[batch.count] = new Uint8Array(entry.value);
      batch.count++;
      this.index.handedOut++;
      this.from = entry.text;
      this.exclusive = true;
      at += this.reverse ? -1 : 1;
    }
    // Now so and now so, as an index may that has values of many sizes.
    if (batch.mayPack && batch.count % 3 !== 0) pack(batch);
    return true;
  }

  /** Counts what is left of one page, as `Cursor.count` does. */
  countPage(into: EntryCount): boolean {
    into.count = 7; // What a fault leaves is not said.
    this.index.touch();
    into.count = into.values = into.timestamp = 0;
    into.isTooNew = into.hasValues = false;
    const { entries } = this.index;
    let at = this.start();
    const first = entries[at];
    if (first === undefined || this.isBeyond(first.text, into)) return false;
    const stamp = this.index.stampOf(first.text);
    into.isTooNew = stamp > into.newest;
    if (into.isTooNew) return true;
    const passed: SortedEntry[] = [];
    for (let entry: SortedEntry | undefined = first; entry !== undefined; entry = entries[at]) {
      if (pageOf(entry.text) !== pageOf(first.text) || this.isBeyond(entry.text, into)) break;
      passed.push(entry);
      at += this.reverse ? -1 : 1;
    }
    const values = passed.filter(({ tag }) => tag === TAG_VALUE).length;
    into.hasValues = into.deletedOnly && values > 0;
    if (into.hasValues) return true;
    Object.assign(into, { count: passed.length, values, timestamp: stamp });
    this.from = passed.at(-1)!.text;
    this.exclusive = true;
    return true;
  }

  private isBeyond(key: string, { end, inclusive }: EntryCount): boolean {
    if (end === null) return false;
    const bound = textOf(end);
    if (key === bound) return !inclusive;
    return this.reverse ? key < bound : key > bound;
  }

  private start(): number {
    const { from, index } = this;
    if (from === null) return this.reverse ? index.entries.length - 1 : 0;
    const at = index.position(from);
    const meets = index.entries[at]?.text === from && !this.exclusive;
    if (meets) return at;
    if (this.reverse) return at - 1;
    return index.entries[at]?.text === from ? at + 1 : at;
  }
}

/** Moves what is in a batch into memory where keys stand one behind the other. */
function pack(batch: EntryBatch): void {
  const { keys, values, packed, count } = batch;
  const some = keys.slice(0, count);
  const stored = batch.wantsValues ? values.slice(0, count) : [];
  let end = 0;
  let valueEnd = 0;
  for (let at = 0; at < count; at++) {
    packed.keys.starts[at] = end;
    end += some[at]!.length;
    packed.keys.ends[at] = end;
    packed.valueStarts[at] = valueEnd;
    packed.valueLengths[at] = stored[at]?.length ?? 0;
    valueEnd += packed.valueLengths[at]!;
  }
  packed.keys.begin(Uint8Array.from(Buffer.concat(some)), count);
  packed.values = Uint8Array.from(Buffer.concat(stored)).buffer;
  keys.length = values.length = 0;
  batch.isPacked = true;
}

function textOf(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}

function pageOf(text: string): string {
  return text.slice(0, 1);
}
