/** A tree, the sorted list that it must agree with, and the checks that both pass after every run. */
import { type Cursor, EntryBatch, EntryReference, type Index, type PageBounds, type PageStore } from '@pagewright/core';
import { BtreeType } from '../src/index.js';
import { MemoryPages, type MemoryPagesOptions } from './memory-pages.js';

export interface Entry {
  readonly key: string;
  readonly tag: number;
  readonly value: Uint8Array;
  /** Timestamp of the commit that put it. */
  readonly stamp: number;
}

export const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));
export const text = (key: Uint8Array): string => Buffer.from(key).toString('latin1');

/** Bytes that tell which value they are, and of which length. */
export function valueBytes(seed: number, length: number): Uint8Array {
  const value = new Uint8Array(length);
  for (let i = 0; i < length; i++) value[i] = (seed * 31 + i * 7 + (i >>> 8)) & 0xff;
  return value;
}

export const INDEX = 7;

export class ModelTree {
  readonly type = new BtreeType();
  readonly entries = new Map<string, Entry>();
  /** When keys that are not there were removed. */
  readonly removed = new Map<string, number>();
  readonly reference = new EntryReference();
  index: Index;
  timestamp = 10;
  #sorted: string[] | null = null;

  constructor(
    public pages: PageStore,
    readonly root = pages.root,
  ) {
    this.index = this.type.create({ pages, number: INDEX, root }, 1);
  }

  put(key: string, tag: number, value: Uint8Array): void {
    this.index.upsert(bytes(key), tag, value, ++this.timestamp);
    this.notePut(key, tag, value);
  }

  /** The tree has the entry since the last timestamp. */
  notePut(key: string, tag: number, value: Uint8Array): void {
    if (!this.entries.has(key)) this.#sorted = null;
    this.entries.set(key, { key, tag, value, stamp: this.timestamp });
  }

  /** The tree has no such entry since the last timestamp; whether it had one. */
  noteRemoval(key: string): boolean {
    if (!this.entries.delete(key)) return false;
    this.#sorted = null;
    this.removed.set(key, this.timestamp);
    return true;
  }

  remove(key: string): void {
    const removed = this.index.remove(bytes(key), ++this.timestamp);
    const there = this.noteRemoval(key);
    if (removed !== there) throw new Error(`remove of ${name(key)} answered ${removed}`);
  }

  get sorted(): readonly string[] {
    // Strings of latin1 compare as their bytes do.
    this.#sorted ??= [...this.entries.keys()].sort((a, b) => (a < b ? -1 : 1));
    return this.#sorted;
  }

  expectEntry(key: string): void {
    const { reference } = this;
    const expected = this.entries.get(key);
    reference.wantsValue = true;
    const found = this.index.lookup(bytes(key), reference);
    if (found !== (expected !== undefined)) throw new Error(`${name(key)} is ${found ? '' : 'not '}found`);
    const stamp = expected?.stamp ?? this.removed.get(key) ?? 0;
    if (reference.timestamp > this.timestamp || reference.timestamp < stamp)
      throw new Error(`${name(key)} was changed at ${stamp}, and its page has the stamp ${reference.timestamp}`);
    if (expected === undefined) return;
    if (reference.tag !== expected.tag) throw new Error(`${name(key)} has tag ${reference.tag}`);
    if (Buffer.compare(reference.value, expected.value) !== 0) throw new Error(`${name(key)} has another value`);
  }

  /** Scans between bounds, and compares. */
  expectScan(from: string | null, exclusive: boolean, reverse: boolean, limit: number, most = Infinity): void {
    const { sorted } = this;
    const expected = sorted.filter((key) => {
      if (from === null) return true;
      if (key === from) return !exclusive;
      return reverse ? key < from : key > from;
    });
    if (reverse) expected.reverse();
    const cursor = this.index.cursor();
    cursor.seek(from === null ? null : bytes(from), { exclusive, reverse });
    const scanned = readAll(cursor, limit, Math.min(most, expected.length + 1));
    const wanted = expected.slice(0, most);
    if (scanned.length !== wanted.length)
      throw new Error(
        `The scan from ${from === null ? 'the end' : name(from)} has ${scanned.length} entries instead of ${wanted.length}`,
      );
    for (const [at, key] of wanted.entries()) {
      const entry = this.entries.get(key)!;
      const other = scanned[at]!;
      if (other.key !== key || other.tag !== entry.tag || Buffer.compare(other.value, entry.value) !== 0)
        throw new Error(`Entry ${at} of the scan is ${name(other.key)} instead of ${name(key)}, or another value`);
    }
  }

  /** Everything that the tree says of itself agrees with the model. */
  expectWhole(): void {
    if (this.pages instanceof MemoryPages) this.pages.assertQuiet();
    const damage = checkTree(this.index, this.pages, this.root);
    if (damage.length > 0) throw new Error(`check reports: ${damage.slice(0, 5).join('; ')}`);
    for (const key of this.entries.keys()) this.expectEntry(key);
    for (const key of this.removed.keys()) this.expectEntry(key);
    this.expectScan(null, false, false, 1000);
    this.expectScan(null, false, true, 7);
    if (this.pages instanceof MemoryPages) this.pages.assertQuiet();
  }
}

export function memoryTree(options: MemoryPagesOptions = {}): ModelTree & { pages: MemoryPages } {
  return new ModelTree(new MemoryPages(options)) as ModelTree & { pages: MemoryPages };
}

/** All entries that a cursor still has, `limit` at a time. */
export function readAll(cursor: Cursor, limit: number, most = Infinity): Omit<Entry, 'stamp'>[] {
  const batch = new EntryBatch();
  batch.limit = limit;
  const entries: Omit<Entry, 'stamp'>[] = [];
  while (entries.length < most && cursor.next(batch)) {
    for (let i = 0; i < batch.count && entries.length < most; i++)
      entries.push({ key: text(batch.keys[i]!), tag: batch.tags[i]!, value: batch.values[i]! });
  }
  return entries;
}

/** What `check` reports of the pages of a tree in memory. */
export function checkTree(index: Index, pages: PageStore, root = pages.root): string[] {
  const damage: string[] = [];
  const report = (message: string) => damage.push(message);
  const visit = (frame: number, bounds: PageBounds): void => {
    // Pinned, so that it stays where it is while its children are brought in.
    pages.pin(frame);
    for (const [offset, below] of index.check(frame, bounds, report)) visit(childOf(pages, frame, offset), below);
    pages.unpin(frame);
  };
  visit(childOf(pages, root.frame, root.offset), { lower: null, upper: null });
  return damage;
}

function childOf(pages: PageStore, frame: number, offset: number): number {
  pages.latch(frame);
  const child = pages.childOfLatched(frame, offset);
  pages.unlatch(frame);
  return child;
}

function name(key: string): string {
  return key.length > 40 ? `a key of ${key.length} bytes (${JSON.stringify(key.slice(0, 20))}…)` : JSON.stringify(key);
}
