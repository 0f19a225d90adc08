/**
 * What concurrent transactions did, as plain data: it can be posted between threads and written as JSON.
 *
 * The value of a key is a list of tags, one for each write that made it what it is, the newest last. A write replaces the list by a longer one, so the list
 * that is read names the write that it comes from, and all before it: who read from whom, and which version followed which, is known for certain and
 * never guessed (list-append: Kingsbury and Alvaro, Elle, VLDB 2020).
 *
 * Must hold of what transactions do: a tag is written once; a write is made of what the transaction read of the key just before; a key is deleted only if
 * it was there before the history began, and is not written after that. So the absence of a key means one thing only.
 */

/** The number of a transaction: {@link transactionId}. */
export type TransactionId = number;
/** The number of a write: {@link tagOf}. */
export type Tag = number;
/** What is stored for a key; null where nothing is. */
export type List = readonly Tag[] | null;

/** The transaction that wrote what is there before the history begins, and the tag of all that it wrote. */
export const INITIAL: TransactionId = 0;
export const INITIAL_TAG: Tag = 0;

// Decimal places, so that a number in a file can be read: 3_000000017_002 is write 2 of transaction 17 of thread 3.
const MOST_WRITES = 1_000;
const MOST_TRANSACTIONS = 1_000_000_000;
const MOST_THREADS = 9_000;

export type RecordedOperation =
  | { readonly type: 'read'; readonly key: number; readonly list: List }
  | {
      /** All keys from `from` to `to`, both included, in order or in reverse order. */
      readonly type: 'range';
      readonly from: number;
      readonly to: number;
      readonly entries: readonly (readonly [key: number, list: readonly Tag[]])[];
    }
  | {
      readonly type: 'append';
      readonly key: number;
      /** As it was written: its own tag is the last. */
      readonly list: readonly Tag[];
    }
  | {
      readonly type: 'delete';
      readonly key: number;
      readonly tag: Tag;
      /** What it replaced. */
      readonly list: readonly Tag[];
    }
  | { readonly type: 'savepoint'; readonly name: number }
  | {
      /** What was written after the savepoint is undone. */
      readonly type: 'rollback';
      readonly to: number;
    };

/** `unknown`: the thread ended, or the engine failed, while it was committing. */
export type Outcome = 'committed' | 'aborted' | 'unknown';

/** When something was asked for, and when that was over, on a clock that all threads share; Infinity, or null as JSON has it: nobody knows. */
export type Interval = readonly [asked: number, over: number | null];

export interface RecordedTransaction {
  readonly id: TransactionId;
  /** In the order of the program. */
  readonly operations: readonly RecordedOperation[];
  readonly outcome: Outcome;
  /** When it began, and when it ended: both or neither. */
  readonly began?: Interval;
  readonly ended?: Interval;
}

export interface TransactionHistory {
  /** Keys that are there before the history begins, each with the list `[INITIAL_TAG]`. */
  readonly initial: readonly number[];
  /** In any order. */
  readonly transactions: readonly RecordedTransaction[];
}

/** A history that no recorder makes. */
export class HistoryError extends Error {
  override readonly name = 'HistoryError';
}

/** Transaction `number` of a thread; numbers begin with 1. */
export function transactionId(thread: number, number: number): TransactionId {
  if (!(thread >= 0 && thread < MOST_THREADS && number > 0 && number < MOST_TRANSACTIONS))
    throw new RangeError(`Transaction ${number} of thread ${thread} cannot be told by a number.`);
  return thread * MOST_TRANSACTIONS + number;
}

/** Who stands in a report for one of several transactions, nobody can tell which; numbers begin with 1. No recorded one has such an id. */
export function transactionInDoubt(number: number): TransactionId {
  return MOST_THREADS * MOST_TRANSACTIONS + number;
}

/** Write `write` of a transaction; writes begin with 0. */
export function tagOf(transaction: TransactionId, write: number): Tag {
  if (write >= MOST_WRITES) throw new RangeError(`A recorded transaction has no more than ${MOST_WRITES} writes.`);
  return transaction * MOST_WRITES + write;
}

/** Whose write it is. */
export function transactionOf(tag: Tag): TransactionId {
  return Math.floor(tag / MOST_WRITES);
}

/** `T3.17`: transaction 17 of thread 3. `T?.1`: the first of those of whom nobody can tell which they are. */
export function nameOf(transaction: TransactionId): string {
  if (transaction === INITIAL) return 'the beginning';
  const thread = Math.floor(transaction / MOST_TRANSACTIONS);
  return `T${thread === MOST_THREADS ? '?' : thread}.${transaction % MOST_TRANSACTIONS}`;
}

/** `3.17:2`: write 2 of transaction 17 of thread 3. */
export function nameOfTag(tag: Tag): string {
  return tag === INITIAL_TAG ? 'initial' : `${nameOf(transactionOf(tag)).slice(1)}:${tag % MOST_WRITES}`;
}
