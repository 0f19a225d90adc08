/**
 * A list of numbers, each with an epoch, in shared memory that grows: extents with the epoch that gave them up, readers
 * with the epoch that they read. It keeps its order. Memory of zeros is an empty list. Calls come one at a time, from any
 * thread.
 */
import { invariant } from '@pagewright/core/contracts';

/** What the list is in. It goes to other threads as it is. */
export interface EpochListMemory {
  readonly numbers: SharedArrayBuffer;
  /** The first has the length of the list; then they come as the numbers do. */
  readonly epochs: SharedArrayBuffer;
}

/** Memory grows by half, and by so many entries at least. */
const GROWTH = 512;

export class EpochList {
  // Fixed in length, and made anew when the memory has grown: a view that follows its length makes code 30 times slower.
  #numbers: Uint32Array = new Uint32Array(0);
  #epochs: Float64Array = new Float64Array(0);

  constructor(private readonly memory: EpochListMemory) {
    this.#look();
  }

  get bytes(): number {
    return this.memory.numbers.byteLength + this.memory.epochs.byteLength;
  }

  /** Memory for so many entries at most. What is not used is address space alone. */
  static memory(most: number): EpochListMemory {
    return {
      numbers: new SharedArrayBuffer(4, { maxByteLength: (most + 1) * 4 }),
      epochs: new SharedArrayBuffer(8, { maxByteLength: (most + 1) * 8 }),
    };
  }

  get length(): number {
    return this.#epochs[0] as number;
  }

  /** Adds an entry at the end: a number of 32 bits. */
  push(number: number, epoch: number): void {
    const at = this.length + 1;
    if (at * 8 >= this.memory.epochs.byteLength) this.#grow(at);
    this.#look();
    this.#numbers[at] = number;
    this.#epochs[at] = epoch;
    this.#epochs[0] = at;
  }

  /** Calls back for each entry, in order, and keeps those for which it answers true. The callback may not change the list. */
  filter(keeps: (number: number, epoch: number) => boolean): void {
    this.#look();
    const { length } = this;
    let kept = 0;
    for (let at = 1; at <= length; at++) {
      const number = this.#numbers[at] as number;
      const epoch = this.#epochs[at] as number;
      if (!keeps(number, epoch)) continue;
      kept++;
      this.#numbers[kept] = number;
      this.#epochs[kept] = epoch;
    }
    this.#epochs[0] = kept;
  }

  /** Calls back for each entry, in order. */
  forEach(visit: (number: number, epoch: number) => void): void {
    this.#look();
    for (let at = 1; at <= this.length; at++) visit(this.#numbers[at] as number, this.#epochs[at] as number);
  }

  #grow(at: number): void {
    const { numbers, epochs } = this.memory;
    invariant(at * 8 < epochs.maxByteLength, `A list of ${at - 1} entries is full`);
    const entries = Math.min(at + Math.max(GROWTH, at >>> 1), epochs.maxByteLength / 8);
    // In this order: a thread that ended in between leaves numbers that are not used.
    if (numbers.byteLength < entries * 4) numbers.grow(entries * 4);
    epochs.grow(entries * 8);
  }

  /** Another thread may have made the memory larger. */
  #look(): void {
    const { numbers, epochs } = this.memory;
    if (this.#epochs.byteLength === epochs.byteLength) return;
    this.#numbers = new Uint32Array(numbers, 0, epochs.byteLength >>> 3);
    this.#epochs = new Float64Array(epochs, 0, epochs.byteLength / 8);
  }
}
