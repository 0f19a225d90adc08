/**
 * All that was written in a history, by tag and by key, and what became of it. Before the first write of a key stands its root: what was there when the history
 * began, or nothing. Writes are known by their positions; the roots come first, in order of key.
 */

import type { Steps } from './steps.js';
import {
  HistoryError,
  INITIAL_TAG,
  type List,
  nameOf,
  nameOfTag,
  type RecordedOperation,
  type RecordedTransaction,
  type Tag,
  type TransactionHistory,
  tagOf,
  transactionInDoubt,
  transactionOf,
} from './transaction-history.js';

/** Of roots: no transaction, no operation. */
export const NONE = -1;

export type WriteOperation = Extract<RecordedOperation, { type: 'append' | 'delete' }>;

/** What became of a write within its transaction. */
const UNDONE = 0;
const REPLACED = 1;
const LEFT = 2;

export class WriteIndex {
  /** Those of the history, and behind them who stands for others: see {@link recorded}. */
  readonly transactions: readonly RecordedTransaction[];
  /** So many are of the history. Each other one has deleted one key, and is one of several whose outcome is unknown: nobody can tell which. */
  readonly recorded: number;
  /** In order. */
  readonly keys: readonly number[];
  /** Of each write: its transaction, its key (both by position), and which operation it is. */
  readonly transaction: number[] = [];
  readonly key: number[] = [];
  readonly operation: number[] = [];
  /** Of each write that its transaction replaced itself: what it left in the end. Of each other one: itself. */
  readonly left: number[] = [];
  /** By key: who deleted it, for good as far as the transaction goes. */
  readonly deletions = new Map<number, number[]>();
  readonly #fate: number[] = [];
  readonly #initial: ReadonlySet<number>;
  readonly #keyPositions = new Map<number, number>();
  readonly #byTag = new Map<Tag, number>();
  readonly #counts: Uint8Array;

