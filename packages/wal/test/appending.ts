/** A thread that appends to a log which several have, for `threads.test.ts`: what it appends says what it is, and what was acknowledged is noted in memory that all share. */
import { type Log, type LogOperation, OPERATION_PUT, SharedLatch, type Threads } from '@pagewright/core';
import { Random } from '@pagewright/testkit';
import { recordOf } from '@pagewright/testkit/rig';

export interface AppendingMemory {
  /** Held from taking a timestamp until its record is appended. */
  readonly order: SharedArrayBuffer;
  /** The last timestamp. */
  readonly timestamp: SharedArrayBuffer;
  /** For each timestamp, whether its commit was acknowledged. */
  readonly acknowledged: SharedArrayBuffer;
}

export function appendingMemory(most: number): AppendingMemory {
  return {
    order: new SharedArrayBuffer(SharedLatch.bytes()),
    timestamp: new SharedArrayBuffer(4),
    acknowledged: new SharedArrayBuffer(most + 1),
  };
}

/** What a hammering thread appends with a timestamp. */
export function hammered(timestamp: number, slot: number): LogOperation[] {
  const key = new Uint8Array(new Uint32Array([timestamp, slot]).buffer);
  return [{ kind: OPERATION_PUT, index: slot, key, value: new Uint8Array(40).fill(timestamp) }];
}

/** More than the key of a record adds to its value. */
const OVERHEAD = 200;
const MOST_IN_FLIGHT = 12;

export class Appender {
  readonly #order: SharedLatch;
  readonly #timestamp: Int32Array;
  readonly #acknowledged: Uint8Array;
  readonly #slot: number;
  readonly #commits = new Set<Promise<void>>();

  constructor(
    readonly log: Log,
    threads: Threads,
    memory: AppendingMemory,
  ) {
    this.#order = new SharedLatch(memory.order, threads, 'orderLatch');
    this.#timestamp = new Int32Array(memory.timestamp);
    this.#acknowledged = new Uint8Array(memory.acknowledged);
    this.#slot = threads.slot;
  }

  /** Appends and commits so many records, in the background and in place. */
  async run(seed: number, times: number): Promise<void> {
    const random = new Random(seed);
    for (let i = 0; i < times; i++) {
      const size = random.chance(0.9) ? random.below(400) : random.below(random.pick([3000, 30_000]));
      if (random.chance(0.1)) await this.log.reserve(size + OVERHEAD);
      const { timestamp, position } = this.#append(size);
      if (random.chance(0.2)) {
        this.log.commitSync(position);
        this.#note(timestamp);
      } else if (random.chance(0.9)) {
        this.#commitLater(timestamp, position);
        if (this.#commits.size >= MOST_IN_FLIGHT) await Promise.race(this.#commits);
      } // or nobody waits for it
    }
    await Promise.all(this.#commits);
  }

  /** Appends so many small records as fast as it can, and has one in five written in place. */
  hammer(times: number): void {
    const operations = hammered(0, 0);
    const size = this.log.sizeOf(operations);
    for (let i = 0; i < times; i++) {
      this.log.reserveSync(size);
      const position = this.#order.holding(() => {
        const timestamp = this.#timestamp[0]! + 1;
        const record = { timestamp, dependsOn: timestamp - 1, operations: hammered(timestamp, this.#slot) };
        const end = this.log.append(record);
        this.#timestamp[0] = timestamp;
        return end;
      });
      if (i % 5 === this.#slot % 5) this.log.commitSync(position);
    }
  }

  /** Where a checkpoint would be now. */
  mark() {
    return this.#order.holding(() => ({ timestamp: this.#timestamp[0]!, log: this.log.mark() }));
  }

  #append(size: number): { timestamp: number; position: number } {
    this.log.reserveSync(size + OVERHEAD);
    return this.#order.holding(() => {
      const timestamp = this.#timestamp[0]! + 1;
      const position = this.log.append(recordOf(timestamp, this.#slot, size));
      this.#timestamp[0] = timestamp;
      return { timestamp, position };
    });
  }

  #commitLater(timestamp: number, position: number): void {
    const commit = this.log.commit(position).then(() => this.#note(timestamp));
    this.#commits.add(commit);
    const over = () => this.#commits.delete(commit);
    commit.then(over, over);
  }

  #note(timestamp: number): void {
    Atomics.store(this.#acknowledged, timestamp, 1);
  }
}
