/**
 * An index and the sorted map that it must agree with. Whatever is done to the one is done to the other; then every
 * look-up and every scan can be told right from wrong. Keys are strings of latin1, which compare as their bytes do.
 */
import {
  type Cursor,
  EntryBatch,
  EntryReference,
  type Index,
  type IndexType,
  type PageStore,
  type SwipLocation,
} from '@pagewright/core';

export interface ModelEntry {
  readonly tag: number;
  readonly value: Uint8Array;
  /** Timestamp of the commit that put it. */
  readonly stamp: number;
}

/** An entry as a cursor handed it out. */
export interface ScannedEntry {
  readonly key: string;
  readonly tag: number;
  readonly value: Uint8Array;
}

/** A scan from a key on, or from the beginning or end if it is null. */
export interface ScanForm {
  readonly from: string | null;
  readonly exclusive: boolean;
  readonly reverse: boolean;
}

/** The number that the pages of a modelled index carry, unless another is given. */
const INDEX_NUMBER = 7;
/** So many empty batches in a row, or batches at all, are no index that goes on, but one that does not end. */
const MOST_EMPTY_BATCHES = 10_000;
const MOST_BATCHES = 1_000_000;

export class ModeledIndex<Pages extends PageStore = PageStore> {
  readonly entries = new Map<string, ModelEntry>();
  /** When keys that are not there were removed. */
  readonly removed = new Map<string, number>();
  readonly reference = new EntryReference();
  index: Index;
  /** Of the newest commit. */
  timestamp = 10;
  #sorted: string[] | null = null;
  readonly #limits: ReturnType<IndexType['limits']>;
  #scans = 0;

  /** Creates an empty index at a null swip, the store's root unless another is given. */
  constructor(
    readonly type: IndexType,
    public pages: Pages,
    readonly root: SwipLocation = pages.root,
    readonly number = INDEX_NUMBER,
  ) {
    this.index = type.create({ pages, number, root }, 1);
    this.#limits = this.limits;
  }

  /** What the index takes on these pages. */
  get limits(): ReturnType<IndexType['limits']> {
    return this.type.limits(this.pages.pageSize, this.pages.maxSizeClass);
  }

  /** The keys, in order. */
  get sorted(): readonly string[] {
    this.#sorted ??= [...this.entries.keys()].sort((a, b) => (a < b ? -1 : 1));
    return this.#sorted;
  }

  /** Opens the index again, on another store if one is given; the old one is forgotten. */
  reopen(pages: Pages = this.pages): void {
    this.pages = pages;
    this.index = this.type.open({ pages, number: this.number, root: this.root });
  }

  /** Puts an entry by the next commit, or by that of the timestamp. */
  put(key: string, tag: number, value: Uint8Array, timestamp = this.timestamp + 1): void {
    this.timestamp = Math.max(this.timestamp, timestamp);
    this.#assertWithinLimits(keyBytes(key).length, value.length);
    this.index.upsert(keyBytes(key), tag, value, timestamp);
    this.notePut(key, tag, value, timestamp);
  }

