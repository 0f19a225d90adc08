/**
 * What a transaction has written and not committed: the last change of each key, found by key, in order of key when a
 * scan or the commit asks, and undone back to a savepoint.
 */
import { PagewrightError, type Target } from '@pagewright/core';
import { EncodedChanges } from './commit-operations.js';
import { Gathered, gather, isWorthParts } from './gather.js';
import { hashOf } from './key-hash.js';
import { sortByKey } from './key-sort.js';
import { OwnWrites } from './own-writes.js';
import { type EarlierChange, NONE, type WriteMark, WriteMemory } from './write-memory.js';

/** What so many small transactions have at a time is kept for later ones: about a megabyte. */
const MOST_SPARE = 512;
/** Memory of which so little is not named any more is left as it is. */
const LITTLE = 64 * 1024;
/** If so many of the changes are of keys that were changed before, entries are found by key from then on, so that such take no more memory. */
const MANY_REPEATED = 0.25;

/** The entries of one index, in the order of their keys when that is asked for. */
class TargetWrites {
  /** In order. Entries that were added since are not among them. */
  sorted: Uint32Array = new Uint32Array(0);
  /** Entries of the transaction that were looked at for it. */
  seen = 0;
  count = 0;

  constructor(readonly target: Target) {}
}

/** What must be put back to undo one change: an entry as it was, or null for one that was added. */
interface Undo {
  readonly before: EarlierChange | null;
  readonly bytes: number;
}

/** Of all savepoints in this thread: that of another transaction is not taken for one of this. */
let lastSavepoint = 0;

interface Savepoint {
  readonly id: number;
  readonly undoLength: number;
  readonly mark: WriteMark;
}

export class WriteBuffer {
  /** Bytes of keys and values; also of changes whose key was changed again, as long as it was not looked for these. */
  private written = 0;
  /** When so many bytes are encoded it is looked whether keys come again. */
  private lookAt = LITTLE;
  /** Entries whose key was found to come again when they were put in order. */
  private dropped = 0;
  private memory: WriteMemory | null = null;
  private readonly targets: TargetWrites[] = [];
  private readonly places = new Map<Target, number>();
  /** The place in `targets` of the index that was written last. */
  private last = 0;
  /** Filled only while there are savepoints. */
  private readonly undo: Undo[] = [];
  private readonly savepoints: Savepoint[] = [];

  constructor(
    private readonly maxBytes: number,
    private readonly spare: SpareMemory,
  ) {}

  /** Whether there is any change. */
  get hasChanges(): boolean {
    for (let place = 0; place < this.targets.length; place++) if (this.targets[place]!.count > 0) return true;
    return false;
  }

  /** Keys that are changed. */
  get count(): number {
    this.index();
    return this.entries;
  }

  /** Bytes of these keys and their values. */
  get bytes(): number {
    this.index();
    return this.written;
  }

  /** What its changes take, if it has any. */
  get held(): { readonly encoded: number; readonly replaced: number; readonly count: number } | null {
    return this.memory;
  }

  /** The number of the change of this key; -1 if there is none. */
  find(target: Target, key: Uint8Array): number {
    const { memory } = this;
    const place = this.placeOf(target);
    if (memory === null || place < 0) return NONE;
    this.index();
    return memory.find(place, key, hashOf(target.number, key));
  }

  deletes(entry: number): boolean {
    return this.inUse.deletes(entry);
  }

  /** A copy of the value. */
  valueOf(entry: number): Uint8Array {
    return this.inUse.valueOf(entry);
  }

  /** The changes of an index in order of key; null if there are none. */
  ownOf(target: Target): OwnWrites | null {
    const place = this.placeOf(target);
    if (place < 0 || this.targets[place]!.count === 0) return null;
    const { dropped } = this;
    const sorted = this.sorted(place);
    // A transaction that writes the same keys and scans by turns would grow: what is written from now on takes the place of what was.
    if (this.dropped > dropped) this.index();
    return new OwnWrites(this.inUse, sorted);
  }

  /** Copies both. Errors: `PW_TXN_TOO_LARGE`, nothing changed. */
  set(target: Target, key: Uint8Array, value: Uint8Array | null): void {
    this.memory ??= this.spare.take();
    const { memory } = this;
    const { number } = target;
    const place = this.placeFor(target);
    const hash = hashOf(number, key);
    if (!memory.isIndexed) {
      const bytes = this.written + key.length + (value === null ? 0 : value.length);
      if (bytes <= this.maxBytes && (memory.encoded < this.lookAt || !this.repeats(memory))) {
        memory.add(place, number, key, hash, value);
        this.targets[place]!.count++;
        this.written = bytes;
        return;
      }
      this.index();
    }
    const entry = memory.find(place, key, hash);
    const replaced = entry === NONE ? 0 : memory.keyLength(entry) + memory.valueLength(entry);
    const bytes = this.written + key.length + (value === null ? 0 : value.length) - replaced;
    if (bytes > this.maxBytes) throw this.tooLarge(bytes);
    const mayUndo = this.savepoints.length > 0;
    if (mayUndo) this.undo.push({ before: entry === NONE ? null : memory.earlier(entry), bytes: this.written });
    if (entry === NONE) {
      memory.add(place, number, key, hash, value);
      this.targets[place]!.count++;
    } else {
      memory.replace(entry, number, key, value, !mayUndo);
      if (!mayUndo && memory.replaced > LITTLE + this.written) memory.compact();
    }
    this.written = bytes;
  }

