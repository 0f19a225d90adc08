/**
 * The long way to tell whether a history is serializable, or could be under snapshot isolation: tries all orders in which the transactions could have begun and
 * ended, and looks whether each saw what was there. For histories of a few transactions, all of them committed.
 */
import {
  INITIAL_TAG,
  type Interval,
  type IsolationLevel,
  type RecordedTransaction,
  type TransactionHistory,
} from '../src/index.js';

type State = ReadonlyMap<number, readonly number[]>;

export function isExplained(
  { initial, transactions }: TransactionHistory,
  level: Exclude<IsolationLevel, 'read-committed'>,
  realTime: boolean,
): boolean {
  const snapshots = new Map<RecordedTransaction, State>();
  const events = transactions.flatMap((transaction) => [
    { transaction, isEnd: false, interval: transaction.began },
    { transaction, isEnd: true, interval: transaction.ended },
  ]);
  const happened = new Set<(typeof events)[0]>();

  const isDue = (event: (typeof events)[0]): boolean => {
    if (happened.has(event)) return false;
    if (event.isEnd && !snapshots.has(event.transaction)) return false;
    if (!realTime) return true;
    const { interval } = event;
    return events.every((other) => happened.has(other) || overOf(other.interval) > (interval as Interval)[0]);
  };

  const goesOn = (state: State): boolean => {
    if (happened.size === events.length) return true;
    const open = events.find((event) => event.isEnd && snapshots.has(event.transaction) && !happened.has(event));
    for (const event of events) {
      // One after another: whoever has begun ends before the next one begins.
      if (level === 'serializable' && open !== undefined && event !== open) continue;
      if (level === 'snapshot' ? !isDue(event) : happened.has(event) || (event.isEnd && event !== open)) continue;
      if (level === 'serializable' && realTime && !event.isEnd && !maySerialize(event.transaction)) continue;
      const { transaction } = event;
      let next: State | null = state;
      if (event.isEnd) next = committed(transaction, snapshots.get(transaction) as State, state);
      else if (!seesItself(transaction, state)) next = null;
      if (next === null) continue;
      happened.add(event);
      if (!event.isEnd) snapshots.set(transaction, state);
      if (goesOn(next)) return true;
      happened.delete(event);
      if (!event.isEnd) snapshots.delete(transaction);
    }
    return false;
  };

  const maySerialize = (transaction: RecordedTransaction): boolean =>
    transactions.every((other) => snapshots.has(other) || overOf(other.ended) > (transaction.began as Interval)[0]);

  return goesOn(new Map(initial.map((key) => [key, [INITIAL_TAG]])));
}

function overOf(interval: Interval | undefined): number {
  return interval?.[1] ?? Number.POSITIVE_INFINITY;
}

/** Whether all that the transaction read is what its snapshot has, with its own writes. */
function seesItself(transaction: RecordedTransaction, snapshot: State): boolean {
  const view = new Map(snapshot);
  const same = (key: number, list: readonly number[] | null): boolean =>
    (view.get(key)?.join() ?? null) === (list?.join() ?? null);
  return transaction.operations.every((operation) => {
    switch (operation.type) {
      case 'read':
        return same(operation.key, operation.list);
      case 'range': {
        const inBounds = [...view.keys()].filter((key) => key >= operation.from && key <= operation.to);
        return (
          inBounds.length === operation.entries.length && operation.entries.every(([key, list]) => same(key, list))
        );
      }
      case 'append': {
        const base = operation.list.slice(0, -1);
        const isRight = same(operation.key, base.length === 0 ? null : base);
        view.set(operation.key, operation.list);
        return isRight;
      }
      case 'delete': {
        const isRight = same(operation.key, operation.list);
        view.delete(operation.key);
        return isRight;
      }
      default:
        return true;
    }
  });
}

/** The state after its commit; null if somebody else has changed what it writes. */
function committed(transaction: RecordedTransaction, snapshot: State, state: State): State | null {
  const next = new Map(state);
  for (const operation of transaction.operations) {
    if (operation.type !== 'append' && operation.type !== 'delete') continue;
    if (snapshot.get(operation.key) !== state.get(operation.key)) return null;
    if (operation.type === 'append') next.set(operation.key, operation.list);
    else next.delete(operation.key);
  }
  return next;
}
