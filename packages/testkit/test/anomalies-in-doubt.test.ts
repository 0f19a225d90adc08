/** Transactions whose outcome nobody knows: nothing is reported that follows from a guess, and what is known of all of several is not lost. */
import { describe, expect, it } from 'vitest';
import {
  findAnomalies,
  forbiddenBy,
  type IsolationLevel,
  initialKeys,
  Random,
  type RecordedOperation,
  type RecordedTransaction,
  runTransactions,
  SharedClock,
  sharedMemoryOf,
  TransactionRecorder,
  tagOf,
  transactionId,
} from '../src/index.js';
import { append, history, range, read, tag, transaction } from './histories.js';

const SEED = Number(process.env.HISTORY_SEED ?? Date.now() % 2 ** 31);
const [X, Y] = [1, 2];
const [THREE] = [tag(3)];

/** A transaction in doubt that deletes X, which has this. */
function deleter(number: number, outcome: RecordedTransaction['outcome'] = 'unknown', list = [0]): RecordedTransaction {
  const id = transactionId(1, number);
  return { id, outcome, operations: [{ type: 'delete', key: X, tag: tagOf(id, 0), list }] };
}

function found(...transactions: RecordedTransaction[]): string[] {
  return findAnomalies({ initial: [X], transactions }).anomalies.map(({ kind }) => kind);
}

const absent: RecordedOperation = { type: 'read', key: X, list: null };

describe('of several transactions in doubt that have deleted a key', () => {
  it('any may have been the one: who finds it absent has read of none that was aborted', () => {
    const reader = transaction(5, absent);
    expect(found(deleter(1), deleter(2), reader)).toEqual([]);
    expect(found(deleter(1), deleter(2), deleter(3, 'aborted'), reader)).toEqual([]);
    expect(found(deleter(1, 'aborted'), deleter(2, 'aborted'), reader)).toEqual(['G1a']);
    expect(found(deleter(1), deleter(2), transaction(5, { type: 'range', from: 0, to: 9, entries: [] }))).toEqual([]);
  });

  it('what they have deleted was there, whoever of them it was: who wrote it counts, also if nobody knew', () => {
    const list = [0, tag(5)];
    const writer: RecordedTransaction = { ...transaction(5, append(X, ...list)), outcome: 'unknown' };
    const reader = transaction(6, absent);
    expect(found(writer, deleter(1, 'unknown', list), deleter(2, 'unknown', list), reader)).toEqual([]);
    const aborted: RecordedTransaction = { ...writer, outcome: 'aborted' };
    expect(found(aborted, deleter(1, 'unknown', list), deleter(2, 'unknown', list), reader)).toEqual(['G1a']);
  });

  it('one was before all who find it absent, and after all who find it there', () => {
    const first = transaction(3, absent, append(Y, THREE));
    const second = transaction(4, read(Y, THREE), read(X, 0));
    for (const doubtful of [[deleter(1)], [deleter(1), deleter(2)]]) {
      expect(found(...doubtful, first, second)).toEqual(['G-single']);
    }
    const { anomalies } = findAnomalies({ initial: [X], transactions: [deleter(1), deleter(2), first, second] });
    expect(anomalies[0]?.text).toMatch(/T\?\.1 deletes key 1/);
  });

  it('nothing is said if they have not deleted the same', () => {
    const writer = transaction(5, append(X, 0, tag(5)));
    const reader = transaction(6, absent);
    expect(found(deleter(1), deleter(2, 'unknown', [0, tag(5)]), writer, reader)).toEqual([]);
  });

  it('none counts for whom the key is absent by its own deletion, until that is undone', () => {
    const own = deleter(5, 'committed');
    const reader: RecordedTransaction = {
      ...own,
      operations: [{ type: 'savepoint', name: 0 }, ...own.operations, absent, { type: 'rollback', to: 0 }, read(X, 0)],
    };
    const writer = transaction(6, append(X, 0, tag(6)));
    expect(found(deleter(1), reader, writer)).toEqual([]);
    expect(found(deleter(1), deleter(2), reader, writer)).toEqual([]);
  });
});

/** A transaction of a serial history: what it found there, and what it left. */
interface State {
  readonly lists: Map<number, readonly number[]>;
  readonly deleted: Set<number>;
}

const KEYS = 4;
const INITIAL = [0, 1];

function copyOf({ lists, deleted }: State): State {
  return { lists: new Map(lists), deleted: new Set(deleted) };
}

