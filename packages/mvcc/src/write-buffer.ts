/**
 * What a transaction has written and not committed: the last change of each key, found by key, in order of key when a
 * scan or the commit asks, and undone back to a savepoint.
 */
import { PagewrightError, type Target } from '@pagewright/core';
import { EncodedChanges } from './commit-operations.js';
import { gather } from './gather.js';
import { hashOf } from './key-hash.js';
import { sortByKey } from './key-sort.js';
import { OwnWrites } from './own-writes.js';
import { type EarlierChange, NONE, type WriteMark, WriteMemory } from './write-memory.js';

/** What so many small transactions have at a time is kept for later ones: about a megabyte. */
const MOST_SPARE = 512;
/** Memory of which so little is not named any more is left as it is. */
const LITTLE = 64 * 1024;

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

interface Savepoint {
  readonly id: number;
  readonly undoLength: number;
  readonly mark: WriteMark;
}

export class WriteBuffer {
  /** Bytes of keys and values. */
  bytes = 0;
  private memory: WriteMemory | null = null;
  private readonly targets: TargetWrites[] = [];
  private readonly places = new Map<Target, number>();
  /** The place in `targets` of the index that was written last. */
  private last = 0;
  /** Filled only while there are savepoints. */
  private readonly undo: Undo[] = [];
  private readonly savepoints: Savepoint[] = [];
  private lastSavepoint = 0;

  constructor(
    private readonly maxBytes: number,
    private readonly spare: SpareMemory,
  ) {}

  get count(): number {
    return this.memory === null ? 0 : this.memory.count;
  }

  /** What its changes take, if it has any. */
  get held(): { readonly encoded: number; readonly replaced: number } | null {
    return this.memory;
  }

  /** The number of the change of this key; -1 if there is none. */
  find(target: Target, key: Uint8Array): number {
    const { memory } = this;
    const place = this.placeOf(target);
    return memory === null || place < 0 ? NONE : memory.find(place, key, hashOf(target.number, key));
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
    return new OwnWrites(this.inUse, this.sorted(place));
  }

  /** Copies both. Errors: `PW_TXN_TOO_LARGE`, nothing changed. */
  set(target: Target, key: Uint8Array, value: Uint8Array | null): void {
    this.memory ??= this.spare.take();
    const { memory } = this;
    const { number } = target;
    const place = this.placeFor(target);
    const hash = hashOf(number, key);
    const entry = memory.find(place, key, hash);
    const replaced = entry === NONE ? 0 : memory.keyLength(entry) + memory.valueLength(entry);
    const bytes = this.bytes + key.length + (value === null ? 0 : value.length) - replaced;
    if (bytes > this.maxBytes) throw this.tooLarge(bytes);
    const mayUndo = this.savepoints.length > 0;
    if (mayUndo) this.undo.push({ before: entry === NONE ? null : memory.earlier(entry), bytes: this.bytes });
    if (entry === NONE) {
      memory.add(place, number, key, hash, value);
      this.targets[place]!.count++;
    } else {
      memory.replace(entry, number, key, value, !mayUndo);
      if (!mayUndo && memory.replaced > LITTLE + this.bytes) memory.compact();
    }
    this.bytes = bytes;
  }

  savepoint(): number {
    const id = ++this.lastSavepoint;
    this.memory ??= this.spare.take();
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
      this.bytes = bytes;
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
    const encoded = memory.operations.begin(memory.count, memory.encoded);
    gather(memory, this.order(), encoded);
    return new EncodedChanges(encoded, [...this.writtenTargets()], this.bytes);
  }

  /** Forgets all. Its memory may be another transaction's from now on. */
  release(): void {
    const { memory } = this;
    this.memory = null;
    this.targets.length = 0;
    this.places.clear();
    this.undo.length = 0;
    this.savepoints.length = 0;
    this.bytes = 0;
    if (memory !== null) this.spare.give(memory);
  }

  private get inUse(): WriteMemory {
    this.memory ??= this.spare.take();
    return this.memory;
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

  /** All entries, by number of index, then by key. */
  private order(): Uint32Array {
    const { targets } = this;
    const places = targets.map((_, place) => place).filter((place) => targets[place]!.count > 0);
    if (places.length === 1) return this.sorted(places[0]!);
    places.sort((a, b) => targets[a]!.target.number - targets[b]!.target.number);
    const order = new Uint32Array(this.count);
    let at = 0;
    for (const place of places) {
      order.set(this.sorted(place), at);
      at += targets[place]!.count;
    }
    return order;
  }

  /** All entries of an index in order. A scan that writes as it goes asks again and again: what is new is sorted and merged in. */
  private sorted(place: number): Uint32Array {
    const memory = this.inUse;
    const writes = this.targets[place]!;
    if (writes.seen === memory.count) return writes.sorted;
    const fresh = new Uint32Array(writes.count - writes.sorted.length);
    let found = 0;
    let isInOrder = true;
    for (let entry = writes.seen; entry < memory.count; entry++) {
      if (memory.placeOf(entry) !== place) continue;
      if (isInOrder && found > 0) isInOrder = memory.compare(fresh[found - 1]!, entry, 0) < 0;
      fresh[found++] = entry;
    }
    if (!isInOrder) sortByKey(memory, fresh);
    writes.sorted = writes.sorted.length === 0 ? fresh : mergeSorted(memory, writes.sorted, fresh);
    writes.seen = memory.count;
    return writes.sorted;
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

function mergeSorted(memory: WriteMemory, a: Uint32Array, b: Uint32Array): Uint32Array {
  const merged = new Uint32Array(a.length + b.length);
  let i = 0;
  let j = 0;
  for (let at = 0; at < merged.length; at++) {
    const takeFirst = j === b.length || (i < a.length && memory.compare(a[i]!, b[j]!, 0) < 0);
    merged[at] = takeFirst ? a[i++]! : b[j++]!;
  }
  return merged;
}
