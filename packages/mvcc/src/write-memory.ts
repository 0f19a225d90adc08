/**
 * The bytes of a transaction's changes, each encoded as the log has it, and what finds them: a few arrays however many changes there are. Each
 * change is an *entry*, numbered in the order in which they were made. Entries are found by key once they are *indexed*; from then on of each
 * key there is one, and another change takes its place. Until then keys may come again, and whoever puts entries in order meets that.
 *
 * Bytes are only ever added, so that what a savepoint goes back to is still there; those that nothing names any more go when all are copied
 * together (`compact`).
 */
import {
  copyRange,
  EncodedOperations,
  encodeOperationHead,
  MOST_OPERATION_HEAD,
  OPERATION_DELETE,
  OPERATION_PUT,
} from '@pagewright/core';
import { EntryTable, OTHER } from './entry-table.js';
import { compareRanges } from './key-order.js';
import { type ChunkMark, WriteChunks } from './write-chunks.js';

const NOTHING: Uint8Array = new Uint8Array(0);

/** Room at first; more is not kept for the next transaction than so many bytes. */
const FIRST_ENTRIES = 8;
const SMALL = 4 * 1024;
const FEW_ENTRIES = 32;
/** What a loop copies faster than a call. */
const SHORT = 64;

/** Words of an entry. */
const WORDS = 8;
const CHUNK = 0;
/** The encoded change, from here on in its chunk; its key, and its value, which ends it. */
const START = 1;
const KEY = 2;
const VALUE = 3;
const END = 4;
const HASH = 5;
/** Which target, by its place among the targets of the transaction; {@link DROPPED} if a later change of its key has taken its place. */
const TARGET = 6;
const KIND = 7;

/** No entry. */
export const NONE = -1;
/** No target: the entry does not count. */
const DROPPED = -1;

/** Of so many entries or fewer it is looked whether keys come again: enough to tell a quarter from none. */
const SAMPLE = 1024;
/** Steps that meet entries in no order of their own. */
const STRIDE = 0x9e3779b1;

/** What an entry was before it was replaced. */
export interface EarlierChange {
  readonly entry: number;
  readonly words: Int32Array;
}

/** A place that bytes are in use up to. */
export interface WriteMark extends ChunkMark {
  readonly replaced: number;
}

export class WriteMemory {
  /** Entries there are, those that were dropped among them. */
  count = 0;
  /** Whether they can be found by their keys. */
  isIndexed = false;
  /** Bytes of the encoded changes that entries have now, … */
  encoded = 0;
  /** … and of those that were replaced. */
  replaced = 0;
  /** The changes as they are committed. */
  readonly operations = new EncodedOperations();
  #chunks = new WriteChunks();
  #entries = new Int32Array(FIRST_ENTRIES * WORDS);
  #table: EntryTable | null = null;