/** One after the other, some aborted, and some of which nobody knows whether they were. */
function serialHistory(random: Random): RecordedTransaction[] {
  const clock = new SharedClock();
  let state: State = { lists: new Map(INITIAL.map((key) => [key, [0]])), deleted: new Set() };
  return Array.from({ length: random.between(2, 7) }, (_, at) => {
    const recorder = new TransactionRecorder(transactionId(1 + (at % 3), at + 1), clock);
    recorder.began();
    const own = serialTransaction(random, recorder, copyOf(state));
    const outcome = random.pick(['committed', 'committed', 'aborted', 'unknown', 'unknown'] as const);
    if (outcome === 'committed' || (outcome === 'unknown' && random.chance(0.5))) state = own;
    return recorder.ended(outcome);
  });
}

function serialTransaction(random: Random, recorder: TransactionRecorder, from: State): State {
  let own = from;
  const savepoints: State[] = [];
  for (let left = random.between(1, 5); left > 0; left--) {
    const key = random.below(KEYS);
    const list = own.lists.get(key) ?? null;
    const kind = random.below(20);
    if (kind < 6) recorder.read(key, list);
    else if (kind < 10) {
      const to = key + random.below(KEYS - key);
      const entries = [...own.lists].filter(([one]) => one >= key && one <= to).sort(([a], [b]) => a - b);
      recorder.range(key, to, random.chance(0.5) ? entries.reverse() : entries);
    } else if (kind < 14 && !own.deleted.has(key)) own.lists.set(key, recorder.append(key, list));
    else if (kind < 17 && INITIAL.includes(key) && list !== null) {
      recorder.delete(key, list);
      own.lists.delete(key);
      own.deleted.add(key);
    } else if (kind < 19) {
      recorder.savepoint(savepoints.length);
      savepoints.push(copyOf(own));
    } else if (savepoints.length > 0) {
      const at = random.below(savepoints.length);
      recorder.rollback(at);
      own = copyOf(savepoints[at] as State);
      savepoints.length = at + 1;
    }
  }
  return own;
}

it(`random serial histories with transactions in doubt have no anomaly (HISTORY_SEED=${SEED})`, () => {
  for (let seed = SEED; seed < SEED + 4000; seed++) {
    const transactions = serialHistory(new Random(seed));
    for (const options of [{}, { realTime: 'snapshot' }, { realTime: 'serializable' }] as const) {
      const [anomaly] = findAnomalies({ initial: INITIAL, transactions }, options).anomalies;
      expect(anomaly?.text, `HISTORY_SEED=${seed}, ${JSON.stringify(options)}`).toBeUndefined();
    }
  }
});

describe('the checker and the load refuse', () => {
  const given = history(transaction(1, range(0, 9)));
  const plan = { seed: 1, keys: 12, generations: 50, longest: 10, memory: sharedMemoryOf(12) };
  const run =
    (share: object, other: object = {}) =>
    () =>
      runTransactions(
        null as never,
        { ...plan, ...other },
        { thread: 1, transactions: 1, onRecord: () => {}, ...share },
      );

  it.each([0, -1, Number.NaN, 1.5])('to tell %d anomalies of a kind', (mostOfAKind) => {
    expect(() => findAnomalies(given, { mostOfAKind })).toThrow(/^mostOfAKind is .*; it must be a whole number/);
  });

  it.each(['strict', 'Snapshot', true, null])('real time of the kind %s', (realTime) => {
    expect(() => findAnomalies(given, { realTime: realTime as never })).toThrow(
      /^realTime is .*: snapshot, serializable/,
    );
  });

  it('what is misspelt', () => {
    expect(() => findAnomalies(given, { realtime: 'snapshot' } as object)).toThrow(/^findAnomalies has no 'realtime'/);
    const level = 'serialisable' as IsolationLevel;
    expect(() => forbiddenBy(level, findAnomalies(given))).toThrow(/^level is serialisable; it must be one of/);
  });

  it('keys of two indexes that cannot be told apart', () => {
    expect(() => initialKeys({ ...plan, keys: 8, generations: 125_000 })).toThrow(/^keys times generations is 1000000/);
    const most = initialKeys({ ...plan, keys: 8, generations: 124_999 });
    expect(new Set(most).size).toBe(most.length);
  });

  it.each<[string, () => Promise<void>, RegExp]>([
    ['no transaction open', run({ open: 0 }), /^open is 0/],
    ['no number of transactions', run({ transactions: Number.NaN }), /^transactions is NaN/],
    ['the thread of who fills the lists', run({ thread: 0 }), /^thread is 0/],
    ['no keys', run({}, { keys: 0 }), /^keys is 0/],
  ])('%s', async (_, refused, message) => {
    await expect(refused()).rejects.toThrow(message);
  });
});
