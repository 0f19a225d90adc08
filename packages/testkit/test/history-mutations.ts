/** Puts an anomaly into a history that has none. */
import {
  type AnomalyKind,
  type Random,
  type RecordedOperation,
  type RecordedTransaction,
  type TransactionHistory,
  type TransactionId,
  tagOf,
} from '../src/index.js';
import { append, range, read, tag, transaction } from './histories.js';

/** Keys that nobody else has; and the number of a write that no transaction comes to. */
const [FRESH, FRESHER] = [1_000_000, 1_000_001];
const LATE = 900;

interface Dependent {
  /** Both by position. */
  readonly writer: number;
  readonly other: number;
  readonly key: number;
  readonly list: readonly number[];
}

/** Takes a history in which all happened one after another, in that order. */
export const MUTATIONS: Readonly<
  Partial<Record<AnomalyKind, (random: Random, given: TransactionHistory) => TransactionHistory>>
> = {
  G0: (random, given) => {
    const { writer, other } = random.pick(dependents(given, ['append']));
    const own = tagOf(idOf(given, other), LATE);
    return changed(
      changed(given, other, (operations) => [...operations, append(FRESH, own)]),
      writer,
      (operations, id) => [...operations, append(FRESH, own, tagOf(id, LATE))],
    );
  },
  G1a: (random, given) => {
    const { writer } = random.pick(dependents(given, ['read', 'append', 'range']));
    return {
      ...given,
      transactions: given.transactions.map((one, at) => (at === writer ? { ...one, outcome: 'aborted' } : one)),
    };
  },
  G1b: (random, given) => {
    const { writer, key, list } = random.pick(dependents(given, ['read', 'append', 'range']));
    return changed(given, writer, (operations, id) => [...operations, append(key, ...list, tagOf(id, LATE))]);
  },
  G1c: (random, given) => {
    const { writer, other } = random.pick(dependents(given, ['read']));
    const own = tagOf(idOf(given, other), LATE);
    return changed(
      changed(given, other, (operations) => [...operations, append(FRESH, own)]),
      writer,
      (operations) => [...operations, read(FRESH, own)],
    );
  },
  'lost-update': (random, given) => {
    // The last of all that have changed the key does not know of the one before.
    const all = dependents(given, ['append']);
    const last = all.filter(({ key, other }) => all.every((one) => one.key !== key || one.other <= other));
    const { writer, other, key } = random.pick(last);
    const lost = idOf(given, writer);
    const without = (list: readonly number[]): number[] => list.filter((one) => Math.floor(one / 1000) !== lost);
    const isLate = new Set(given.transactions.slice(other).map(({ id }) => id));
    return {
      ...given,
      transactions: given.transactions
        .filter(
          ({ id, operations }) =>
            id === idOf(given, other) ||
            !isLate.has(id) ||
            operations.every((one) => listsIn(one).every(([found]) => found !== key)),
        )
        .map((one) =>
          one.id === idOf(given, other)
            ? { ...one, operations: one.operations.map((each) => relisted(each, key, without)) }
            : one,
        ),
    };
  },
  'G-single': (random, given) => {
    const { writer, other } = random.pick(dependents(given, ['read', 'range', 'append']));
    const look = random.pick([read(FRESH), range(FRESH, FRESHER)]);
    return changed(
      changed(given, other, (operations) => [...operations, look]),
      writer,
      (operations, id) => [...operations, append(FRESH, tagOf(id, LATE))],
    );
  },
  'G-nonadjacent': (random, given) =>
    joined(random, given, (last) => [
      transaction(last + 1, append(FRESH, tag(last + 1))),
      transaction(last + 2, append(FRESHER, tag(last + 2))),
      transaction(last + 3, read(FRESH, tag(last + 1)), read(FRESHER)),
      transaction(last + 4, range(FRESH, FRESHER, [FRESHER, [tag(last + 2)]])),
    ]),
  'G2-item': (random, given) =>
    joined(random, given, (last) => [
      transaction(last + 1, read(FRESH), append(FRESHER, tag(last + 1))),
      transaction(last + 2, read(FRESHER), append(FRESH, tag(last + 2))),
    ]),
  G2: (random, given) =>
    joined(random, given, (last) => [
      transaction(last + 1, range(FRESH, FRESHER), append(FRESHER, tag(last + 1))),
      transaction(last + 2, read(FRESHER), append(FRESH, tag(last + 2))),
    ]),
  internal: (random, given) => {
    const { other, key } = random.pick(dependents(given, ['append']));
    return changed(given, other, (operations) => [...operations, range(key, key)]);
  },
  garbage: (random, given) => {
    const long = dependents(given, ['read']).filter(({ list }) => list.length > 1);
    const { other, key } = random.pick(long);
    return changed(given, other, (operations) =>
      operations.map((one) => (one.type === 'read' ? relisted(one, key, (list) => list.slice(1)) : one)),
    );
  },
};