  savepoint(): number {
    const id = ++lastSavepoint;
    this.memory ??= this.spare.take();
    // What it goes back to is entries as they are, and how many.
    this.index();
    this.savepoints.push({ id, undoLength: this.undo.length, mark: this.memory.mark });
    return id;
  }

  /** Undoes what came after the savepoint, later savepoints included; the savepoint itself stays. Errors: `PW_ARGUMENT`. */
  rollbackTo(id: number): void {
    const position = this.savepoints.findIndex((savepoint) => savepoint.id === id);
    const savepoint = this.savepoints[position];
    if (savepoint === undefined) {
      throw new PagewrightError(
        'PW_ARGUMENT',
        `${String(id)} is not a savepoint of this transaction, or one that was rolled back. Pass what savepoint() returned.`,
        { details: { savepoint: id } },
      );
    }
    this.savepoints.length = position + 1;
    const memory = this.inUse;
    while (this.undo.length > savepoint.undoLength) {
      const { before, bytes } = this.undo.pop()!;
      if (before === null) this.removeLast(memory);
      else memory.restore(before);
      this.written = bytes;
    }
    memory.cutTo(savepoint.mark);
  }

  /** The indexes that were written. */
  *writtenTargets(): Generator<Target> {
    for (const { target, count } of this.targets) if (count > 0) yield target;
  }

  /** All changes by number of index, then by key: the order in which they are logged and installed. Good until there are others, or none. */
  encode(): EncodedChanges {
    const memory = this.inUse;
    // First: of keys that were changed again only the last change is left then.
    const parts = this.placesInOrder().map((place) => this.gathered(place) ?? this.sorted(place));
    const encoded = memory.operations.begin(this.entries, memory.encoded);
    for (const part of parts) {
      if (part instanceof Gathered) part.appendTo(encoded);
      else gather(memory, part, encoded);
    }
    if (memory.replaced > LITTLE + this.written) this.index();
    return new EncodedChanges(encoded, [...this.writtenTargets()], this.written);
  }

  /** Forgets all. Its memory may be another transaction's from now on. */
  release(): void {
    const { memory } = this;
    this.memory = null;
    this.targets.length = 0;
    this.places.clear();
    this.undo.length = 0;
    this.savepoints.length = 0;
    this.written = 0;
    this.lookAt = LITTLE;
    if (memory !== null) this.spare.give(memory);
  }

  private get inUse(): WriteMemory {
    this.memory ??= this.spare.take();
    return this.memory;
  }

  /** From now on changes are found by their keys, and another change of a key takes the place of the one there is. */
  private index(): void {
    const { memory } = this;
    if (memory === null || memory.isIndexed) return;
    memory.index((entry) => this.forget(memory, entry));
    if (memory.replaced > LITTLE + this.written) memory.compact();
  }

  /** Whether keys come again so often that it is worth looking for each. */
  private repeats(memory: WriteMemory): boolean {
    this.lookAt = 2 * memory.encoded;
    return memory.repeatedShare() >= MANY_REPEATED;
  }

  private drop(memory: WriteMemory, entry: number): void {
    this.dropped++;
    this.forget(memory, entry);
    memory.drop(entry);
  }

  /** An entry that a later one of the same key takes the place of. */
  private forget(memory: WriteMemory, entry: number): void {
    this.targets[memory.placeOf(entry)]!.count--;
    this.written -= memory.keyLength(entry) + memory.valueLength(entry);
  }

  private placeOf(target: Target): number {
    if (this.targets[this.last]?.target === target) return this.last;
    return this.places.get(target) ?? -1;
  }

  private placeFor(target: Target): number {
    let place = this.placeOf(target);
    if (place < 0) {
      place = this.targets.push(new TargetWrites(target)) - 1;
      this.places.set(target, place);
    }
    this.last = place;
    return place;
  }

  /** Entries that count, as far as is known. */
  private get entries(): number {
    let entries = 0;
    for (let place = 0; place < this.targets.length; place++) entries += this.targets[place]!.count;
    return entries;
  }

