/**
 * Copies the encoded changes of a transaction together in the order of their keys. In memory they lie as they were written, so one after the other in that order
 * is a walk at random through all of it: each step waits for memory, and for the addresses of a page that was not used for long.
 *
 * Many are therefore copied twice, as a radix join partitions (Manegold, Boncz, Kersten, "Optimizing Main-Memory Join on Modern Hardware", 2002): read
 * from first to last into some hundred parts, each with the changes of a stretch of the order, and then each part, which the processor's cache holds, into its order.
 */
import type { EncodedOperations } from '@pagewright/core';
import type { WriteMemory } from './write-memory.js';

/** Fewer, and such as are larger on the average, are copied at once. */
const FEW = 16 * 1024;
const LARGE = 1024;
/** About what a part has. */
const PART_BYTES = 512 * 1024;

/** Appends the changes of all entries, in this order. */
export function gather(memory: WriteMemory, order: Uint32Array, into: EncodedOperations): void {
  const average = memory.encoded / order.length;
  if (order.length < FEW || average > LARGE) {
    for (let i = 0; i < order.length; i++) {
      const entry = order[i]!;
      into.append(memory.chunkOf(entry), memory.viewOf(entry), memory.startOf(entry), memory.endOf(entry));
    }
    return;
  }
  const parts = new Parts(memory, order, Math.floor(Math.log2(PART_BYTES / average)));
  parts.fill();
  parts.appendTo(into);
}

class Parts {
  /** The place in the order, of each entry that was not dropped. */
  readonly #rankOf: Uint32Array;
  /** Where the change of that place in the order begins, and behind it ends, in what was divided. */
  readonly #starts: Uint32Array;
  readonly #ends: Uint32Array;
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor(
    private readonly memory: WriteMemory,
    order: Uint32Array,
    /** A part has so many changes, as a power of two. */
    private readonly shift: number,
  ) {
    this.#rankOf = new Uint32Array(memory.count);
    for (let rank = 0; rank < order.length; rank++) this.#rankOf[order[rank]!] = rank;
    this.#starts = new Uint32Array(order.length);
    this.#ends = new Uint32Array(order.length);
    // Not zeroed: all that is read has been written before.
    const { buffer } = Buffer.allocUnsafeSlow(memory.encoded);
    this.#bytes = new Uint8Array(buffer);
    this.#view = new DataView(buffer);
  }

  fill(): void {
    const { memory, shift } = this;
    const next = this.#partStarts();
    for (let entry = 0; entry < memory.count; entry++) {
      if (memory.isDropped(entry)) continue;
      const rank = this.#rankOf[entry]!;
      const part = rank >>> shift;
      const at = next[part]!;
      const end = memory.copyTo(entry, this.#bytes, this.#view, at);
      this.#starts[rank] = at;
      this.#ends[rank] = end;
      next[part] = end;
    }
  }

  appendTo(into: EncodedOperations): void {
    const bytes = this.#bytes;
    const view = this.#view;
    for (let rank = 0; rank < this.#starts.length; rank++) {
      into.append(bytes, view, this.#starts[rank]!, this.#ends[rank]!);
    }
  }

  #partStarts(): Uint32Array {
    const { memory, shift } = this;
    const starts = new Uint32Array((this.#starts.length >>> shift) + 2);
    for (let entry = 0; entry < memory.count; entry++) {
      if (memory.isDropped(entry)) continue;
      starts[(this.#rankOf[entry]! >>> shift) + 1]! += memory.endOf(entry) - memory.startOf(entry);
    }
    for (let part = 1; part < starts.length; part++) starts[part]! += starts[part - 1]!;
    return starts;
  }
}