  /** An index need not take what its limits exclude; but then there is little that can be tested. */
  #assertWithinLimits(key: number, value: number): void {
    const { maxKeySize, maxValueSize } = this.#limits;
    if (key <= maxKeySize && value <= maxValueSize) return;
    throw new Error(
      `This clause puts a key of ${key} bytes and a value of ${value}, and the limits of the index are ${maxKeySize} and ${maxValueSize}: it can be tested only if it takes more.`,
    );
  }

  /** Removes an entry, and checks what the index says of it. */
  remove(key: string, timestamp = this.timestamp + 1): void {
    this.timestamp = Math.max(this.timestamp, timestamp);
    const answer = this.index.remove(keyBytes(key), timestamp);
    if (answer !== this.entries.has(key))
      throw new Error(
        `remove of ${nameOf(key)}, ${answer ? 'which is not there' : 'which is there'}, answered ${answer}`,
      );
    this.noteRemoval(key, timestamp);
  }

  /** The index has the entry: somebody else put it. The model keeps the value as it is now. */
  notePut(key: string, tag: number, value: Uint8Array, stamp = this.timestamp): void {
    if (!this.entries.has(key)) this.#sorted = null;
    this.entries.set(key, { tag, value: new Uint8Array(value), stamp });
    this.removed.delete(key);
  }

  /** The index has no such entry: somebody else removed it. Whether the model had one. */
  noteRemoval(key: string, stamp = this.timestamp): boolean {
    if (!this.entries.delete(key)) return false;
    this.#sorted = null;
    this.removed.set(key, stamp);
    return true;
  }

  /** A look-up of the key tells what the model knows: entry, tag, value, and a stamp that covers its last change (X1). */
  expectEntry(key: string): void {
    const { reference } = this;
    const expected = this.entries.get(key);
    reference.wantsValue = true;
    const found = this.index.lookup(keyBytes(key), reference);
    if (found !== (expected !== undefined)) throw new Error(`${nameOf(key)} is ${found ? '' : 'not '}found`);
    const stamp = expected?.stamp ?? this.removed.get(key) ?? 0;
    if (!(reference.timestamp >= stamp && reference.timestamp <= this.timestamp))
      throw new Error(
        `${nameOf(key)} was changed at ${stamp}, the last commit is ${this.timestamp}, and the look-up gives the timestamp ${reference.timestamp}`,
      );
    if (expected === undefined) return;
    if (reference.tag !== expected.tag)
      throw new Error(`${nameOf(key)} has the tag ${reference.tag} instead of ${expected.tag}`);
    const wrong = differenceOf(expected.value, reference.value);
    if (wrong !== null) throw new Error(`${nameOf(key)} has another value: ${wrong}`);
  }

  /** A scan, `limit` entries a batch, hands out what the model has, in its order; at most `most` entries of it are read. Every other one may be packed. */
  expectScan(form: ScanForm, limit = 1000, most = Number.POSITIVE_INFINITY): void {
    const expected = this.keysOf(form).slice(0, most);
    const cursor = this.index.cursor();
    cursor.seek(form.from === null ? null : keyBytes(form.from), form);
    const scanned = readCursor(cursor, limit, Math.min(most, expected.length + 1), (this.#scans++ & 1) === 0);
    for (let at = 0; at < Math.max(expected.length, scanned.length); at++) {
      const problem = this.#problemOf(expected[at], scanned[at]);
      if (problem !== null) throw new Error(`Entry ${at} of a scan ${scanName(form)} ${problem}`);
    }
  }

  /** The keys that a scan meets, in its order. */
  keysOf({ from, exclusive, reverse }: ScanForm): string[] {
    const keys = this.sorted.filter((key) => {
      if (from === null) return true;
      if (key === from) return !exclusive;
      return reverse ? key < from : key > from;
    });
    return reverse ? keys.reverse() : keys;
  }

  /** All that look-ups and scans can tell agrees with the model. */
  expectAgreement(): void {
    for (const key of this.entries.keys()) this.expectEntry(key);
    for (const key of this.removed.keys()) this.expectEntry(key);
    this.expectScan({ from: null, exclusive: false, reverse: false });
    this.expectScan({ from: null, exclusive: false, reverse: true }, 7);
  }

  /** A scanned entry is the one that the model has now. */
  expectScanned({ key, tag, value }: ScannedEntry): void {
    const problem = this.entries.has(key) ? this.#problemOf(key, { key, tag, value }) : 'is not there';
    if (problem !== null) throw new Error(`The scanned entry ${nameOf(key)} ${problem}`);
  }

  #problemOf(key: string | undefined, scanned: ScannedEntry | undefined): string | null {
    if (key === undefined) return scanned === undefined ? null : `is ${nameOf(scanned.key)} where the end should be`;
    if (scanned === undefined) return `is missing: it should be ${nameOf(key)}`;
    if (scanned.key !== key) return `is ${nameOf(scanned.key)} instead of ${nameOf(key)}`;
    const { tag, value } = this.entries.get(key)!;
    if (scanned.tag !== tag) return `has the tag ${scanned.tag} instead of ${tag}`;
    const wrong = differenceOf(value, scanned.value);
    return wrong === null ? null : `has another value: ${wrong}`;
  }
}