  /** Of the indexes that were written, by their numbers. */
  private placesInOrder(): number[] {
    const { targets } = this;
    const places = targets.map((_, place) => place).filter((place) => targets[place]!.count > 0);
    return places.sort((a, b) => targets[a]!.target.number - targets[b]!.target.number);
  }

  /** All entries of an index in order, copied together, if they are many; else null. */
  private gathered(place: number): Gathered | null {
    const memory = this.inUse;
    const writes = this.targets[place]!;
    // In the order in which they were written one pass copies them as well.
    if (!isWorthParts(writes.count, (memory.encoded * writes.count) / this.entries)) return null;
    if (writes.seen > 0) return Gathered.inOrder(memory, this.sorted(place));
    const { entries, isInOrder } = this.freshOf(place);
    if (isInOrder) return null;
    const gathered = Gathered.sorting(memory, entries, (entry) => this.drop(memory, entry));
    writes.sorted = gathered.sortedEntries();
    writes.seen = memory.count;
    return gathered;
  }

  /** All entries of an index in order. A scan that writes as it goes asks again and again: what is new is sorted and merged in. */
  private sorted(place: number): Uint32Array {
    const memory = this.inUse;
    const writes = this.targets[place]!;
    if (writes.seen === memory.count) return writes.sorted;
    const { entries, isInOrder } = this.freshOf(place);
    const drop = (entry: number): void => this.drop(memory, entry);
    const isRepeated = !isInOrder && sortByKey(memory, entries);
    const fresh = isRepeated ? lastOfEach(memory, entries, drop) : entries;
    writes.sorted = writes.sorted.length === 0 ? fresh : mergeSorted(memory, writes.sorted, fresh, drop);
    writes.seen = memory.count;
    return writes.sorted;
  }

  /** The entries of an index that are not in order yet, as they were written, and whether that is their order, each key once. */
  private freshOf(place: number): { readonly entries: Uint32Array; readonly isInOrder: boolean } {
    const memory = this.inUse;
    const writes = this.targets[place]!;
    const entries = new Uint32Array(writes.count - writes.sorted.length);
    let found = 0;
    let isInOrder = true;
    for (let entry = writes.seen; entry < memory.count; entry++) {
      if (memory.placeOf(entry) !== place) continue;
      if (isInOrder && found > 0) isInOrder = memory.compare(entries[found - 1]!, entry, 0) < 0;
      entries[found++] = entry;
    }
    return { entries, isInOrder };
  }

  private removeLast(memory: WriteMemory): void {
    const writes = this.targets[memory.placeOf(memory.count - 1)]!;
    memory.removeLast();
    writes.count--;
    for (const other of this.targets) {
      if (other.seen <= memory.count) continue;
      other.seen = 0;
      other.sorted = new Uint32Array(0);
    }
  }

  private tooLarge(bytes: number): PagewrightError {
    return new PagewrightError(
      'PW_TXN_TOO_LARGE',
      `The transaction would write ${bytes} bytes; at most ${this.maxBytes} fit in one. Divide it into several transactions.`,
      { details: { bytes, limit: this.maxBytes } },
    );
  }
}

/** Memory that small transactions have left for the next ones of their thread. */
export class SpareMemory {
  private readonly memories: WriteMemory[] = [];

  take(): WriteMemory {
    return this.memories.pop() ?? new WriteMemory();
  }

  give(memory: WriteMemory): void {
    if (!memory.isSmall || this.memories.length >= MOST_SPARE) return;
    memory.clear();
    this.memories.push(memory);
  }
}

/** Of sorted entries the last of each key; the others are dropped. */
function lastOfEach(memory: WriteMemory, entries: Uint32Array, drop: (entry: number) => void): Uint32Array {
  let kept = 0;
  for (let at = 0; at < entries.length; at++) {
    const entry = entries[at]!;
    if (at + 1 < entries.length && memory.compare(entry, entries[at + 1]!, 0) === 0) drop(entry);
    else entries[kept++] = entry;
  }
  return entries.slice(0, kept);
}

/** Both in one, in order. Of keys that are in both those of `b` stay, which were written later. */
function mergeSorted(memory: WriteMemory, a: Uint32Array, b: Uint32Array, drop: (entry: number) => void): Uint32Array {
  const merged = new Uint32Array(a.length + b.length);
  let i = 0;
  let j = 0;
  let count = 0;
  while (i < a.length || j < b.length) {
    const order = j === b.length ? -1 : i === a.length ? 1 : memory.compare(a[i]!, b[j]!, 0);
    if (order === 0) drop(a[i++]!);
    else merged[count++] = order < 0 ? a[i++]! : b[j++]!;
  }
  return count === merged.length ? merged : merged.slice(0, count);
}