  constructor(
    history: TransactionHistory,
    private readonly steps: Steps,
  ) {
    const transactions = [...history.transactions];
    this.transactions = transactions;
    this.recorded = transactions.length;
    this.#initial = new Set(history.initial);
    this.keys = this.#collectKeys();
    for (const [position, key] of this.keys.entries()) {
      this.#keyPositions.set(key, position);
      this.#addWrite(NONE, position, NONE);
    }
    this.#counts = new Uint8Array(this.recorded + this.keys.length);
    this.#checkIds();
    for (let position = 0; position < this.recorded; position++) this.#register(position);
    for (const key of this.#countOutcomes()) this.#addDeleter(key, transactions);
  }

  /** Undefined of a key that is not in the history but for reads that found nothing. */
  positionOf(key: number): number | undefined {
    return this.#keyPositions.get(key);
  }

  /** Position of the first key that is not below this one. */
  firstKeyFrom(key: number): number {
    return firstFrom(this.keys, key);
  }

  isInitial(key: number): boolean {
    return this.#initial.has(key);
  }

  withTag(tag: Tag): number | undefined {
    return this.#byTag.get(tag);
  }

  /** Whether the transaction counts as committed: it was, or somebody who counts has seen what it wrote. */
  counts(transaction: number): boolean {
    return this.#counts[transaction] === 1;
  }

  /** Whether nobody knows if the transaction was committed, and nobody who counts has seen what it wrote. */
  isInDoubt(transaction: number): boolean {
    return this.transactions[transaction]?.outcome === 'unknown' && !this.counts(transaction);
  }

  isRoot(write: number): boolean {
    return write < this.keys.length;
  }

  /** Whether it is a version: a root, or what a transaction that counts has left of a key. */
  isVersion(write: number): boolean {
    return this.isRoot(write) || (this.#fate[write] === LEFT && this.counts(this.transaction[write] as number));
  }

  isUndone(write: number): boolean {
    return this.#fate[write] === UNDONE;
  }

  isReplaced(write: number): boolean {
    return this.#fate[write] === REPLACED;
  }

  /** The operation of what is no root. */
  operationOf(write: number): WriteOperation {
    const { operations } = this.transactions[this.transaction[write] as number] as RecordedTransaction;
    return operations[this.operation[write] as number] as WriteOperation;
  }

  /** What a key has after a write. */
  listAfter(write: number): List {
    if (this.isRoot(write)) return this.isInitial(this.keys[write] as number) ? [INITIAL_TAG] : null;
    const operation = this.operationOf(write);
    return operation.type === 'append' ? operation.list : null;
  }

  #collectKeys(): number[] {
    const keys = new Set(this.#initial);
    for (const { operations } of this.transactions) {
      for (const operation of operations) {
        this.steps.count++;
        if (operation.type === 'append' || operation.type === 'delete') keys.add(operation.key);
      }
    }
    return [...keys].sort((a, b) => a - b);
  }

  #checkIds(): void {
    const ids = new Set<number>();
    for (const { id } of this.transactions) {
      if (ids.has(id)) throw new HistoryError(`${nameOf(id)} is there twice.`);
      ids.add(id);
    }
  }

  /** Takes note of what a transaction wrote, and of what it undid and replaced. */
  #register(position: number): void {
    const { id, operations } = this.transactions[position] as RecordedTransaction;
    /** Writes that stand, and how many did at each savepoint. */
    const standing: number[] = [];
    const savepoints = new Map<number, number>();
    for (const [at, operation] of operations.entries()) {
      this.steps.count++;
      if (operation.type === 'append' || operation.type === 'delete') {
        const tag = tagIn(operation);
        if (tag === undefined || transactionOf(tag) !== id)
          throw new HistoryError(`${nameOf(id)} has written what is not its own: operation ${at + 1}.`);
        if (this.#byTag.has(tag)) throw new HistoryError(`${nameOfTag(tag)} was written twice.`);
        if (operation.type === 'delete' && !this.isInitial(operation.key))
          throw new HistoryError(`${nameOf(id)} deletes ${operation.key}, which was not there at the beginning.`);
        const write = this.#addWrite(position, this.positionOf(operation.key) as number, at);
        this.#byTag.set(tag, write);
        standing.push(write);
      } else if (operation.type === 'savepoint') savepoints.set(operation.name, standing.length);
      else if (operation.type === 'rollback') {
        const kept = savepoints.get(operation.to);
        if (kept === undefined) throw new HistoryError(`${nameOf(id)} goes back to a savepoint that it has not made.`);
        while (standing.length > kept) this.#fate[standing.pop() as number] = UNDONE;
      }
    }
    const last = new Map<number, number>();
    for (let at = standing.length - 1; at >= 0; at--) {
      this.steps.count++;
      const write = standing[at] as number;
      const key = this.key[write] as number;
      const left = last.get(key);
      if (left !== undefined) {
        this.#fate[write] = REPLACED;
        this.left[write] = left;
        continue;
      }
      last.set(key, write);
      if (this.operationOf(write).type !== 'delete') continue;
      const deletions = this.deletions.get(key);
      if (deletions === undefined) this.deletions.set(key, [write]);
      else deletions.push(write);
    }
  }

  #addWrite(transaction: number, key: number, operation: number): number {
    const write = this.transaction.push(transaction) - 1;
    this.key.push(key);
    this.operation.push(operation);
    this.left.push(write);
    this.#fate.push(LEFT);
    return write;
  }