/** Who has seen, by such operations, what somebody else has written. */
function dependents({ transactions }: TransactionHistory, types: readonly string[]): Dependent[] {
  const positions = new Map(transactions.map(({ id }, position) => [id, position]));
  return transactions.flatMap(({ id, operations, outcome }, other) => {
    if (outcome !== 'committed') return [];
    return operations
      .filter(({ type }) => types.includes(type))
      .flatMap(listsIn)
      .flatMap(([key, list]): Dependent[] => {
        const last = list.at(-1);
        if (last === undefined || Math.floor(last / 1000) === id) return [];
        return [{ writer: positions.get(Math.floor(last / 1000)) as number, other, key, list }];
      });
  });
}

/** What an operation has seen of keys. */
function listsIn(operation: RecordedOperation): (readonly [number, readonly number[]])[] {
  if (operation.type === 'range') return [...operation.entries];
  if (operation.type === 'append') return [[operation.key, operation.list.slice(0, -1)]];
  return operation.type === 'read' ? [[operation.key, operation.list ?? []]] : [];
}

function relisted(
  operation: RecordedOperation,
  key: number,
  change: (list: readonly number[]) => number[],
): RecordedOperation {
  if (operation.type === 'append' && operation.key === key) return append(key, ...change(operation.list));
  if (operation.type === 'read' && operation.key === key) return read(key, ...change(operation.list ?? []));
  if (operation.type !== 'range') return operation;
  const entries = operation.entries.flatMap(([found, list]): [number, readonly number[]][] => {
    const left = found === key ? change(list) : list;
    return left.length === 0 ? [] : [[found, left]];
  });
  return { ...operation, entries };
}

function idOf({ transactions }: TransactionHistory, position: number): TransactionId {
  return (transactions[position] as RecordedTransaction).id;
}

function changed(
  given: TransactionHistory,
  position: number,
  change: (operations: readonly RecordedOperation[], id: TransactionId) => RecordedOperation[],
): TransactionHistory {
  const transactions = given.transactions.map((one, at) =>
    at === position ? { ...one, operations: change(one.operations, one.id) } : one,
  );
  return { ...given, transactions };
}

/** With more transactions, which have seen the end of all others. */
function joined(
  random: Random,
  given: TransactionHistory,
  more: (last: number) => RecordedTransaction[],
): TransactionHistory {
  const ends = new Map<number, readonly number[]>();
  for (const { operations, outcome } of given.transactions) {
    for (const one of operations) {
      if (outcome === 'committed' && one.type === 'append') ends.set(one.key, one.list);
    }
  }
  const seen = [...ends].map(([key, list]) => read(key, ...list));
  const last = given.transactions.length;
  const added = more(last).map((one) => ({ ...one, operations: [...one.operations, random.pick(seen)] }));
  return { ...given, transactions: [...given.transactions, ...added] };
}
