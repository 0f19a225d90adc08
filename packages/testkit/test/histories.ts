/** Histories for the tests of their checker: transactions in few words, and random ones. */
import {
  INITIAL_TAG,
  type Interval,
  type List,
  type Random,
  type RecordedOperation,
  type RecordedTransaction,
  type TransactionHistory,
  tagOf,
  transactionId,
} from '../src/index.js';

/** Transaction `number`, as committed. */
export function transaction(number: number, ...operations: RecordedOperation[]): RecordedTransaction {
  return { id: transactionId(1, number), operations, outcome: 'committed' };
}

/** The tag of its write. */
export function tag(number: number, write = 0): number {
  return tagOf(transactionId(1, number), write);
}

export const read = (key: number, ...list: number[]): RecordedOperation => ({
  type: 'read',
  key,
  list: list.length === 0 ? null : list,
});
export const append = (key: number, ...list: number[]): RecordedOperation => ({ type: 'append', key, list });
export const range = (from: number, to: number, ...entries: [number, number[]][]): RecordedOperation => ({
  type: 'range',
  from,
  to,
  entries,
});
export const history = (...transactions: RecordedTransaction[]): TransactionHistory => ({ initial: [], transactions });

/** A history in which keys have an order of versions, and everybody reads any of them: few of these can be explained. */
export function wildHistory(random: Random): TransactionHistory {
  const count = random.between(2, 5);
  const keys = Array.from({ length: random.between(1, 3) }, (_, at) => at);
  const initial = keys.filter(() => random.chance(0.4));
  const writers = Array.from({ length: count }, (_, at) => ({
    number: at + 1,
    reads: [] as RecordedOperation[],
    writes: [] as RecordedOperation[],
  }));
  const versions = keys.map((key): List[] => {
    const lists: List[] = [initial.includes(key) ? [INITIAL_TAG] : null];
    for (const writer of random.shuffle([...writers])) {
      if (!random.chance(0.45)) continue;
      // Now and then from what somebody else has replaced already: a lost update.
      const base = random.chance(0.04) ? random.pick(lists) : (lists.at(-1) as List);
      if (base === null && lists.length > 1 && initial.includes(key)) break;
      const own = tag(writer.number, writer.writes.length);
      if (initial.includes(key) && base !== null && random.chance(0.25)) {
        writer.writes.push({ type: 'delete', key, tag: own, list: base });
        lists.push(null);
        break;
      }
      const list = [...(base ?? []), own];
      writer.writes.push({ type: 'append', key, list });
      lists.push(list);
    }
    return lists;
  });
  // Mostly what comes early, or what comes late, so that some of it fits together.
  for (const writer of writers) {
    const tends = random.fraction();
    const pick = (key: number): List => {
      const lists = versions[key] as List[];
      const at = random.chance(0.7) ? Math.floor(tends * lists.length) : random.below(lists.length);
      const list = lists[at] as List;
      return list?.some((one) => Math.floor(one / 1000) === transactionId(1, writer.number))
        ? (lists[0] as List)
        : list;
    };
    for (let reads = random.below(3); reads > 0; reads--) {
      if (random.chance(0.6)) {
        const key = random.pick(keys);
        writer.reads.push({ type: 'read', key, list: pick(key) });
        continue;
      }
      const entries = keys.flatMap((key): [number, readonly number[]][] => {
        const list = pick(key);
        return list === null ? [] : [[key, list]];
      });
      writer.reads.push({ type: 'range', from: 0, to: keys.length, entries });
    }
  }
  const times = random.shuffle(writers.flatMap(({ number }) => [number, number, number, number]));
  const transactions = writers.map(({ number, reads, writes }) => {
    const own = times.flatMap((who, at) => (who === number ? [at + 1] : []));
    return {
      ...transaction(number, ...reads, ...writes),
      began: [own[0], own[1]] as unknown as Interval,
      ended: [own[2], own[3]] as unknown as Interval,
    };
  });
  return { initial, transactions };
}

export interface SimulationOptions {
  readonly transactions: number;
  readonly keys: number;
  /** Transactions that are open at a time. One: all happens one after another. */
  readonly open: number;
  /** A list has no more; then its key is let go. */
  readonly longest?: number;
  /** Transactions commit whatever others have changed, and read what is newest. */
  readonly careless?: boolean;
}

/** What happens under snapshot isolation, or one after another. In the order of the commits. */
export function simulatedHistory(random: Random, options: SimulationOptions): TransactionHistory {
  const { transactions: count, keys, open, longest = 12, careless = false } = options;
  /** Of each key, its versions, the newest first, each with the commit that it is of. */
  const versions = new Map<number, Version>();
  const generation = new Int32Array(keys);
  const running: Simulated[] = [];
  const transactions: RecordedTransaction[] = [];
  let number = 0;
  let commits = 0;
  let clock = 0;
  while (transactions.length < count) {
    if (running.length < open && number < count) {
      running.push({
        number: ++number,
        asked: ++clock,
        began: ++clock,
        snapshot: commits,
        own: new Map(),
        operations: [],
        writes: 0,
        left: random.between(1, 5),
      });
    }
    const at = random.below(running.length);
    const one = running[at] as Simulated;
    if (one.left-- > 0) {
      act(one);
      continue;
    }
    running.splice(at, 1);
    const conflicts = !careless && [...one.own.keys()].some((key) => (versions.get(key)?.commit ?? 0) > one.snapshot);
    const isCommitted = !conflicts && !random.chance(0.05);
    const ending = ++clock;
    if (isCommitted) {
      commits++;
      for (const [key, list] of one.own) versions.set(key, { commit: commits, list, before: versions.get(key) });
    }
    transactions.push({
      id: transactionId(1, one.number),
      operations: one.operations,
      outcome: isCommitted ? 'committed' : 'aborted',
      began: [one.asked, one.began],
      ended: [ending, ++clock],
    });
  }
  return { initial: [], transactions };

  function act(one: Simulated): void {
    const slot = random.below(keys);
    const key = (generation[slot] as number) * keys + slot;
    const listOf = (wanted: number): readonly number[] | undefined => {
      let version = versions.get(wanted);
      while (!careless && version !== undefined && version.commit > one.snapshot) version = version.before;
      return one.own.get(wanted) ?? version?.list;
    };
    const kind = random.fraction();
    if (kind < 0.2) {
      const entries: [number, readonly number[]][] = [];
      for (let wanted = key; wanted < key + 4; wanted++) {
        const list = listOf(wanted);
        if (list !== undefined) entries.push([wanted, list]);
      }
      one.operations.push({ type: 'range', from: key, to: key + 3, entries });
      return;
    }
    const list = listOf(key) ?? null;
    one.operations.push({ type: 'read', key, list });
    if (kind < 0.6) return;
    const longer = [...(list ?? []), tag(one.number, one.writes++)];
    one.operations.push({ type: 'append', key, list: longer });
    one.own.set(key, longer);
    if (longer.length >= longest) generation[slot]!++;
  }
}

interface Version {
  readonly commit: number;
  readonly list: readonly number[];
  readonly before: Version | undefined;
}

interface Simulated {
  readonly number: number;
  readonly asked: number;
  readonly began: number;
  readonly snapshot: number;
  readonly own: Map<number, readonly number[]>;
  readonly operations: RecordedOperation[];
  writes: number;
  left: number;
}
