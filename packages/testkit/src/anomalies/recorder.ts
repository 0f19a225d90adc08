/** Writes down what a transaction does, while it does it; and collects what several threads have written down. */
import {
  type Interval,
  type List,
  type Outcome,
  type RecordedOperation,
  type RecordedTransaction,
  type Tag,
  type TransactionHistory,
  type TransactionId,
  tagOf,
} from './transaction-history.js';

/** A clock that counts, for all threads that have its memory. */
export class SharedClock {
  readonly #ticks: Int32Array;

  constructor(readonly memory = new SharedArrayBuffer(4)) {
    this.#ticks = new Int32Array(memory);
  }

  /** The next instant. */
  now(): number {
    return Atomics.add(this.#ticks, 0, 1) + 1;
  }
}

/** Make one right before a transaction is begun. */
export class TransactionRecorder {
  readonly #operations: RecordedOperation[] = [];
  readonly #asked: number;
  #began: Interval | null = null;
  #ending: number | null = null;
  #writes = 0;

  constructor(
    readonly id: TransactionId,
    private readonly clock: SharedClock,
  ) {
    this.#asked = clock.now();
  }

  get hasWrites(): boolean {
    return this.#writes > 0;
  }

  /** It has begun. */
  began(): void {
    this.#began = [this.#asked, this.clock.now()];
  }

  read(key: number, list: List): void {
    this.#operations.push({ type: 'read', key, list });
  }

  /** Bounds are included. A range that was limited ends with the last key that it gave. */
  range(from: number, to: number, entries: readonly (readonly [number, readonly Tag[]])[]): void {
    this.#operations.push({ type: 'range', from, to, entries });
  }

  /** What is to be written to a key, of what was just read of it. */
  append(key: number, list: List): readonly Tag[] {
    const longer = [...(list ?? []), tagOf(this.id, this.#writes++)];
    this.#operations.push({ type: 'append', key, list: longer });
    return longer;
  }

  /** The key is deleted; this was just read of it. */
  delete(key: number, list: readonly Tag[]): void {
    this.#operations.push({ type: 'delete', key, tag: tagOf(this.id, this.#writes++), list });
  }

  savepoint(name: number): void {
    this.#operations.push({ type: 'savepoint', name });
  }

  rollback(to: number): void {
    this.#operations.push({ type: 'rollback', to });
  }

  /** It is about to be committed or aborted. What is recorded now holds if nobody hears of it any more. */
  ending(): RecordedTransaction {
    this.#ending = this.clock.now();
    return this.#record('unknown', null);
  }

  ended(outcome: Outcome): RecordedTransaction {
    if (this.#ending === null) this.ending();
    return this.#record(outcome, outcome === 'unknown' ? null : this.clock.now());
  }

  #record(outcome: Outcome, over: number | null): RecordedTransaction {
    const began = this.#began ?? [this.#asked, this.clock.now()];
    // What went wrong before it began has not ended either.
    const ended: Interval = [this.#ending as number, over];
    return { id: this.id, operations: this.#operations, outcome, began, ended };
  }
}

/** Of each transaction the last that was recorded of it. */
export class HistoryCollector {
  readonly #transactions = new Map<TransactionId, RecordedTransaction>();

  /** `initial`: the keys that are there before. */
  constructor(private readonly initial: readonly number[]) {}

  /** Transactions, those included that have not ended. */
  get size(): number {
    return this.#transactions.size;
  }

  add(...records: readonly RecordedTransaction[]): void {
    for (const record of records) this.#transactions.set(record.id, record);
  }

  history(): TransactionHistory {
    return { initial: this.initial, transactions: [...this.#transactions.values()] };
  }
}
