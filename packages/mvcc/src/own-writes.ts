/** The changes that a transaction has made in one index, in order of key, as a scan goes through them. Valid until the transaction's next change. */
import type { WriteMemory } from './write-memory.js';

export class OwnWrites {
  constructor(
    private readonly memory: WriteMemory,
    private readonly entries: Uint32Array,
  ) {}

  get length(): number {
    return this.entries.length;
  }

  /** Negative, zero or positive, as the key of that number sorts before, with or after this one. */
  compare(at: number, key: Uint8Array): number {
    return this.memory.compareWith(this.entries[at]!, key, 0, key.length, 0);
  }

  deletes(at: number): boolean {
    return this.memory.deletes(this.entries[at]!);
  }

  /** Copies. */
  key(at: number): Uint8Array {
    return this.memory.keyOf(this.entries[at]!);
  }

  value(at: number): Uint8Array {
    return this.memory.valueOf(this.entries[at]!);
  }

  /** The number of the first key that is not below this one. */
  firstAtOrAfter(key: Uint8Array): number {
    let low = 0;
    let high = this.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compare(middle, key) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