  /** Who committed counts, and whose outcome is unknown if it was seen by one that counts. The keys that were deleted by one of several, nobody can tell which. */
  #countOutcomes(): number[] {
    const found: number[] = [];
    const count = (transaction: number): void => {
      if (this.#counts[transaction] === 1) return;
      this.#counts[transaction] = 1;
      found.push(transaction);
    };
    const sees = (tag: Tag | undefined): void => {
      this.steps.count++;
      const write = tag === undefined ? undefined : this.#byTag.get(tag);
      if (write === undefined) return;
      const transaction = this.transaction[write] as number;
      if (this.transactions[transaction]?.outcome === 'unknown') count(transaction);
    };
    for (const [position, { outcome }] of this.transactions.entries()) if (outcome === 'committed') count(position);
    const inDoubt = this.#deletionsInDoubt();
    const doubtful = [...inDoubt.keys()].sort((a, b) => a - b);
    const ofSeveral = new Set<number>();
    const followed = new Set<number>();
    /** Whoever of several has deleted a key, what they all found there was seen. */
    const followSeveral = (): void => {
      for (const key of ofSeveral) {
        if (followed.has(key)) continue;
        followed.add(key);
        sees(this.#deletedInDoubt(key)?.at(-1));
      }
    };
    for (let next = found.pop(); next !== undefined; next = found.pop()) {
      const own = new OwnDeletions();
      const missed = (key: number): void => {
        this.steps.count++;
        const deleters = inDoubt.get(key);
        if (deleters === undefined || own.has(key)) return;
        if (deleters.length === 1) count(deleters[0] as number);
        else ofSeveral.add(key);
      };
      for (const operation of (this.transactions[next] as RecordedTransaction).operations) {
        own.note(operation);
        if (operation.type === 'read') {
          if (operation.list === null) missed(operation.key);
          else sees(operation.list.at(-1));
        } else if (operation.type === 'append') sees(operation.list.at(-2));
        else if (operation.type === 'delete') sees(operation.list.at(-1));
        else if (operation.type === 'range') {
          for (const [, list] of operation.entries) sees(list.at(-1));
          if (doubtful.length === 0) continue;
          const present = new Set(operation.entries.map(([key]) => key));
          const from = firstFrom(doubtful, operation.from);
          for (let at = from; at < doubtful.length && (doubtful[at] as number) <= operation.to; at++) {
            if (!present.has(doubtful[at] as number)) missed(doubtful[at] as number);
          }
        }
      }
      if (found.length === 0) followSeveral();
    }
    return [...ofSeveral].sort((a, b) => a - b);
  }

  /** Keys that nobody deleted for sure, and one or more transactions perhaps: these. */
  #deletionsInDoubt(): Map<number, number[]> {
    const inDoubt = new Map<number, number[]>();
    for (const [position, deletions] of this.deletions) {
      const deleters = deletions.map((write) => this.transaction[write] as number);
      if (deleters.some((deleter) => this.counts(deleter))) continue;
      const possible = deleters.filter((deleter) => this.transactions[deleter]?.outcome === 'unknown');
      if (possible.length > 0) inDoubt.set(this.keys[position] as number, possible);
    }
    return inDoubt;
  }

  /**
   * A key was seen to be absent that one of several deleted. Who it was stands in the history as a transaction that did nothing else, unless one of
   * them counts, or they have not deleted the same: what is known of all of them is known of that one.
   */
  #addDeleter(key: number, transactions: RecordedTransaction[]): void {
    const deletions = this.deletions.get(this.positionOf(key) as number) as number[];
    this.steps.count += deletions.length;
    if (deletions.some((write) => this.counts(this.transaction[write] as number))) return;
    const list = this.#deletedInDoubt(key);
    if (list === undefined) return;
    const id = transactionInDoubt(transactions.length - this.recorded + 1);
    const position = transactions.length;
    transactions.push({
      id,
      outcome: 'committed',
      operations: [{ type: 'delete', key, tag: tagOf(id, 0), list }],
    });
    this.#counts[position] = 1;
    this.#register(position);
  }

  /** What all whose outcome is unknown found of a key that they deleted; undefined if that was not the same. */
  #deletedInDoubt(key: number): readonly Tag[] | undefined {
    const deletions = this.deletions.get(this.positionOf(key) as number) as number[];
    this.steps.count += deletions.length;
    const [first, ...others] = deletions
      .filter((write) => this.transactions[this.transaction[write] as number]?.outcome === 'unknown')
      .map((write) => this.operationOf(write).list);
    const isSame = (list: readonly Tag[]): boolean =>
      list.length === first?.length && list.every((tag, at) => tag === first[at]);
    return others.every(isSame) ? first : undefined;
  }
}

/** The keys that a transaction has deleted itself by then: that these are absent says nothing of others. */
class OwnDeletions {
  readonly #keys: number[] = [];
  readonly #savepoints = new Map<number, number>();

  note(operation: RecordedOperation): void {
    if (operation.type === 'delete') this.#keys.push(operation.key);
    else if (operation.type === 'savepoint') this.#savepoints.set(operation.name, this.#keys.length);
    else if (operation.type === 'rollback')
      this.#keys.length = Math.min(this.#keys.length, this.#savepoints.get(operation.to) as number);
  }

  has(key: number): boolean {
    return this.#keys.includes(key);
  }
}

function tagIn(operation: WriteOperation): Tag | undefined {
  return operation.type === 'append' ? operation.list.at(-1) : operation.tag;
}

/** Position of the first that is not below this one, in what is in order. */
function firstFrom(ordered: readonly number[], least: number): number {
  let from = 0;
  let to = ordered.length;
  while (from < to) {
    const middle = (from + to) >>> 1;
    if ((ordered[middle] as number) < least) from = middle + 1;
    else to = middle;
  }
  return from;
}