/** All entries that a cursor still has, `limit` at a time; `most` at the most. Throws if it does not end. */
export function readCursor(
  cursor: Cursor,
  limit: number,
  most = Number.POSITIVE_INFINITY,
  mayPack = false,
): ScannedEntry[] {
  const batch = new EntryBatch();
  batch.limit = limit;
  batch.mayPack = mayPack;
  const entries: ScannedEntry[] = [];
  if (most === 0) return entries;
  for (const _ of batches(cursor, batch)) {
    for (const entry of entriesOf(batch)) {
      entries.push(entry);
      if (entries.length === most) return entries;
    }
  }
  return entries;
}

/** Fills the batch again and again until the cursor is at its end; yields how often it has. Throws if that does not end. */
export function* batches(cursor: Cursor, batch: EntryBatch): Generator<number> {
  let empty = 0;
  const next = (): boolean => {
    batch.isPacked = false;
    return cursor.next(batch);
  };
  for (let filled = 1; next(); filled++) {
    empty = batch.count === 0 ? empty + 1 : 0;
    if (batch.isPacked && !batch.mayPack) throw new Error('The cursor packs entries for who does not take them packed');
    if (empty > MOST_EMPTY_BATCHES || filled > MOST_BATCHES)
      throw new Error('The cursor answers true again and again, and does not end');
    yield filled;
  }
}

/** The entries of a batch that has values, packed or not. */
export function entriesOf(batch: EntryBatch): ScannedEntry[] {
  const { isPacked, packed, keys, tags, values } = batch;
  const entries: ScannedEntry[] = [];
  for (let at = 0; at < batch.count; at++) {
    const key = isPacked ? packed.keys.viewAt(at) : keys[at]!;
    entries.push({ key: keyText(key), tag: tags[at]!, value: isPacked ? packed.valueAt(at) : values[at]! });
  }
  return entries;
}

/** The bytes of a key, in memory of their own. */
export function keyBytes(key: string): Uint8Array {
  return Uint8Array.from(Buffer.from(key, 'latin1'));
}

/** Arguments as plain arrays and as Buffers: `slice` of a Buffer is a view, and no copy of what may change afterwards. */
export const LENT_CLASSES: readonly ((bytes: Uint8Array) => Uint8Array)[] = [
  (bytes) => bytes,
  (bytes) => Buffer.from(bytes),
];

export function keyText(key: Uint8Array): string {
  return Buffer.from(key).toString('latin1');
}

/** Bytes that tell which value they are, and of which length. */
export function valueBytes(which: number, length: number): Uint8Array {
  const value = new Uint8Array(length);
  for (let at = 0; at < length; at++) value[at] = which * 31 + at * 7 + (at >>> 8);
  return value;
}

/** A key for a message. */
export function nameOf(key: string): string {
  return key.length > 40 ? `a key of ${key.length} bytes (${JSON.stringify(key.slice(0, 20))}…)` : JSON.stringify(key);
}

function scanName({ from, exclusive, reverse }: ScanForm): string {
  const direction = reverse ? 'backwards' : 'forwards';
  if (from === null) return `${direction} from the ${reverse ? 'end' : 'beginning'}`;
  return `${direction} from ${nameOf(from)}${exclusive ? ', exclusive,' : ''}`;
}

function differenceOf(expected: Uint8Array, actual: Uint8Array): string | null {
  if (Buffer.compare(expected, actual) === 0) return null;
  if (expected.length !== actual.length) return `${actual.length} bytes instead of ${expected.length}`;
  return `byte ${expected.findIndex((byte, at) => byte !== actual[at])} of ${expected.length} is wrong`;
}
