/**
 * What a transaction that only reads has seen need not be durable: its commit waits for nothing (`docs/guide/using.md`). Where an engine failed, it may have seen what is not there after reopening, by a transaction of which nobody
 * was ever told that it was committed. Of such a reader nobody knows whether what it saw holds.
 */
import type { RecordedOperation, RecordedTransaction, TransactionHistory } from '@pagewright/testkit';

/** The same history, in which readers of what was never acknowledged are as unknown as that is. */
export function withDoubtfulReads(history: TransactionHistory): TransactionHistory {
  const doubtful = new Doubts(history.transactions.filter(({ outcome }) => outcome === 'unknown'));
  const transactions = history.transactions.map((transaction) => {
    const { outcome, operations, ended } = transaction;
    if (outcome !== 'committed' || ended === undefined || !doubtful.haveBeenReadBy(operations)) return transaction;
    return { ...transaction, outcome: 'unknown', ended: [ended[0], null] } satisfies RecordedTransaction;
  });
  return { ...history, transactions };
}

class Doubts {
  readonly #written = new Set<number>();
  readonly #deleted = new Set<number>();

  constructor(transactions: readonly RecordedTransaction[]) {
    for (const operation of transactions.flatMap(({ operations }) => operations)) {
      if (operation.type === 'append') this.#written.add(operation.list.at(-1) as number);
      if (operation.type === 'delete') this.#deleted.add(operation.key);
    }
  }

  /** Whoever writes waits for all that it has seen. */
  haveBeenReadBy(operations: readonly RecordedOperation[]): boolean {
    const writes = operations.some(({ type }) => type === 'append' || type === 'delete');
    return !writes && operations.some((operation) => this.#areIn(operation));
  }

  #areIn(operation: RecordedOperation): boolean {
    if (operation.type === 'read') {
      const { key, list } = operation;
      return list === null ? this.#deleted.has(key) : this.#haveWritten(list);
    }
    if (operation.type !== 'range') return false;
    const { from, to, entries } = operation;
    const there = new Set(entries.map(([key]) => key));
    const gone = [...this.#deleted].some((key) => key >= from && key <= to && !there.has(key));
    return gone || entries.some(([, list]) => this.#haveWritten(list));
  }

  #haveWritten(list: readonly number[]): boolean {
    return list.some((tag) => this.#written.has(tag));
  }
}
