/**
 * A log in memory that several threads share, as far as their commits go: it keeps which timestamp was appended last, and notes what a log could not bear:
 * two threads in it at a time, or timestamps that are not dense.
 */
import { type CommitRecord, type Log, operationsSize } from '@pagewright/core';

const BUSY = 0;
const VIOLATIONS = 1;
/** Of 8 bytes. */
const LAST = 1;
const POSITION = 2;

export class SharedLog {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  static bytes(): number {
    return 64;
  }

  constructor(readonly memory: SharedArrayBuffer) {
    this.#words = new Int32Array(memory);
    this.#numbers = new Float64Array(memory);
  }

  begin(timestamp: number): void {
    this.#numbers[LAST] = timestamp;
  }

  /** The last timestamp. While no thread appends. */
  get last(): number {
    return this.#numbers[LAST]!;
  }

  get violations(): number {
    return Atomics.load(this.#words, VIOLATIONS);
  }

  /** As transactions want it. */
  get log(): Log {
    const log: Partial<Log> = {
      maxRecordSize: 1 << 24,
      sizeOf: (operations) => 56 + operationsSize(operations),
      reserveSync: () => undefined,
      append: (record) => this.#append(record),
    };
    return log as Log;
  }

  #append({ timestamp, dependsOn, operations }: CommitRecord): number {
    const isAlone = Atomics.compareExchange(this.#words, BUSY, 0, 1) === 0;
    const isNext = timestamp === this.#numbers[LAST]! + 1 && dependsOn < timestamp && operations.length > 0;
    if (!isAlone || !isNext) Atomics.add(this.#words, VIOLATIONS, 1);
    this.#numbers[LAST] = timestamp;
    this.#numbers[POSITION]! += 100;
    const position = this.#numbers[POSITION]!;
    Atomics.store(this.#words, BUSY, 0);
    return position;
  }
}
