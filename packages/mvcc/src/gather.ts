/**
 * Copies the encoded changes of a transaction together in the order of their keys. In memory they lie as they were written, so one after the other in that order
 * is a walk at random through all of it: each step waits for memory, and for the addresses of a page that was not used for long.
 *
 * Many are therefore copied twice, as a radix join partitions (Manegold, Boncz, Kersten, "Optimizing Main-Memory Join on Modern Hardware", 2002): read
 * from first to last into some hundred parts, each with the changes of a stretch of the order, and then each part, which the processor's cache holds, into its order.
 * For the first copy it is enough to know that order roughly: what is left of sorting is done among changes that lie together.
 */
import type { EncodedOperations } from '@pagewright/core';
import { compareRanges } from './key-order.js';
import { type Keys, sortByHead, sortFrom } from './key-sort.js';
import type { WriteMemory } from './write-memory.js';

/** Fewer, and such as are larger on the average, are copied at once. */
const FEW = 16 * 1024;
const LARGE = 1024;
/** About what a part has. */
const PART_BYTES = 512 * 1024;

/** Whether so many changes of so many bytes are better copied twice. */
export function isWorthParts(count: number, bytes: number): boolean {
  return count >= FEW && bytes <= LARGE * count;
}

/** Appends the changes of all entries, in this order. */
export function gather(memory: WriteMemory, order: Uint32Array, into: EncodedOperations): void {
  for (let i = 0; i < order.length; i++) {
    const entry = order[i]!;
    into.append(memory.chunkOf(entry), memory.viewOf(entry), memory.startOf(entry), memory.endOf(entry));
  }
}

/** Many changes of one index, copied together once. They are numbered as they lie: by their places in a rough order. */
export class Gathered implements Keys {
  /** Where the change begins, its key and its value, and where it ends. */
  readonly #starts: Uint32Array;
  readonly #keys: Uint32Array;
  readonly #values: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  /** The places in their order. */
  #order: Uint32Array;

  /** `entries` are in their order, or as `sortByHead` leaves them, and are so afterwards. */
  private constructor(
    memory: WriteMemory,
    private readonly entries: Uint32Array,
  ) {
    const count = entries.length;
    this.#starts = new Uint32Array(count);
    this.#keys = new Uint32Array(count);
    this.#values = new Uint32Array(count);
    this.#ends = new Uint32Array(count);
    this.#order = new Uint32Array(count);
    for (let place = 0; place < count; place++) this.#order[place] = place;
    const placeOf = new Uint32Array(memory.count).fill(NOWHERE);
    for (let place = 0; place < count; place++) placeOf[entries[place]!] = place;
    // A part has so many changes, as a power of two.
    const shift = Math.max(0, Math.floor(Math.log2((PART_BYTES * memory.count) / memory.encoded)));
    const starts = this.#partStarts(memory, placeOf, shift);
    // Not zeroed: all that is read has been written before.
    const { buffer } = Buffer.allocUnsafeSlow(starts.at(-1)!);
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
    this.#fill(memory, placeOf, starts, shift);
  }

  /** Entries that are in their order. */
  static inOrder(memory: WriteMemory, entries: Uint32Array): Gathered {
    return new Gathered(memory, entries);
  }

  /** Puts rising entries of one index into their order. Of those with the same key the last stays; the others are told. */
  static sorting(memory: WriteMemory, entries: Uint32Array, onRepeated: (entry: number) => void): Gathered {
    const { alike, depth } = sortByHead(memory, entries);
    const gathered = new Gathered(memory, entries);
    let hasRepeated = false;
    for (const { first, end } of alike) {
      if (sortFrom(gathered, gathered.#order.subarray(first, end), depth)) hasRepeated = true;
    }
    if (hasRepeated) gathered.#dropRepeated(onRepeated);
    return gathered;
  }

  /** The entries in their order. */
  sortedEntries(): Uint32Array {
    const sorted = new Uint32Array(this.#order.length);
    for (let i = 0; i < sorted.length; i++) sorted[i] = this.entries[this.#order[i]!]!;
    return sorted;
  }

  appendTo(into: EncodedOperations): void {
    const order = this.#order;
    for (let i = 0; i < order.length; i++) {
      const place = order[i]!;
      into.append(this.#bytes, this.#view, this.#starts[place]!, this.#ends[place]!);
    }
  }

  // ── Keys, by place ──────────────────────────────────────────────────────────────────────────────────────────

  chunkOf(): Uint8Array {
    return this.#bytes;
  }

  viewOf(): DataView {
    return this.#view;
  }

  keyStart(place: number): number {
    return this.#keys[place]!;
  }

  valueStart(place: number): number {
    return this.#values[place]!;
  }

  compare(a: number, b: number, from: number): number {
    const bytes = this.#bytes;
    return compareRanges(bytes, this.#keys[a]!, this.#values[a]!, bytes, this.#keys[b]!, this.#values[b]!, from);
  }

  // ── Inside ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** `next`: where each part begins. */
  #fill(memory: WriteMemory, placeOf: Uint32Array, next: Uint32Array, shift: number): void {
    for (let entry = 0; entry < memory.count; entry++) {
      const place = placeOf[entry]!;
      if (place === NOWHERE) continue;
      const part = place >>> shift;
      const at = next[part]!;
      const end = memory.copyTo(entry, this.#bytes, this.#view, at);
      const moved = at - memory.startOf(entry);
      this.#starts[place] = at;
      this.#keys[place] = memory.keyStart(entry) + moved;
      this.#values[place] = memory.valueStart(entry) + moved;
      this.#ends[place] = end;
      next[part] = end;
    }
  }

  #partStarts(memory: WriteMemory, placeOf: Uint32Array, shift: number): Uint32Array {
    const starts = new Uint32Array((this.entries.length >>> shift) + 2);
    for (let entry = 0; entry < memory.count; entry++) {
      const place = placeOf[entry]!;
      if (place !== NOWHERE) starts[(place >>> shift) + 1]! += memory.endOf(entry) - memory.startOf(entry);
    }
    for (let part = 1; part < starts.length; part++) starts[part]! += starts[part - 1]!;
    return starts;
  }

  #dropRepeated(onRepeated: (entry: number) => void): void {
    const order = this.#order;
    let kept = 0;
    for (let i = 0; i < order.length; i++) {
      const place = order[i]!;
      if (i + 1 < order.length && this.compare(place, order[i + 1]!, 0) === 0) onRepeated(this.entries[place]!);
      else order[kept++] = place;
    }
    this.#order = order.slice(0, kept);
  }
}

/** Of an entry that is not to be copied. */
const NOWHERE = 0xffffffff;