  /** How far bytes are in use, to come back to with {@link cutTo}. */
  get mark(): WriteMark {
    return { ...this.#chunks.mark, replaced: this.replaced };
  }

  /** Whether it takes so little that it may be kept for the next transaction. */
  get isSmall(): boolean {
    return this.#capacity <= FEW_ENTRIES && this.#chunks.isSmall && this.operations.bytes.length <= SMALL;
  }

  clear(): void {
    if (this.isIndexed) this.#table?.clear();
    this.isIndexed = false;
    this.count = 0;
    this.encoded = 0;
    this.replaced = 0;
    this.#chunks.clear();
  }

  /** From now on entries are found by their keys. Calls back for each whose key was changed again, before that takes its place. */
  index(onRepeated: (entry: number) => void): void {
    this.isIndexed = true;
    this.#table ??= new EntryTable(this.#capacity);
    if (this.#table.capacity < this.#capacity) this.#table.grow(this.#capacity);
    for (let entry = 0; entry < this.count; entry++) {
      const place = this.placeOf(entry);
      if (place === DROPPED) continue;
      const hash = this.#entries[entry * WORDS + HASH]!;
      const earlier = this.#findLike(place, entry, hash);
      if (earlier === NONE) this.#table.add(entry, hash);
      else {
        onRepeated(earlier);
        this.#moveTo(earlier, entry);
      }
    }
  }

  /**
   * The share of entries, about, whose key was changed before: a few keys again and again, as some entries show, or many keys a few times each, as all entries of
   * some keys do.
   */
  repeatedShare(): number {
    const { count } = this;
    const some: number[] = [];
    for (let i = 0; i < Math.min(count, SAMPLE); i++) some.push(this.#entries[((i * STRIDE) % count) * WORDS + HASH]!);
    const mask = 2 ** Math.max(0, Math.ceil(Math.log2(count / SAMPLE))) - 1;
    const ofSome: number[] = [];
    for (let at = HASH; at < count * WORDS; at += WORDS) {
      const hash = this.#entries[at]!;
      if (((hash >>> 8) & mask) === 0) ofSome.push(hash);
    }
    return Math.max(repeatedIn(some), repeatedIn(ofSome));
  }

  /** The entry of a key, or {@link NONE}. They are indexed. */
  find(place: number, key: Uint8Array, hash: number): number {
    const table = this.#table!;
    for (let slot = table.first(hash); ; slot = table.after(slot)) {
      const entry = table.entryAt(slot, hash);
      if (entry === NONE) return NONE;
      if (entry !== OTHER && this.placeOf(entry) === place && this.#hasKey(entry, key)) return entry;
    }
  }

  /** Adds a change; of a key that has none, if they are indexed. */
  add(place: number, number: number, key: Uint8Array, hash: number, value: Uint8Array | null): number {
    const entry = this.count;
    if ((entry + 1) * WORDS > this.#entries.length) this.#grow();
    this.count++;
    const at = entry * WORDS;
    this.#entries[at + HASH] = hash;
    this.#entries[at + TARGET] = place;
    this.#write(at, number, key, value);
    if (this.isIndexed) this.#table!.add(entry, hash);
    return entry;
  }

  /** Another change takes the place of the one there is. It is written over that one if `inPlace`, and if both have the same length. */
  replace(entry: number, number: number, key: Uint8Array, value: Uint8Array | null, inPlace: boolean): void {
    const at = entry * WORDS;
    const entries = this.#entries;
    const kind = value === null ? OPERATION_DELETE : OPERATION_PUT;
    const length = value === null ? 0 : value.length;
    if (inPlace && entries[at + KIND] === kind && entries[at + END]! - entries[at + VALUE]! === length) {
      if (value !== null) copyIn(this.chunkOf(entry), entries[at + VALUE]!, value);
      return;
    }
    const before = entries[at + END]! - entries[at + START]!;
    this.replaced += before;
    this.encoded -= before;
    this.#write(at, number, key, value);
  }

  /** Takes away a change whose key was changed again. They are not indexed. */
  drop(entry: number): void {
    const bytes = this.endOf(entry) - this.startOf(entry);
    this.replaced += bytes;
    this.encoded -= bytes;
    this.#entries[entry * WORDS + TARGET] = DROPPED;
  }

  isDropped(entry: number): boolean {
    return this.placeOf(entry) === DROPPED;
  }

  /** What {@link restore} puts back. */
  earlier(entry: number): EarlierChange {
    return { entry, words: this.#entries.slice(entry * WORDS, (entry + 1) * WORDS) };
  }

  restore({ entry, words }: EarlierChange): void {
    this.encoded -= this.endOf(entry) - this.startOf(entry);
    this.#entries.set(words, entry * WORDS);
    this.encoded += this.endOf(entry) - this.startOf(entry);
  }

  /** Takes away the entry that was added last. They are indexed. */
  removeLast(): void {
    const entry = --this.count;
    this.encoded -= this.endOf(entry) - this.startOf(entry);
    this.#table!.removeLast(entry, this.#entries[entry * WORDS + HASH]!);
  }

  /** Nothing behind the mark is named any more. */
  cutTo(mark: WriteMark): void {
    this.replaced = mark.replaced;
    this.#chunks.cutTo(mark);
  }

  /** Copies together what is named. What `earlier` gave before means nothing any more. */
  compact(): void {
    const old = this.#chunks.bytes;
    const chunks = new WriteChunks();
    const entries = this.#entries;
    for (let at = 0; at < this.count * WORDS; at += WORDS) {
      if (entries[at + TARGET] === DROPPED) continue;
      const bytes = old[entries[at + CHUNK]!]!.subarray(entries[at + START]!, entries[at + END]!);
      const start = chunks.room(bytes.length);
      chunks.bytes[chunks.current]!.set(bytes, start);
      const moved = start - entries[at + START]!;
      entries[at + CHUNK] = chunks.current;
      for (let word = START; word <= END; word++) entries[at + word]! += moved;
      chunks.use(entries[at + END]!);
    }
    this.#chunks = chunks;
    this.replaced = 0;
  }

  /** Copies the encoded change to there; the offset behind it. */
  copyTo(entry: number, target: Uint8Array, view: DataView, at: number): number {
    const words = entry * WORDS;
    const chunk = this.#entries[words + CHUNK]!;
    const start = this.#entries[words + START]!;
    const end = this.#entries[words + END]!;
    return copyRange(this.#chunks.bytes[chunk]!, this.#chunks.views[chunk]!, start, end, target, view, at);
  }

  // ── Of an entry ─────────────────────────────────────────────────────────────────────────────────────────────

  placeOf(entry: number): number {
    return this.#entries[entry * WORDS + TARGET]!;
  }

  deletes(entry: number): boolean {
    return this.#entries[entry * WORDS + KIND] === OPERATION_DELETE;
  }

  keyLength(entry: number): number {
    const at = entry * WORDS;
    return this.#entries[at + VALUE]! - this.#entries[at + KEY]!;
  }

  valueLength(entry: number): number {
    const at = entry * WORDS;
    return this.#entries[at + END]! - this.#entries[at + VALUE]!;
  }

  /** The encoded change: its chunk, and where it begins and ends there. */
  chunkOf(entry: number): Uint8Array {
    return this.#chunks.bytes[this.#entries[entry * WORDS + CHUNK]!]!;
  }

  viewOf(entry: number): DataView {
    return this.#chunks.views[this.#entries[entry * WORDS + CHUNK]!]!;
  }

  startOf(entry: number): number {
    return this.#entries[entry * WORDS + START]!;
  }

  keyStart(entry: number): number {
    return this.#entries[entry * WORDS + KEY]!;
  }

  valueStart(entry: number): number {
    return this.#entries[entry * WORDS + VALUE]!;
  }

  endOf(entry: number): number {
    return this.#entries[entry * WORDS + END]!;
  }

  /** Copies of its own. */
  keyOf(entry: number): Uint8Array {
    return this.chunkOf(entry).slice(this.keyStart(entry), this.valueStart(entry));
  }

  valueOf(entry: number): Uint8Array {
    return this.chunkOf(entry).slice(this.valueStart(entry), this.endOf(entry));
  }

  /** Negative, zero or positive, as the entry's key sorts before, with or after this one. Bytes before `from` are known to be the same. */
  compareWith(entry: number, key: Uint8Array, keyStart: number, keyEnd: number, from: number): number {
    return compareRanges(
      this.chunkOf(entry),
      this.keyStart(entry),
      this.valueStart(entry),
      key,
      keyStart,
      keyEnd,
      from,
    );
  }

  /** The same for the keys of two entries. */
  compare(a: number, b: number, from: number): number {
    return this.compareWith(a, this.chunkOf(b), this.keyStart(b), this.valueStart(b), from);
  }

  // ── Inside ──────────────────────────────────────────────────────────────────────────────────────────────────

  get #capacity(): number {
    return this.#entries.length / WORDS;
  }

  /** The indexed entry with the key of another one, or {@link NONE}. */
  #findLike(place: number, entry: number, hash: number): number {
    const table = this.#table!;
    for (let slot = table.first(hash); ; slot = table.after(slot)) {
      const other = table.entryAt(slot, hash);
      if (other === NONE) return NONE;
      if (other !== OTHER && this.placeOf(other) === place && this.compare(other, entry, 0) === 0) return other;
    }
  }

  /** The later change of a key takes the place of the earlier one. */
  #moveTo(earlier: number, later: number): void {
    const bytes = this.endOf(earlier) - this.startOf(earlier);
    this.replaced += bytes;
    this.encoded -= bytes;
    this.#entries.copyWithin(earlier * WORDS, later * WORDS, (later + 1) * WORDS);
    this.#entries[later * WORDS + TARGET] = DROPPED;
  }

  #hasKey(entry: number, key: Uint8Array): boolean {
    const chunk = this.chunkOf(entry);
    const start = this.keyStart(entry);
    const { length } = key;
    if (this.keyLength(entry) !== length) return false;
    for (let i = 0; i < length; i++) if (chunk[start + i] !== key[i]) return false;
    return true;
  }

  #write(at: number, number: number, key: Uint8Array, value: Uint8Array | null): void {
    const body = value ?? NOTHING;
    const chunks = this.#chunks;
    const start = chunks.room(MOST_OPERATION_HEAD + key.length + body.length);
    const chunk = chunks.bytes[chunks.current]!;
    const kind = value === null ? OPERATION_DELETE : OPERATION_PUT;
    const keyStart = encodeOperationHead(chunk, start, kind, number, key.length, body.length);
    copyIn(chunk, keyStart, key);
    const valueStart = keyStart + key.length;
    copyIn(chunk, valueStart, body);
    const end = valueStart + body.length;
    const entries = this.#entries;
    entries[at + CHUNK] = chunks.current;
    entries[at + START] = start;
    entries[at + KEY] = keyStart;
    entries[at + VALUE] = valueStart;
    entries[at + END] = end;
    entries[at + KIND] = kind;
    chunks.use(end);
    this.encoded += end - start;
  }

  #grow(): void {
    const entries = new Int32Array(2 * this.#entries.length);
    entries.set(this.#entries);
    this.#entries = entries;
    if (!this.isIndexed) return;
    const table = this.#table!;
    table.grow(this.#capacity);
    for (let entry = 0; entry < this.count; entry++)
      if (!this.isDropped(entry)) table.add(entry, entries[entry * WORDS + HASH]!);
  }
}

function repeatedIn(hashes: readonly number[]): number {
  return hashes.length === 0 ? 0 : 1 - new Set(hashes).size / hashes.length;
}

function copyIn(bytes: Uint8Array, at: number, from: Uint8Array): void {
  const { length } = from;
  if (length > SHORT) bytes.set(from, at);
  else for (let i = 0; i < length; i++) bytes[at + i] = from[i]!;
}
